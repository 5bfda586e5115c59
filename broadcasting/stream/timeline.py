"""When media time is heard, on the server's clock, and the TIMELINE that says so to everyone."""

from __future__ import annotations

from collections.abc import Callable
from math import inf

from broadcasting.stream.history import Packet
from message import Message, Timeline, Type

HEAD_START_S = 0.25
"""From the first AUDIO of a broadcast until it is heard, in every room: time for its path, a
decoder and a device, so that nothing of the beginning is lost."""

SAID_TIMES = 3
"""TIMELINE is said so often, so that few miss it,"""

SAID_EVERY_S = 0.1
"""so far apart: a burst of losses is shorter, as a rule."""


class Origin:
    """The origin: the time at which media time 0 is heard."""

    def __init__(
        self, stream_id: int, pack: Callable[[Message], bytes], *, has_clock: bool
    ) -> None:
        """`pack` makes the datagram of a message for all listeners.

        Without `has_clock`, at another speed than 1, there never is an origin.
        """
        self.origin_us: int | None = None
        """Microseconds of the server's clock; None before the start."""
        self.sequence = 0
        """First AUDIO for which that holds."""
        self.due = inf
        """When TIMELINE is to be said next."""
        self._has_clock = has_clock
        self._stream_id = stream_id
        self._pack = pack
        self._moves = 0
        self._left = 0
        self._packet: Packet | None = None

    def move(self, start: float, sequence: int, now: float) -> None:
        """From AUDIO `sequence` on, media time 0 is heard HEAD_START_S after `start`."""
        if not self._has_clock:
            return
        self.origin_us = round((start + HEAD_START_S) * 1e6)
        self.sequence = sequence
        self._moves += 1
        self._left, self.due = SAID_TIMES, now
        message = Timeline(origin_us=self.origin_us).to_message(
            sequence, stream=self._stream_id, track=self._moves
        )
        self._packet = Packet(sequence, 0, 0, self._pack(message), Type.TIMELINE)

    def take_due(self, now: float) -> list[Packet]:
        """TIMELINE, if it is to be said to everyone now."""
        if now < self.due or self._packet is None:
            return []
        self._left -= 1
        self.due = now + SAID_EVERY_S if self._left else inf
        return [self._packet]

    def with_timeline(self, burst: list[Packet]) -> list[Packet]:
        """`burst` behind the TIMELINE that holds for its newest AUDIO."""
        return burst if self._packet is None or not burst else [self._packet, *burst]
