"""Figures over time of all listeners together, and of the worst ones each. Pure.

Counts are summed over all listeners; of their measurements the worst is kept. The listeners that
miss most have a timeline each: a newcomer that misses more than the best of them takes its place,
so that memory does not grow with the audience.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence

from broadcasting.audience.figures import ListenerFigures
from message import Report
from reporting.page import ListenerCharts, ReportContent
from reporting.timeline import Figures, Row, Timeline
from shell.terminal.text import Fact, clock, milliseconds_text
from wire.address import Address, address_text

MOST_SHOWN = 50
"""Listeners on the page."""

MOST_FOLLOWED = 100
"""Listeners with a timeline; with MOST_ROWS, 7 MB in all."""

MOST_ROWS = 240
"""Rows of a listener's timeline."""

ListenerId = tuple[Address, float]
"""Address, and time of registration: an address may register again."""


class AudienceRecord:
    """Figures of the listeners, told once a second."""

    def __init__(self) -> None:
        self.total = Figures()
        """Counts of all listeners since the record began."""
        self._followed: dict[ListenerId, Timeline] = {}
        self._last: dict[ListenerId, Figures] = {}

    def tell(self, now_s: float, listeners: Iterable[ListenerFigures]) -> Figures:
        """Record `listeners`: those registered, and those that left since the last call."""
        # A listener that left just now is there twice: its last figures count.
        each = {(one.address, one.joined_at): one for one in listeners}
        present: dict[ListenerId, Figures] = {}
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

    def rows_of(self, one: ListenerFigures) -> Sequence[Row]:
        """Figures of a listener over time; empty if it has no timeline."""
        timeline = self._followed.get((one.address, one.joined_at))
        return timeline.rows if timeline else ()

    def _follow(self, now_s: float, present: dict[ListenerId, Figures]) -> None:
        for who in present:
            if who in self._followed:
                continue
            if len(self._followed) >= MOST_FOLLOWED and not self._make_room(present[who]):
                continue
            self._followed[who] = Timeline(now_s, MOST_ROWS)
            # Counts from before the timeline are not part of its first row.
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
    listeners: Sequence[ListenerFigures],
    when: str,
) -> ReportContent:
    """Content of the page. `when`: a sentence on the end of the run."""
    worst = sorted(
        listeners,
        key=lambda one: _misses(_figures(one.report)) if one.report else (0.0, 0, 0),
        reverse=True,
    )
    if len(worst) > MOST_SHOWN:
        remark = f"The {MOST_SHOWN} of {len(worst)} that missed most, worst first."
    else:
        remark = f"All {len(worst)}, worst first." if worst else "Nobody has listened."
    return ReportContent(
        title=title or "No stream",
        subtitle=f"As the server sent it and its listeners reported. {when}",
        failure=failure,
        facts=facts,
        rows=rows,
        listeners=[
            ListenerCharts(address_text(one.address), _remark(one), record.rows_of(one))
            for one in worst[:MOST_SHOWN]
        ],
        listeners_remark=remark,
    )


def _figures(report: Report) -> Figures:
    return Figures(
        expected=report.expected,
        repaired=report.retransmitted + report.rebuilt,
        lost=report.lost,
        late=report.late,
        concealed_s=report.concealed_s,
        underruns=report.underruns,
        device_underruns=report.device_underruns,
        jumps=report.jumps,
        clock_spread_ms=report.clock_spread_ms,
        jitter_ms=report.jitter_ms,
        rtt_ms=report.rtt_ms,
        buffer_s=report.buffer_s,
    )


def _misses(figures: Figures) -> tuple[float, int, int]:
    return figures.concealed_s, figures.lost, figures.repaired


def _remark(one: ListenerFigures) -> str:
    how = {"listening": "there at the end", "goodbye": "left", "silent": "fell silent"}
    who = f"{clock(one.left_at - one.joined_at)}, {how.get(one.how, one.how)}"
    report = one.report
    if report is None:
        return f"{who}; no report."
    return (
        f"{who}; {report.lost} of {report.expected} lost,"
        f" {report.retransmitted + report.rebuilt} repaired,"
        f" {report.concealed_s:.2f} s concealed, jitter {milliseconds_text(report.jitter_ms)},"
        f" round trip {milliseconds_text(report.rtt_ms)}."
    )
