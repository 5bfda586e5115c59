"""Small charts as SVG, inside a page: axes with units, from zero, readable without colours. Pure.

Every text that comes from outside is escaped here. A line breaks where a value is not known.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable, Sequence
from html import escape

from reporting.timeline import Row
from shell.text import clock


@dataclasses.dataclass(frozen=True, slots=True)
class Size:
    """Of a chart, in units of the drawing; the page scales it."""

    width: int
    height: int
    left: int
    """Room for the numbers of the axis."""
    ticks: int
    """Times under it, at most."""

    @property
    def inner_width(self) -> int:
        """Of what is between the axes."""
        return self.width - self.left - 8

    @property
    def inner_height(self) -> int:
        """The same."""
        return self.height - 36

    def x(self, share: float) -> float:
        """Where so much of the time has passed."""
        return round(self.left + share * self.inner_width, 1)

    def y(self, share: float) -> float:
        """Where so much of the axis is reached."""
        return round(18 + (1 - share) * self.inner_height, 1)


LARGE = Size(360, 150, 36, 5)
SMALL = Size(180, 86, 30, 3)

STEPS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200)
"""Between times of an axis: those that people count in."""

DAY_S = 86_400

TOP_OF_NOTHING = 1.0
"""Where the axis ends if all is zero."""


@dataclasses.dataclass(frozen=True, slots=True)
class Series:
    """One figure over time."""

    name: str
    unit: str
    values: Sequence[float | None]
    kind: str
    """Its class in the style sheet."""
    bars: bool = False
    """What was counted in the time of a row; else what was measured at its end."""


def chart(series: Series, rows: Sequence[Row], size: Size, mark: str) -> str:
    """A chart of `series`, a value for each row; rows with concealed sound are marked.

    `mark` makes the ids of this chart different from those of all others on the page.
    """
    begin_s, end_s = (rows[0].begin_s, rows[-1].end_s) if rows else (0.0, 1.0)
    span_s = max(end_s - begin_s, 1e-3)
    known = [value for value in series.values if value is not None]
    top = nice_top(max(known, default=0.0))

    def x(at_s: float) -> float:
        return size.x((at_s - begin_s) / span_s)

    parts = [
        f'<svg class="chart {series.kind}" viewBox="0 0 {size.width} {size.height}" role="img"'
        f' aria-labelledby="{mark}-t {mark}-d" data-unit="{escape(series.unit)}"'
        f' data-x="{size.left},{size.inner_width},{size.width}"'
        f' data-rows="{_rounded([row.end_s for row in rows])}"'
        f' data-from="{begin_s:.2f}" data-values="{_rounded(series.values)}">',
        f'<title id="{mark}-t">{escape(series.name)} ({escape(series.unit)})</title>',
        f'<desc id="{mark}-d">{escape(description(series, known))}</desc>',
    ]
    # What was concealed, first: it lies behind.
    for begin, end in gaps(rows):
        left = x(begin)
        width = max(1.5, round(x(end) - left, 1))
        parts.append(
            f'<rect class="gap" x="{left}" y="18" width="{width}" height="{size.inner_height}"/>'
        )
    for share in (0, 0.5, 1):
        y = size.y(share)
        parts.append(f'<path class="grid" d="M{size.left} {y}H{size.left + size.inner_width}"/>')
        if share != 0.5 or size is LARGE:
            parts.append(
                f'<text class="tick" x="{size.left - 4}" y="{y + 3.5}"'
                f' text-anchor="end">{top * share:g}</text>'
            )
    parts.append(f'<text class="unit" x="{size.left}" y="11">{escape(series.unit)}</text>')
    for at_s in round_times(begin_s, begin_s + span_s, size.ticks):
        share = (at_s - begin_s) / span_s
        anchor = "start" if share < 0.03 else "end" if share > 0.95 else "middle"
        parts.append(f'<path class="grid" d="M{x(at_s)} {size.y(0)}v3"/>')
        parts.append(
            f'<text class="tick" x="{x(at_s)}" y="{size.height - 5}"'
            f' text-anchor="{anchor}">{clock(at_s)}</text>'
        )
    if series.bars:
        path = "".join(
            f"M{x(row.begin_s)} {size.y(0)}V{size.y(value / top)}H{x(row.end_s)}V{size.y(0)}z"
            for row, value in zip(rows, series.values, strict=True)
            if value
        )
        parts.append(f'<path class="bars" d="{path}"/>')
    else:
        parts.append(f'<path class="line" d="{_line(series, rows, x, size, top)}"/>')
    if not known:
        parts.append(
            f'<text class="unit" x="{size.x(0.5)}" y="{size.y(0.2)}"'
            ' text-anchor="middle">not known</text>'
        )
    return "".join(parts) + "</svg>"


def _line(
    series: Series, rows: Sequence[Row], x: Callable[[float], float], size: Size, top: float
) -> str:
    path = ""
    pen_is_down = False
    for row, value in zip(rows, series.values, strict=True):
        if value is not None:
            # A single value would be a point without extent: each holds for its row.
            path += f"{'L' if pen_is_down else f'M{x(row.begin_s)} {size.y(value / top)}L'}"
            path += f"{x(row.end_s)} {size.y(value / top)}"
        pen_is_down = value is not None
    return path


def gaps(rows: Sequence[Row]) -> list[tuple[float, float]]:
    """From when to when sound was concealed; neighbours are one."""
    found: list[tuple[float, float]] = []
    for row in rows:
        if row.figures.concealed_s <= 0:
            continue
        if found and found[-1][1] == row.begin_s:
            found[-1] = (found[-1][0], row.end_s)
        else:
            found.append((row.begin_s, row.end_s))
    return found


def round_times(begin_s: float, end_s: float, most: int) -> list[int]:
    """At most `most` times from `begin_s` to `end_s`, in seconds, each a multiple of one step."""
    days = range(DAY_S, int(end_s) + 2 * DAY_S, DAY_S)
    for step_s in (*STEPS_S, *days):
        times = range(math.ceil(begin_s / step_s) * step_s, math.floor(end_s) + 1, step_s)
        if len(times) <= most:
            return list(times)
    raise AssertionError("a step longer than the axis has one time on it, or none")


def nice_top(most: float) -> float:
    """Where an axis from zero ends: 1, 2 or 5 times a power of ten, and not below `most`."""
    if most <= 0 or not math.isfinite(most):
        return TOP_OF_NOTHING
    power = 10.0 ** math.floor(math.log10(most))
    return next(
        top for factor in (1, 2, 5, 10, 20) if (top := float(f"{factor * power:g}")) >= most
    )


def description(series: Series, known: Sequence[float]) -> str:
    """What who cannot see the chart should know of it."""
    if not known:
        return f"{series.name}: not known."
    return (
        f"{series.name}: least {min(known):.4g}, most {max(known):.4g},"
        f" at the end {known[-1]:.4g} {series.unit}."
    )


def _rounded(values: Sequence[float | None]) -> str:
    text = json.dumps([None if v is None else round(v, 2) for v in values], separators=(",", ":"))
    return escape(text)
