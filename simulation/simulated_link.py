"""One direction of a simulated network: datagrams in; datagrams out when they are due, or never.

What happens to each is its *fate*: after how many seconds each copy of it arrives; without a copy
it is lost. `fates` draws them from a seed, as `LinkConditions` say; a test may give its own.

Sans-I/O: no socket, no thread, no clock. `now` is monotonic, in seconds.
"""

from __future__ import annotations

import dataclasses
import heapq
import itertools
from collections.abc import Callable, Iterator, Sequence
from random import Random
from typing import NamedTuple

from wire.address import Address
from wire.link_conditions import LinkConditions

MAX_UNDER_WAY_BYTES = 32 << 20
"""What is on the way at one time: at 320 kbit/s the longest delay is 400 kB."""

OVERHEAD_BYTES = 256
"""What Python needs for a datagram beside its bytes, about."""

Fate = Sequence[float]
"""After how many seconds each copy arrives."""


@dataclasses.dataclass(slots=True)
class LinkCounts:
    """What became of the datagrams.

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
        """Count what `other` has counted, too."""
        for field in dataclasses.fields(self):
            sum_ = getattr(self, field.name) + getattr(other, field.name)
            setattr(self, field.name, sum_)


class _UnderWay(NamedTuple):
    """A copy that will arrive. In order of arrival, then of departure."""

    at: float
    order: int
    data: bytes
    address: Address
    counts: LinkCounts


class SimulatedLink:
    """Takes datagrams as they are sent, gives them out as they arrive."""

    def __init__(
        self, fates: Iterator[Fate], kind_of: Callable[[bytes], str] = lambda data: ""
    ) -> None:
        """`kind_of` a datagram: one of a few names, each of which is counted by itself."""
        self._fates = fates
        self._kind_of = kind_of
        self._counts: dict[str, LinkCounts] = {}
        self._under_way: list[_UnderWay] = []
        self._under_way_bytes = 0
        self._order = itertools.count()

    def receive_datagram(self, data: bytes, address: Address, now: float) -> None:
        """Take what somebody sends; `address` comes out with it again."""
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
        """What has arrived, since the last call, in the order in which it did."""
        arrived = []
        while self._under_way and self._under_way[0].at <= now:
            copy = heapq.heappop(self._under_way)
            copy.counts.delivered += 1
            self._under_way_bytes -= len(copy.data) + OVERHEAD_BYTES
            arrived.append((copy.data, copy.address))
        return arrived

    def next_due(self) -> float | None:
        """When the next one arrives; None if nothing is under way."""
        return self._under_way[0].at if self._under_way else None

    def counts(self) -> dict[str, LinkCounts]:
        """What was counted so far, by kind. A copy."""
        return {kind: dataclasses.replace(one) for kind, one in self._counts.items()}

    def total(self) -> LinkCounts:
        """The same, of all kinds together."""
        total = LinkCounts()
        for one in self._counts.values():
            total.add(one)
        return total


def fates(conditions: LinkConditions, direction: str) -> Iterator[Fate]:
    """What happens to one datagram after the other, for ever. Each direction has chance of its own.

    And so have the effects: with the same seed the same datagrams are lost, whatever the delay.
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
    """Whether each is lost."""
    loss = conditions.loss
    if conditions.burst is None:
        while True:
            yield random.random() < loss
    # Gilbert's model: in the good state nothing is lost, in the bad one everything. A burst ends
    # with each datagram as likely, and bad is the state in `loss` of all cases, also at the start.
    to_good = 1 / conditions.burst
    to_bad = to_good * loss / (1 - loss)
    bad = random.random() < loss
    while True:
        yield bad
        bad = random.random() >= to_good if bad else random.random() < to_bad


def _delays(conditions: LinkConditions, random: Random) -> Iterator[float]:
    """After how many seconds each arrives."""
    delay_s, jitter_s = conditions.delay_s, conditions.jitter_s
    while True:
        if random.random() < conditions.reorder:
            yield 0.0
        else:
            yield max(0.0, delay_s + random.uniform(-jitter_s, jitter_s))
