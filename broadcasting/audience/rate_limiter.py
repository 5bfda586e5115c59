"""Which datagrams are looked at: decided in less than a microsecond, before anything is made.

A datagram is proved by the session at the place where a client writes it, and by the address that
was given that session: it counts with its listener, which has a rate of its own. Everything else
could come from anybody, whatever its address says. Of that, a limited number of each kind is looked
at, in all and from one source; the rest is passed over. A flood therefore takes a bounded part of a
processor and of the network, and uses up nothing that a listener may send. Sans-I/O; memory is
bounded.
"""

from __future__ import annotations

from array import array
from collections import defaultdict

from broadcasting.audience.listener import Listener, Peer
from broadcasting.audience.rate import IDLE, Rate
from broadcasting.audience.registry import Registry
from message import HEADER_BYTES, Type, type_in
from wire.address import Address, network_of

LISTENER_MESSAGES = 150
"""Messages of one listener that are looked at in a second: it sends at most 100 REQUESTs, and 50
REPORTs where the server has the shortest time-out."""

LISTENER_AT_ONCE = 75
"""Burst of the messages of one listener."""

UNPROVED_MESSAGES = 1000
"""Unproved messages of each kind that are looked at in a second, and at once. One costs up to
0.1 ms with its answer. Clients beyond this many a second try again a second later."""

LISTENER_FORGERIES = 300
"""With a key: messages under the salt of one listener that are opened in vain in a second, and at
once. One costs 14 µs; of what comes beyond them, nothing under this salt is opened."""

SOURCE_MESSAGES = 4
"""Unproved messages of each kind from one source that are looked at in a second, for each listener
that one address may have. A client sends fewer, so that a flood from few hosts keeps nobody out."""

LEAST_LISTENERS = 16
"""Listeners for which SOURCE_MESSAGES counts, at the least."""

SOURCES = 1024
"""Hosts are hashed (randomised per process) into this many buckets."""

_COOKIE = b'"cookie"'
_COOKIE_WITHIN = HEADER_BYTES + 64
"""A client writes the cookie before this offset, behind the nonce: searching all of a CONNECT takes
0.5 µs."""

_WITH_COOKIE = 0
"""A kind of its own, no type: a client that was challenged need not wait for strangers."""

_CONNECT = int(Type.CONNECT)

_LISTENER = Rate(LISTENER_MESSAGES, LISTENER_AT_ONCE)
_UNPROVED = Rate(UNPROVED_MESSAGES, UNPROVED_MESSAGES)
_FORGED = Rate(LISTENER_FORGERIES, LISTENER_FORGERIES)


class RateLimiter:
    """Says which datagrams are looked at."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        share = SOURCE_MESSAGES * max(LEAST_LISTENERS, registry.most_per_network)
        self._source = Rate(share, share)
        # Timestamps by kind: at most one more than the types that the server takes.
        self._reserved: defaultdict[int, float] = defaultdict(lambda: IDLE)
        self._reserved_by: defaultdict[int, array[float]] = defaultdict(
            lambda: array("d", [IDLE]) * SOURCES
        )

    def admits(self, data: bytes, address: Address, now: float) -> bool:
        """Whether to look at `data` (at least a header) that came from `address`."""
        listener = self._registry.at(address)
        if listener is not None and data.startswith(listener.proof, HEADER_BYTES):
            return self.admits_listener(listener, now)
        return self.admits_unproved(data, address, now)

    def admits_listener(self, listener: Listener, now: float) -> bool:
        """Whether to look at a message that is proved to come from `listener`."""
        reserved = _LISTENER.reserve(listener.reserved_until, now)
        if reserved is None:
            return False
        listener.reserved_until = reserved
        return True

    def may_open(self, peer: Peer, now: float) -> bool:
        """Whether to open a message with the salt of `peer`, which anybody may have copied."""
        return _FORGED.reserve(peer.failed_until, now) is not None

    def failed(self, peer: Peer, now: float) -> None:
        """A message with the salt of `peer` could not be opened, or had come before."""
        peer.failed_until = _FORGED.reserve(peer.failed_until, now) or peer.failed_until

    def admits_unproved(self, data: bytes, address: Address, now: float) -> bool:
        """Whether to look at a message that could come from anybody."""
        kind = type_in(data)
        if kind == _CONNECT and data.find(_COOKIE, HEADER_BYTES, _COOKIE_WITHIN) > 0:
            kind = _WITH_COOKIE
        source = hash(network_of(address)) % SOURCES
        by_source = self._reserved_by[kind]
        from_source = self._source.reserve(by_source[source], now)
        if from_source is None:
            return False
        in_all = _UNPROVED.reserve(self._reserved[kind], now)
        if in_all is None:
            return False
        by_source[source], self._reserved[kind] = from_source, in_all
        return True
