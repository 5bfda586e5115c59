"""The clock of another machine, as seen from this one."""

from __future__ import annotations

from typing import NamedTuple


class Estimate(NamedTuple):
    """The other clock is ahead by `offset_s`, and by `drift` more in each second of ours."""

    at: float
    """Time of our clock at which `offset_s` holds."""
    offset_s: float
    drift: float
    """Seconds a second: 0.0001 is 100 ppm."""
    spread_s: float
    """How far the exchanges disagree with this: what the estimate may be off by."""
    path_s: float
    """Half of the least round trip. A path that is slower in one direction than in the other is
    invisible; the error that this makes is never larger."""

    def theirs(self, ours: float) -> float:
        """The other clock's time at `ours`."""
        return ours + self.offset_s + self.drift * (ours - self.at)

    def ours(self, theirs: float) -> float:
        """Our clock's time at `theirs`."""
        return self.at + (theirs - self.at - self.offset_s) / (1 + self.drift)
