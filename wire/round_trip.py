"""The round trip to the server: how long it takes, and how long an answer is worth waiting for.

RFC 6298, section 2, but without its least time-out of a second, and without backing off: what is
lost here is lost at random, and what is asked for is of no use a second later.
"""

from __future__ import annotations

CLOCK_S = 0.01
"""An answer may be late by this much on a path that never varies: the time for both programs to
wake up (G in the RFC)."""

UNKNOWN_S = 0.15
"""The time-out before anything was measured: half of the world is nearer than this."""

LONGEST_S = 1.0

IMPOSSIBLE_S = 60.0
"""A sample from here on, or below 0, is nonsense."""


class RoundTrip:
    """What was measured of it."""

    def __init__(self) -> None:
        self.smoothed_s: float | None = None
        self.least_s = 0.0
        """The shortest; 0 before anything was measured."""
        self.timeout_s = UNKNOWN_S
        """An answer that has not come after so long will not come."""
        self._variation_s = 0.0

    def measure(self, sample_s: float) -> None:
        """One question was answered after `sample_s`."""
        if not 0 <= sample_s < IMPOSSIBLE_S:
            return
        if self.smoothed_s is None:
            self.smoothed_s = self.least_s = sample_s
            self._variation_s = sample_s / 2
        else:
            self._variation_s += (abs(self.smoothed_s - sample_s) - self._variation_s) / 4
            self.smoothed_s += (sample_s - self.smoothed_s) / 8
            self.least_s = min(self.least_s, sample_s)
        self.timeout_s = min(LONGEST_S, self.smoothed_s + max(CLOCK_S, 4 * self._variation_s))
