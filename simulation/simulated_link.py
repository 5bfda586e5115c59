"""One direction of a simulated network: datagrams in; datagrams out when they are due, or never.

The *fate* of a datagram is the list of delays after which its copies arrive; an empty one is a
loss. `fates` draws them from a seed, according to `LinkConditions`; a test may give its own.

Sans-I/O: no socket, no thread, no clock. `now` is monotonic, in seconds.
"""

from __future__ import annotations

import dataclasses
import heapq
import itertools
from collections.abc import Callable, Iterator, Sequence
from random import Random
from typing import NamedTuple

from simulation.link_conditions import LinkConditions
from wire.address import Address

MAX_UNDER_WAY_BYTES = 32 << 20
"""Upper bound of what is under way; 320 kbit/s with the longest delay are 400 kB."""

OVERHEAD_BYTES = 256
"""Memory that Python needs for a datagram beside its bytes, about."""

Fate = Sequence[float]
"""Seconds after which each copy arrives."""


@dataclasses.dataclass(slots=True)
class LinkCounts:
    """Counters of datagrams and their copies.

    came + duplicated = dropped + overflowed + delivered + under way
    """

    came: int = 0
    """Datagrams that were sent into the link."""
    came_bytes: int = 0
    dropped: int = 0
    """Datagrams of which no copy arrives."""
    duplicated: int = 0
    """Copies beyond the first of a datagram."""
    overflowed: int = 0
    """Copies for which there was no room."""
    delayed: int = 0
    """Copies that had to wait."""
    delivered: int = 0
    """Copies that have arrived."""

    def add(self, other: LinkCounts) -> None:
        """Add the counters of `other`."""
        for field in dataclasses.fields(self):
            sum_ = getattr(self, field.name) + getattr(other, field.name)
            setattr(self, field.name, sum_)


class _UnderWay(NamedTuple):
    """A copy that will arrive; sorted by arrival, then by departure."""

    at: float
    order: int
    data: bytes
    address: Address
    counts: LinkCounts


class SimulatedLink:
    """One direction of the network."""

    def __init__(
        self, fates: Iterator[Fate], kind_of: Callable[[bytes], str] = lambda data: ""
    ) -> None:
        """`kind_of` gives a datagram one of a few names, each of which has counters of its own."""
        self._fates = fates
        self._kind_of = kind_of
        self._counts: dict[str, LinkCounts] = {}
        self._under_way: list[_UnderWay] = []
        self._under_way_bytes = 0
        self._order = itertools.count()

    def receive_datagram(self, data: bytes, address: Address, now: float) -> None:
        """Take a datagram that is sent; `address` comes out with it again."""
        counts = self._counts.setdefault(self._kind_of(data), LinkCounts())
        counts.came += 1
        counts.came_bytes += len(data)
        fate = next(self._fates)
        counts.dropped += not fate
        counts.duplicated += max(0, len(fate) - 1)
        for delay_s in fate:
            size_bytes = len(data) + OVERHEAD_BYTES
            if self._under_way_bytes + size_bytes > MAX_UNDER_WAY_BYTES:
                counts.overflowed += 1
                continue
            self._under_way_bytes += size_bytes
            counts.delayed += delay_s > 0
            copy = _UnderWay(now + delay_s, next(self._order), data, address, counts)
            heapq.heappush(self._under_way, copy)

    def datagrams_to_send(self, now: float) -> list[tuple[bytes, Address]]:
        """Datagrams that have arrived since the last call, in order of arrival."""
        arrived = []
        while self._under_way and self._under_way[0].at <= now:
            copy = heapq.heappop(self._under_way)
            copy.counts.delivered += 1
            self._under_way_bytes -= len(copy.data) + OVERHEAD_BYTES
            arrived.append((copy.data, copy.address))
        return arrived

    def next_due(self) -> float | None:
        """When the next datagram arrives; None if none is under way."""
        return self._under_way[0].at if self._under_way else None

    def counts(self) -> dict[str, LinkCounts]:
        """A copy of the counters, by kind."""
        return {kind: dataclasses.replace(one) for kind, one in self._counts.items()}

    def total(self) -> LinkCounts:
        """The sum of the counters of all kinds."""
        total = LinkCounts()
        for one in self._counts.values():
            total.add(one)
        return total


def fates(conditions: LinkConditions, direction: str) -> Iterator[Fate]:
    """Fates of one datagram after the other, without end.

    Each direction and each effect has a random generator of its own: with one seed the same
    datagrams are lost, whatever the delay.
    """
    chance = {
        effect: Random(f"{conditions.seed} {direction} {effect}")  # noqa: S311 - guards nothing
        for effect in ("loss", "delay", "duplicate")
    }
    losses = _losses(conditions, chance["loss"])
    delays = _delays(conditions, chance["delay"])
    while True:
        copies = 2 if chance["duplicate"].random() < conditions.duplicate else 1
        yield [next(delays) for _ in range(copies) if not next(losses)]


def _losses(conditions: LinkConditions, random: Random) -> Iterator[bool]:
    """Whether each datagram is lost."""
    loss = conditions.loss
    if conditions.burst is None:
        while True:
            yield random.random() < loss
    # Gilbert's model: nothing is lost in the good state, everything in the bad one. Each datagram
    # of a burst ends it with the same probability, and `loss` is the share of the bad state, also
    # at the start.
    to_good = 1 / conditions.burst
    to_bad = to_good * loss / (1 - loss)
    bad = random.random() < loss
    while True:
        yield bad
        bad = random.random() >= to_good if bad else random.random() < to_bad


def _delays(conditions: LinkConditions, random: Random) -> Iterator[float]:
    """Delay of each datagram, in seconds."""
    delay_s, jitter_s = conditions.delay_s, conditions.jitter_s
    while True:
        if random.random() < conditions.reorder:
            yield 0.0
        else:
            yield max(0.0, delay_s + random.uniform(-jitter_s, jitter_s))
