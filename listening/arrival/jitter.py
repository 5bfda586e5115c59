"""Media times and arrivals -> the interarrival jitter of RFC 3550, section 6.4.1. Pure."""

from __future__ import annotations

GAIN = 1 / 16
"""Weight of a new sample (RFC 3550, appendix A.8)."""


class JitterEstimate:
    """The jitter of one stream. Only messages that were sent when they were due tell it."""

    def __init__(self, speed: float, jitter_s: float | None) -> None:
        """`jitter_s` is where to begin: the jitter of the stream before."""
        self.jitter_s = jitter_s
        self._speed = speed
        self._transit_s: float | None = None

    def arrived(self, media_time_us: int, now: float) -> None:
        """A message that was due at its media time arrived at `now`."""
        transit_s = now - media_time_us / 1e6 / self._speed
        if self._transit_s is not None:
            jitter_s = self.jitter_s or 0.0
            difference_s = abs(transit_s - self._transit_s)
            self.jitter_s = jitter_s + (difference_s - jitter_s) * GAIN
        self._transit_s = transit_s
