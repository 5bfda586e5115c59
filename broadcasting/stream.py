"""Segments in, numbered datagrams out when they are due; what was sent is kept for a while.

The stream starts once. Its sequence counts AUDIO messages from 0, its media time runs from 0
through every track. A little is read ahead of the deadlines, so that a slow disk is not heard.

A live source may be slower than real time. When nothing of it is left to be sent, silence is sent
in its place, and goes on until `CUSHION_S` of it lies ready: media time never stops, so that
listeners stay as far behind as they were and lose nothing. Nothing of the source is dropped for it.
"""

from __future__ import annotations

import dataclasses
from collections import deque
from typing import TYPE_CHECKING

from broadcasting.history import History, Sent
from broadcasting.parity import Fec, ParityMaker
from broadcasting.schedule import Schedule
from broadcasting.source import Segment, Track
from message import HEADER_BYTES, TAG_BYTES, Message, Type, cut_text, repeat_of
from message import Track as TrackMessage
from wire.log import get_logger
from wire.mpeg_audio import FrameHeader, silent_frame
from wire.parity import MESSAGE_S

if TYPE_CHECKING:
    from broadcasting.seal import ServerSeal

LOOKAHEAD_S = 4.0
"""Read ahead of the next deadline: opening the next file takes some ten milliseconds, a disk
that has to spin up more than a second."""

HISTORY_S = 10.0
"""Kept for repair at the least: far beyond any play-out delay that is still called live."""

REPAIR_S = 2.0
"""And so much time at any speed: the least that a listener needs to ask again and again."""

MOST_TRACKS = 64
"""That began within a burst, at most: a title has a second, or nobody could read it."""

CUSHION_S = 0.5
"""Of a live source, beyond the burst, before it is sent: by so much it may hesitate unheard."""

