"""One stream as it arrives: jitter buffer, repair, parity and titles, joined around one window.

Messages of the stream go in; audio comes out, in order and on time, and what to ask for again.
Sans-I/O: no socket, no thread, no clock; `now` is monotonic, in seconds.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from clock.estimate import Estimate
from listening.arrival.audio_message import Arrival, AudioMessage
from listening.arrival.jitter import JitterEstimate
from listening.arrival.jitter_buffer import JitterBuffer
from listening.arrival.playable import Item, Ready
from listening.arrival.playout_delay import FLOOR_S, USUAL_S, PlayoutDelay
from listening.arrival.rebuild import Rebuilder
from listening.arrival.reception_window import ReceptionWindow
from listening.arrival.repair import Repair
from listening.arrival.server_timeline import ServerTimeline
from listening.arrival.statistics import Statistics
from listening.arrival.titles import Title, Titles
from message import Accept, End, Message, Status, Time, Timeline, TrackChange, Type
from wire.parity import MESSAGE_S, MOST_SHARDS
from wire.round_trip import RoundTrip

log = logging.getLogger("client")
message_log = logging.getLogger("client.messages")


class IncomingStream:
    """The parts that take one stream, joined."""

    def __init__(
        self,
        round_trip: RoundTrip,
        statistics: Statistics,
        accept: Accept,
        id_: int,
        now: float,
        *,
        buffer_s: float | None,
        lead_s: float,
        waits: bool,
    ) -> None:
        """`buffer_s`: the play-out delay; None to follow the path, if the output cannot wait.

        `lead_s`: how early the output wants audio; `waits`: whether it can wait for it.
        """
        self.id = id_
        self.first_sequence = accept.first_sequence
        """The first AUDIO that is meant for this listener."""
        self.titles = Titles()
        self._statistics = statistics
        self._live_time_us = accept.live_time_us
        self._jitter = JitterEstimate(accept.speed, statistics.jitter_s)
        has_parity = 0 < accept.block < MOST_SHARDS
        # A rebuilt message comes up to a block later than the lost one.
        block_s = accept.block * MESSAGE_S / accept.speed if has_parity else 0.0
        self._strict = strict = not waits and accept.speed == 1.0
        self._left_at_us: int | None = None
        self._delay: PlayoutDelay | None = None
        if strict and buffer_s is None:
            self._delay = PlayoutDelay(round_trip, lead_s=lead_s, block_s=block_s)
            self._delay.live_from(accept.live_time_us)
        usual_s = USUAL_S if buffer_s is None else buffer_s
        if strict and lead_s and usual_s < lead_s + FLOOR_S:
            # What is live would come after the output needs it.
            usual_s = lead_s + FLOOR_S
            log.info("the play-out delay is %.1f s, the least for this output", usual_s)
        start_s = self._delay.start_s if self._delay else max(usual_s, block_s)
        self._window = ReceptionWindow(
            accept.first_sequence, accept.first_time_us, start_s * accept.speed
        )
        self._rebuilder: Rebuilder | None = None
        if has_parity:
            parity_count = min(accept.parity, MOST_SHARDS - accept.block)
            self._rebuilder = Rebuilder(self._window, statistics, accept.block, parity_count, id_)
        self._interval_s = accept.interval_s
        self._server = ServerTimeline(accept.burst_s) if strict and buffer_s is not None else None
        self.buffer = JitterBuffer(
            self._window,
            statistics,
            buffer_s=start_s,
            speed=accept.speed,
            lead_s=lead_s,
            strict=strict,
            delay=self._delay,
            server=self._server,
        )
        self._repair = Repair(
            accept,
            self._window,
            round_trip,
            statistics,
            needed_at=self.buffer.needed_at,
            time_s=usual_s - lead_s,
            now=now,
            parity=self._rebuilder,
        )
        log.info("the stream is %08x, from message %d on", id_, accept.first_sequence)

    def leave(self, now: float) -> None:
        """The listener stops: what is at hand is given out at once, and holes are given up.

        Who hears along hears nothing after this moment.
        """
        if self._strict and self._left_at_us is None:
            self._left_at_us = self.buffer.position_us(now)
        self.buffer.close()

    def position_us(self, now: float) -> int:
        """The media time that sounds now, or sounded last; if nobody hears along, is written."""
        return self.buffer.position_us(now) if self._left_at_us is None else self._left_at_us

    @property
    def awaited(self) -> int:
        """Messages that exist and are neither here in time nor given up."""
        return self._window.awaited

    @property
    def has_parity(self) -> bool:
        """Whether this stream has PARITY."""
        return self._rebuilder is not None

    # What the server says of it, and of its clock.

    def informed(self, content: object, message: Message) -> bool:
        """Take the title and the origin in the `content` of `message`; False: implausible."""
        if isinstance(content, Accept | Status | TrackChange) and content.title:
            self.titles.learn(Title.told(message.media_time_us, content.title, content.artist))
        if isinstance(content, Accept | Status | Time):
            return self._learn_origin(content.origin_us, content.origin_sequence)
        if isinstance(content, Timeline):
            return self._learn_origin(content.origin_us, message.sequence)
        return True

    def _learn_origin(self, origin_us: int | None, sequence: int) -> bool:
        server = self._server
        return server is None or server.learn(origin_us, sequence, self._window.horizon)

    def follow(self, estimate: Estimate | None) -> None:
        """Take what is known of the server's clock."""
        self._statistics.measure_clock(estimate)
        if self._server is not None:
            self._server.follow(estimate)

    def is_explained(self, message: Message, now: float) -> bool:
        """Whether AUDIO came when the server's clock says that it was sent; else ask it again."""
        if self._server is None or message.media_time_us < self._live_time_us:
            return True
        place = message.sequence, message.media_time_us
        return self._server.explains(*place, self._interval_s, now)

    # What comes.

    def receive_audio(self, message: Message, now: float) -> Arrival:
        """Take AUDIO or REPEAT, and tell what became of it; raises MpegAudioError."""
        audio = AudioMessage.of(message)
        arrival = self.buffer.insert(audio, now)
        if arrival is Arrival.OVERFLOW:
            return arrival
        self._repair.arrived(audio, now)
        if self._rebuilder is not None:
            self._insert(self._rebuilder.add_audio(audio), now)
        live = message.type == Type.AUDIO and message.media_time_us >= self._live_time_us
        if arrival is Arrival.IN_TIME and live:
            self._jitter.arrived(message.media_time_us, now)
            self._statistics.jitter_s = self._jitter.jitter_s
        return arrival

    def receive_parity(self, message: Message, now: float) -> None:
        """Take PARITY; raises MessageError."""
        assert self._rebuilder is not None
        self._insert(self._rebuilder.add_parity(message), now)

    def end(self, end: End, end_time_us: int, now: float) -> bool:
        """Take END. False, and nothing changes, if it contradicts what has come."""
        if not self.buffer.end(end.last_sequence, end_time_us, now):
            return False
        self._repair.ended(end.last_sequence, end_time_us, now)
        if self._rebuilder is not None and end.last_sequence is not None:
            self._insert(self._rebuilder.end(end.last_sequence), now)
        return True

    def resume(self, accept: Accept, now: float) -> None:
        """The server has registered us again: the stream goes on at `accept.first_sequence`."""
        self._live_time_us = accept.live_time_us
        self._window.resume(accept.first_sequence)
        self._repair.resume(accept, now)
        if self._delay is not None:
            self._delay.live_from(accept.live_time_us)

    # What goes out.

    def next_due(self) -> float:
        """When to call `requests_due` if nothing comes until then."""
        return self._repair.next_due()

    def requests_due(self, now: float) -> list[int]:
        """Sequences to request now, ascending; they count as requested."""
        due = self._repair.take_due(now)
        if self._rebuilder is not None:
            self._insert(self._rebuilder.sent_before(self._repair.sent_before), now)
        return due

    def take(self, now: float) -> list[Item]:
        """What to play now, in order, as `JitterBuffer.take`; titles are noted and logged."""
        items = self.buffer.take(now)
        for item in items:
            if isinstance(item, Ready):
                title = self.titles.hand_out(item.message.media_time_us)
                if title is not None:
                    by = f" by {title.artist}" if title.artist else ""
                    log.info("AUDIO %d begins: %s%s", item.message.sequence, title.title, by)
        return items

    def _insert(self, rebuilt: Sequence[AudioMessage], now: float) -> None:
        """Put rebuilt messages into the jitter buffer, where they are still missing."""
        for audio in rebuilt:
            if self.buffer.insert_rebuilt(audio, now):
                message_log.info("AUDIO %d: rebuilt", audio.sequence)
                self._repair.arrived(audio, now)
