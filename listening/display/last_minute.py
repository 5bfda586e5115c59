"""Losses and jitter in each second of the last minute. Pure: `now` is an argument."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

from listening.arrival.statistics import Statistics

SECONDS = 60
"""Seconds that are kept."""


class Second(NamedTuple):
    """Figures of one second; None is unknown."""

    loss: float | None
    """Share of the messages that were not intact, repaired or not."""
    lost: int
    """Messages lost."""
    jitter_s: float | None


_UNKNOWN = Second(None, 0, None)


class LastMinute:
    """The last SECONDS, newest last; call `tell` more often than once a second."""

    def __init__(self) -> None:
        self.seconds: deque[Second] = deque(maxlen=SECONDS)
        self._over_at: float | None = None
        self._expected = 0
        self._repaired = 0
        self._lost = 0

    def tell(self, count: Statistics, now: float) -> None:
        """Record the counters at `now`."""
        if self._over_at is None:
            self._over_at = now + 1.0
            self._remember(count)
        elif now >= self._over_at:
            # Not told for a while: those seconds are unknown.
            missed = min(SECONDS, int(now - self._over_at))
            self.seconds.extend([_UNKNOWN] * missed)
            self._over_at = max(self._over_at + 1.0, now)
            self.seconds.append(self._second(count))
            self._remember(count)

    def _second(self, count: Statistics) -> Second:
        expected = count.expected - self._expected
        lost = count.lost - self._lost
        missing = count.retransmitted + count.rebuilt - self._repaired + lost
        # A message is found lost some time after it was expected.
        loss = min(1.0, missing / expected) if expected else (1.0 if missing else None)
        return Second(loss, lost, count.jitter_s)

    def _remember(self, count: Statistics) -> None:
        self._expected = count.expected
        self._repaired = count.retransmitted + count.rebuilt
        self._lost = count.lost
