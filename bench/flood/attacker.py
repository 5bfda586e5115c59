"""Sender of hostile datagrams from all over 127.0.0.0/8, at a pace, and counter of the answers.

Sixty-four sockets, each with a port of its own, are bound to every address and speak from the one
that a datagram names (IP_PKTINFO). Linux only, loopback only.
"""

from __future__ import annotations

import select
import socket
import struct
import time
from collections.abc import Iterable
from types import TracebackType
from typing import NamedTuple, Self

from bench.processes import HOST
from message import Type, type_in

PORTS = 64
BATCH_S = 0.002
IP_PKTINFO = 8
"""Socket option, from linux/in.h."""
_PKTINFO = struct.Struct("=I4s4x")
DATAGRAM_BYTES = 65_535

FIRST_HOST, HOSTS = 0x7F80_0000, 1 << 20
"""Addresses 127.128.0.0 to 127.143.255.255, away from the crowd's."""


class Hostile(NamedTuple):
    """One datagram and its source."""

    data: bytes
    host: int
    """Index into HOSTS."""
    port: int
    """Index into PORTS."""


class Sent(NamedTuple):
    """Counts of a flood at the attacker."""

    datagrams: int
    bytes_out: int
    seconds: float
    answers: int
    bytes_back: int
    """Answers, without the AUDIO of the stream."""


class Attacker:
    """Sockets of the attacker; a context manager closes them."""

    def __init__(self, port: int) -> None:
        self._target = (HOST, port)
        self._poll = select.poll()
        self._sockets: list[socket.socket] = []
        for _ in range(PORTS):
            sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            sock.setblocking(False)
            sock.bind(("0.0.0.0", 0))  # noqa: S104 - all of 127.0.0.0/8 may be answered
            self._sockets.append(sock)
            self._poll.register(sock, select.POLLIN)
        self._by_number = {sock.fileno(): sock for sock in self._sockets}
        self._answers = 0
        self._bytes_back = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for sock in self._sockets:
            sock.close()

    def send(self, hostile: Hostile) -> None:
        """Send one datagram; it is lost if the kernel refuses it."""
        source = (FIRST_HOST + hostile.host).to_bytes(4)
        self._sockets[hostile.port].sendmsg(
            [hostile.data],
            [(socket.IPPROTO_IP, IP_PKTINFO, _PKTINFO.pack(0, source))],
            0,
            self._target,
        )

    def ask(self, hostile: Hostile, within_s: float) -> bytes:
        """Send one datagram; return the answer to its port, or nothing."""
        self.send(hostile)
        sock = self._sockets[hostile.port]
        ready, _, _ = select.select([sock], [], [], within_s)
        return sock.recv(DATAGRAM_BYTES) if ready else b""

    def flood(self, attack: Iterable[Hostile], count: int, per_second: float) -> Sent:
        """Send `count` datagrams of `attack`, evenly; slower if this machine cannot."""
        self._take_answers()
        self._answers = self._bytes_back = bytes_out = 0
        coming = iter(attack)
        began = time.monotonic()
        sent = 0
        while sent < count:
            due = min(count, round((time.monotonic() - began) * per_second) + 1)
            # A long delay is not made up for: that would be another flood.
            for _ in range(min(due - sent, max(1, round(5 * BATCH_S * per_second)))):
                hostile = next(coming)
                self.send(hostile)
                bytes_out += len(hostile.data)
                sent += 1
            self._take_answers()
            time.sleep(BATCH_S)
        took_s = time.monotonic() - began
        time.sleep(0.1)
        self._take_answers()
        return Sent(sent, bytes_out, took_s, self._answers, self._bytes_back)

    def _take_answers(self) -> None:
        for descriptor, _ in self._poll.poll(0):
            sock = self._by_number[descriptor]
            try:
                while True:
                    came = sock.recv(DATAGRAM_BYTES)
                    # One of the attackers is a listener as well.
                    if type_in(came) != Type.AUDIO:
                        self._answers += 1
                        self._bytes_back += len(came)
            except BlockingIOError:
                pass
