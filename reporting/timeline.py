"""Figures over time in bounded memory: a row per second, coarser when the run is long.

What is counted is given as totals, and kept as what was added since the last row. When there are
too many rows, each two become one: counts add up, and of what is measured the worst stays. So
nothing is lost from the sums, and a peak stays a peak.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import TypeVar

Number = TypeVar("Number", int, float)

MOST_ROWS = 3_600
"""An hour at a row per second: as many as a chart can show, and 1 MB."""


@dataclasses.dataclass(frozen=True, slots=True)
class Figures:
    """Of one moment, when it is told to a timeline; of the time since the row before, in a row."""

    expected: int = 0
    """Messages; so are the next three."""
    repaired: int = 0
    """Retransmitted or rebuilt."""
    lost: int = 0
    late: int = 0
    concealed_s: float = 0.0
    underruns: int = 0
    jitter_ms: float | None = None
    """The worst; so are the next two. None is unknown."""
    rtt_ms: float | None = None
    buffer_s: float | None = None
    """The least."""
    listeners: int | None = None
    """The most; None for a listener."""
    position_s: float | None = None
    """Of what is heard in the stream, or sent; None if nothing is."""

    def since(self, before: Figures) -> Figures:
        """What was added to the counts; what is measured stays as it is.

        A count may fall: a listener that reports after it has left. Nothing was added then.
        """
        return dataclasses.replace(
            self,
            expected=max(0, self.expected - before.expected),
            repaired=max(0, self.repaired - before.repaired),
            lost=max(0, self.lost - before.lost),
            late=max(0, self.late - before.late),
            concealed_s=max(0.0, self.concealed_s - before.concealed_s),
            underruns=max(0, self.underruns - before.underruns),
        )

    def joined(self, other: Figures) -> Figures:
        """Of both: counts added up, of what is measured the worst. `other` may be later."""
        return Figures(
            expected=self.expected + other.expected,
            repaired=self.repaired + other.repaired,
            lost=self.lost + other.lost,
            late=self.late + other.late,
            concealed_s=self.concealed_s + other.concealed_s,
            underruns=self.underruns + other.underruns,
            jitter_ms=_of(max, self.jitter_ms, other.jitter_ms),
            rtt_ms=_of(max, self.rtt_ms, other.rtt_ms),
            buffer_s=_of(min, self.buffer_s, other.buffer_s),
            listeners=_of(max, self.listeners, other.listeners),
            position_s=self.position_s if other.position_s is None else other.position_s,
        )


@dataclasses.dataclass(frozen=True, slots=True)
class Row:
    """What happened from `begin_s` to `end_s`, in seconds since the record began."""

    begin_s: float
    end_s: float
    figures: Figures


class Timeline:
    """Rows in order of time, `most` at most."""

    def __init__(self, begin_s: float = 0.0, most: int = MOST_ROWS) -> None:
        assert most >= 2
        self.rows: list[Row] = []
        self.rows_in_one = 1
        """How many of what was told each row stands for; the last may stand for fewer."""
        self._most = most
        self._end_s = begin_s
        self.total = Figures()
        """What was told last."""
        self._told = 0

    def begin_with(self, total: Figures) -> None:
        """What was counted before is no part of the first row."""
        self.total = total

    def tell(self, now_s: float, total: Figures) -> Row:
        """The totals of now; the row of what happened since they were last told."""
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
    """Each so many rows as one."""
    joined: list[Row] = []
    for begin in range(0, len(rows), together):
        row = rows[begin]
        for other in rows[begin + 1 : begin + together]:
            row = _join(row, other)
        joined.append(row)
    return joined


def at_most(rows: list[Row], most: int) -> list[Row]:
    """The same time in `most` rows or fewer."""
    return coarser(rows, max(1, -(-len(rows) // most)))


def percents(rows: Sequence[Row], name: str) -> list[float | None]:
    """The count `name` of each row, in per cent of the messages that were due; None if none were.

    What becomes of a message is settled after it was expected: the row before counts, too. So a
    second in which the last ones are settled, and none is expected, is not one of 100 %.
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


def _of(choose: Callable[[list[Number]], Number], *values: Number | None) -> Number | None:
    known = [value for value in values if value is not None]
    return choose(known) if known else None
