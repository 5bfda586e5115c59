"""Segments in, numbered datagrams out when they are due; what was sent is kept for a while.

The stream starts once. Its sequence counts AUDIO messages from 0, its media time runs from 0
through every track. A little is read ahead of the deadlines, so that a slow disk is not heard;
where it hangs, silence stands in, or the media time waits if it is not that of a clock on the wall.

    add_segment -> ReadAhead -> take_due -> History -> burst, repeat

Beside them: `Schedule` (when), `ParityMaker` (PARITY among AUDIO), `StandIn` (silence while the
source stalls) and `Skipping` (the next track at once).
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from math import inf

from broadcasting.settings import Fec
from broadcasting.source.segments import Segment
from broadcasting.source.tracks import Track
from broadcasting.stream.history import History, Packet
from broadcasting.stream.parity import ParityMaker
from broadcasting.stream.read_ahead import ReadAhead
from broadcasting.stream.schedule import Schedule
from broadcasting.stream.skipping import Skipping
from broadcasting.stream.stand_in import StandIn
from broadcasting.stream.timeline import Origin
from message import HEADER_BYTES, TAG_BYTES, Message, TrackChange, Type, cut_text, repeat_of

LOOKAHEAD_S = 4.0
"""Media read ahead of the next deadline: opening the next file takes some ten milliseconds, a disk
that has to spin up more than a second."""

HISTORY_S = 10.0
"""Shortest history of media for repair: longer than any play-out delay still called live."""

REPAIR_S = 2.0
"""Shortest history in real time, at any speed: a listener needs it to ask several times."""

CUSHION_S = 0.5
"""Media of the source, beyond the burst, that must lie ready before it is sent: pauses of the
source up to this are not heard."""

OPENING_S = 0.25
"""Media of a skipped track that is still sent if nothing of the next one has been read: opening
that takes some time."""

STOOD_STILL_S = 1.0
"""Least time after which the machine must have slept, or the process been stopped: no source and no
audience keeps the server for so long from sending what is due."""

log = logging.getLogger("server")


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
        pack: Callable[[Message], bytes] = Message.pack,
        is_sealed: bool = False,
        live: bool = False,
        duration_s: float | None = None,
    ) -> None:
        """`burst_s`: how far ahead of real time it is sent, in media time, parity included.

        `pack` makes the datagram of a message for all listeners, once, when it is first sent.
        `live`: the source is no file. `duration_s` is that of the whole programme, None if it is
        not known.
        """
        self.id = stream_id
        self.live = live
        self.started = False
        """Whether segments are due at all."""
        # A copy at many times real time is as fast as its source, and holds nothing but that.
        self._waits = speed != 1.0 and not live
        self.overhead_bytes = HEADER_BYTES + (TAG_BYTES if is_sealed else 0)
        """Bytes of a datagram beside its data."""
        self.burst_us = round(burst_s * 1e6)
        self.track: Track | None = None
        """Track that is being sent, or will be sent first."""
        self.track_time_us = 0
        """Media time at which it begins."""
        self._pack = pack
        self._is_sealed = is_sealed
        self._schedule = Schedule(burst_s=burst_s, interval_s=interval_s, speed=speed)
        self.timeline = Origin(stream_id, pack, has_clock=speed == 1.0)
        self.parity = ParityMaker(fec)
        block_s = fec.block_s if fec else 0.0
        together_s = (interval_s or 0.0) * speed
        # A block must be whole when its first parity is due; half of the lookahead is always there.
        lookahead_us = round(
            1e6 * ((LOOKAHEAD_S + (interval_s or 0.0)) * max(1.0, speed) + 2 * block_s)
        )
        self.history = History(
            max(HISTORY_S, REPAIR_S * speed, 2 * burst_s + together_s),
            parity_span_s=burst_s + block_s,
            block_messages=self.parity.block_messages,
        )
        # A block must be whole when its parity is due, and so must what is sent together.
        self.silence = StandIn(round((CUSHION_S + block_s + together_s) * 1e6))
        self._fill_us = self.burst_us + self.silence.cushion_us
        self._ahead = ReadAhead(
            stream_id,
            self.parity,
            max(lookahead_us, self._fill_us),
            needed_us=self._fill_us,
        )
        self.skipping = Skipping(duration_s)
        self._sent: Segment | None = None
        self._source_ended = False

    # The source's side.

    @property
    def wants_segment(self) -> bool:
        """Whether the reader should add the next segment now."""
        return self._ahead.wants_more and not self._source_ended

    @property
    def is_empty(self) -> bool:
        """Whether nothing has been read ahead."""
        return not self._ahead

    @property
    def is_filled(self) -> bool:
        """Whether it may start: enough must lie ready not to stall at once."""
        return self._source_ended or self._ahead.duration_us >= self._fill_us

    def add_segment(self, segment: Segment) -> None:
        """Take the next segment of the source."""
        if self.skipping.is_skipped(segment.track):
            return
        if not self.silence.is_stalled:
            self._add(segment)
        elif self.silence.hold(segment):
            self._go_on()

    def end_of_source(self) -> None:
        """No segment follows those already added."""
        if self.silence.is_stalled:
            self._go_on()
        self._source_ended = True
        self.parity.finish()

    def cut(self) -> None:
        """Send nothing more: what was sent last is the end."""
        self._source_ended = True
        self._ahead.cut(0)
        self.silence.take_held()

    def skip(self) -> int | None:
        """Go to the next track: drop what was read and not sent of the one that is being sent.

        Returns the number of the track that the source must leave, too, which may be one that has
        not come yet; None if it has left it already. With parity the block that is under way is
        still sent: its parity may have been.
        """
        if self.track is None:
            return None if self._source_ended else self.skipping.number + 1
        track = self.track
        if self._sent is None:
            self.track = None
        unsent = self._ahead.cut(self.parity.block_end(self.next_sequence))
        rest = unsent + self.silence.take_held()
        wanted = [one for one in rest if one.track.number != track.number]
        if not (wanted or self._source_ended or self._sent is None or self.silence.is_stalled):
            self._add_opening(unsent)
        self.skipping.skip(track, self._ahead.end_us - self.track_time_us)
        for segment in wanted:
            self.add_segment(segment)
        if self._source_ended:
            self.parity.finish()
        if wanted or self._source_ended:
            return None
        # In a silence it is the source's next track that keeps everybody waiting.
        return track.number + self.silence.is_stalled

    def _add_opening(self, unsent: list[Segment]) -> None:
        """Add what may be heard of a skipped track while the next one is opened."""
        until_us = self._ahead.end_us + round(OPENING_S * 1e6)
        for segment in unsent:
            if self._ahead.end_us + segment.duration_us > until_us:
                break
            self._add(segment)
        self._ahead.rejoin()

    def make_good(self, now: float) -> None:
        """Make good what kept anything from being sent in time, but for what is being sent.

        If the server stood still, for longer than it sends ahead, nothing of what it missed is
        sent: all that follows is heard later by as much. A live source has gone on meanwhile, so
        what lies ready of it is left out. If the source has nothing ready, silence is added as far
        as it is due; or the media time waits.
        """
        due = self._audio_or_silence_due
        if now - due > max(STOOD_STILL_S, self.burst_us / 1e6):
            self._go_on_after_standing_still(now)
        elif now < due and not self._waits:
            return
        if self._waits:
            if self._starves_at <= now:
                self._schedule.wait(self._ahead.end_us, until=now)
            return
        while self._starves_at <= now:
            assert self._sent is not None, "the stream has begun with something"
            self._ahead.rejoin()
            silence = self.silence.silence(self._sent)
            self.skipping.lengthen(self._sent.track, silence.duration_us)
            self._add(silence)

    def _go_on_after_standing_still(self, now: float) -> None:
        late_s = now - self._audio_or_silence_due - self.burst_us / 1e6
        log.warning("the server stood still: all that follows is heard %.1f s later", late_s)
        if self.live:
            self._ahead.cut(self.parity.block_end(self.next_sequence))
            self.silence.take_held()
        first = self._ahead.first
        begin_us = first.media_time_us if first else self._ahead.end_us
        self._schedule.begin_again(begin_us, now)
        self.timeline.move(now - begin_us / 1e6, self.next_sequence, now)

    def _go_on(self) -> None:
        self._ahead.rejoin()
        for segment in self.silence.go_on():
            self._add(segment)

    def _add(self, segment: Segment) -> None:
        self._ahead.add(segment, self.silence.wire_track(segment.track))
        self.track = self.track or segment.track

    # The clock's side.

    @property
    def ended(self) -> bool:
        """Whether nothing is left to be sent, and nothing will come."""
        return self._source_ended and not self._ahead and not self._parity_is_due

    def start(self, now: float) -> None:
        """From now on segments are due."""
        self.started = True
        self._schedule.start(now)
        self.timeline.move(now, 0, now)

    def next_due(self) -> float | None:
        """When something is to be sent next; None if there is nothing, or before the start."""
        if self._parity_is_due:
            return -inf
        due = self._audio_or_silence_due
        return due if due < inf else None

    def take_due(self, now: float) -> list[Packet]:
        """What is to be sent to every listener now, in order."""
        taken = self._take_parity()
        while self._audio_due <= now:
            packet, segment = self._take_audio()
            if self._sent is None or segment.track is not self._sent.track:
                taken += self._begin_track(segment.track, packet)
            self._sent = segment
            self.history.append(packet)
            taken += [packet, *self._take_parity()]
        return taken

    def _take_audio(self) -> tuple[Packet, Segment]:
        """The AUDIO that is due, packed: from now on its number and content are one."""
        message, segment = self._ahead.take()
        begin_us = message.media_time_us
        end_us = begin_us + segment.duration_us
        kept = message if self._is_sealed else None
        datagram = self._pack(message)
        return Packet(message.sequence, begin_us, end_us, datagram, message=kept), segment

    @property
    def origin(self) -> tuple[int | None, int]:
        """Time in microseconds at which media time 0 is heard, and from which AUDIO on."""
        return self.timeline.origin_us, self.timeline.sequence

    def position_s(self, now: float) -> float:
        """Seconds of media that a listener with a full buffer has heard at `now`."""
        return min(self._schedule.position_s(now), self.sent_until_us / 1e6)

    def lateness_s(self, packet: Packet, sent_at: float) -> float:
        """Seconds after its deadline at which `packet` went out, if that was at `sent_at`."""
        return sent_at - self._schedule.due(packet.media_time_us)

    @property
    def _audio_due(self) -> float:
        first = self._ahead.first
        return inf if first is None else self._schedule.due(first.media_time_us)

    @property
    def _audio_or_silence_due(self) -> float:
        return self._audio_due if self._waits else min(self._audio_due, self._starves_at)

    @property
    def _starves_at(self) -> float:
        """When the source has nothing for its listeners any more, if nothing more comes."""
        if self._ahead or self._source_ended:
            return inf
        return self._schedule.due(self._ahead.end_us)

    def _begin_track(self, track: Track, first: Packet) -> list[Packet]:
        """`first` begins `track`, or another title in it: the TRACK that says so to everyone."""
        self.track, self.track_time_us = track, first.media_time_us
        log.info("AUDIO %d begins track %d: %s", first.sequence, track.number, track.title)
        content = TrackChange(
            title=cut_text(track.title),
            artist=cut_text(track.artist) if track.artist else None,
            duration_s=self.skipping.new_duration_s,
        )
        number = self.silence.wire_track(track)
        message = content.to_message(
            first.sequence, stream=self.id, media_time_us=first.media_time_us, track=number
        )
        packet = first._replace(datagram=self._pack(message), kind=Type.TRACK)
        self.history.tracks.append(packet)
        # ACCEPT tells the first one, unless it is not known then.
        return [packet] if self._sent is not None or self.live else []

    @property
    def _parity_is_due(self) -> bool:
        return self.parity.block_messages > 0 and self.parity.is_due(self.next_sequence)

    def _take_parity(self) -> list[Packet]:
        """The PARITY that is due after the AUDIO that was sent."""
        if not self._parity_is_due:
            return []
        end_us = self.sent_until_us
        packets = [
            Packet(one.sequence, one.media_time_us, end_us, self._pack(one), Type.PARITY)
            for one in self.parity.take_due(self.next_sequence)
        ]
        self.history.append_parity(packets)
        return packets

    # The listeners' side.

    @property
    def next_sequence(self) -> int:
        """Sequence of the AUDIO that will be sent next."""
        return self.history.next_sequence

    @property
    def sent_until_us(self) -> int:
        """Media time at which the AUDIO that was sent ends."""
        return self.history.end_time_us

    def burst(self, now: float) -> list[Packet]:
        """AUDIO that is sent at once to a listener who joins now: all that is still to be heard."""
        live_us = round(self.position_s(now) * 1e6)
        return self.history.since(max(0, min(live_us, self.sent_until_us - self.burst_us)))

    def with_the_rest(self, burst: list[Packet]) -> list[Packet]:
        """`burst` and the TIMELINE, PARITY and TRACK messages that belong to it."""
        return self.timeline.with_timeline(
            self.history.with_tracks(self.history.with_parity(burst))
        )

    def repeat(self, packet: Packet) -> bytes:
        """The datagram of REPEAT of AUDIO that was sent."""
        if packet.message is None:
            return repeat_of(packet.datagram)
        return self._pack(packet.message._replace(type=Type.REPEAT))
