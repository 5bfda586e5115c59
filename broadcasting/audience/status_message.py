"""Answers to REPORTs: the same for all listeners but for three numbers.

The rest is encoded once for each change: encoding costs more than everything else in an answer.
"""

from __future__ import annotations

from broadcasting.source.tracks import Track
from message import Status, cut_text

_NUMBERS = b'{"clock_us":%d,"server_clock_us":%d,"position_s":%.3f'


class StatusWriter:
    """Writes the STATUS of one stream."""

    def __init__(self) -> None:
        self._rest = b""
        self._of: tuple[object, ...] | None = None

    def write(
        self,
        *,
        clock_us: int,
        server_clock_us: int,
        position_s: float,
        listeners: int,
        report_s: float,
        track: Track | None,
        duration_s: float | None,
        origin: tuple[int | None, int],
    ) -> bytes:
        """The data of a STATUS; `clock_us` is that of the listener's REPORT."""
        of = (listeners, report_s, track, duration_s, origin)
        if of != self._of:
            self._rest, self._of = _rest(*of), of
        return _NUMBERS % (clock_us, server_clock_us, position_s) + self._rest


def _rest(
    listeners: int,
    report_s: float,
    track: Track | None,
    duration_s: float | None,
    origin: tuple[int | None, int],
) -> bytes:
    whole = Status(
        clock_us=0,
        server_clock_us=0,
        position_s=0.0,
        listeners=listeners,
        report_s=report_s,
        track=track.number if track else 0,
        title=cut_text(track.title) if track else "",
        artist=cut_text(track.artist) if track and track.artist else None,
        duration_s=duration_s,
        origin_us=origin[0],
        origin_sequence=origin[1],
    )
    numbers = b'{"clock_us":0,"server_clock_us":0,"position_s":0.0'
    data = whole.to_message().data
    assert data.startswith(numbers), data
    return data[len(numbers) :]
