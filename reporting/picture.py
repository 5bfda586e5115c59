"""Main chart of a report as PNG: losses, repair, buffer. Imports matplotlib only to draw."""

from __future__ import annotations

import io
from typing import Any

from reporting.page import ReportContent
from reporting.svg import gaps, round_times
from reporting.timeline import percents
from shell.terminal.text import clock, one_line

WIDTH_IN, HEIGHT_IN, DPI = 8.0, 4.5, 200
"""Size of 1,600 × 900 pixels: sharp on a dense screen and on paper."""

MOST_TITLE = 50
"""Characters of the title that fit beside the legend."""

MOST_TIMES = 9
"""Most times on the axis."""

LETTERS = ("Noto Sans CJK JP", "Noto Sans CJK SC", "IPAexGothic", "IPAGothic", "Hiragino Sans",
           "Yu Gothic", "MS Gothic", "WenQuanYi Zen Hei", "Unifont")  # fmt: skip
"""Fonts for letters that matplotlib's own font lacks; those that are installed are used."""


def picture(report: ReportContent) -> bytes:
    """PNG of the chart."""
    import logging
    import warnings

    # matplotlib's remarks on fonts and caches must not reach our standard error.
    logging.getLogger("matplotlib").setLevel(logging.CRITICAL)
    from matplotlib import font_manager, rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    installed = set(font_manager.get_font_names())
    fonts = ["DejaVu Sans", *(name for name in LETTERS if name in installed)]
    with warnings.catch_warnings(), rc_context({"font.family": fonts, "font.size": 9}):
        warnings.simplefilter("ignore")  # a letter that no font has is drawn as a box
        figure = Figure(figsize=(WIDTH_IN, HEIGHT_IN), dpi=DPI, layout="constrained")
        canvas = FigureCanvasAgg(figure)
        upper, lower = figure.subplots(2, 1, sharex=True)
        _draw_losses(upper, report)
        _draw_buffer(lower, report)
        for axes in (upper, lower):
            axes.grid(axis="y", color="#ddd", linewidth=0.5)
            axes.set_axisbelow(True)
            axes.spines[["top", "right"]].set_visible(False)
        written = io.BytesIO()
        canvas.print_png(written)
    return written.getvalue()


_LEGEND = {"frameon": False, "ncols": 2, "loc": "lower right", "bbox_to_anchor": (1, 1)}


def _draw_losses(axes: Any, report: ReportContent) -> None:
    rows = report.rows
    begins = [row.begin_s for row in rows]
    widths = [row.end_s - row.begin_s for row in rows]
    lost = [share or 0.0 for share in percents(rows, "lost")]
    repaired = [share or 0.0 for share in percents(rows, "repaired")]
    title = one_line(report.title)
    title = title if len(title) <= MOST_TITLE else title[: MOST_TITLE - 1] + "…"
    axes.set_title(title, parse_math=False, loc="left", fontweight="bold")
    bars = {"align": "edge", "width": widths}
    axes.bar(begins, lost, color="#c04a00", label="lost", **bars)
    axes.bar(begins, repaired, bottom=lost, color="#0068a8", label="repaired", **bars)
    axes.set_ylabel("% of messages")
    axes.set_ylim(0, max(1.0, *(a + b for a, b in zip(lost, repaired, strict=True)), 0) * 1.05)
    axes.legend(**_LEGEND)


def _draw_buffer(axes: Any, report: ReportContent) -> None:
    from matplotlib.ticker import FuncFormatter

    rows = report.rows
    ends = [row.end_s for row in rows]
    buffers = [row.figures.buffer_s for row in rows]
    values = [float("nan") if value is None else value for value in buffers]
    axes.plot(ends, values, color="#00735a", label="buffer")
    axes.set_ylabel("buffer, s")
    axes.set_ylim(bottom=0)
    axes.set_xlabel("minutes:seconds since the start of the program")
    axes.xaxis.set_major_formatter(FuncFormatter(lambda at_s, _: clock(max(0.0, at_s))))
    missing = [axes.axvspan(*gap, color="#f3c6b0", lw=0) for gap in gaps(rows)]
    if missing:
        axes.legend(missing[:1], ["sound missing"], **_LEGEND)
    if rows:
        axes.set_xlim(rows[0].begin_s, ends[-1])
        axes.set_xticks(round_times(rows[0].begin_s, ends[-1], MOST_TIMES))
