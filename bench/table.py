"""Results as rows: a table for people, JSON for scripts. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TextIO

from shell.terminal.paint import width


@dataclass(frozen=True, slots=True)
class Limit:
    """Limit of a value."""

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
    """One measurement; its value is the median of `values`, one for each round."""

    name: str
    measured: str
    """What was measured, in a few words."""
    values: Sequence[float]
    unit: str
    limit: Limit | None = None
    """None: for information."""
    samples: Sequence[tuple[float, float]] = ()
    """Values over time, if the value is made of them: seconds, and the value then."""

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
    """Measurement that could not be made here."""

    name: str
    reason: str


Result = Row | LeftOut


def show(results: Sequence[Result], title: str, stream: TextIO) -> None:
    """Print the rows as a table under `title`, and below it what was left out."""
    head = ("name", "measured", "value", "lowest to highest", "must be", "reached")
    rows = [
        (
            row.name,
            row.measured,
            f"{number(row.value)} {row.unit}",
            spread(row.values),
            f"{row.limit.sign} {row.limit.value:g} {row.unit}" if row.limit else "",
            {None: "", True: "yes", False: "NO"}[row.reached],
        )
        for row in results
        if isinstance(row, Row)
    ]
    print_columns(head, rows, stream, title=title, left=("name", "measured"))
    for one in results:
        if isinstance(one, LeftOut):
            print(f"  left out: {one.name}: {one.reason}", file=stream)


def print_columns(
    head: Sequence[str],
    rows: Sequence[Sequence[str]],
    stream: TextIO,
    *,
    title: str = "",
    left: Sequence[str] = (),
) -> None:
    """Print `rows` under `head`, right-aligned but for the columns that `left` names."""
    columns = [max(map(width, cells)) for cells in zip(head, *rows, strict=True)]
    if title:
        print(title, file=stream)
    for row in (head, ["─" * wide for wide in columns], *rows):
        cells = [
            f"{cell}{blank}" if name in left else f"{blank}{cell}"
            for name, cell, wide in zip(head, row, columns, strict=True)
            for blank in [" " * (wide - width(cell))]
        ]
        print(f"  {'  '.join(cells)}".rstrip(), file=stream)
    print(file=stream)


def line(result: Result) -> str:
    """One result in one line, for the progress."""
    if isinstance(result, LeftOut):
        return f"{result.name}: left out, {result.reason}"
    must = f", must be {result.limit.sign} {result.limit.value:g}" if result.limit else ""
    return f"{result.name}: {number(result.value)} {result.unit}{must}"


def number(value: float) -> str:
    """Number with three significant digits, or whole from a thousand on."""
    if abs(value) < 0.0005:
        return "0"
    for least, decimals in ((100, 0), (10, 1), (1, 2)):
        if abs(value) >= least:
            return f"{value:.{decimals}f}"
    return f"{value:.3f}"


def spread(values: Sequence[float]) -> str:
    """Lowest and highest value of several rounds."""
    return f"{number(min(values))} to {number(max(values))}" if len(values) > 1 else ""
