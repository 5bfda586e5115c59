"""The same datagrams to every listener, in as few system calls as the kernel allows.

The only module of this wing that sends. Where Linux offers it, one sendmmsg(2) reaches 1,024
listeners, and datagrams that are due together go out as one payload that the kernel cuts
(UDP_SEGMENT). Elsewhere a loop of sendto does the same.

Sockets must not block: a listener whose send would block misses that datagram, and the others
do not wait for it (one dead host on the LAN can hold a blocking sender for seconds). `send` may
be called from any thread; everything else is the broadcaster thread's alone.
"""

from __future__ import annotations

import contextlib
import itertools
import select
import socket
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple, Protocol

from broadcasting import sendmmsg
from wire.address import Address

IP_AND_UDP_BYTES = 40 + 8
"""An IPv6 header, the longer one, and a UDP header: what an MTU counts beside the datagram."""

MAX_SEGMENTS = 64
MAX_TRAIN_BYTES = 65_507
"""What one send with UDP_SEGMENT holds (linux/udp.h, UDP_MAX_SEGMENTS; the largest datagram)."""

FEW_LISTENERS = 16
"""So few are sent to one by one: after a sleep the prepared call takes 0.03 ms longer to begin."""

MAX_PADDING = 1 / 64
"""Datagrams are padded to one size if that adds less than this: the frames of a constant bit
rate differ by a byte, those of a variable one by half."""

# IP_MTU_DISCOVER exists elsewhere with other numbers: only Linux is asked.
_IP_MTU_DISCOVER, _IPV6_MTU_DISCOVER = 10, 23
_PMTUDISC_WANT, _PMTUDISC_DO = 1, 2
"""linux/in.h, linux/in6.h: fragment if needed; never fragment, and save choosing an IP id."""


class Train(NamedTuple):
    """Datagrams that follow one another, as one payload to be cut every `segment_bytes`."""

    payload: bytes
    segment_bytes: int
    datagrams: int

    def cut(self) -> list[bytes]:
        """The datagrams, one by one."""
        step = self.segment_bytes
        return [self.payload[at : at + step] for at in range(0, len(self.payload), step)]


def trains(datagrams: Sequence[bytes]) -> Iterator[Train]:
    """`datagrams`, in order, in as few trains as padding and the kernel's limits allow."""
    together: list[bytes] = []
    for datagram in datagrams:
        if together and not _may_follow(together, datagram):
            yield _train(together)
            together = []
        together.append(datagram)
    if together:
        yield _train(together)


def _may_follow(together: Sequence[bytes], datagram: bytes) -> bool:
    sizes = [len(one) for one in (*together, datagram)]
    longest = max(sizes)
    fits = len(sizes) <= MAX_SEGMENTS and longest * len(sizes) <= MAX_TRAIN_BYTES
    return fits and longest - min(sizes) <= longest * MAX_PADDING


def _train(together: Sequence[bytes]) -> Train:
    # A message's header says how long its data is, so that padding is not mistaken for it.
    longest = max(len(one) for one in together)
    payload = b"".join(one.ljust(longest, b"\0") for one in together)
    return Train(payload, longest, len(together))


class Outcome(NamedTuple):
    """What became of a broadcast."""

    listeners: int
    """To so many it went."""
    missed: Sequence[Address]
    """An address for each datagram that the system did not take for it."""


class Line(Protocol):
    """How the listeners of one socket are reached."""

    def __len__(self) -> int: ...

    def join(self, address: Address) -> None:
        """Send to `address`, too."""

    def leave(self, address: Address) -> None:
        """Send to `address` no more."""

    def send(self, train: Train, slots: range, give_up_at: float) -> list[Address]:
        """Send to those in `slots`; an address for each datagram that was not taken for it."""


