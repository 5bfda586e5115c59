"""When each segment is due: absolute deadlines on the monotonic clock, so errors never add up.

The schedule runs `burst_s` of media ahead of real time. Without an interval every segment is
due at its own media time; with one, the server wakes at whole multiples of the interval and
sends at once what falls due before the next wake-up.
"""

from __future__ import annotations

import math


class Schedule:
    """Media time -> monotonic time. `start` is when the first segment is due."""

    def __init__(
        self, start: float, *, burst_s: float, interval_s: float | None, speed: float
    ) -> None:
        self._start = start
        self._burst_s = burst_s
        self._interval_s = interval_s
        self._speed = speed

    def due(self, media_time_us: int) -> float:
        """When the segment that begins at `media_time_us` is to be sent."""
        after_s = max(0.0, media_time_us / 1e6 - self._burst_s) / self._speed
        if self._interval_s is not None:
            after_s = math.floor(after_s / self._interval_s) * self._interval_s
        return self._start + after_s

    def position_s(self, now: float) -> float:
        """How much media a listener with a full buffer has heard at `now`."""
        return max(0.0, now - self._start) * self._speed
