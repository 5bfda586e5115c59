"""The main chart as a PNG: losses, repair, buffer. matplotlib is imported only when it is drawn."""

from __future__ import annotations

import io

from reporting.page import Report
from reporting.svg import gaps, round_times
from reporting.timeline import percents
from shell.text import clock, one_line

WIDTH_IN, HEIGHT_IN, DPI = 8.0, 4.5, 200
"""1,600 pixels: sharp on a dense screen, and on paper."""

MOST_TITLE = 50
"""Letters that fit over the chart, beside the legend."""

MOST_TIMES = 9
"""Under the chart."""

LETTERS = ("Noto Sans CJK JP", "Noto Sans CJK SC", "IPAexGothic", "IPAGothic", "Hiragino Sans",
           "Yu Gothic", "MS Gothic", "WenQuanYi Zen Hei", "Unifont")  # fmt: skip
"""Fonts for letters that matplotlib's own has not, those that are installed."""


def picture(report: Report) -> bytes:
    """The PNG."""
    import logging
    import warnings

    # Its own words about fonts and caches are not for who reads our standard error.
    logging.getLogger("matplotlib").setLevel(logging.CRITICAL)
    from matplotlib import font_manager, rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter

    installed = set(font_manager.get_font_names())
    fonts = ["DejaVu Sans", *(name for name in LETTERS if name in installed)]
    rows = report.rows
    ends = [row.end_s for row in rows]
    begins = [row.begin_s for row in rows]
    widths = [end - begin for begin, end in zip(begins, ends, strict=True)]
    lost = [share or 0.0 for share in percents(rows, "lost")]
    repaired = [share or 0.0 for share in percents(rows, "repaired")]
    buffer = [
        float("nan") if row.figures.buffer_s is None else row.figures.buffer_s for row in rows
    ]
    with warnings.catch_warnings(), rc_context({"font.family": fonts, "font.size": 9}):
        # A letter that no font here has is drawn as a box.
        warnings.simplefilter("ignore")
        figure = Figure(figsize=(WIDTH_IN, HEIGHT_IN), dpi=DPI, layout="constrained")
        canvas = FigureCanvasAgg(figure)
        upper, lower = figure.subplots(2, 1, sharex=True)
        title = one_line(report.title)
        title = title if len(title) <= MOST_TITLE else title[: MOST_TITLE - 1] + "…"
        upper.set_title(title, parse_math=False, loc="left", fontweight="bold")
        upper.bar(begins, lost, widths, align="edge", color="#c04a00", label="lost")
        upper.bar(
            begins, repaired, widths, bottom=lost, align="edge", color="#0068a8", label="repaired"
        )
        upper.set_ylabel("% of messages")
        upper.set_ylim(0, max(1.0, *(a + b for a, b in zip(lost, repaired, strict=True)), 0) * 1.05)
        lower.plot(ends, buffer, color="#00735a", label="buffer")
        lower.set_ylabel("buffer, s")
        lower.set_ylim(bottom=0)
        lower.set_xlabel("minutes:seconds since the start of the program")
        lower.xaxis.set_major_formatter(FuncFormatter(lambda at_s, _: clock(max(0.0, at_s))))
        missing = [lower.axvspan(*gap, color="#f3c6b0", lw=0) for gap in gaps(rows)]
        legend = {"frameon": False, "ncols": 2, "loc": "lower right", "bbox_to_anchor": (1, 1)}
        upper.legend(**legend)
        if missing:
            lower.legend(missing[:1], ["sound missing"], **legend)
        for axes in (upper, lower):
            axes.grid(axis="y", color="#ddd", linewidth=0.5)
            axes.set_axisbelow(True)
            axes.spines[["top", "right"]].set_visible(False)
        if ends:
            lower.set_xlim(begins[0], ends[-1])
            lower.set_xticks(round_times(begins[0], ends[-1], MOST_TIMES))
        written = io.BytesIO()
        canvas.print_png(written)
    return written.getvalue()
