"""What comes in -> what is looked at: decided in less than a microsecond, before anything is made.

A datagram is proved by the session at the place where a client writes it, and by the address that
was given that session: then it counts with its listener, who may send so much. Everything else
could be anybody's, whatever its address says. Of that, so much of each kind is looked at, in all
and from one source, and the rest is passed over: so a flood takes a bounded part of a processor and
of the network, and cannot use up what a listener may send. Sans-I/O; what is kept is bounded.
"""

from __future__ import annotations

from array import array
from collections import defaultdict

from broadcasting.pace import IDLE, Pace
from broadcasting.registry import Listener, Registry
from message import HEADER_BYTES, Type, type_in
from wire.address import Address

LISTENER_MESSAGES = 150
LISTENER_AT_ONCE = 75
"""Messages of one listener in a second, and at once. It sends a hundred REQUESTs at most, and fifty
REPORTs where the server has the shortest time-out."""

UNPROVED_MESSAGES = 1000
"""Unproved messages of each kind in a second, and at once, that are looked at. One costs up to
0.1 ms with its answer. So many connect in a second, and of more each tries again a second later."""

SOURCE_MESSAGES = 4
LEAST_LISTENERS = 16
"""The same from one source, for each listener that one address may have, and so many at least: a
client sends fewer. So a flood from few hosts does not keep others out."""

SOURCES = 1024
"""Sources are told apart by so many numbers, which a secret of this run of Python draws of their
hosts: two may share one."""

_COOKIE = b'"cookie"'
_COOKIE_WITHIN = HEADER_BYTES + 64
"""Where a client writes it: behind the nonce. To search all of a CONNECT takes half a µs."""

_WITH_COOKIE = 0
"""A kind of its own, which no type is: those who were challenged need not wait for strangers."""

_CONNECT = int(Type.CONNECT)

_LISTENER = Pace(LISTENER_MESSAGES, LISTENER_AT_ONCE)
_UNPROVED = Pace(UNPROVED_MESSAGES, UNPROVED_MESSAGES)


class Gate:
    """Says which datagrams are looked at."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        share = SOURCE_MESSAGES * max(LEAST_LISTENERS, registry.most_per_network)
        self._source = Pace(share, share)
        # By kind, of which there are no more than types that the server takes.
        self._reserved: defaultdict[int, float] = defaultdict(lambda: IDLE)
        self._reserved_by: defaultdict[int, array[float]] = defaultdict(
            lambda: array("d", [IDLE]) * SOURCES
        )

    def admits(self, data: bytes, address: Address, now: float) -> bool:
        """Whether to look at `data`, which is a header at least, and came from `address`."""
        listener = self._registry.at(address)
        if listener is not None and data.startswith(listener.proof, HEADER_BYTES):
            return self.admits_of(listener, now)
        return self.admits_unproved(data, address, now)

    def admits_of(self, listener: Listener, now: float) -> bool:
        """Whether to look at what is proved to be of `listener`."""
        reserved = _LISTENER.reserve(listener.reserved_until, now)
        if reserved is None:
            return False
        listener.reserved_until = reserved
        return True

    def admits_unproved(self, data: bytes, address: Address, now: float) -> bool:
        """Whether to look at what may be anybody's."""
        kind = type_in(data)
        if kind == _CONNECT and data.find(_COOKIE, HEADER_BYTES, _COOKIE_WITHIN) > 0:
            kind = _WITH_COOKIE
        source = hash(address[0]) % SOURCES
        by_source = self._reserved_by[kind]
        from_source = self._source.reserve(by_source[source], now)
        if from_source is None:
            return False
        in_all = _UNPROVED.reserve(self._reserved[kind], now)
        if in_all is None:
            return False
        by_source[source], self._reserved[kind] = from_source, in_all
        return True
