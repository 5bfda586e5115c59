"""The listener's figures for a report: of a moment, and at the end. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from listening.display import Row as Fact
from listening.listen import ListenSnapshot
from listening.session import State
from message import milliseconds
from reporting.page import Report
from reporting.timeline import Figures, Row


def figures(now: ListenSnapshot) -> Figures:
    """What a timeline is told."""
    count = now.statistics
    heard = bool(count.expected)
    # While a lost server is looked for, nothing comes that could be measured.
    measured = now.state is not State.CONNECTING
    return Figures(
        expected=count.expected,
        repaired=count.retransmitted + count.rebuilt,
        lost=count.lost,
        late=count.late,
        concealed_s=count.concealed_s,
        underruns=count.underruns,
        jitter_ms=milliseconds(count.jitter_s) if measured else None,
        rtt_ms=milliseconds(count.rtt_s) if measured else None,
        buffer_s=now.buffer_s if heard else None,
        position_s=now.position_s if heard else None,
    )


def report(
    end: ListenSnapshot, facts: Sequence[Fact], failure: str | None, rows: Sequence[Row], when: str
) -> Report:
    """What is on the page. `when` it was, in words."""
    by = f"By {end.artist}, as one" if end.artist else "As one"
    return Report(
        title=end.title or "No stream",
        subtitle=f"{by} listener heard it. {when}",
        failure=failure,
        facts=facts,
        rows=rows,
        tracks=[
            (one.media_time_us / 1e6, f"{one.title} · {one.artist}" if one.artist else one.title)
            for one in end.tracks
        ],
    )
