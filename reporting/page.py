"""Report as one HTML page that needs no network: figures, charts, and the charts as a table. Pure.

Text from outside (titles, addresses, failures) is escaped, and the page's content security policy
forbids every request and every script but its own.
"""

from __future__ import annotations

import base64
import dataclasses
import hashlib
from collections.abc import Sequence
from html import escape
from pathlib import Path

from reporting.svg import LARGE, SMALL, Series, Size, chart, gaps
from reporting.timeline import Figures, Row, at_most, percents
from shell.terminal.text import Fact, clock, one_line

MOST_TABLE_ROWS = 60
"""Rows of the table of the charts."""

MOST_SMALL_ROWS = 120
"""Points of a small chart: about one for each pixel."""

_HERE = Path(__file__).parent

_PART = ' class="part"'
"""Class of a fact that is a part of the one above: its name is indented."""

_TABLE = (
    ("lost", "lost"),
    ("repaired", "repaired"),
    ("late", "late"),
    ("concealed_s", "concealed (s)"),
    ("jitter_ms", "jitter (ms)"),
    ("rtt_ms", "round trip (ms)"),
    ("buffer_s", "buffer (s)"),
)


@dataclasses.dataclass(frozen=True, slots=True)
class ListenerCharts:
    """A listener on the page of the server, with its row of small charts."""

    name: str
    remark: str
    rows: Sequence[Row]


@dataclasses.dataclass(frozen=True, slots=True)
class ReportContent:
    """Content of the page."""

    title: str
    subtitle: str
    failure: str | None
    facts: Sequence[Fact]
    rows: Sequence[Row]
    listeners: Sequence[ListenerCharts] | None = None
    """None for a listener's own report."""
    listeners_remark: str = ""
    tracks: Sequence[tuple[float, str]] = ()
    """Tracks that were heard: the position in the stream, in seconds, and the name."""


def page(report: ReportContent) -> str:
    """HTML of the page."""
    script = (_HERE / "page.js").read_text(encoding="utf-8")
    style = (_HERE / "page.css").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = (
        f"default-src 'none'; style-src 'unsafe-inline'; img-src data:;"
        f" script-src 'sha256-{digest}'"
    )
    title = _safe(report.title)
    parts = [
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f'<link rel="icon" href="data:,"><title>{title} – report</title>',
        f"<style>{style}</style></head><body><main>",
        f'<header><h1>{title}</h1><p class="faint">{_safe(report.subtitle)}</p></header>',
        f'<p class="failure">{_safe(report.failure)}</p>' if report.failure else "",
        _over_time(report),
        _facts(report.facts),
        _tracks(report.tracks),
    ]
    if report.listeners is not None:
        parts.append(f'<h2>Listeners</h2><p class="faint">{_safe(report.listeners_remark)}</p>')
        parts += [_listener(one, number) for number, one in enumerate(report.listeners)]
    parts.append(_table(report.rows))
    parts.append(f"</main><script>{script}</script></body></html>\n")
    return "".join(parts)


def charts_of(rows: Sequence[Row]) -> list[Series]:
    """Charts of the page, in order."""

    def values(name: str) -> list[float | None]:
        return [getattr(row.figures, name) for row in rows]

    return [
        Series("Lost", "% of messages", percents(rows, "lost"), "lost", bars=True),
        Series("Repaired", "% of messages", percents(rows, "repaired"), "repaired", bars=True),
        Series("Jitter", "ms", values("jitter_ms"), "jitter"),
        Series("Round trip", "ms", values("rtt_ms"), "rtt"),
        Series("Buffer", "s", values("buffer_s"), "buffer"),
    ]


def _over_time(report: ReportContent) -> str:
    rows = report.rows
    if not rows:
        return '<h2>Over time</h2><p class="faint">It ended within the first second.</p>'
    step_s = max(row.end_s - row.begin_s for row in rows)
    concealed_s = sum(row.figures.concealed_s for row in rows)
    places = len(gaps(rows))
    marks = (
        f'<span class="key"></span> marks when sound was missing and concealed:'
        f" {concealed_s:.2f} s in {places} place{'' if places == 1 else 's'}."
        if concealed_s
        else "No sound was missing."
        if any(row.figures.expected for row in rows)
        else "Nothing was heard."
    )
    of = "" if report.listeners is None else " Sums and worst values of all listeners."
    return (
        f'<h2>Over time</h2><p class="faint">{marks} Each point covers at most {step_s:.0f} s:'
        f" the highest jitter and round trip, and the lowest buffer. Times are"
        f" minutes:seconds since the start of the program.{of}</p>"
        f"{_charts(rows, LARGE, 'all')}"
    )


def _charts(rows: Sequence[Row], size: Size, mark: str) -> str:
    kind = "charts" if size is LARGE else "charts small"
    series = charts_of(rows)
    if size is SMALL:
        series = [one for one in series if one.kind != "repaired"]
    figures = "".join(
        f"<figure><figcaption>{one.name}<output></output></figcaption>"
        f"{chart(one, rows, size, f'{mark}-{one.kind}')}</figure>"
        for one in series
    )
    return f'<div class="{kind}">{figures}</div>'


def _facts(facts: Sequence[Fact]) -> str:
    rows = "".join(
        f'<tr><th scope="row"{_PART * name.startswith(" ")}>{_safe(name.strip())}</th>'
        f'<td class="n">{_safe(value)}</td>'
        f'<td class="faint">{_safe(remark)}</td></tr>'
        for name, value, remark in facts
    )
    return f'<h2>In all</h2><table class="facts"><tbody>{rows}</tbody></table>'


def _tracks(tracks: Sequence[tuple[float, str]]) -> str:
    """Table of the tracks; empty if there was one: that is the title of the page."""
    if len(tracks) < 2:
        return ""
    rows = "".join(
        f'<tr><th scope="row">{clock(begin_s)}</th><td>{_safe(name)}</td></tr>'
        for begin_s, name in tracks
    )
    return (
        '<h2>Tracks</h2><p class="faint">As they were heard; times are positions in the stream.</p>'
        f'<table class="facts"><tbody>{rows}</tbody></table>'
    )


def _listener(one: ListenerCharts, number: int) -> str:
    rows = at_most(list(one.rows), MOST_SMALL_ROWS)
    charts = _charts(rows, SMALL, f"l{number}") if rows else ""
    return (
        f'<section class="listener"><h3>{_safe(one.name)}</h3>'
        f'<p class="faint">{_safe(one.remark)}</p>{charts}</section>'
    )


def _table(rows: Sequence[Row]) -> str:
    few = at_most(list(rows), MOST_TABLE_ROWS)
    names = "".join(f'<th scope="col">{name}</th>' for _, name in _TABLE)
    body = "".join(
        f'<tr><th scope="row">{clock(row.begin_s)} – {clock(row.end_s)}</th>'
        + "".join(f'<td class="n">{_cell(row.figures, name)}</td>' for name, _ in _TABLE)
        + "</tr>"
        for row in few
    )
    return (
        "<details><summary>The charts as a table</summary>"
        f'<div class="scroll"><table><thead><tr><th scope="col">time</th>{names}</tr></thead>'
        f"<tbody>{body}</tbody></table></div></details>"
    )


def _cell(figures: Figures, name: str) -> str:
    value = getattr(figures, name)
    if value is None:
        return "-"
    return f"{value:.2f}" if isinstance(value, float) else str(value)


def _safe(text: str) -> str:
    # Also surrogates, which names of files that are not UTF-8 hold: they are not printable.
    return escape(one_line(text))