class Loop:
    """A sendto for each listener and datagram. Any system."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._addresses: dict[Address, None] = {}

    def __len__(self) -> int:
        return len(self._addresses)

    def join(self, address: Address) -> None:
        """Send to `address`, too."""
        self._addresses[address] = None

    def leave(self, address: Address) -> None:
        """Send to `address` no more."""
        del self._addresses[address]

    def send(self, train: Train, slots: range, give_up_at: float) -> list[Address]:
        """Send to those in `slots`; an address for each datagram that was not taken for it."""
        addresses = list(itertools.islice(self._addresses, slots.start, slots.stop))
        return _missed(self._sock, train, addresses, give_up_at)


class Batch:
    """A sendmmsg for each 1,024 listeners. 64-bit Linux."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._sender = sendmmsg.BatchSender(sock)
        self._segments = sendmmsg.segments_available(sock)

    def __len__(self) -> int:
        return len(self._sender)

    def join(self, address: Address) -> None:
        """Send to `address`, too."""
        self._sender.join(address)

    def leave(self, address: Address) -> None:
        """Send to `address` no more."""
        self._sender.leave(address)

    def send(self, train: Train, slots: range, give_up_at: float) -> list[Address]:
        """Send to those in `slots`; an address for each datagram that was not taken for it."""
        if train.datagrams == 1 and len(slots) <= FEW_LISTENERS:
            addresses = self._sender.addresses[slots.start : slots.stop]
            return _missed(self._sock, train, addresses, give_up_at)
        if train.datagrams == 1:
            return self._sender.send(train.payload, 0, slots, give_up_at)
        if not self._segments:
            missed = [self._sender.send(one, 0, slots, give_up_at) for one in train.cut()]
            return [address for addresses in missed for address in addresses]
        # Some devices cannot cut, and some paths are too narrow: those get them one by one.
        refused = self._sender.send(train.payload, train.segment_bytes, slots, give_up_at)
        return _missed(self._sock, train, refused, give_up_at)


class Fanout:
    """Every listener, by the socket of its family."""

    def __init__(self, sockets: Sequence[socket.socket], mtu_bytes: int) -> None:
        """`mtu_bytes`: datagrams above it, headers and all, may be fragmented; others not."""
        self._mtu_bytes = mtu_bytes
        self._sockets = {4 if s.family == socket.AF_INET6 else 2: s for s in sockets}
        self._lines = {length: make_line(sock) for length, sock in self._sockets.items()}
        self._fragments: bool | None = None
        self._may_fragment(False)

    def __len__(self) -> int:
        return sum(len(line) for line in self._lines.values())

    def send(self, datagram: bytes, address: Address) -> bool:
        """Send one datagram; False if the kernel did not take it."""
        return _sent(self._sockets[len(address)], datagram, address, 0.0)

    def join(self, address: Address) -> None:
        """Broadcast to `address`, too."""
        self._lines[len(address)].join(address)

    def leave(self, address: Address) -> None:
        """Broadcast to `address` no more."""
        self._lines[len(address)].leave(address)

    def broadcast(
        self, datagrams: Sequence[bytes], give_up_at: float, part: int = 0, parts: int = 1
    ) -> Outcome:
        """Send `datagrams` to everyone, or to one of `parts` equal parts of the listeners.

        A socket whose buffer is full is waited for until `give_up_at` (monotonic).
        """
        slots = {
            length: range(count * part // parts, count * (part + 1) // parts)
            for length, line in self._lines.items()
            if (count := len(line))
        }
        missed: list[Address] = []
        for train in trains(datagrams):
            self._may_fragment(train.segment_bytes + IP_AND_UDP_BYTES > self._mtu_bytes)
            for length, of_line in slots.items():
                missed += self._lines[length].send(train, of_line, give_up_at)
        return Outcome(sum(map(len, slots.values())), missed)

    def _may_fragment(self, wanted: bool) -> None:
        """A frame that alone is longer than the MTU still goes; nothing else is fragmented."""
        if wanted == self._fragments or sys.platform != "linux":
            return
        self._fragments = wanted
        how = _PMTUDISC_WANT if wanted else _PMTUDISC_DO
        for length, sock in self._sockets.items():
            with contextlib.suppress(OSError):
                if length == 4:
                    sock.setsockopt(socket.IPPROTO_IPV6, _IPV6_MTU_DISCOVER, how)
                else:
                    sock.setsockopt(socket.IPPROTO_IP, _IP_MTU_DISCOVER, how)


def make_line(sock: socket.socket) -> Line:
    """The best way that this system has."""
    return Batch(sock) if sendmmsg.is_available() else Loop(sock)


def _missed(
    sock: socket.socket, train: Train, addresses: Iterable[Address], give_up_at: float
) -> list[Address]:
    """Send one by one; an address for each datagram that was not taken for it."""
    return [
        address
        for datagram in train.cut()
        for address in addresses
        if not _sent(sock, datagram, address, give_up_at)
    ]


def _sent(sock: socket.socket, datagram: bytes, address: Address, give_up_at: float) -> bool:
    """Send one datagram, waiting for room until `give_up_at`; False if it was not taken."""
    while True:
        try:
            sock.sendto(datagram, address)
        except BlockingIOError:
            left_s = give_up_at - time.monotonic()
            if left_s <= 0 or not select.select([], [sock], [], left_s)[1]:
                return False
        except OSError:
            # No route, too long for the path, the device's queue is full: it misses this one.
            return False
        else:
            return True
