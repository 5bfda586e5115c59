"""Small charts as SVG inside a page: axes from zero with units, readable without colours. Pure.

Text from outside is escaped. A line breaks where a value is unknown.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterator, Sequence
from html import escape

from reporting.timeline import Row
from shell.terminal.text import clock

STEPS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200)
"""Possible distances between times of an axis: those in which people count."""

DAY_S = 86_400

EMPTY_TOP = 1.0
"""Upper end of an axis on which all values are zero."""

ABOVE, BELOW, RIGHT = 18, 18, 8
"""Margins of a chart: for the unit, for the times, and none for text."""


@dataclasses.dataclass(frozen=True, slots=True)
class Size:
    """Size of a chart, in units of its drawing; the page scales it."""

    width: int
    height: int
    left: int
    """Margin for the numbers of the axis."""
    ticks: int
    """Most times on the axis."""

    @property
    def inner_width(self) -> int:
        """Width between the margins."""
        return self.width - self.left - RIGHT

    @property
    def inner_height(self) -> int:
        """Height between the margins."""
        return self.height - ABOVE - BELOW


LARGE = Size(360, 150, 36, 5)
SMALL = Size(180, 86, 30, 3)


@dataclasses.dataclass(frozen=True, slots=True)
class Series:
    """One figure over time."""

    name: str
    unit: str
    values: Sequence[float | None]
    kind: str
    """Class in the style sheet."""
    bars: bool = False
    """Bars for what was counted during a row; else a line for what was measured at its end."""


@dataclasses.dataclass(frozen=True, slots=True)
class _Scale:
    """Time and value -> place in the drawing."""

    size: Size
    begin_s: float
    span_s: float
    top: float

    def x(self, at_s: float) -> float:
        share = (at_s - self.begin_s) / self.span_s
        return round(self.size.left + share * self.size.inner_width, 1)

    def y(self, value: float) -> float:
        return round(ABOVE + (1 - value / self.top) * self.size.inner_height, 1)


def chart(series: Series, rows: Sequence[Row], size: Size, mark: str) -> str:
    """Chart of `series`, one value for each row; rows with concealed sound are marked.

    `mark` makes the ids of this chart unique on the page.
    """
    begin_s, end_s = (rows[0].begin_s, rows[-1].end_s) if rows else (0.0, 1.0)
    known = [value for value in series.values if value is not None]
    scale = _Scale(size, begin_s, max(end_s - begin_s, 1e-3), nice_top(max(known, default=0.0)))
    parts = [
        f'<svg class="chart {series.kind}" viewBox="0 0 {size.width} {size.height}" role="img"'
        f' aria-labelledby="{mark}-t {mark}-d" data-unit="{escape(series.unit)}"'
        f' data-x="{size.left},{size.inner_width},{size.width}"'
        f' data-rows="{_rounded([row.end_s for row in rows])}"'
        f' data-from="{begin_s:.2f}" data-values="{_rounded(series.values)}">',
        f'<title id="{mark}-t">{escape(series.name)} ({escape(series.unit)})</title>',
        f'<desc id="{mark}-d">{escape(description(series, known))}</desc>',
        *_gap_marks(rows, scale),
        *_value_axis(scale),
        f'<text class="unit" x="{size.left}" y="11">{escape(series.unit)}</text>',
        *_time_axis(scale),
        _bars(series, rows, scale) if series.bars else _line(series, rows, scale),
    ]
    if not known:
        x, y = size.left + size.inner_width / 2, scale.y(0.2 * scale.top)
        parts.append(f'<text class="unit" x="{x}" y="{y}" text-anchor="middle">not known</text>')
    return "".join(parts) + "</svg>"


def _gap_marks(rows: Sequence[Row], scale: _Scale) -> Iterator[str]:
    """Rectangles where sound was concealed; drawn first, they lie behind the curve."""
    for begin, end in gaps(rows):
        width = max(1.5, round(scale.x(end) - scale.x(begin), 1))
        yield (
            f'<rect class="gap" x="{scale.x(begin)}" y="{ABOVE}" width="{width}"'
            f' height="{scale.size.inner_height}"/>'
        )


def _value_axis(scale: _Scale) -> Iterator[str]:
    size = scale.size
    for share in (0, 0.5, 1):
        y = scale.y(share * scale.top)
        yield f'<path class="grid" d="M{size.left} {y}H{size.left + size.inner_width}"/>'
        if share != 0.5 or size is LARGE:
            yield (
                f'<text class="tick" x="{size.left - 4}" y="{y + 3.5}"'
                f' text-anchor="end">{scale.top * share:g}</text>'
            )


def _time_axis(scale: _Scale) -> Iterator[str]:
    size = scale.size
    for at_s in round_times(scale.begin_s, scale.begin_s + scale.span_s, size.ticks):
        share = (at_s - scale.begin_s) / scale.span_s
        anchor = "start" if share < 0.03 else "end" if share > 0.95 else "middle"
        yield f'<path class="grid" d="M{scale.x(at_s)} {scale.y(0)}v3"/>'
        yield (
            f'<text class="tick" x="{scale.x(at_s)}" y="{size.height - 5}"'
            f' text-anchor="{anchor}">{clock(at_s)}</text>'
        )


def _bars(series: Series, rows: Sequence[Row], scale: _Scale) -> str:
    zero = scale.y(0)
    path = "".join(
        f"M{scale.x(row.begin_s)} {zero}V{scale.y(value)}H{scale.x(row.end_s)}V{zero}z"
        for row, value in zip(rows, series.values, strict=True)
        if value
    )
    return f'<path class="bars" d="{path}"/>'


def _line(series: Series, rows: Sequence[Row], scale: _Scale) -> str:
    path = ""
    pen_is_down = False
    for row, value in zip(rows, series.values, strict=True):
        if value is not None:
            # Each value is drawn over its whole row: a single point could not be seen.
            path += "L" if pen_is_down else f"M{scale.x(row.begin_s)} {scale.y(value)}L"
            path += f"{scale.x(row.end_s)} {scale.y(value)}"
        pen_is_down = value is not None
    return f'<path class="line" d="{path}"/>'


def gaps(rows: Sequence[Row]) -> list[tuple[float, float]]:
    """Begin and end of each time in which sound was concealed, in seconds; neighbours are one."""
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
    raise AssertionError("a step longer than the axis leaves at most one time on it")


def nice_top(most: float) -> float:
    """Upper end of an axis from zero: 1, 2 or 5 times a power of ten, not below `most`."""
    if most <= 0 or not math.isfinite(most):
        return EMPTY_TOP
    power = 10.0 ** math.floor(math.log10(most))
    return next(
        top for factor in (1, 2, 5, 10, 20) if (top := float(f"{factor * power:g}")) >= most
    )


def description(series: Series, known: Sequence[float]) -> str:
    """Text of the chart for people who cannot see it."""
    if not known:
        return f"{series.name}: not known."
    return (
        f"{series.name}: least {min(known):.4g}, most {max(known):.4g},"
        f" at the end {known[-1]:.4g} {series.unit}."
    )


def _rounded(values: Sequence[float | None]) -> str:
    text = json.dumps([None if v is None else round(v, 2) for v in values], separators=(",", ":"))
    return escape(text)
