"""What was measured, as rows: for people a table, for scripts JSON. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TextIO

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

FILE_COLUMNS = 150
"""A table that goes into a file is as wide as it likes."""


@dataclass(frozen=True, slots=True)
class Limit:
    """What a value must reach."""

    sign: Literal["<", "≥"]
    value: float

    def holds(self, value: float) -> bool:
        return value < self.value if self.sign == "<" else value >= self.value


def below(value: float) -> Limit:
    return Limit("<", value)


def at_least(value: float) -> Limit:
    return Limit("≥", value)


@dataclass(frozen=True, slots=True)
class Row:
    """One measurement. Its value is the median of `values`, one for each round."""

    name: str
    measured: str
    """What was measured and how, in a few words."""
    values: Sequence[float]
    unit: str
    limit: Limit | None = None
    """None: for information."""
    samples: Sequence[tuple[float, float]] = ()
    """Where the value comes from a course of time: seconds, and what was seen then."""

    @property
    def value(self) -> float:
        return statistics.median(self.values)

    @property
    def reached(self) -> bool | None:
        return None if self.limit is None else self.limit.holds(self.value)

    def as_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "measured": self.measured,
            "unit": self.unit,
            "value": self.value,
            "values": list(self.values),
            "limit": None if self.limit is None else f"{self.limit.sign} {self.limit.value:g}",
            "reached": self.reached,
            **({"samples": list(self.samples)} if self.samples else {}),
        }


@dataclass(frozen=True, slots=True)
class LeftOut:
    """What could not be measured here, and why."""

    name: str
    reason: str


Result = Row | LeftOut


def show(results: Sequence[Result], title: str, stream: TextIO) -> None:
    """Print the rows as a table under `title`, and below it what was left out."""
    table = Table(title=Text(title), title_justify="left", box=SIMPLE_HEAD)
    table.add_column("name", min_width=20)
    table.add_column("measured", style="dim")
    table.add_column("value", justify="right", no_wrap=True)
    table.add_column("lowest to highest", justify="right", no_wrap=True)
    table.add_column("must be", justify="right", no_wrap=True)
    table.add_column("reached", no_wrap=True)
    for row in results:
        if isinstance(row, Row):
            table.add_row(
                row.name,
                row.measured,
                f"{number(row.value)} {row.unit}",
                spread(row.values),
                f"{row.limit.sign} {row.limit.value:g} {row.unit}" if row.limit else "",
                _reached(row),
            )
    console = Console(file=stream)
    if not console.is_terminal:
        console.width = FILE_COLUMNS
    console.print(table)
    for one in results:
        if isinstance(one, LeftOut):
            console.print(f"  left out: {one.name}: {one.reason}", markup=False, highlight=False)


def _reached(row: Row) -> Text:
    if row.reached is None:
        return Text("")
    return Text("yes") if row.reached else Text("no", style="bold red")


def line(result: Result) -> str:
    """One result on one line, for the progress."""
    if isinstance(result, LeftOut):
        return f"{result.name}: left out, {result.reason}"
    must = f", must be {result.limit.sign} {result.limit.value:g}" if result.limit else ""
    return f"{result.name}: {number(result.value)} {result.unit}{must}"


def number(value: float) -> str:
    """Three digits that count; what is larger than a thousand is shown whole."""
    if abs(value) < 0.0005:
        return "0"
    for least, decimals in ((100, 0), (10, 1), (1, 2)):
        if abs(value) >= least:
            return f"{value:.{decimals}f}"
    return f"{value:.3f}"


def spread(values: Sequence[float]) -> str:
    """The lowest and the highest of several rounds."""
    return f"{number(min(values))} to {number(max(values))}" if len(values) > 1 else ""
