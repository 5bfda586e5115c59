"""Live view of the client: the track, the buffer, and the last minute. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from listening.arrival.statistics import Statistics
from listening.display.last_minute import SECONDS, LastMinute, Second
from listening.display.table import simulation_rows, summary
from listening.listen import ListenSnapshot
from listening.outputs.fader import LEAST_DB, MOST_DB, Loudness
from listening.session.session import State
from message import milliseconds
from shell.terminal.paint import (
    ALARM,
    CYAN,
    DIM,
    GREEN,
    PLAIN,
    YELLOW,
    Part,
    gauge,
    heading,
    joined,
    painted,
    progress,
    sparkline,
    width,
)
from shell.terminal.text import clock, figure, listeners_text, milliseconds_text, named_values

if TYPE_CHECKING:
    from listening.simulated_network import SimulatedNetwork

GAUGE_COLUMNS = 20
LABEL_COLUMNS = 18
"""Width of a label; with a minute of seconds beside it, 78 columns."""

LEAST_LOSS_TOP, LEAST_JITTER_TOP_S = 0.1, 0.005
"""Least upper ends of the two curves."""

LOW_BUFFER = 0.5
"""Share of the wanted buffer below which the gauge turns yellow."""

PLAYING = "playing"

DRY_S = 1.0
"""Time without a datagram after which an empty buffer is told as `nothing comes`."""

_ALL_KEYS = (
    "space pause · ↑↓ volume · m mute · s statistics · q quit",
    "space pause · s statistics · q quit",
    "q quit",
)
_FEW_KEYS = ("s statistics · q quit", "q quit")
_BACK = ("s back · q quit", "q quit")
"""Help on the keys, longest first: the first that fits is shown."""


class LiveView:
    """Screen and plain line of what it was told last."""

    def __init__(
        self,
        *,
        buffer_s: float,
        is_heard: bool,
        has_keys: bool,
        simulated: SimulatedNetwork | None = None,
    ) -> None:
        """`buffer_s`: buffer that is wanted; `is_heard`: the output is live, and can be paused."""
        self.shows_statistics = False
        self._buffer_s = buffer_s
        self._is_heard = is_heard
        self._has_keys = has_keys
        self._simulated = simulated
        self._minute = LastMinute()
        self._now: ListenSnapshot | None = None
        self._loudness = Loudness()
        self._bit_rate_bps: int | None = None
        self._trouble: str | None = None
        self._time_s = self._came_at_s = 0.0

    def tell(
        self,
        now: ListenSnapshot,
        loudness: Loudness,
        bit_rate_bps: int | None,
        time_s: float,
        trouble: str | None = None,
    ) -> None:
        """Set what is shown; `time_s` is monotonic; `trouble`: why nothing is heard."""
        if self._now is None or now.statistics.received != self._now.statistics.received:
            self._came_at_s = time_s
        self._time_s = time_s
        self._now, self._loudness, self._bit_rate_bps = now, loudness, bit_rate_bps
        self._trouble = trouble
        self._minute.tell(now.statistics, time_s)

    def lines(self, columns: int, rows: int) -> Sequence[str]:
        """Screen, as `Live` draws it."""
        now = self._now
        assert now is not None, "something is told before it is shown"
        content = self._statistics if self.shows_statistics else self._parts
        return [painted(parts, columns) for parts in content(now, columns, rows)]

    def text(self) -> str:
        """Plain line."""
        now = self._now
        assert now is not None, "something is told before it is shown"
        count = now.statistics
        simulated = {"simulated": str(self._simulated.conditions)} if self._simulated else {}
        return named_values(
            state=self._state(now).replace(" ", "-"),
            position_s=figure(now.position_s, 1),
            duration_s=figure(now.duration_s, 1),
            buffer_s=figure(now.buffer_s, 2),
            expected=str(count.expected),
            intact=str(count.intact),
            retransmitted=str(count.retransmitted),
            rebuilt=str(count.rebuilt),
            lost=str(count.lost),
            concealed_s=figure(count.concealed_s, 2),
            paused_s=figure(count.paused_s, 2),
            underruns=str(count.underruns),
            device_underruns=str(count.device_underruns),
            jitter_ms=figure(milliseconds(count.jitter_s), 3),
            rtt_ms=figure(milliseconds(count.rtt_s), 3),
            **simulated,
            title=now.title,
        )

    def _parts(self, now: ListenSnapshot, columns: int, rows: int) -> list[list[Part]]:
        """Lines in order; where there are too many, the heaviest goes first, the last of equals."""
        has_come = now.statistics.received > 0
        lines: list[tuple[int, list[Part]]] = [
            (0, self._title(now)),
            (1, progress(now.position_s, now.duration_s, columns) if has_come else []),
            *([(0, [(self._trouble, ALARM)])] if self._trouble else []),
            (5, []),
            (1, self._buffer(now)),
            (2, self._loss(columns)),
            (2, self._jitter(now, columns)),
            *([(3, self._volume())] if self._is_heard else []),
            (4, self._facts(now, columns)),
        ]
        if self._simulated is not None:
            told = f"simulated network: {self._simulated.conditions.as_text()}"
            lines.append((4, [(told, YELLOW)]))
        if self._has_keys:
            keys = _ALL_KEYS if self._is_heard else _FEW_KEYS
            lines += [(5, []), (4, [(_fitting(keys, columns), DIM)])]
        while len(lines) > rows:
            heaviest = max(weight for weight, _ in lines)
            del lines[max(i for i, (weight, _) in enumerate(lines) if weight == heaviest)]
        return [parts for _, parts in lines]

    def _state(self, now: ListenSnapshot) -> str:
        count = now.statistics
        if now.state is State.CONNECTING:
            gone = "the server is gone: looking for it"
            return gone if count.received else "looking for the server"
        if now.state is State.ENDING:
            return "ending"
        if not count.received:
            return "waiting for the start"
        if self._loudness.paused:
            return "paused"
        # A copy at another speed has an empty buffer as well, but datagrams come.
        is_dry = now.buffer_s <= 0 and self._time_s - self._came_at_s >= DRY_S
        return "nothing comes" if is_dry and self._is_heard else PLAYING

    def _title(self, now: ListenSnapshot) -> list[Part]:
        state = self._state(now)
        return heading(state, now.title, now.artist, is_usual=state == PLAYING)

    def _buffer(self, now: ListenSnapshot) -> list[Part]:
        share = now.buffer_s / self._buffer_s if self._buffer_s else 1.0
        style = GREEN if share >= LOW_BUFFER or not self._is_heard else YELLOW
        label = _label("buffer", f"{now.buffer_s:.2f} s")
        return [(label, PLAIN), (gauge(share, GAUGE_COLUMNS), style)]

    def _loss(self, columns: int) -> list[Part]:
        seconds = self._last(columns)
        known = [one.loss for one in seconds if one.loss is not None]
        label = _label("loss", f"{100 * known[-1]:.1f} %" if known else "-")
        top = max([LEAST_LOSS_TOP, *known])
        parts: list[Part] = [(label, PLAIN)]
        # Seconds in which something stayed lost have another colour.
        for is_lost, some in groupby(seconds, key=lambda one: one.lost > 0):
            line = sparkline([one.loss for one in some], top)
            parts.append((line, ALARM if is_lost else CYAN))
        return parts

    def _jitter(self, now: ListenSnapshot, columns: int) -> list[Part]:
        values = [one.jitter_s for one in self._last(columns)]
        top = max([LEAST_JITTER_TOP_S, *(value for value in values if value is not None)])
        label = _label("jitter", milliseconds_text(milliseconds(now.statistics.jitter_s)))
        return [(label, PLAIN), (sparkline(values, top), CYAN)]

    def _last(self, columns: int) -> list[Second]:
        """Newest seconds that fit."""
        room = min(SECONDS, max(0, columns - LABEL_COLUMNS))
        return list(self._minute.seconds)[-room:] if room else []

    def _volume(self) -> list[Part]:
        volume_db = self._loudness.volume_db
        share = (volume_db - LEAST_DB) / (MOST_DB - LEAST_DB)
        bar = gauge(share, GAUGE_COLUMNS)
        label = _label("volume", f"{volume_db:+.0f} dB" if volume_db else "0 dB")
        if self._loudness.muted:
            return [(label, PLAIN), (bar, DIM), ("  muted", YELLOW)]
        return [(label, PLAIN), (bar, GREEN)]

    def _facts(self, now: ListenSnapshot, columns: int) -> list[Part]:
        count = now.statistics
        rate = self._bit_rate_bps
        facts = [
            *([f"{rate / 1000:.0f} kbit/s"] if rate is not None else []),
            f"{count.retransmitted + count.rebuilt} repaired",
            f"{count.lost} lost",
            f"round trip {milliseconds_text(milliseconds(count.rtt_s))}",
            *([f"delay {count.delay_s:.2f} s (auto)"] if count.delay_s is not None else []),
            *([listeners_text(now.listeners)] if now.listeners is not None else []),
            *([f"{count.device_underruns} device underruns"] if count.device_underruns else []),
            *([f"paused {clock(count.paused_s)}"] if count.paused_s else []),
            *([f"{count.jumps} jumps"] if count.jumps else []),
            *_clock_fact(count),
        ]
        return [(joined(facts, columns), PLAIN)]

    def _statistics(self, now: ListenSnapshot, columns: int, rows: int) -> list[list[Part]]:
        table = summary(now.statistics) + simulation_rows(self._simulated)
        name_columns = max(width(name) for name, _, _ in table)
        value_columns = max(width(value) for _, value, _ in table)
        lines: list[list[Part]] = [self._title(now)]
        for name, value, remark in table:
            text = f"{name:{name_columns}}  {value:>{value_columns}}  "
            lines.append([(text, PLAIN), (remark, DIM)])
        return [*lines[: rows - 1], [(_fitting(_BACK, columns), DIM)]][:rows]


def _clock_fact(count: Statistics) -> list[str]:
    """How well the server's clock is known: half of the round trip, and chance."""
    if count.clock_path_s is None or count.clock_spread_s is None:
        return []
    return [f"clock ± {milliseconds_text(milliseconds(count.clock_path_s + count.clock_spread_s))}"]


def _fitting(texts: Sequence[str], columns: int) -> str:
    return next((text for text in texts if width(text) <= columns), texts[-1])


def _label(name: str, value: str) -> str:
    return f"{name:8}{value:>8}  "
