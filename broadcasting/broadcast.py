"""The server without its sockets: datagrams and segments in, datagrams out, on time.

    receive_datagram    a datagram of a listener -> answers to send at once
    step                everything that is due now, and when to call again
    add_segment, end_of_source      the programme, when `step` wants it
    account             how sending went
    snapshot, view      the state, for displays and reports

Sans-I/O: no socket, no thread, no clock. `now` is monotonic, in seconds. The owner calls from one
thread at a time.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from broadcasting.audience.figures import Audience
from broadcasting.audience.ranking import Ranked, Ranking
from broadcasting.audience.registry import NEVER
from broadcasting.audience.sessions import Sessions
from broadcasting.sending.turns import Turn, Turns
from broadcasting.settings import Fragments, Settings
from broadcasting.source.segments import Segment
from broadcasting.statistics import Lateness, ServerStatistics
from broadcasting.stream.parity_control import Loss, ParityControl
from broadcasting.stream.stream import Stream
from message import End, Message, Type, cut_text
from wire.address import Address

if TYPE_CHECKING:
    from broadcasting.audience.seal import ServerSeal

END_REPEAT_S = 0.1
"""First pause before END goes again to listeners that have not confirmed it: soon enough for a
short play-out delay. It doubles each time."""

END_REPEAT_MOST_S = 0.4
"""Longest pause before END goes again: a few round trips of a long path."""

DRAIN_S = 30.0
"""Time after the end, beyond what was sent ahead, in which listeners may play what they have before
the server leaves."""

READ_AHEAD_S = 0.003
"""No segments are wanted this shortly before a deadline, unless none lies ready: packing those that
come together, and the parity of a block, takes a millisecond."""

log = logging.getLogger("server")


class Received(NamedTuple):
    """Answers to a datagram, and whether more is to do."""

    answers: list[tuple[bytes, Address]]
    """Datagrams to send now, each with its destination."""
    is_due: bool
    """Whether `step` should be called at once: a listener joined, left or moved."""


class Step(NamedTuple):
    """What the owner has to do now, and when to call `step` again."""

    turn: Turn | None
    """Messages for a part of the listeners: those that `joined` and `left` tell of up to here."""
    joined: Collection[Address]
    left: Collection[Address]
    """How the listeners changed since the last pass; empty unless `turn` begins one. First remove
    those that left, then add those that joined."""
    narrow: Mapping[Address, Fragments]
    """Listeners whose datagrams the kernel may fragment from now on; empty unless `turn` begins a
    pass."""
    answers: list[tuple[bytes, Address]]
    """Datagrams to send now, each with its destination."""
    due: float | None
    """When to call `step` again; None: only when a datagram or a segment changes something."""
    finished: bool
    """Whether the server may leave: everybody has been told the end, and is gone or had time."""
    wants_segment: bool
    """Whether to add the next segments of the source now, if there are any, and call `step`
    again."""
    starves: bool
    """Whether nothing lies ready: the next segment is wanted as soon as there is one."""


@dataclasses.dataclass(frozen=True, slots=True)
class BroadcastSnapshot:
    """The whole state, for a report. Immutable."""

    title: str
    track: int
    position_s: float
    duration_s: float | None
    started: bool
    closing: bool
    listeners: int
    lost: int
    """Messages that all listeners together reported lost."""
    lateness_p50_ms: float | None
    lateness_p99_ms: float | None
    lateness_max_ms: float | None
    statistics: ServerStatistics
    audience: Audience


@dataclasses.dataclass(frozen=True, slots=True)
class BroadcastView:
    """State for a display that is refreshed every second. Immutable."""

    title: str
    artist: str | None
    bit_rate_bps: int | None
    position_s: float
    duration_s: float | None
    started: bool
    closing: bool
    listeners: int
    ranked: Ranked
    lateness_p99_ms: float | None


class Broadcast:
    """One run of the server."""

    def __init__(
        self,
        settings: Settings,
        *,
        stream_id: int,
        secret: bytes,
        token: Callable[[], str],
        seal: ServerSeal | None = None,
    ) -> None:
        """`token` returns a fresh session token that nobody can guess, at each call.

        With a `seal` only clients that have its key may listen.
        """
        self.settings = settings
        self.statistics = ServerStatistics()
        self.lateness = Lateness()
        self._stream = Stream(
            stream_id,
            burst_s=settings.ahead_s,
            interval_s=settings.interval_s,
            speed=settings.speed,
            fec=settings.fec,
            pack=Message.pack if seal is None else seal.pack_media,
            is_sealed=seal is not None,
            live=settings.live,
            duration_s=settings.duration_s,
        )
        self._control = ParityControl() if settings.fec and settings.fec.auto else None
        self._sessions = Sessions(
            settings, self._stream, self.statistics, secret=secret, token=token, seal=seal
        )
        self.registry = self._sessions.registry
        self.figures = self._sessions.figures
        self.ranking = Ranking(self.registry, self.figures)
        self._turns = Turns()
        self._end: End | None = None
        self._end_due = 0.0
        self._end_pause_s = END_REPEAT_S
        # Those that are still to be told the end this time.
        self._to_be_told: Iterator[Address] | None = None
        self._drained_at = 0.0

    def add_segment(self, segment: Segment) -> None:
        """Take the next segment of the programme; after the end there is none."""
        if self._end is None:
            self._stream.add_segment(segment)

    def end_of_source(self) -> None:
        """The programme has no further segment."""
        self._stream.end_of_source()

    def skip(self) -> int | None:
        """Go to the next track at once.

        Returns the number of the track that the source must leave, too, which may be one that has
        not come yet; None if there is none.
        """
        return self._stream.skip() if self._end is None else None

    def receive_datagram(
        self, data: bytes, address: Address, now: float, came_at: float | None = None
    ) -> Received | None:
        """Take a datagram that came at `came_at`, or `now`; None if it was not looked at."""
        changes = self.registry.changes
        if not self._sessions.receive_datagram(data, address, now, came_at):
            return None
        answers = self._sessions.datagrams_to_send(now)
        return Received(answers, self.registry.changes != changes)

    def step(self, now: float) -> Step:
        """Do what is due at `now`: expire, start, send, end."""
        self._sessions.expire(now)
        self._start_if_ready(now)
        if self._end is None and not self._turns.under_way:
            self._stream.make_good(now)
        if self._end is None and self._is_over:
            self._close("finished", now)
        if self._end is not None:
            self._send_end(self._end, now)
        turn = self._take_turn(now)
        begins = turn is not None and turn.is_first
        joined, left = self.registry.take_changes() if begins else ((), ())
        narrow = self._sessions.paths.take_narrow() if begins else {}
        answers = self._sessions.datagrams_to_send(now)
        due = self._next_due()
        finished, wants = self._is_finished(now), self._wants_segment(now, due)
        starves = self._stream.is_empty or not self._stream.started
        return Step(turn, joined, left, narrow, answers, due, finished, wants, starves)

    def stop(self, now: float) -> None:
        """End the stream here: END to everyone, then drain."""
        if self._end is None:
            self._stream.cut()
            self._close("stopped", now)

    def account(
        self,
        turn: Turn,
        done_at: float,
        listeners: int,
        missed: Sequence[Address],
        too_long: Sequence[Address] = (),
    ) -> None:
        """Count what was sent: the last of the `listeners` of `turn` got its messages at `done_at`.

        The messages are all audio or all parity: the owner sends one of the `runs` of a turn at a
        time. `missed` holds an address for each datagram that the system did not take, `too_long`
        the listeners for whose path they were too long.
        """
        if too_long:
            self._sessions.paths.refused(too_long)
        count, sent = self.statistics, turn.messages
        overhead_bytes = self._stream.overhead_bytes
        new_bytes = sum(len(one.datagram) - overhead_bytes for one in sent) if turn.is_first else 0
        taken = len(sent) * listeners - len(missed)
        if sent[0].kind in (Type.TRACK, Type.TIMELINE):
            return
        if sent[0].kind == Type.PARITY:
            count.parity_messages += len(sent) if turn.is_first else 0
            count.parity_bytes += new_bytes
            count.parity_datagrams += taken
            count.parity_unsent += len(missed)
            return
        for one in sent:
            self.lateness.add(self._stream.lateness_s(one, done_at) - turn.offset_s)
            if turn.is_first:
                self._sessions.paths.sent(len(one.datagram))
        count.messages += len(sent) if turn.is_first else 0
        count.audio_bytes += new_bytes
        count.datagrams += taken
        count.unsent += len(missed)

    def snapshot(self, now: float) -> BroadcastSnapshot:
        """The whole state now, with the figures of the REPORTs that were read.

        Costs the same for any number of listeners.
        """
        statistics = dataclasses.replace(
            self.statistics,
            rejected=self.statistics.rejected.copy(),
            source_stalls=self._stream.silence.stalls,
            silence_s=self._stream.silence.duration_us / 1e6,
        )
        track = self._stream.track
        return BroadcastSnapshot(
            title=cut_text(track.title) if track else "",
            track=track.number if track else 0,
            position_s=self._heard_s(now),
            duration_s=self._stream.skipping.duration_s,
            started=self._stream.started,
            closing=self._end is not None,
            listeners=len(self.registry),
            lost=self.figures.audience.lost,
            lateness_p50_ms=_ms(self.lateness.percentile_s(50)),
            lateness_p99_ms=_ms(self.lateness.percentile_s(99)),
            lateness_max_ms=_ms(self.lateness.max_s),
            statistics=statistics,
            audience=dataclasses.replace(self.figures.audience),
        )

    def _heard_s(self, now: float) -> float:
        """Seconds that have been heard: all that was sent, when the last has left after the end."""
        if self._end is not None and not len(self.registry):
            return self._stream.sent_until_us / 1e6
        return self._stream.position_s(now)

    def view(self, now: float) -> BroadcastView:
        """The state now; costs the same for any number of listeners."""
        track = self._stream.track
        return BroadcastView(
            title=cut_text(track.title) if track else "",
            artist=cut_text(track.artist) if track and track.artist else None,
            bit_rate_bps=track.bit_rate_bps if track else None,
            position_s=self._stream.position_s(now),
            duration_s=self._stream.skipping.duration_s,
            started=self._stream.started,
            closing=self._end is not None,
            listeners=len(self.registry),
            ranked=self.ranking.ranked,
            lateness_p99_ms=_ms(self.lateness.percentile_s(99)),
        )

    def _take_turn(self, now: float) -> Turn | None:
        """The turn that is due, if one is."""
        if not self._turns.under_way:
            if self._control is not None and self._end is None:
                self._stream.parity.parity_count = self._control.decide(now, self._losses())
            sent = self._stream.take_due(now)
            if self._end is None and self._stream.timeline.due <= now:
                sent = [*self._stream.timeline.take_due(now), *sent]
            if sent:
                until = self._stream.next_due()
                self._turns.begin(sent, len(self.registry), now, until)
        return self._turns.take(now)

    def _losses(self) -> Iterator[Loss | None]:
        """The loss of each listener that was registered when the first is asked for."""
        for address in self.registry.addresses:
            listener = self.registry.at(address)
            yield None if listener is None else listener.loss

    def _next_due(self) -> float | None:
        due = self._sessions.next_due()
        stream_due = self._turns.next_due() if self._turns.under_way else self._stream.next_due()
        if stream_due is not None:
            due = min(due, stream_due)
        if self._end is None and not self._turns.under_way:
            due = min(due, self._stream.timeline.due)
        if self._to_be_told is not None:
            due = 0.0
        elif self._end is not None:
            due = min(due, self._end_due, self._drained_at)
        elif self._is_over or self._is_ready:
            due = 0.0
        return due if due < NEVER else None

    def _wants_segment(self, now: float, due: float | None) -> bool:
        if self._end is not None or not self._stream.wants_segment:
            return False
        # A live source that is read before anybody is there would be stale when somebody comes.
        if self._stream.live and not self._stream.started and not self._are_enough:
            return False
        return self._stream.is_empty or due is None or due - now >= READ_AHEAD_S

    def _is_finished(self, now: float) -> bool:
        return self._end is not None and (not self.registry or now >= self._drained_at)

    @property
    def _is_over(self) -> bool:
        """Whether everyone has been sent the last message."""
        return self._stream.ended and not self._turns.under_way

    @property
    def _is_ready(self) -> bool:
        """Whether the stream can start, and has not."""
        if self._stream.started or self._end is not None:
            return False
        return self._are_enough and self._stream.is_filled

    @property
    def _are_enough(self) -> bool:
        """Whether there are the listeners that the start waits for."""
        return len(self.registry) >= self.settings.wait_for

    def _start_if_ready(self, now: float) -> None:
        if self._is_ready:
            self._stream.start(now)
            log.info("the stream starts, listeners: %d", len(self.registry))

    def _close(self, reason: str, now: float) -> None:
        last = self._stream.next_sequence - 1
        self._end = End(last_sequence=last if last >= 0 else None, reason=reason)
        self.registry.closing = True
        self._end_due = now
        self._end_pause_s = END_REPEAT_S
        self._drained_at = now + DRAIN_S + self.settings.ahead_s
        log.info("the stream ends with message %s: %s", self._end.last_sequence, reason)

    def _send_end(self, end: End, now: float) -> None:
        """Tell some listeners the end, if it is time for that."""
        if self._to_be_told is None and now >= self._end_due:
            self._to_be_told = iter(self.registry.addresses)
            self._end_due = now + self._end_pause_s
            self._end_pause_s = min(2 * self._end_pause_s, END_REPEAT_MOST_S)
        told = self._to_be_told
        if told is not None and not self._sessions.tell_the_end(
            end, self._stream.sent_until_us, told
        ):
            self._to_be_told = None


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1e3, 3)
