"""Answers of the server that come while none of its audio does: a sign of a narrow path.

What the server answers is short; AUDIO is as long as its `--mtu` allows. Where a tunnel on the way
carries less, and nothing tells the server so, only the answers arrive. Pure.
"""

from __future__ import annotations

import logging

from listening.arrival.statistics import Statistics
from message import Status

ANSWERS = 3
"""STATUS messages in a row, without AUDIO, that are enough: the first may overtake the burst."""

HINT = (
    "the server answers, but no audio comes: the path may carry only short packets; on the server"
    " --mtu 1280 would fit"
)

log = logging.getLogger("client")


class Starvation:
    """Watches whether any audio comes."""

    def __init__(self, statistics: Statistics) -> None:
        self._statistics = statistics
        self._position_s: float | None = None
        self._answers = 0

    @property
    def hint(self) -> str | None:
        """What would help, in one line for the user; None if audio has always come."""
        return HINT if self._statistics.narrow_path else None

    def informed(self, status: Status) -> None:
        """Take the server's answer to a REPORT."""
        count, before_s = self._statistics, self._position_s
        self._position_s = status.position_s
        goes_on = before_s is not None and status.position_s > max(0.0, before_s)
        self._answers = self._answers + 1 if goes_on and not count.received else 0
        if self._answers >= ANSWERS and not count.narrow_path:
            count.narrow_path = True
            log.warning("%s", HINT)
