"""What was sent lately, for those who join late or miss some: a ring bounded in time and in bytes.

Messages come in order of sequence, without a gap. The oldest leave when a newer one makes the ring
longer than `span_s` of media, or heavier than `MAX_BYTES`.
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

from message import Message

MAX_BYTES = 32 << 20
"""At 320 kbit/s more than ten minutes: a guard for odd settings, not a limit to be met."""


class Sent(NamedTuple):
    """A message as it goes out."""

    sequence: int
    media_time_us: int
    end_time_us: int
    datagram: bytes
    is_parity: bool = False
    """Of the block that begins with `sequence`, and sent when the media were at `end_time_us`."""
    is_track: bool = False
    """What tells of the track that begins with `sequence`, and is sent just before that."""
    message: Message | None = None
    """What was sealed, to be sealed again as REPEAT; None if nothing is sealed."""


class History:
    """The last `span_s` seconds of media that were sent."""

    def __init__(self, span_s: float) -> None:
        self._span_us = round(span_s * 1e6)
        self._ring: deque[Sent] = deque()
        self.bytes = 0
        """Of what is kept."""
        self.bytes_ever = 0
        """Of all that was ever added."""

    def __len__(self) -> int:
        return len(self._ring)

    def append(self, sent: Sent) -> None:
        """Keep `sent`, the newest, and let go of what is too old."""
        self._ring.append(sent)
        self.bytes += len(sent.datagram)
        self.bytes_ever += len(sent.datagram)
        while (
            self.bytes > MAX_BYTES or self._ring[0].end_time_us < sent.end_time_us - self._span_us
        ):
            self.bytes -= len(self._ring.popleft().datagram)

    @property
    def sequences(self) -> range:
        """Of what is kept."""
        return (
            range(self._ring[0].sequence, self._ring[-1].sequence + 1) if self._ring else range(0)
        )

    def at(self, sequence: int) -> Sent:
        """The message with this sequence, which is one of `sequences`."""
        # A deque finds what is in its middle by steps of 64: there are a few, at most.
        return self._ring[sequence - self._ring[0].sequence]

    def since(self, media_time_us: int) -> list[Sent]:
        """What reaches beyond `media_time_us`, oldest first."""
        found: deque[Sent] = deque()
        for sent in reversed(self._ring):
            if sent.end_time_us <= media_time_us:
                break
            found.appendleft(sent)
        return list(found)
