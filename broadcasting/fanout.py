"""One datagram to every listener: the only module of this wing that sends.

Sockets must not block: a listener whose send would block misses that datagram, and the others
do not wait (one dead host on the LAN can hold a blocking sender for seconds).
"""

from __future__ import annotations

import socket
from collections.abc import Iterable, Sequence

from wire.address import Address


class Fanout:
    """Sends through the socket of the address's family. Any thread may call."""

    def __init__(self, sockets: Sequence[socket.socket]) -> None:
        self._by_length: dict[int, socket.socket] = {}
        for sock in sockets:
            self._by_length[4 if sock.family == socket.AF_INET6 else 2] = sock

    def send(self, datagram: bytes, address: Address) -> bool:
        """Send one datagram; False if the kernel did not take it."""
        try:
            self._by_length[len(address)].sendto(datagram, address)
        except OSError:
            # Buffer full, no route, too long for the path: this listener misses it.
            return False
        return True

    def broadcast(self, datagrams: Iterable[bytes], addresses: Iterable[Address]) -> int:
        """Send every datagram to every address; how many the kernel did not take."""
        unsent = 0
        for datagram in datagrams:
            for address in addresses:
                if not self.send(datagram, address):
                    unsent += 1
        return unsent
