"""Figures over time of everyone who listens, and of the worst of them each. Pure; bounded.

Of all listeners together the counts are added up, and the worst of what each measured is kept.
Timelines of their own have those who miss most: a newcomer takes the place of the one that misses
least, if it misses more. So memory does not grow with the audience.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence

from broadcasting.display import Row as Fact
from broadcasting.reception import Departed
from message import Report as Told
from reporting.page import Listener, Report
from reporting.timeline import Figures, Row, Timeline
from shell.text import clock, milliseconds
from wire.address import Address, address_text

MOST_SHOWN = 50
"""Listeners on the page."""

MOST_FOLLOWED = 100
MOST_ROWS = 240
"""Timelines, and rows in each: 7 MB in all."""

Who = tuple[Address, float]
"""An address, and when it registered: the same port may come again."""


class AudienceRecord:
    """What is told each second about the listeners."""

    def __init__(self) -> None:
        self.total = Figures()
        """What was counted by all, since the record began."""
        self._followed: dict[Who, Timeline] = {}
        self._last: dict[Who, Figures] = {}

    def tell(self, now_s: float, listeners: Iterable[Departed]) -> Figures:
        """`listeners` are all who are there, and those who left since the last time."""
        # Who left while they were looked at is there twice: what it said last counts.
        each = {(one.address, one.joined_at): one for one in listeners}
        present: dict[Who, Figures] = {}
        total = dataclasses.replace(self.total, jitter_ms=None, rtt_ms=None, buffer_s=None)
        here = 0
        for who, one in each.items():
            here += one.how == "listening"
            now = Figures() if one.report is None else _figures(one.report)
            total = total.joined(now.since(self._last.get(who, Figures())))
            present[who] = now
        self._last = present
        self.total = dataclasses.replace(total, listeners=here)
        self._follow(now_s, present)
        return self.total

    def rows_of(self, one: Departed) -> Sequence[Row]:
        """Its figures over time; none if it was not followed."""
        timeline = self._followed.get((one.address, one.joined_at))
        return timeline.rows if timeline else ()

    def _follow(self, now_s: float, present: dict[Who, Figures]) -> None:
        for who in present:
            if who in self._followed:
                continue
            if len(self._followed) >= MOST_FOLLOWED and not self._make_room(present[who]):
                continue
            self._followed[who] = Timeline(now_s, MOST_ROWS)
            # What it counted before it was followed is no part of its first row.
            self._followed[who].begin_with(present[who])
        for who, timeline in self._followed.items():
            if who in present:
                timeline.tell(now_s, present[who])

    def _make_room(self, for_whom: Figures) -> bool:
        least = min(self._followed, key=lambda who: _misses(self._followed[who].total))
        if _misses(self._followed[least].total) >= _misses(for_whom):
            return False
        del self._followed[least]
        return True


def report(
    record: AudienceRecord,
    title: str,
    facts: Sequence[Fact],
    failure: str | None,
    rows: Sequence[Row],
    listeners: Sequence[Departed],
    when: str,
) -> Report:
    """What is on the page. `when` it was, in words."""
    worst = sorted(
        listeners,
        key=lambda one: _misses(_figures(one.report)) if one.report else (0.0, 0, 0),
        reverse=True,
    )
    if len(worst) > MOST_SHOWN:
        remark = f"The {MOST_SHOWN} of {len(worst)} that missed most, worst first."
    else:
        remark = f"All {len(worst)}, worst first." if worst else "Nobody has listened."
    return Report(
        title=title or "No stream",
        subtitle=f"As the server sent it, and its listeners reported. {when}",
        failure=failure,
        facts=facts,
        rows=rows,
        listeners=[
            Listener(address_text(one.address), _remark(one), record.rows_of(one))
            for one in worst[:MOST_SHOWN]
        ],
        listeners_remark=remark,
    )


def _figures(told: Told) -> Figures:
    return Figures(
        expected=told.expected,
        repaired=told.retransmitted + told.rebuilt,
        lost=told.lost,
        late=told.late,
        concealed_s=told.concealed_s,
        underruns=told.underruns,
        jitter_ms=told.jitter_ms,
        rtt_ms=told.rtt_ms,
        buffer_s=told.buffer_s,
    )


def _misses(figures: Figures) -> tuple[float, int, int]:
    return figures.concealed_s, figures.lost, figures.repaired


def _remark(one: Departed) -> str:
    there = clock(one.left_at - one.joined_at)
    how = {"listening": "there at the end", "goodbye": "left", "silent": "fell silent"}
    who = f"{there}, {how.get(one.how, one.how)}"
    told = one.report
    if told is None:
        return f"{who}; no report."
    return (
        f"{who}; {told.lost} of {told.expected} lost,"
        f" {told.retransmitted + told.rebuilt} repaired,"
        f" {told.concealed_s:.2f} s concealed, jitter {milliseconds(told.jitter_ms)},"
        f" round trip {milliseconds(told.rtt_ms)}."
    )
