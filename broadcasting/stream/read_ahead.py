"""Segments -> numbered and timed messages that wait until they are due.

Each is kept with the segment it was made of, so that it can be made anew for another place in the
stream. That is why none is packed here: a number that was sealed once must never come again.
"""

from __future__ import annotations

from collections import deque

from broadcasting.source.segments import Segment
from broadcasting.stream.parity import ParityMaker
from message import Message, Type

MOST_BYTES = 8 << 20
"""Bytes of MP3 kept ready beyond those needed: three minutes of 320 kbit/s, so only many times
real time meets it."""


class ReadAhead:
    """The AUDIO of one stream that was read and not sent. `sequence` counts from 0."""

    def __init__(
        self, stream_id: int, parity: ParityMaker, wanted_us: int, *, needed_us: int = 0
    ) -> None:
        """`wanted_us`: media to keep ready, of which `needed_us` however many bytes they are."""
        self.wants_more = True
        """Whether the next segment should be read now."""
        self.duration_us = 0
        """Duration of what is ready, in microseconds."""
        self.bytes = 0
        """Bytes of MP3 that are ready."""
        self.end_us = 0
        """Media time at which the newest message ends."""
        self._stream_id = stream_id
        self._parity = parity
        self._wanted_us = wanted_us
        self._needed_us = needed_us
        self._queue: deque[tuple[Message, Segment]] = deque()
        self._next_sequence = 0
        # The source's media time to the stream's; None: the next segment follows at once.
        self._shift_us: int | None = 0

    def __len__(self) -> int:
        return len(self._queue)

    @property
    def first(self) -> Message | None:
        """The message that is due first."""
        return self._queue[0][0] if self._queue else None

    def add(self, segment: Segment, wire_track: int) -> None:
        """Number the next segment."""
        if self._shift_us is None:
            self._shift_us = self.end_us - segment.media_time_us
        number, begin_us = self._next_sequence, segment.media_time_us + self._shift_us
        trim = segment.skip_samples, segment.discard_samples
        message = Message(
            number, Type.AUDIO, segment.data, self._stream_id, begin_us, wire_track, *trim
        )
        self._next_sequence += 1
        self.end_us = begin_us + segment.duration_us
        self._queue.append((message, segment))
        self.duration_us += segment.duration_us
        self.bytes += len(message.data)
        self.wants_more = self._holds_less_than(1)
        self._parity.add(message)

    def take(self) -> tuple[Message, Segment]:
        """Remove the message that is due first, and the segment it was made of."""
        message, segment = self._queue.popleft()
        self.duration_us -= segment.duration_us
        self.bytes -= len(message.data)
        # Reading seconds at a time costs a third of reading one by one: the code stays in the
        # processor's cache.
        self.wants_more = self.wants_more or self._holds_less_than(1 / 2)
        return message, segment

    def rejoin(self) -> None:
        """The next segment begins where the newest one ends, whatever its media time."""
        self._shift_us = None

    def cut(self, from_sequence: int) -> list[Segment]:
        """Remove the messages from `from_sequence` on; the segments they were made of."""
        removed: deque[Segment] = deque()
        while self._queue and self._queue[-1][0].sequence >= from_sequence:
            message, segment = self._queue.pop()
            self._next_sequence, self.end_us = message.sequence, message.media_time_us
            self.duration_us -= segment.duration_us
            self.bytes -= len(message.data)
            removed.appendleft(segment)
        self.wants_more = self._holds_less_than(1)
        self._parity.forget(from_sequence)
        self.rejoin()
        return list(removed)

    def _holds_less_than(self, part: float) -> bool:
        """Whether less than this part of what is wanted is ready."""
        if self.bytes >= part * MOST_BYTES and self.duration_us >= part * self._needed_us:
            return False
        return self.duration_us < part * self._wanted_us
