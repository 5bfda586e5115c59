"""A pace: so much a second, and so much at once after a pause.

A token bucket (RFC 2697, section 3). Pure: `now` is monotonic, in seconds.
"""

from __future__ import annotations


class TokenBucket:
    """Holds at most `depth` tokens, and gains `rate` of them a second. It is full at first."""

    def __init__(self, rate: float, depth: float) -> None:
        self.rate = rate
        self.depth = depth
        self.tokens = depth
        self._filled_at: float | None = None

    def fill(self, now: float) -> float:
        """Gain what is due at `now`; the tokens that there are."""
        if self._filled_at is not None:
            gained = (now - self._filled_at) * self.rate
            self.tokens = min(self.depth, self.tokens + gained)
        self._filled_at = now
        return self.tokens

    def spend(self, tokens: float) -> None:
        """Take `tokens`, more than there are if need be: the next wait longer."""
        self.tokens -= tokens

    def holds_at(self, tokens: float) -> float:
        """When it holds `tokens`, if nothing is spent until then."""
        if self._filled_at is None:
            return float("-inf")
        return self._filled_at + max(0.0, tokens - self.tokens) / self.rate
