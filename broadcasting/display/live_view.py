"""Live view of the server: the track, the figures, and the listeners, worst first. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from broadcasting.audience.ranking import EMPTY, SILENT, Standing
from broadcasting.broadcast import BroadcastView
from shell.terminal.paint import (
    ALARM,
    DIM,
    PLAIN,
    YELLOW,
    heading,
    joined,
    painted,
    progress,
)
from shell.terminal.text import clock, figure, listeners_text, named_values, one_line

BROADCASTING = "broadcasting"

LEAST_NAME_COLUMNS = 15
MOST_NAME_COLUMNS = 47
"""Width of the column of addresses; the longest is an IPv6 address with a port."""

NO_TENTHS, MOST_MS = 99.95, 999.5
"""Figures from NO_TENTHS on have no decimals; milliseconds from MOST_MS on become seconds."""

_ROWS_ABOVE = 5
"""Rows above the listeners: title, progress, figures, a blank one, and the table's head."""


class _Column(NamedTuple):
    head: str
    columns: int
    text: Callable[[Standing], str]


def _short(value: float | None, unit: str) -> str:
    if value is None:
        return "-"
    if unit == "ms" and value >= MOST_MS:
        value, unit = value / 1e3, "s"
    return f"{value:.{0 if value >= NO_TENTHS else 1}f} {unit}"


_COLUMNS = (
    _Column("loss", 6, lambda one: _short(None if one.loss is None else 100 * one.loss, "%")),
    _Column("state", 7, lambda one: one.state),
    _Column("jitter", 7, lambda one: _short(one.jitter_ms, "ms")),
    _Column("buffer", 6, lambda one: _short(one.buffer_s, "s")),
    _Column("repaired", 8, lambda one: str(one.repaired)),
    _Column("RTT", 7, lambda one: _short(one.rtt_ms, "ms")),
    _Column("since", 8, lambda one: clock(one.since_s)),
)
"""Columns by importance: the first that fit are shown."""

_GAP = 1
_ORDER = ("since", "loss", "repaired", "jitter", "RTT", "buffer", "state")
"""Columns from left to right."""


class LiveView:
    """Screen and plain line of the `BroadcastView` told last."""

    def __init__(self, place: str) -> None:
        """`place`: the server's address, for people."""
        self.listing: Sequence[tuple[bool, str]] = ()
        """Shown in place of the listeners unless empty: whether it is played, and its name."""
        self._place = place
        self._now: BroadcastView | None = None
        self._table: list[str] = []
        self._table_key: tuple[object, ...] = ()

    def tell(self, now: BroadcastView) -> None:
        """Set what is shown."""
        self._now = now

    def places(self, rows: int) -> int:
        """Listeners that fit on a screen of `rows`."""
        return max(0, rows - _ROWS_ABOVE)

    def lines(self, columns: int, rows: int) -> Sequence[str]:
        """Screen, as `Live` draws it."""
        now = self._now
        assert now is not None, "something is told before it is shown"
        state = _state(now)
        lines = [
            painted(heading(state, now.title, now.artist, is_usual=state == BROADCASTING), columns),
            painted(progress(now.position_s, now.duration_s, columns), columns),
            painted([(self._figures(now, columns), PLAIN)], columns),
        ]
        if rows > _ROWS_ABOVE:
            below = self._listing if self.listing else self._standings
            lines += ["".ljust(columns), *below(now, columns, rows - _ROWS_ABOVE)]
        return lines[:rows]

    def text(self) -> str:
        """Plain line."""
        now = self._now
        assert now is not None, "something is told before it is shown"
        return named_values(
            state=_state(now),
            position_s=figure(now.position_s, 1),
            duration_s=figure(now.duration_s, 1),
            listeners=str(now.listeners),
            lost=str(now.ranked.lost),
            repaired=str(now.ranked.repaired),
            jitter_ms=figure(now.ranked.jitter_ms, 3),
            lateness_p99_ms=figure(now.lateness_p99_ms, 1),
            title=now.title,
        )

    def _figures(self, now: BroadcastView, columns: int) -> str:
        rate = [] if now.bit_rate_bps is None else [f"{now.bit_rate_bps / 1000:.0f} kbit/s"]
        figures = [
            *rate,
            self._place,
            listeners_text(now.listeners),
            f"{now.ranked.lost} lost",
            f"{now.ranked.repaired} repaired",
            f"lateness {_short(now.lateness_p99_ms, 'ms')}",
        ]
        return joined(figures, columns)

    def _listing(self, now: BroadcastView, columns: int, places: int) -> list[str]:
        """Names that fit, from the one before the one that is played."""
        played = next((at for at, (is_played, _) in enumerate(self.listing) if is_played), 0)
        first = max(0, min(played - 1, len(self.listing) + 1 - places))
        shown = self.listing[first : first + places]
        return [painted([(line, PLAIN)], columns) for line in listing_lines(shown)]

    def _standings(self, now: BroadcastView, columns: int, places: int) -> list[str]:
        """Table of listeners, made anew only if it has changed: it is most of a screen's cost."""
        key = (now.ranked, now.listeners, columns, places)
        if key != self._table_key:
            self._table, self._table_key = _table(now, columns, places), key
        return self._table


def listing_lines(listing: Sequence[tuple[bool, str]]) -> list[str]:
    """One line for each name, with a mark at the one that is played."""
    return [f"{'>' if is_played else ' '} {one_line(name)}" for is_played, name in listing]


def _state(now: BroadcastView) -> str:
    if now.closing:
        return "ending"
    return BROADCASTING if now.started else "waiting"


def _table(now: BroadcastView, columns: int, places: int) -> list[str]:
    standings = now.ranked.worst
    name_columns = max([LEAST_NAME_COLUMNS, *(len(one.name) for one in standings[:places])])
    shown = _fitting(columns - min(name_columns, columns, MOST_NAME_COLUMNS))
    name_columns = max(1, columns - sum(_GAP + one.columns for one in shown))
    name_columns = min(name_columns, MOST_NAME_COLUMNS)
    head = ["listener".ljust(name_columns), *(one.head.rjust(one.columns) for one in shown)]
    table = [painted([((" " * _GAP).join(head), DIM)], columns)]
    seen = standings[: places if now.listeners <= places else places - 1]
    for one in seen:
        # Figures come from the listener: cut them to the column.
        cells = [column.text(one)[: column.columns].rjust(column.columns) for column in shown]
        line = (" " * _GAP).join([_end(one.name, name_columns), *cells])
        table.append(painted([(line, _style(one))], columns))
    if now.listeners > len(seen):
        more = now.listeners - len(seen)
        table.append(painted([(f"and {more} more", DIM)], columns))
    return table


def _fitting(columns: int) -> list[_Column]:
    """Columns that fit, from left to right."""
    fitting = []
    for one in _COLUMNS:
        columns -= _GAP + one.columns
        if columns < 0:
            break
        fitting.append(one)
    return sorted(fitting, key=lambda one: _ORDER.index(one.head))


def _end(name: str, columns: int) -> str:
    """`name`, or if it is too long its end, which holds the port."""
    return name.ljust(columns) if len(name) <= columns else "…" + name[len(name) - columns + 1 :]


def _style(one: Standing) -> str:
    if one.state in (EMPTY, SILENT):
        return ALARM
    return YELLOW if one.lost else PLAIN
