"""How much may pass in a second, and how much at once after a pause: the state is one timestamp.

The generic cell rate algorithm (ITU-T I.371, annex A), which is a token bucket (RFC 2697) told in
time: whatever passes reserves its share of a second, and nothing may be reserved further ahead than
the burst. Pure: `now` is monotonic, in seconds.
"""

from __future__ import annotations

IDLE = float("-inf")
"""Timestamp of a limiter that has let nothing pass yet."""


class Rate:
    """GCRA rate limiter: `per_s` a second, `burst` at once. The caller keeps the timestamp."""

    __slots__ = ("_ahead_s", "_each_s")

    def __init__(self, per_s: float, burst: float) -> None:
        """`burst` is at least 1."""
        self._each_s = 1 / per_s
        # Slightly more than burst - 1: a sum of many shares is not exact.
        self._ahead_s = (burst - 0.99) * self._each_s

    def reserve(self, reserved_until: float, now: float) -> float | None:
        """The new timestamp if one more may pass at `now`; None if it may not."""
        if reserved_until <= now:
            return now + self._each_s
        if reserved_until - now > self._ahead_s:
            return None
        return reserved_until + self._each_s


class Budget:
    """GCRA limiter of bytes that several spend from: `per_s` a second, `burst` at once."""

    def __init__(self, per_s: float, burst: float) -> None:
        self.per_s = per_s
        self.burst = burst
        self._reserved_until = IDLE

    def left(self, now: float) -> float:
        """Bytes that may be spent now; negative while a debt is paid back."""
        return self.burst - max(0.0, self._reserved_until - now) * self.per_s

    def is_spent(self, now: float) -> bool:
        """Whether next to nothing is left now."""
        # A hundredth, not 0: a sum of many shares is not exact.
        return self.left(now) < self.burst / 100

    def spend(self, amount: float, now: float) -> None:
        """Spend `amount` bytes, on credit if fewer are left."""
        self._reserved_until = max(self._reserved_until, now) + amount / self.per_s

    def holds_at(self, amount: float) -> float:
        """The time at which `amount` bytes are left, if nothing is spent until then."""
        return self._reserved_until - (self.burst - amount) / self.per_s
