"""Figures over time in bounded memory: a row per second, coarser when the run is long. Pure.

Counts come as totals and are kept as differences. When there are too many rows, each two become
one: counts add up, and the worst measurement stays, so that sums are exact and peaks remain.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import TypeVar

Number = TypeVar("Number", int, float)

MOST_ROWS = 3_600
"""Rows of a timeline: an hour of seconds, as many as a chart can show, and 1 MB."""


COUNTS = (
    "expected",
    "repaired",
    "lost",
    "late",
    "concealed_s",
    "underruns",
    "device_underruns",
    "jumps",
)
"""Fields of `Figures` that are counted and add up; the others are measured."""


@dataclasses.dataclass(frozen=True, slots=True)
class Figures:
    """Totals since the start, as a timeline is told; in its rows, what one row added."""

    expected: int = 0
    """Messages, as the next three."""
    repaired: int = 0
    """Retransmitted or rebuilt."""
    lost: int = 0
    late: int = 0
    concealed_s: float = 0.0
    underruns: int = 0
    device_underruns: int = 0
    jumps: int = 0
    jitter_ms: float | None = None
    """Highest; None, here and below, is unknown."""
    rtt_ms: float | None = None
    """Highest."""
    buffer_s: float | None = None
    """Lowest."""
    clock_spread_ms: float | None = None
    """Highest."""
    listeners: int | None = None
    """Most at one time; None for a listener."""
    position_s: float | None = None
    """Position in the stream of what is heard, or sent; None before the first sound."""

    def since(self, before: Figures) -> Figures:
        """Counts added since `before`; measurements stay as they are.

        A count may fall, when a listener reports after it has left: then nothing was added.
        """
        added = {
            name: max(now - getattr(before, name), 0 * now)
            for name in COUNTS
            for now in [getattr(self, name)]
        }
        return dataclasses.replace(self, **added)

    def joined(self, other: Figures) -> Figures:
        """Sums of the counts, and the worst of the measurements. `other` may be later."""
        sums = {name: getattr(self, name) + getattr(other, name) for name in COUNTS}
        return Figures(
            **sums,
            jitter_ms=_of_known(max, self.jitter_ms, other.jitter_ms),
            rtt_ms=_of_known(max, self.rtt_ms, other.rtt_ms),
            buffer_s=_of_known(min, self.buffer_s, other.buffer_s),
            clock_spread_ms=_of_known(max, self.clock_spread_ms, other.clock_spread_ms),
            listeners=_of_known(max, self.listeners, other.listeners),
            position_s=self.position_s if other.position_s is None else other.position_s,
        )


@dataclasses.dataclass(frozen=True, slots=True)
class Row:
    """Figures from `begin_s` to `end_s`, in seconds since the record began."""

    begin_s: float
    end_s: float
    figures: Figures


class Timeline:
    """Rows in order of time, at most `most` of them."""

    def __init__(self, begin_s: float = 0.0, most: int = MOST_ROWS) -> None:
        assert most >= 2
        self.rows: list[Row] = []
        self.rows_in_one = 1
        """Calls of `tell` that each row stands for; the last row may stand for fewer."""
        self._most = most
        self._end_s = begin_s
        self.total = Figures()
        """Totals told last."""
        self._told = 0

    def begin_with(self, total: Figures) -> None:
        """Leave `total`, counted before the timeline began, out of its first row."""
        self.total = total

    def tell(self, now_s: float, total: Figures) -> Row:
        """Record the totals of now; return what was added since the last call as a row."""
        row = Row(self._end_s, now_s, total.since(self.total))
        self.total, self._end_s = total, now_s
        if self._told % self.rows_in_one:
            self.rows[-1] = _join(self.rows[-1], row)
        else:
            if len(self.rows) == self._most:
                self._halve()
            self.rows.append(row)
        self._told += 1
        return row

    def _halve(self) -> None:
        self.rows = coarser(self.rows, 2)
        self.rows_in_one *= 2
        self._told = len(self.rows) * self.rows_in_one


def coarser(rows: list[Row], together: int) -> list[Row]:
    """Rows joined in groups of `together`."""
    joined: list[Row] = []
    for begin in range(0, len(rows), together):
        row = rows[begin]
        for other in rows[begin + 1 : begin + together]:
            row = _join(row, other)
        joined.append(row)
    return joined


def at_most(rows: list[Row], most: int) -> list[Row]:
    """Rows joined until there are at most `most`."""
    return coarser(rows, max(1, -(-len(rows) // most)))


def percents(rows: Sequence[Row], name: str) -> list[float | None]:
    """Count `name` of each row, in per cent of the messages that were due; None if none were.

    A message may be settled in the row after the one in which it was expected, so the row before
    counts as well: the second in which the last messages are settled is not one of 100 %.
    """
    shares: list[float | None] = []
    before = 0
    for row in rows:
        count = getattr(row.figures, name)
        whole = max(before, row.figures.expected, row.figures.lost + row.figures.repaired)
        shares.append(100 * count / whole if whole else None)
        before = row.figures.expected
    return shares


def _join(first: Row, second: Row) -> Row:
    return Row(first.begin_s, second.end_s, first.figures.joined(second.figures))


def _of_known(choose: Callable[[list[Number]], Number], *values: Number | None) -> Number | None:
    known = [value for value in values if value is not None]
    return choose(known) if known else None
