"""The client without its sockets: datagrams in; datagrams and audio out, on time.

Sans-I/O: no socket, no thread, no clock. `now` is monotonic, in seconds. The owner calls from
one thread at a time: the receiver thread brings datagrams, the playback thread takes audio with
`audio_to_play`. What the network brings never raises; every fault in it is counted.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Sequence
from random import Random
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from listening.jitter_buffer import Arrival, End, Gap, Item, JitterBuffer, Pause, Ready, Restart
from listening.playout_delay import USUAL_S, PlayoutDelay
from listening.rebuild import Rebuilder, Rebuilt
from listening.repair import Repair
from listening.session import Session, State
from listening.statistics import Statistics
from listening.titles import MOST_HEARD, Title, Titles
from message import (
    AUDIO_TYPES,
    HEADER_BYTES,
    MAX_RANGES_TEXT,
    TAG_BYTES,
    TYPE_NAMES,
    Accept,
    Goodbye,
    Message,
    MessageError,
    ReplayError,
    Report,
    SealError,
    Status,
    Track,
    Type,
    VersionError,
    milliseconds,
)
from message import End as EndMessage
from wire.address import Address
from wire.log import get_logger
from wire.mpeg_audio import MpegAudioError, split_frames
from wire.parity import MESSAGE_S, MOST_SHARDS
from wire.ranges import texts_of

if TYPE_CHECKING:
    from listening.seal import ClientSeal

MAX_EARLY = 256
"""AUDIO that came before the ACCEPT it belongs to (one of them was lost or overtaken): enough
for a burst of several seconds."""

AnyReport = TypeVar("AnyReport", bound=Report)

_TAKEN = frozenset(
    (Type.CHALLENGE, Type.ACCEPT, Type.REJECT, Type.STATUS, Type.END, Type.GOODBYE, Type.TRACK)
)

log = get_logger("client")


class NewStream(NamedTuple):
    """What follows is of a stream that begins here for us: the output's timeline goes on."""

    accept: Accept


Playable = NewStream | Item

__all__ = [
    "End",
    "Gap",
    "Listen",
    "ListenSnapshot",
    "NewStream",
    "Pause",
    "Playable",
    "Ready",
    "Restart",
    "audio_duration_us",
]


@dataclasses.dataclass(frozen=True, slots=True)
class ListenSnapshot:
    """The client's state for a display or a report; changes with nothing."""

    state: State
    title: str
    artist: str | None
    position_s: float
    duration_s: float | None
    buffer_s: float
    listeners: int | None
    statistics: Statistics
    tracks: Sequence[Title] = ()
    """Those that were heard, in order, with where in the stream each begins."""


