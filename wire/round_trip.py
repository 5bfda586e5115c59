"""Round trip and retransmission time-out to the server (RFC 6298, section 2).

Without the RFC's least time-out of a second, and without backing off: losses are random here, and a
retransmission is of no use a second later. Pure.
"""

from __future__ import annotations

CLOCK_S = 0.01
"""Clock granularity (G in the RFC): the time that both programs need to wake up."""

UNKNOWN_S = 0.15
"""Time-out before the first measurement: half of the world is nearer than this."""

LONGEST_S = 1.0
"""Upper bound of the time-out."""

IMPOSSIBLE_S = 60.0
"""A sample of this or more, or below 0, is ignored."""


class RoundTrip:
    """The estimate for one path."""

    def __init__(self) -> None:
        self.smoothed_s: float | None = None
        self.least_s = 0.0
        """The shortest round trip; 0 before the first measurement."""
        self.timeout_s = UNKNOWN_S
        """Seconds after which an answer counts as lost."""
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
