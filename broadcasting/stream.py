"""Segments in, numbered datagrams out when they are due; what was sent is kept for a while.

The stream starts once. Its sequence counts AUDIO messages from 0, its media time runs from 0
through every track. A little is read ahead of the deadlines, so that a slow disk is not heard.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from broadcasting.history import History, Sent
from broadcasting.parity import Fec, ParityMaker
from broadcasting.schedule import Schedule
from broadcasting.source import Segment, Track
from message import HEADER_BYTES, TAG_BYTES, Message, Type, repeat_of

if TYPE_CHECKING:
    from broadcasting.seal import ServerSeal

LOOKAHEAD_S = 4.0
"""Read ahead of the next deadline: opening the next file takes some ten milliseconds, a disk
that has to spin up more than a second."""

HISTORY_S = 10.0
"""Kept for repair at the least: far beyond any play-out delay that is still called live."""

REPAIR_S = 2.0
"""And so much time at any speed: the least that a listener needs to ask again and again."""


class Stream:
    """The one stream of a run of the server. Not thread-safe: the owner holds the lock."""

    def __init__(
        self,
        stream_id: int,
        *,
        burst_s: float,
        interval_s: float | None,
        speed: float,
        fec: Fec | None = None,
        seal: ServerSeal | None = None,
    ) -> None:
        """`burst_s` is how far ahead of real time, with parity or without."""
        self.id = stream_id
        self.overhead_bytes = HEADER_BYTES + (TAG_BYTES if seal else 0)
        """So much longer is a datagram than its data."""
        self._is_sealed = seal is not None
        self._pack = seal.pack_media if seal else Message.pack
        self.burst_us = round(burst_s * 1e6)
        self.track: Track | None = None
        self.next_sequence = 0
        self.sent_until_us = 0
        self._options = {"burst_s": burst_s, "interval_s": interval_s, "speed": speed}
        self._schedule: Schedule | None = None
        self.history = History(
            max(HISTORY_S, REPAIR_S * speed, 2 * burst_s + (interval_s or 0) * speed)
        )
        self._ahead: deque[tuple[Sent, Track]] = deque()
        self._ahead_us = 0
        self._added = 0
        lookahead_s = (LOOKAHEAD_S + (interval_s or 0.0)) * max(1.0, speed)
        self._block_messages = fec.messages if fec else 0
        self._block_us = round(fec.block_s * 1e6) if fec else 0
        self._parity: ParityMaker | None = None
        self._parity_sent: deque[Sent] = deque()
        if fec is not None:
            self._parity = ParityMaker(fec)
            # A block must be whole when its first parity is due; half of this is always there.
            lookahead_s += 2 * fec.block_s
        self._lookahead_us = round(lookahead_s * 1e6)
        self._source_ended = False
        self._reading = True

    @property
    def started(self) -> bool:
        """Whether segments are due at all."""
        return self._schedule is not None

    @property
    def ended(self) -> bool:
        """Nothing is left to send, and nothing will come."""
        return self._source_ended and not self._ahead and not self._parity_is_due

    @property
    def parities(self) -> int:
        """For each block that is still to be protected; 0 without parity."""
        return self._parity.parities if self._parity else 0

    @parities.setter
    def parities(self, parities: int) -> None:
        assert self._parity is not None
        self._parity.parities = parities

    @property
    def wants_segment(self) -> bool:
        """Whether the reader should add the next segment now."""
        return self._reading and not self._source_ended

    @property
    def is_empty(self) -> bool:
        """Whether nothing has been read ahead."""
        return not self._ahead

    def add_segment(self, segment: Segment) -> None:
        """Take the next segment of the source."""
        message = Message(
            self._added,
            Type.AUDIO,
            segment.data,
            self.id,
            segment.media_time_us,
            segment.track.number,
            segment.skip_samples,
            segment.discard_samples,
        )
        end_us = segment.media_time_us + segment.duration_us
        # Packed now, when there is time, and not when it is due.
        sent = Sent(
            message.sequence,
            segment.media_time_us,
            end_us,
            self._pack(message),
            message=message if self._is_sealed else None,
        )
        self._ahead.append((sent, segment.track))
        self._added += 1
        self._ahead_us += segment.duration_us
        self._reading = self._ahead_us < self._lookahead_us
        if self._parity is not None:
            self._parity.add(message)
        if self.track is None:
            self.track = segment.track

    def end_of_source(self) -> None:
        """No segment follows those already added."""
        self._source_ended = True
        if self._parity is not None:
            self._parity.finish()

    def cut(self) -> None:
        """Send nothing more: what was sent last is the end."""
        self._source_ended = True
        self._ahead.clear()
        if self._parity is not None:
            self._parity.cut()

    def start(self, now: float) -> None:
        """From now on segments are due."""
        assert self._schedule is None, "a stream starts once"
        self._schedule = Schedule(now, **self._options)  # type: ignore[arg-type]

    def next_due(self) -> float | None:
        """When something is to be sent next; None if there is nothing, or before the start."""
        if self._parity_is_due:
            return float("-inf")
        return self._audio_due()

    def lateness_s(self, sent: Sent, sent_at: float) -> float:
        """How long after its deadline `sent` went out, if that was at `sent_at`."""
        assert self._schedule is not None, "before the start nothing is sent"
        return sent_at - self._schedule.due(sent.media_time_us)

    def take_due(self, now: float) -> list[Sent]:
        """What is to be sent to every listener now, in order."""
        taken = self._take_parity() if self._parity_is_due else []
        while (deadline := self._audio_due()) is not None and deadline <= now:
            sent, self.track = self._ahead.popleft()
            self.history.append(sent)
            self._ahead_us -= sent.end_time_us - sent.media_time_us
            self.next_sequence = sent.sequence + 1
            self.sent_until_us = sent.end_time_us
            taken.append(sent)
            if self._parity_is_due:
                taken += self._take_parity()
        # Seconds at a time: reading costs a third of what it does one by one, for the processor
        # has not forgotten how.
        self._reading = self._reading or self._ahead_us < self._lookahead_us // 2
        return taken

    def position_s(self, now: float) -> float:
        """How much media a listener with a full buffer has heard at `now`."""
        if self._schedule is None:
            return 0.0
        return min(self._schedule.position_s(now), self.sent_until_us / 1e6)

    def burst(self, now: float) -> list[Sent]:
        """What a listener who joins now is sent at once: all that is still to be heard."""
        live_us = round(self.position_s(now) * 1e6)
        return self.history.since(max(0, min(live_us, self.sent_until_us - self.burst_us)))

    def with_parity(self, burst: list[Sent]) -> list[Sent]:
        """`burst`, and what was sent of the parity of its blocks, as it was sent among them."""
        if not burst:
            return burst
        before = burst[0].sequence - self._block_messages
        parity = [sent for sent in self._parity_sent if sent.sequence > before]
        return sorted(burst + parity, key=lambda sent: sent.end_time_us)

    def repeat(self, sent: Sent) -> bytes:
        """The datagram of REPEAT of the AUDIO that was sent."""
        if sent.message is None:
            return repeat_of(sent.datagram)
        return self._pack(sent.message._replace(type=Type.REPEAT))

    def _audio_due(self) -> float | None:
        if self._schedule is None or not self._ahead:
            return None
        return self._schedule.due(self._ahead[0][0].media_time_us)

    @property
    def _parity_is_due(self) -> bool:
        return self._parity is not None and self._parity.is_due(self.next_sequence)

    def _take_parity(self) -> list[Sent]:
        """The parity that is due when all before `next_sequence` has been sent."""
        assert self._parity is not None
        now_us = self.sent_until_us
        sent = [
            Sent(one.sequence, one.media_time_us, now_us, self._pack(one), is_parity=True)
            for one in self._parity.take_due(self.next_sequence)
        ]
        self._parity_sent += sent
        # For a burst: of blocks that reach into it, some were sent before it.
        kept_us = self.burst_us + self._block_us
        while self._parity_sent and self._parity_sent[0].end_time_us < now_us - kept_us:
            self._parity_sent.popleft()
        return sent
