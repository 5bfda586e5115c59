"""When each segment is due: absolute deadlines on the monotonic clock, so errors never add up.

The schedule runs `burst_s` of media ahead of real time. Without an interval every segment is
due at its own media time; with one, the server wakes at whole multiples of the interval and
sends at once what falls due before the next wake-up. Where nobody keeps time, at another speed than
1, the media time may wait for the source.
"""

from __future__ import annotations

import math


class Schedule:
    """Media time to monotonic time. Until `start` nothing is due: deadlines are infinite."""

    def __init__(self, *, burst_s: float, interval_s: float | None, speed: float) -> None:
        self.has_started = False
        """Whether deadlines are finite."""
        self._start = math.inf
        self._burst_s = burst_s
        self._interval_s = interval_s
        self._speed = speed

    def start(self, now: float) -> None:
        """The first segment is due at `now`, in monotonic seconds."""
        assert not self.has_started, "a stream starts once"
        self.has_started, self._start = True, now

    def due(self, media_time_us: int) -> float:
        """Deadline for sending the segment that begins at `media_time_us`, in monotonic seconds."""
        after_s = max(0.0, media_time_us / 1e6 - self._burst_s) / self._speed
        if self._interval_s is not None:
            after_s = math.floor(after_s / self._interval_s) * self._interval_s
        return self._start + after_s

    def wait(self, media_time_us: int, until: float) -> None:
        """Let the segment that begins at `media_time_us`, and all after it, be due no earlier."""
        self._start += max(0.0, until - self.due(media_time_us))

    def begin_again(self, media_time_us: int, now: float) -> None:
        """Send from `media_time_us` on as if that were the beginning, and `now` the start.

        The burst of it is due at once.
        """
        self._start = now - media_time_us / 1e6 / self._speed

    def position_s(self, now: float) -> float:
        """Seconds of media heard at `now` by a listener with a full buffer; 0 before `start`."""
        return max(0.0, now - self._start) * self._speed