class Listen:
    """One run of the client."""

    def __init__(
        self,
        addresses: Sequence[Address],
        *,
        nonce: str,
        timeout_s: float,
        patience_s: float | None = None,
        buffer_s: float | None,
        lead_s: float,
        waits: bool,
        random: Random,
        now: float,
        seal: ClientSeal | None = None,
    ) -> None:
        """`patience_s`: as `timeout_s`, for a server that was lost; None for the same.

        `lead_s`: how early the output wants audio; `waits`: whether it can wait for it.

        `buffer_s`: the play-out delay; None to follow what is measured, if the output cannot wait.
        `seal`: nothing counts but what is sealed with our key.
        """
        self.statistics = Statistics()
        self._is_sealed = seal is not None
        self._unpack = seal.unpack if seal else Message.unpack
        self._overhead_bytes = HEADER_BYTES + (TAG_BYTES if seal else 0)
        self._session = Session(
            addresses,
            nonce=nonce,
            timeout_s=timeout_s,
            patience_s=patience_s,
            random=random,
            now=now,
            seal=seal,
        )
        self._buffer_s = buffer_s
        self._lead_s = lead_s
        self._waits = waits
        self._buffer: JitterBuffer | None = None
        self._delay: PlayoutDelay | None = None
        self._rebuilder: Rebuilder | None = None
        self._repair: Repair | None = None
        self._stream: int | None = None
        self._early: list[Message] = []
        self._titles = Titles()
        self._duration_s: float | None = None
        self._tracks: list[Title] = []
        self._ready: list[Playable] = []
        self._stopped = False
        self._ended = False

    @property
    def accept(self) -> Accept | None:
        """What the server said when it registered us, the last time."""
        return self._session.accept

    @property
    def failure(self) -> str | None:
        """Why listening came to nothing, in one line for the user; None if it did not."""
        return self._session.failure

    @property
    def closed(self) -> bool:
        """Whether the session is over: nothing more will be sent or taken."""
        return self._session.state is State.CLOSED

    # The network's side.

    def receive_datagram(self, data: bytes, address: Address, now: float) -> None:
        """Take what came from `address`."""
        if self.closed or not self._session.knows(address):
            self.statistics.ignored += 1
            return
        try:
            message = self._unpack(data)
            if message.type in AUDIO_TYPES:
                self._receive_audio(message, now)
            elif message.type == Type.PARITY:
                self._receive_parity(message, now)
            elif message.type in _TAKEN:
                self._receive_control(message, len(data), address, now)
            else:
                self.statistics.ignored += 1
        except VersionError as error:
            self.statistics.malformed += 1
            if error.type == Type.REJECT:
                self._session.refused_version(error.mark, now)
        except ReplayError:
            self.statistics.replayed += 1
        except SealError as error:
            self._take_forged(error.message, now)
        except (MessageError, MpegAudioError):
            self.statistics.malformed += 1
        if self.closed:
            self._stop_audio()

    def datagrams_to_send(self, now: float) -> list[tuple[bytes, Address]]:
        """What has to go out, since the last call."""
        return self._session.datagrams_to_send()

    # The clock's side.

    def next_due(self) -> float | None:
        """When `on_due` wants to be called next."""
        due = self._session.next_due()
        if due is None or self._repair is None or not self._session.registered:
            return due
        return min(due, self._repair.next_due())

    def on_due(self, now: float) -> None:
        """Do what time asks for: connect, report, notice silence."""
        self._session.on_due(now)
        if self._session.report_is_due(now):
            self._session.report(self._report(Report, now), now)
        if self._repair is not None and self._session.registered:
            self._ask_for(self._repair.take_due(now), now)
            if self._rebuilder is not None:
                self._insert(self._rebuilder.sent_before(self._repair.sent_before), now)
        if self.closed:
            self._stop_audio()

    # The playback's side.

    def audio_to_play(self, now: float) -> list[Playable]:
        """What is due, in order. After the last `End` nothing more comes."""
        playable, self._ready = self._ready, []
        if self._buffer is not None:
            playable += self._buffer.take(now)
            for item in playable:
                if isinstance(item, Ready):
                    self._note_title(item.message)
        elif self._stopped and not self._ended:
            playable.append(End(None))
            self._ended = True
        return playable

    def next_playable(self) -> float | None:
        """When to ask `audio_to_play` at the latest if nothing arrives until then."""
        if self._is_waiting:
            return float("-inf")
        return None if self._buffer is None else self._buffer.next_due()

    def is_playable(self, now: float) -> bool:
        """Whether it is worth while to ask `audio_to_play` before that."""
        return self._is_waiting or (self._buffer is not None and self._buffer.is_ready(now))

    def account_audio(self, intact_s: float, repaired_s: float, concealed_s: float) -> None:
        """The owner has handed so much audio to the output, in all."""
        self.statistics.intact_s = intact_s
        self.statistics.repaired_s = repaired_s
        self.statistics.concealed_s = concealed_s

    def leave(self, now: float) -> None:
        """Stop listening: hand out what is at hand, settle the statistics, say goodbye."""
        self._stop_audio()
        if self._buffer is not None:
            self._buffer.take(now)
        self._session.leave(self._report(Goodbye, now), now)

    def snapshot(self, now: float) -> ListenSnapshot:
        """The state now."""
        accept, status = self._session.accept, self._session.status
        position_us = self._buffer.position_us(now) if self._buffer else 0
        heard = self._titles.at(position_us) or status or accept
        return ListenSnapshot(
            state=self._session.state,
            title=heard.title if heard else "",
            artist=heard.artist if heard else None,
            position_s=position_us / 1e6,
            duration_s=self._duration_s,
            buffer_s=self._buffer.buffered_s(now) if self._buffer else 0.0,
            listeners=status.listeners if status else None,
            statistics=self.statistics.copy(),
            tracks=(*self._tracks, *self._titles.heard),
        )

    # Within.

    @property
    def _is_waiting(self) -> bool:
        """Whether there is something to play that is not in the jitter buffer."""
        ends = self._stopped and not self._ended
        return bool(self._ready) or (ends and self._buffer is None)

    def _take_forged(self, message: Message, now: float) -> None:
        """What is not sealed with our key: nothing but a hint that the server may have another."""
        self.statistics.forged += 1
        if message.type == Type.REJECT:
            with contextlib.suppress(MessageError):
                self._session.refused_openly(message, now)

    def _receive_control(self, message: Message, size: int, address: Address, now: float) -> None:
        content = self._session.receive(message, address, now)
        self.statistics.rtt_s = self._session.round_trip.smoothed_s
        log.info("received %s %d, %d bytes", TYPE_NAMES[message.type], message.sequence, size)
        if isinstance(content, Accept):
            self._accepted(content, message.stream, now)
            self._duration_s = content.duration_s
        elif isinstance(content, Status | Track):
            self._duration_s = content.duration_s or self._duration_s
        if isinstance(content, Accept | Status | Track) and content.title:
            self._titles.learn(Title(message.media_time_us, content.title, content.artist))
        elif isinstance(content, EndMessage) and self._buffer is not None:
            assert self._repair is not None, "it comes with the buffer"
            if self._buffer.end(content.last_sequence, message.media_time_us, now):
                self._repair.ended(content.last_sequence, message.media_time_us, now)
                self._session.ended(now)
                if self._rebuilder is not None and content.last_sequence is not None:
                    self._insert(self._rebuilder.end(content.last_sequence), now)
        elif content is None and message.stream != (self._session.stream or 0):
            self.statistics.ignored += 1

    def _is_for_now(self, message: Message) -> bool:
        """Whether AUDIO or PARITY is of the stream that is heard; else it is kept, or counted."""
        if self._buffer is None or message.stream != self._stream:
            if self._session.state is State.CONNECTING and len(self._early) < MAX_EARLY:
                self._early.append(message)
            else:
                self.statistics.ignored += 1
            return False
        if self._session.state is State.LEAVING:
            # The final figures have been told.
            self.statistics.ignored += 1
            return False
        return True

    def _receive_audio(self, message: Message, now: float) -> None:
        if not self._is_for_now(message):
            return
        assert self._buffer is not None
        duration_us = audio_duration_us(message)
        arrival = self._buffer.insert(message, duration_us, now)
        if arrival is Arrival.IN_TIME or not self._is_sealed:
            # What came before may be a copy that somebody has kept.
            self._session.heard(now)
        kind = TYPE_NAMES[message.type]
        size = self._overhead_bytes + len(message.data)
        log.info("received %s %d, %d bytes", kind, message.sequence, size)
        if arrival is not Arrival.OVERFLOW and self._repair is not None:
            self._repair.arrived(message, duration_us, now)
        if arrival is not Arrival.OVERFLOW and self._rebuilder is not None:
            self._insert(self._rebuilder.add_audio(message), now)
        if arrival is not Arrival.IN_TIME:
            log.info("%s %d: %s", kind, message.sequence, arrival.name.lower())
            return
        if message.type != Type.AUDIO:
            return
        accept = self._session.accept
        if accept is not None and message.media_time_us >= accept.live_time_us:
            self.statistics.measure_jitter(message.media_time_us, accept.speed, now)

    def _receive_parity(self, message: Message, now: float) -> None:
        if not self._is_for_now(message):
            return
        if self._rebuilder is None:
            self.statistics.ignored += 1
            return
        if not self._is_sealed:
            self._session.heard(now)
        size = self._overhead_bytes + len(message.data)
        log.info("received PARITY of %d, %d bytes", message.sequence, size)
        self._insert(self._rebuilder.add_parity(message), now)

    def _insert(self, rebuilt: Sequence[Rebuilt], now: float) -> None:
        """What was computed goes where it was missing, if it still is."""
        assert self._buffer is not None
        assert self._repair is not None
        for message, duration_us in rebuilt:
            if self._buffer.insert_rebuilt(message, duration_us, now):
                log.info("AUDIO %d: rebuilt", message.sequence)
                self._repair.arrived(message, duration_us, now)

    def _accepted(self, accept: Accept, stream: int, now: float) -> None:
        if self._buffer is not None:
            self.statistics.reconnections += 1
        if self._buffer is not None and stream == self._stream:
            assert self._repair is not None, "it comes with the buffer"
            self._buffer.resume(accept.first_sequence)
            self._repair.resume(accept, now)
            if self._delay is not None:
                self._delay.live_from(accept.live_time_us)
        else:
            self._begin_stream(accept, stream, now)
        early, self._early = self._early, []
        for message in early:
            take = self._receive_parity if message.type == Type.PARITY else self._receive_audio
            try:
                take(message, now)
            except (MessageError, MpegAudioError):
                self.statistics.malformed += 1

    def _begin_stream(self, accept: Accept, stream: int, now: float) -> None:
        if self._buffer is not None:
            self._buffer.close()
            last = [item for item in self._buffer.take(now) if not isinstance(item, End)]
            self._ready += last
        self._stream = stream
        self._tracks = [*self._tracks, *self._titles.heard][-MOST_HEARD:]
        self._titles = Titles()
        self.statistics.restart_jitter()
        self._ready.append(NewStream(accept))
        self._rebuilder = self._make_rebuilder(accept, stream)
        # What parity gives comes a block later than what was lost.
        block_s = accept.block * MESSAGE_S / accept.speed if self._rebuilder else 0.0
        strict = not self._waits and accept.speed == 1.0
        self._delay = self._make_delay(accept, block_s) if strict else None
        buffer_s = USUAL_S if self._buffer_s is None else self._buffer_s
        self._buffer = JitterBuffer(
            accept.first_sequence,
            accept.first_time_us,
            self.statistics,
            buffer_s=self._delay.start_s if self._delay else max(buffer_s, block_s),
            speed=accept.speed,
            lead_s=self._lead_s,
            strict=strict,
            delay=self._delay,
        )
        self._repair = Repair(
            accept,
            self._buffer,
            self._session.round_trip,
            self.statistics,
            buffer_s=buffer_s,
            now=now,
            parity=self._rebuilder,
        )
        log.info("the stream is %08x, from message %d on", stream, accept.first_sequence)

    def _note_title(self, message: Message) -> None:
        title = self._titles.hand_out(message.media_time_us)
        if title is not None:
            by = f" by {title.artist}" if title.artist else ""
            log.info("AUDIO %d begins: %s%s", message.sequence, title.title, by)

    def _make_delay(self, accept: Accept, block_s: float) -> PlayoutDelay | None:
        if self._buffer_s is not None:
            return None
        delay = PlayoutDelay(self._session.round_trip, lead_s=self._lead_s, block_s=block_s)
        delay.live_from(accept.live_time_us)
        return delay

    def _make_rebuilder(self, accept: Accept, stream: int) -> Rebuilder | None:
        if not 0 < accept.block < MOST_SHARDS:
            return None
        return Rebuilder(
            block_messages=accept.block,
            parities=min(accept.parity, MOST_SHARDS - accept.block),
            stream=stream,
            first_sequence=accept.first_sequence,
            statistics=self.statistics,
            duration_us=audio_duration_us,
        )

    def _ask_for(self, sequences: Sequence[int], now: float) -> None:
        for text in texts_of(sequences, MAX_RANGES_TEXT):
            self._session.request(text, now)
            self.statistics.requests += 1
            log.info("asked for AUDIO %s", text)

    def _stop_audio(self) -> None:
        if self._buffer is not None:
            self._buffer.close()
        else:
            self._stopped = True

    def _report(self, kind: type[AnyReport], now: float) -> AnyReport:
        count = self.statistics
        accept = self._session.accept
        return kind(
            session=accept.session if accept else "",
            clock_us=round(now * 1e6),
            ended=self._session.state is State.ENDING,
            expected=count.expected,
            received=count.received,
            intact=count.intact,
            retransmitted=count.retransmitted,
            rebuilt=count.rebuilt,
            lost=count.lost,
            late=count.late,
            duplicates=count.duplicates,
            out_of_order=count.out_of_order,
            underruns=count.underruns,
            jitter_ms=milliseconds(count.jitter_s),
            rtt_ms=milliseconds(count.rtt_s),
            buffer_s=round(self._buffer.buffered_s(now), 3) if self._buffer else None,
            played_s=round(count.played_s, 3),
            concealed_s=round(count.concealed_s, 3),
        )


def audio_duration_us(message: Message) -> int:
    """How long the audio of an AUDIO message sounds; MpegAudioError unless it is whole frames."""
    frames = split_frames(message.data)
    rate_hz = frames[0].header.sample_rate_hz
    samples = sum(frame.header.samples for frame in frames)
    kept = samples - message.skip_samples - message.discard_samples
    if kept < 0 or any(frame.header.sample_rate_hz != rate_hz for frame in frames):
        raise MpegAudioError("the frames do not belong together")
    return round(kept * 1_000_000 / rate_hz)
