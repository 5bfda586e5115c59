"""Lines about addresses that have proved nothing: a flood of them must not fill the log."""

from __future__ import annotations

from broadcasting.pace import IDLE, Pace
from broadcasting.statistics import ServerStatistics
from wire.log import get_logger

LINES = 1
LINES_AT_ONCE = 100
"""In a second, and at once: of one client that cannot connect all that it says is there to read."""

_PACE = Pace(LINES, LINES_AT_ONCE)

log = get_logger("server")


class BriefLog:
    """Writes some lines, and of the others how many there were."""

    def __init__(self, statistics: ServerStatistics) -> None:
        self._statistics = statistics
        self._reserved_until = IDLE
        self._told = 0

    def write(self, now: float, level: int, text: str, *arguments: object) -> None:
        """Log `text % arguments` at `level`, if not too much was; otherwise count it."""
        reserved = _PACE.reserve(self._reserved_until, now)
        if reserved is None:
            self._statistics.lines_left_out += 1
            return
        self._reserved_until = reserved
        left_out = self._statistics.lines_left_out - self._told
        if left_out:
            log.warning("left out %d lines about addresses that have proved nothing", left_out)
            self._told += left_out
        log.log(level, text, *arguments)
