"""What was sent lately, for late joiners and for repair: a ring bounded in time and in bytes.

AUDIO comes in order of sequence, without a gap. The oldest leave when a newer one makes the ring
longer than `span_s` of media, or heavier than `MAX_BYTES`. PARITY and TRACK are kept beside it, as
far as a burst to a late joiner can need them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

from message import Message, Type

MAX_BYTES = 32 << 20
"""Upper bound of the ring: more than ten minutes at 320 kbit/s, so only odd settings meet it."""

MOST_TRACKS = 64
"""Track changes kept: titles that change faster than once a second cannot be read."""


class Packet(NamedTuple):
    """A message with its datagram, as every listener is sent it."""

    sequence: int
    media_time_us: int
    end_time_us: int
    datagram: bytes
    kind: Type = Type.AUDIO
    """AUDIO; PARITY of the block that begins with `sequence`, sent at media time `end_time_us`;
    TRACK or TIMELINE from `sequence` on, sent just before that AUDIO."""
    message: Message | None = None
    """Plain message of a sealed datagram, to be sealed again as REPEAT; None without a key."""


class History:
    """The last `span_s` seconds of media that were sent."""

    def __init__(
        self, span_s: float, *, parity_span_s: float = 0.0, block_messages: int = 0
    ) -> None:
        self._span_us = round(span_s * 1e6)
        self._parity_span_us = round(parity_span_s * 1e6)
        self._block_messages = block_messages
        self._ring: deque[Packet] = deque()
        self._parity: deque[Packet] = deque()
        self.tracks: deque[Packet] = deque(maxlen=MOST_TRACKS)
        """TRACK messages that were sent."""
        self.bytes = 0
        """Bytes of AUDIO datagrams kept now."""
        self.bytes_ever = 0
        """Bytes of all AUDIO datagrams ever added."""

    def append(self, packet: Packet) -> None:
        """Keep AUDIO, the newest, and let go of what is too old."""
        self._ring.append(packet)
        self.bytes += len(packet.datagram)
        self.bytes_ever += len(packet.datagram)
        oldest_us = packet.end_time_us - self._span_us
        while self.bytes > MAX_BYTES or self._ring[0].end_time_us < oldest_us:
            self.bytes -= len(self._ring.popleft().datagram)

    def append_parity(self, packets: Sequence[Packet]) -> None:
        """Keep PARITY that was sent just now, and let go of what is too old for a burst."""
        self._parity += packets
        oldest_us = self.end_time_us - self._parity_span_us
        while self._parity and self._parity[0].end_time_us < oldest_us:
            self._parity.popleft()

    @property
    def next_sequence(self) -> int:
        """Sequence of the AUDIO that will be sent next."""
        return self._ring[-1].sequence + 1 if self._ring else 0

    @property
    def end_time_us(self) -> int:
        """Media time at which the newest AUDIO ends."""
        return self._ring[-1].end_time_us if self._ring else 0

    @property
    def sequences(self) -> range:
        """Sequences of the AUDIO that is kept."""
        return range(self._ring[0].sequence, self.next_sequence) if self._ring else range(0)

    def at(self, sequence: int) -> Packet:
        """AUDIO with this sequence, which is one of `sequences`."""
        # A deque reaches its middle in steps of 64 items: a few steps at most.
        return self._ring[sequence - self._ring[0].sequence]

    def since(self, media_time_us: int) -> list[Packet]:
        """AUDIO that reaches beyond `media_time_us`, oldest first."""
        found: deque[Packet] = deque()
        for packet in reversed(self._ring):
            if packet.end_time_us <= media_time_us:
                break
            found.appendleft(packet)
        return list(found)

    def with_parity(self, burst: list[Packet]) -> list[Packet]:
        """`burst` and the PARITY of its blocks that was sent, in the order of sending."""
        if not burst:
            return burst
        before = burst[0].sequence - self._block_messages
        parity = [packet for packet in self._parity if packet.sequence > before]
        return sorted(burst + parity, key=lambda packet: packet.end_time_us)

    def with_tracks(self, burst: list[Packet]) -> list[Packet]:
        """`burst` after the TRACKs of its tracks; of a single track ACCEPT tells the title."""
        first = burst[0].sequence if burst else self.next_sequence
        within = [packet for packet in self.tracks if packet.sequence > first]
        if not within:
            return burst
        before = [packet for packet in self.tracks if packet.sequence <= first][-1:]
        return before + within + burst