log = get_logger("server")


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
        live: bool = False,
        duration_s: float | None = None,
    ) -> None:
        """`burst_s` is how far ahead of real time, with parity or without.

        `live`: the source may be slower than real time. `duration_s`: of all that it has.
        """
        self.id = stream_id
        self.overhead_bytes = HEADER_BYTES + (TAG_BYTES if seal else 0)
        """So much longer is a datagram than its data."""
        self._is_sealed = seal is not None
        self._pack = seal.pack_media if seal else Message.pack
        self.burst_us = round(burst_s * 1e6)
        self.track: Track | None = None
        """What is being sent, or will be first."""
        self.track_time_us = 0
        """Media time at which it begins."""
        self._sent_track: Track | None = None
        self._sent: Segment | None = None
        self._tracks_sent: deque[Sent] = deque(maxlen=MOST_TRACKS)
        self.next_sequence = 0
        self.sent_until_us = 0
        self._options = {"burst_s": burst_s, "interval_s": interval_s, "speed": speed}
        self._schedule: Schedule | None = None
        self.history = History(
            max(HISTORY_S, REPAIR_S * speed, 2 * burst_s + (interval_s or 0) * speed)
        )
        # With what they were made of, to be made anew for another place in the stream.
        self._ahead: deque[tuple[Sent, Segment]] = deque()
        self._ahead_us = 0
        self._added = 0
        self._end_us = 0
        # From the source's media time to ours; None: so that the next segment follows at once.
        self._shift_us: int | None = 0
        self._unwanted: int | None = None
        """The number of the track that was skipped."""
        self._duration_s = duration_s
        self._left_out_us = 0
        """Of tracks that were skipped."""
        self.live = live
        self.stalls = 0
        self.silence_us = 0
        self._stalled = False
        self._held: list[Segment] = []
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
        # A block must be whole when its parity is due, and so must what is sent together.
        together_s = (fec.block_s if fec else 0.0) + (interval_s or 0.0) * speed
        self._cushion_us = round((CUSHION_S + together_s) * 1e6)
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
    def duration_s(self) -> float | None:
        """Of the whole stream, from its first track to its last, as far as that is known."""
        if self._duration_s is None:
            return None
        return self._duration_s - self._left_out_us / 1e6

    @property
    def new_duration_s(self) -> float | None:
        """The same, if it is another than at the start."""
        return self.duration_s if self._left_out_us else None

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

    @property
    def is_filled(self) -> bool:
        """Whether it may start: of a live source enough must lie ready not to stall at once."""
        enough_us = min(self.burst_us + self._cushion_us, self._lookahead_us)
        return not self.live or self._source_ended or self._ahead_us >= enough_us

    def add_segment(self, segment: Segment) -> None:
        """Take the next segment of the source."""
        if segment.track.number == self._unwanted:
            return
        if self._stalled:
            self._held.append(segment)
            if sum(one.duration_us for one in self._held) >= self._cushion_us:
                self._go_on()
        else:
            self._add(segment)

    def _add(self, segment: Segment, part: int = 0) -> None:
        if self._shift_us is None:
            self._shift_us = self._end_us - segment.media_time_us
        begin_us = segment.media_time_us + self._shift_us
        # A stall counts as a track on the wire: a decoder must begin anew after it.
        message = Message(
            self._added,
            Type.AUDIO,
            segment.data,
            self.id,
            begin_us,
            segment.track.number + 2 * self.stalls + part,
            segment.skip_samples,
            segment.discard_samples,
        )
        self._end_us = begin_us + segment.duration_us
        # Packed now, when there is time, and not when it is due.
        sent = Sent(
            message.sequence,
            begin_us,
            self._end_us,
            self._pack(message),
            message=message if self._is_sealed else None,
        )
        self._ahead.append((sent, segment))
        self._added += 1
        self._ahead_us += segment.duration_us
        self._reading = self._ahead_us < self._lookahead_us
        if self._parity is not None:
            self._parity.add(message)
        if self.track is None:
            self.track = segment.track

    def end_of_source(self) -> None:
        """No segment follows those already added."""
        if self._stalled:
            self._go_on()
        self._source_ended = True
        if self._parity is not None:
            self._parity.finish()

    def cut(self) -> None:
        """Send nothing more: what was sent last is the end."""
        self._source_ended = True
        self._stalled = False
        self._ahead.clear()
        if self._parity is not None:
            self._parity.cut()

    def skip(self) -> int | None:
        """Go to the next track: drop what was read and not sent of the one that is being sent.

        The number of the track that the source must leave, too; None if it has left it already.
        With parity the block that is under way is still sent: its parity may have been.
        """
        if self.track is None:
            return None
        again = self._unwanted == self.track.number
        self._unwanted = self.track.number
        track, begins_us = self.track, self.track_time_us
        if self._sent_track is None:
            self.track = None
        block = self._block_messages
        kept_until = -(-self.next_sequence // block) * block if block else self.next_sequence
        kept = [pair for pair in self._ahead if pair[0].sequence < kept_until]
        rest = [segment for sent, segment in self._ahead if sent.sequence >= kept_until]
        rest += self._held
        self._held.clear()
        self._ahead = deque(kept)
        self._ahead_us = sum(segment.duration_us for _, segment in kept)
        self._added = kept[-1][0].sequence + 1 if kept else self.next_sequence
        self._end_us = kept[-1][0].end_time_us if kept else self.sent_until_us
        self._shift_us = None
        if not again and track.duration_s is not None:
            self._left_out_us += max(0, round(track.duration_s * 1e6) - self._end_us + begins_us)
        if self._parity is not None:
            self._parity.forget(kept_until)
        wanted = [segment for segment in rest if segment.track.number != self._unwanted]
        for segment in wanted:
            self.add_segment(segment)
        self._reading = self._ahead_us < self._lookahead_us
        return None if wanted or self._source_ended else self._unwanted

    def stand_in(self, now: float) -> None:
        """Silence in the place of a live source that has nothing ready, as far as it is due."""
        if self._schedule is None or self._starves_at is None:
            return
        while self._schedule.due(self._end_us) <= now:
            assert self._sent is not None, "the stream has begun with something"
            if not self._stalled:
                self._stalled = True
                self.stalls += 1
                log.warning("the source stalls: silence is sent until it goes on")
            header = FrameHeader.parse(self._sent.data)
            frames = max(1, int(MESSAGE_S * header.sample_rate_hz / header.samples))
            self._shift_us = None
            silence = dataclasses.replace(
                self._sent,
                data=silent_frame(header) * frames,
                duration_us=round(frames * header.samples * 1e6 / header.sample_rate_hz),
                skip_samples=0,
                discard_samples=0,
            )
            self._add(silence, part=-1)
            self.silence_us += silence.duration_us

    def _go_on(self) -> None:
        """The source is back: what was held follows the silence."""
        log.info("the source goes on")
        self._stalled = False
        self._shift_us = None
        held, self._held = self._held, []
        for segment in held:
            self._add(segment)

    @property
    def _starves_at(self) -> float | None:
        """When silence must stand in for a live source, if nothing more comes."""
        if not self.live or self._ahead or self._source_ended or self._schedule is None:
            return None
        return self._schedule.due(self._end_us)

    def start(self, now: float) -> None:
        """From now on segments are due."""
        assert self._schedule is None, "a stream starts once"
        self._schedule = Schedule(now, **self._options)  # type: ignore[arg-type]

    def next_due(self) -> float | None:
        """When something is to be sent next; None if there is nothing, or before the start."""
        if self._parity_is_due:
            return float("-inf")
        audio_due = self._audio_due()
        return self._starves_at if audio_due is None else audio_due

    def lateness_s(self, sent: Sent, sent_at: float) -> float:
        """How long after its deadline `sent` went out, if that was at `sent_at`."""
        assert self._schedule is not None, "before the start nothing is sent"
        return sent_at - self._schedule.due(sent.media_time_us)

    def take_due(self, now: float) -> list[Sent]:
        """What is to be sent to every listener now, in order."""
        taken = self._take_parity() if self._parity_is_due else []
        while (deadline := self._audio_due()) is not None and deadline <= now:
            sent, segment = self._ahead.popleft()
            if segment.track is not self._sent_track:
                taken += self._begin_track(segment.track, sent)
            self._sent = segment
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

    def with_tracks(self, burst: list[Sent]) -> list[Sent]:
        """`burst`, and before it what tells its tracks: but for one alone, which ACCEPT tells."""
        first = burst[0].sequence if burst else self.next_sequence
        within = [sent for sent in self._tracks_sent if sent.sequence > first]
        if not within:
            return burst
        before = [sent for sent in self._tracks_sent if sent.sequence <= first][-1:]
        return before + within + burst

    def _begin_track(self, track: Track, first: Sent) -> list[Sent]:
        """`first` is the first of `track`, or of another title in it: what tells so to everyone."""
        before, self._sent_track, self.track = self._sent_track, track, track
        self.track_time_us = first.media_time_us
        log.info("AUDIO %d begins track %d: %s", first.sequence, track.number, track.title)
        content = TrackMessage(
            title=cut_text(track.title),
            artist=cut_text(track.artist) if track.artist else None,
            duration_s=self.new_duration_s,
        )
        message = content.to_message(
            first.sequence,
            stream=self.id,
            media_time_us=first.media_time_us,
            track=track.number + 2 * self.stalls,
        )
        told = first._replace(datagram=self._pack(message), is_track=True)
        self._tracks_sent.append(told)
        # The first is told by ACCEPT, unless it was not known then.
        return [told] if before is not None or self.live else []

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
