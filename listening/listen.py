"""The client's core: datagrams in; datagrams and audio out, on time.

Sans-I/O: no socket, no thread, no clock. `now` is monotonic, in seconds. The owner calls from one
thread at a time: the receiver thread brings datagrams, the playback thread takes audio with
`audio_to_play`. Nothing that comes from the network raises; every fault in it is counted.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import logging
from collections.abc import Sequence
from random import Random
from typing import TYPE_CHECKING, TypeVar

from audio.mpeg_audio import MpegAudioError
from listening.arrival.audio_message import Arrival
from listening.arrival.incoming_stream import IncomingStream
from listening.arrival.loss_log import LossLog
from listening.arrival.playable import EndOfStream, NewStream, Playable
from listening.arrival.starvation import Starvation
from listening.arrival.statistics import Statistics
from listening.arrival.titles import MOST_HEARD, Title
from listening.session.session import Session, State
from message import (
    AUDIO_TYPES,
    HEADER_BYTES,
    MAX_RANGES_TEXT,
    TAG_BYTES,
    TYPE_NAMES,
    Accept,
    End,
    Goodbye,
    Message,
    MessageError,
    ReplayError,
    Report,
    SealError,
    Status,
    Time,
    TrackChange,
    Type,
    VersionError,
)
from wire.address import Address
from wire.ranges import texts_of

if TYPE_CHECKING:
    from listening.session.seal import ClientSeal

MAX_EARLY = 256
"""AUDIO and PARITY that is kept when it overtakes its ACCEPT: a burst of several seconds."""

AnyReport = TypeVar("AnyReport", bound=Report)

_FROM_CLIENTS = frozenset((Type.CONNECT, Type.REPORT, Type.REQUEST, Type.CLOCK))

RECEIVED = "received %s %d, %d bytes"

message_log = logging.getLogger("client.messages")


@dataclasses.dataclass(frozen=True, slots=True)
class ListenSnapshot:
    """The client's state for a display or a report."""

    state: State
    title: str
    artist: str | None
    position_s: float
    duration_s: float | None
    buffer_s: float
    listeners: int | None
    statistics: Statistics
    tracks: Sequence[Title] = ()
    """Tracks that were heard, in order, with the media time at which each begins."""
    awaited: int = 0
    """Messages that are missing while their deadline has not come."""


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
        """`timeout_s`: seconds to look for the server; `patience_s`: for one that was lost.

        `buffer_s`: the play-out delay; None to follow the path, if the output cannot wait.
        `lead_s`: how early the output wants audio; `waits`: whether it can wait for it.
        `seal`: only messages sealed with our key count.
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
        self._begin_incoming = functools.partial(
            IncomingStream,
            self._session.round_trip,
            self.statistics,
            buffer_s=buffer_s,
            lead_s=lead_s,
            waits=waits,
        )
        self.starvation = Starvation(self.statistics)
        self._loss_log = LossLog(self.statistics, now)
        self._stream: IncomingStream | None = None
        self._early: list[Message] = []
        self._duration_s: float | None = None
        self._tracks: list[Title] = []
        self._ready: list[Playable] = []
        self._stopped = False
        self._ended = False

    @property
    def accept(self) -> Accept | None:
        """The newest ACCEPT of the server; None before the first."""
        return self._session.accept

    @property
    def failure(self) -> str | None:
        """Why listening failed, in one line for the user; None if it did not."""
        return self._session.failure

    @property
    def closed(self) -> bool:
        """Whether the session is over: nothing is sent or taken any more."""
        return self._session.state is State.CLOSED

    # The network's side.

    def receive_datagram(
        self, data: bytes, address: Address, now: float, came_at: float | None = None
    ) -> None:
        """Take a datagram that came from `address`, at `came_at` if the system tells."""
        if self.closed or not self._session.knows(address):
            self.statistics.ignored += 1
            return
        try:
            message = self._unpack(data)
            if message.type in AUDIO_TYPES:
                self._receive_audio(message, now)
            elif message.type == Type.PARITY:
                self._receive_parity(message, now)
            elif message.type in TYPE_NAMES and message.type not in _FROM_CLIENTS:
                self._receive_control(message, len(data), address, now, came_at)
            else:
                self.statistics.ignored += 1
        except VersionError as error:
            is_refusal = error.type == Type.REJECT
            if not (is_refusal and self._session.refused_version(error.mark, now)):
                self.statistics.malformed += 1
        except ReplayError:
            self.statistics.replayed += 1
        except SealError as error:
            self._take_forged(error.message, now)
        except (MessageError, MpegAudioError):
            self.statistics.malformed += 1
        if self.closed:
            self._stop_audio()

    def datagrams_to_send(self, now: float) -> list[tuple[bytes, Address]]:
        """Datagrams to send since the last call, and where to."""
        return self._session.datagrams_to_send()

    def departed(self, at: float) -> None:
        """What was to be sent left at `at`, all of it before and the last one then."""
        self._session.clock.departed(at)

    # The clock's side.

    def next_due(self) -> float | None:
        """When `on_due` wants to be called next."""
        due = self._session.next_due()
        if due is None or self._stream is None or not self._session.registered:
            return due
        return min(due, self._stream.next_due())

    def on_due(self, now: float) -> None:
        """Do what is due: connect, report, ask for what is missing, notice silence."""
        self._session.on_due(now)
        if self._session.report_is_due(now):
            self._session.report(self._report(Report, now), now)
        if self._stream is not None and self._session.registered:
            self._ask_for(self._stream.requests_due(now), now)
        self._loss_log.on_due(now)
        if self.closed:
            self._stop_audio()

    # The playback's side.

    def audio_to_play(self, now: float) -> list[Playable]:
        """What to play now, in order. Nothing follows `EndOfStream`."""
        playable, self._ready = self._ready, []
        if self._stream is not None:
            playable += self._stream.take(now)
        elif self._stopped and not self._ended:
            playable.append(EndOfStream(None))
            self._ended = True
        return playable

    def next_playable(self) -> float | None:
        """When to call `audio_to_play` at the latest if nothing arrives until then."""
        if self._is_waiting:
            return float("-inf")
        return None if self._stream is None else self._stream.buffer.next_due()

    def is_playable(self, now: float) -> bool:
        """Whether calling `audio_to_play` before that is worth while."""
        return self._is_waiting or (self._stream is not None and self._stream.buffer.is_ready(now))

    def account_audio(self, intact_s: float, repaired_s: float, concealed_s: float) -> None:
        """Seconds of audio that the owner has handed to the output, since the start."""
        self.statistics.intact_s = intact_s
        self.statistics.repaired_s = repaired_s
        self.statistics.concealed_s = concealed_s

    def leave(self, now: float) -> None:
        """Stop listening: give up what is missing, settle the statistics, say goodbye."""
        self._stopped = self._stream is None
        if self._stream is not None:
            self._stream.leave(now)
            self._stream.buffer.take(now)
        self._loss_log.on_due(float("inf"))
        self._session.leave(self._report(Goodbye, now), now)

    def snapshot(self, now: float) -> ListenSnapshot:
        """The state now."""
        accept, status, stream = self._session.accept, self._session.status, self._stream
        position_us = stream.position_us(now) if stream else 0
        title = stream.titles.at(position_us) if stream else None
        heard = title or status or accept
        return ListenSnapshot(
            state=self._session.state,
            title=heard.title if heard else "",
            artist=heard.artist if heard else None,
            position_s=position_us / 1e6,
            duration_s=self._duration_s,
            buffer_s=stream.buffer.buffered_s(now) if stream else 0.0,
            listeners=status.listeners if status else None,
            statistics=self.statistics.copy(),
            awaited=stream.awaited if stream else 0,
            tracks=(*self._tracks, *(stream.titles.heard(position_us) if stream else ())),
        )

    # Within.

    @property
    def _is_waiting(self) -> bool:
        """Whether there is something to play that is not in the jitter buffer."""
        ends = self._stopped and not self._ended
        return bool(self._ready) or (ends and self._stream is None)

    def _take_forged(self, message: Message, now: float) -> None:
        """Count a message not sealed with our key; a REJECT hints at another key of the server."""
        self.statistics.forged += 1
        if message.type == Type.REJECT:
            with contextlib.suppress(MessageError):
                self._session.refused_openly(message, now)

    def _receive_control(
        self, message: Message, size: int, address: Address, now: float, came_at: float | None
    ) -> None:
        content = self._session.receive(message, address, now, came_at)
        self.statistics.rtt_s = self._session.round_trip.smoothed_s
        message_log.info(RECEIVED, TYPE_NAMES[message.type], message.sequence, size)
        stream = self._stream
        if isinstance(content, Status):
            self.starvation.informed(content)
        elif isinstance(content, Time) and stream is not None:
            stream.follow(self._session.clock.estimate(now))
        if isinstance(content, Accept):
            stream = self._accepted(content, message.stream, now)
            self._duration_s = content.duration_s
        elif isinstance(content, Status | TrackChange):
            self._duration_s = content.duration_s or self._duration_s
        if content is None and self._is_not_for_us(message):
            self.statistics.ignored += 1
        elif stream is None:
            return
        elif isinstance(content, End) and stream.end(content, message.media_time_us, now):
            self._session.ended(now)
        elif not stream.informed(content, message):
            self.statistics.ignored += 1

    def _is_not_for_us(self, message: Message) -> bool:
        """Whether a control message that means nothing counts; a TIMELINE is told again."""
        stream = self._session.stream or 0
        unasked = message.type == Type.TIME and stream > 0
        return message.type != Type.TIMELINE and (message.stream != stream or unasked)

    def _stream_of(self, message: Message) -> IncomingStream | None:
        """The stream that is heard, if `message` is of it; else keep the message, or count it."""
        stream, state = self._stream, self._session.state
        if stream is None or message.stream != stream.id:
            if state is State.CONNECTING and len(self._early) < MAX_EARLY:
                self._early.append(message)
                return None
        elif state is not State.LEAVING:  # by then the final figures have been told
            return stream
        self.statistics.ignored += 1
        return None

    def _receive_audio(self, message: Message, now: float) -> None:
        stream = self._stream_of(message)
        if stream is None or message.sequence < stream.first_sequence:
            self.statistics.ignored += stream is not None
            return
        arrival = stream.receive_audio(message, now)
        if arrival is Arrival.IN_TIME or not self._is_sealed:
            # Sealed media that has come before may be a replay, and no sign of life.
            self._session.heard(now)
        if message.type == Type.AUDIO and not stream.is_explained(message, now):
            self._session.clock.hint(now)
        size = self._overhead_bytes + len(message.data)
        became = "" if arrival is Arrival.IN_TIME else f": {arrival.name.lower()}"
        message_log.info(RECEIVED + became, TYPE_NAMES[message.type], message.sequence, size)

    def _receive_parity(self, message: Message, now: float) -> None:
        stream = self._stream_of(message)
        if stream is None:
            return
        if not stream.has_parity:
            self.statistics.ignored += 1
            return
        if not self._is_sealed:
            self._session.heard(now)
        size = self._overhead_bytes + len(message.data)
        message_log.info(RECEIVED, "PARITY of", message.sequence, size)
        stream.receive_parity(message, now)

    def _accepted(self, accept: Accept, stream: int, now: float) -> IncomingStream:
        self.statistics.reconnections += self._stream is not None
        known = self._stream
        if known is not None and stream == known.id:
            known.resume(accept, now)
        else:
            known = self._stream = self._begin_stream(accept, stream, now)
        early, self._early = self._early, []
        for message in early:
            take = self._receive_parity if message.type == Type.PARITY else self._receive_audio
            try:
                take(message, now)
            except (MessageError, MpegAudioError):
                self.statistics.malformed += 1
        return known

    def _begin_stream(self, accept: Accept, stream: int, now: float) -> IncomingStream:
        if self._stream is not None:
            self._stream.buffer.close()
            last = self._stream.take(now)
            self._ready += [item for item in last if not isinstance(item, EndOfStream)]
            heard = self._stream.titles.heard(self._stream.position_us(now))
            self._tracks = [*self._tracks, *heard][-MOST_HEARD:]
        self._ready.append(NewStream(accept))
        return self._begin_incoming(accept, stream, now)

    def _ask_for(self, sequences: Sequence[int], now: float) -> None:
        for text in texts_of(sequences, MAX_RANGES_TEXT):
            self._session.request(text, now)
            self.statistics.requests += 1
            message_log.info("asked for AUDIO %s", text)

    def _stop_audio(self) -> None:
        if self._stream is not None:
            self._stream.buffer.close()
        else:
            self._stopped = True

    def _report(self, kind: type[AnyReport], now: float) -> AnyReport:
        count, accept, stream = self.statistics, self._session.accept, self._stream
        return kind(
            session=accept.session if accept else "",
            clock_us=round(now * 1e6),
            ended=self._session.state is State.ENDING,
            buffer_s=round(stream.buffer.buffered_s(now), 3) if stream else None,
            **count.reported(),
        )
