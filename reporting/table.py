"""Rows as CSV (RFC 4180): a column for each figure, its unit in its name. Pure."""

from __future__ import annotations

from reporting.timeline import Row

COLUMNS = (
    "time_s",
    "position_s",
    "expected",
    "repaired",
    "lost",
    "late",
    "concealed_s",
    "underruns",
    "device_underruns",
    "jumps",
    "jitter_ms",
    "rtt_ms",
    "buffer_s",
    "clock_spread_ms",
)
LISTENERS = "listeners"
"""Additional column of the server."""


def head(*, server: bool) -> str:
    """First line: the names of the columns."""
    return ",".join((*COLUMNS, LISTENERS) if server else COLUMNS) + "\n"


def line(row: Row, *, server: bool) -> str:
    """Line of one row; an unknown value is empty."""
    names = (*COLUMNS[1:], LISTENERS) if server else COLUMNS[1:]
    values = [row.end_s, *(getattr(row.figures, name) for name in names)]
    return ",".join(_text(value) for value in values) + "\n"


def _text(value: float | None) -> str:
    if value is None:
        return ""
    if isinstance(value, int):
        return str(value)
    # Six decimals, so that the rows add up to the final statistics.
    return f"{value:.6f}".rstrip("0").rstrip(".")
