"""Log lines about addresses that have proved nothing: a flood of them must not fill the log."""

from __future__ import annotations

import logging

from broadcasting.audience.rate import IDLE, Rate
from broadcasting.statistics import ServerStatistics

LINES = 1
"""Lines in a second."""

LINES_AT_ONCE = 100
"""Burst of lines: enough to read all about one client that cannot connect."""

_RATE = Rate(LINES, LINES_AT_ONCE)

log = logging.getLogger("server")


class RateLimitedLog:
    """Writes some of the lines, and how many it left out."""

    def __init__(self, statistics: ServerStatistics) -> None:
        self._statistics = statistics
        self._reserved_until = IDLE
        self._told = 0

    def write(
        self, now: float, to: logging.Logger, level: int, text: str, *arguments: object
    ) -> None:
        """Log `text % arguments` to `to`, or count the line as left out."""
        reserved = _RATE.reserve(self._reserved_until, now)
        if reserved is None:
            self._statistics.lines_left_out += 1
            return
        self._reserved_until = reserved
        left_out = self._statistics.lines_left_out - self._told
        if left_out:
            log.warning("left out %d lines about addresses that have proved nothing", left_out)
            self._told += left_out
        to.log(level, text, *arguments)
