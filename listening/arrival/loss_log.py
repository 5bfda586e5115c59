"""Counters -> a line of the log for each second in which something was lost, late or repaired."""

from __future__ import annotations

import logging

from listening.arrival.statistics import Statistics

PERIOD_S = 1.0
"""Time that one line tells of."""

log = logging.getLogger("client")


class LossLog:
    """The counters as they were logged last."""

    def __init__(self, statistics: Statistics, now: float) -> None:
        self._statistics = statistics
        self._logged = (0, 0, 0, 0)
        self._next_at = now + PERIOD_S

    def on_due(self, now: float) -> None:
        """Log what the last second has brought. Call it whenever something may have come."""
        if now < self._next_at:
            return
        self._next_at = now + PERIOD_S
        count, before = self._statistics, self._logged
        self._logged = (count.lost, count.late, count.retransmitted, count.rebuilt)
        if self._logged == before:
            return
        lost, late, again, rebuilt = (b - a for a, b in zip(before, self._logged, strict=True))
        repaired = f"{again + rebuilt} repaired ({again} retransmitted, {rebuilt} rebuilt)"
        parts = ((lost, f"{lost} lost"), (late, f"{late} late"), (again + rebuilt, repaired))
        text = ", ".join(part for number, part in parts if number)
        log.log(logging.WARNING if lost else logging.INFO, "in one second: %s", text)
