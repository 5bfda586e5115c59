"""Report of a listener: the figures of a moment, and the content of the page. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from listening.listen import ListenSnapshot
from listening.session.session import State
from message import milliseconds
from reporting.page import ReportContent
from reporting.timeline import Figures, Row
from shell.terminal.text import Fact, track_text


def figures(now: ListenSnapshot) -> Figures:
    """Figures of now, for a timeline."""
    count = now.statistics
    heard = bool(count.expected)
    # Nothing can be measured while the client looks for a lost server.
    measured = now.state is not State.CONNECTING
    return Figures(
        expected=count.expected,
        repaired=count.retransmitted + count.rebuilt,
        lost=count.lost,
        late=count.late,
        concealed_s=count.concealed_s,
        underruns=count.underruns,
        device_underruns=count.device_underruns,
        jumps=count.jumps,
        clock_spread_ms=milliseconds(count.clock_spread_s) if measured else None,
        jitter_ms=milliseconds(count.jitter_s) if measured else None,
        rtt_ms=milliseconds(count.rtt_s) if measured else None,
        buffer_s=now.buffer_s if heard else None,
        position_s=now.position_s if heard else None,
    )


def report(
    end: ListenSnapshot, facts: Sequence[Fact], failure: str | None, rows: Sequence[Row], when: str
) -> ReportContent:
    """Content of the page. `when`: a sentence on the end of the run."""
    by = f"By {end.artist}, as one" if end.artist else "As one"
    return ReportContent(
        title=end.title or "No stream",
        subtitle=f"{by} listener heard it. {when}",
        failure=failure,
        facts=facts,
        rows=rows,
        tracks=[(one.media_time_us / 1e6, track_text(one.title, one.artist)) for one in end.tracks],
    )
