"""So many a second, and so many at once after a pause: all that is kept of it is one time.

The generic cell rate algorithm (ITU-T I.371, annex A): each that is let through reserves its share
of a second, and none may reserve further ahead than those that may come at once. Where a
`TokenBucket` counts bytes and says when to come again, this says yes or no, in a quarter of the
time and with a number for all its memory. Pure: `now` is monotonic, in seconds.
"""

from __future__ import annotations

IDLE = float("-inf")
"""Nothing is reserved."""


class Pace:
    """`per_s` a second, and `at_once` after a pause, at least 1."""

    __slots__ = ("_ahead_s", "_each_s")

    def __init__(self, per_s: float, at_once: float) -> None:
        self._each_s = 1 / per_s
        # A little more than all but one: a sum of many shares is not exact.
        self._ahead_s = (at_once - 0.99) * self._each_s

    def reserve(self, reserved_until: float, now: float) -> float | None:
        """Until when is reserved with one more at `now`; None if it comes too early."""
        if reserved_until <= now:
            return now + self._each_s
        if reserved_until - now > self._ahead_s:
            return None
        return reserved_until + self._each_s
