"""The server without its sockets: datagrams and segments in, datagrams out, on time.

Sans-I/O: no socket, no thread, no clock. `now` is monotonic, in seconds. The owner calls from
one thread at a time.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from broadcasting.audience import Audience
from broadcasting.parity_control import ParityControl
from broadcasting.ranking import Ranked, Ranking
from broadcasting.reception import NEVER, Departed, Reception
from broadcasting.registry import Change
from broadcasting.settings import Settings
from broadcasting.source import Segment
from broadcasting.statistics import Lateness, ServerStatistics
from broadcasting.stream import Stream
from broadcasting.turns import Turn, Turns
from message import End, cut_text
from wire.address import Address
from wire.log import get_logger

if TYPE_CHECKING:
    from broadcasting.seal import ServerSeal

END_REPEAT_S = 0.1
END_REPEAT_MOST_S = 0.4
"""END goes again to those who have not confirmed it: first so soon that a short play-out delay is
enough, then after twice as long each time, up to a few round trips of a long path."""

DRAIN_S = 30.0
"""How long after the end a listener may go on playing what it has before the server leaves."""

log = get_logger("server")


@dataclasses.dataclass(frozen=True, slots=True)
class BroadcastSnapshot:
    """The server's state for a display or a report; changes with nothing."""

    title: str
    track: int
    position_s: float
    duration_s: float | None
    started: bool
    closing: bool
    listeners: int
    lost: int
    """Messages that the listeners reported lost, all together."""
    jitter_ms: float | None
    """The worst jitter a listener reported."""
    lateness_p50_ms: float | None
    lateness_p99_ms: float | None
    lateness_max_ms: float | None
    statistics: ServerStatistics
    audience: Audience


@dataclasses.dataclass(frozen=True, slots=True)
class BroadcastView:
    """What somebody who looks on wants to know, every second; changes with nothing."""

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
        """`token` gives a fresh session token that nobody can guess, at each call.

        `seal`: only who has the key may listen.
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
            seal=seal,
            live=settings.live,
            duration_s=settings.duration_s,
        )
        self._control = ParityControl() if settings.fec and settings.fec.auto else None
        self._reception = Reception(
            settings,
            self._stream,
            self.statistics,
            self._control,
            secret=secret,
            token=token,
            seal=seal,
        )
        self._registry = self._reception.registry
        self._ranking = Ranking(self._registry, self._reception.read_report)
        self._turns = Turns()
        self._end: End | None = None
        self._end_due = 0.0
        self._end_pause_s = END_REPEAT_S
        self._drained_at = 0.0

    # The source's side.

    @property
    def wants_segment(self) -> bool:
        """Whether the reader should add the next segment now."""
        # A live source that is read before anybody is there would be stale when somebody comes.
        wanted = not self._stream.live or self._stream.started or self._are_enough
        return self._end is None and self._stream.wants_segment and wanted

    @property
    def is_empty(self) -> bool:
        """Whether nothing has been read ahead."""
        return self._stream.is_empty

    def add_segment(self, segment: Segment) -> None:
        """Take the next segment of the programme."""
        self._stream.add_segment(segment)

    def end_of_source(self) -> None:
        """The programme has no further segment."""
        self._stream.end_of_source()

    def skip(self) -> int | None:
        """Go to the next track at once; the number of the one that the source must leave, too."""
        return self._stream.skip() if self._end is None else None

    # The network's side.

    def receive_datagram(self, data: bytes, address: Address, now: float) -> bool:
        """Take what came from `address`; whether it was looked at, so that more may be to do."""
        if not self._reception.receive_datagram(data, address, now):
            return False
        self._start_if_ready(now)
        return True

    def datagrams_to_send(self, now: float) -> list[tuple[bytes, Address]]:
        """What has to go to one listener each, since the last call."""
        return self._reception.datagrams_to_send(now)

    def take_turn(self, now: float) -> Turn | None:
        """What has to go to a part of the listeners now.

        To those who were registered when the first turn of its pass was taken, for which
        `take_changes` is called just before this.
        """
        if not self._turns.under_way:
            if self._control is not None:
                self._stream.parities = self._control.decide(now)
            sent = self._stream.take_due(now)
            if sent:
                until = self._stream.next_due()
                self._turns.begin(sent, len(self._registry), now, until)
        return self._turns.take(now)

    @property
    def addresses(self) -> tuple[Address, ...]:
        """Every registered listener."""
        return self._registry.addresses

    @property
    def has_changed(self) -> bool:
        """Whether somebody joined or left since `take_changes`: there may be more to do at once."""
        return self._registry.has_changed

    def take_changes(self) -> list[Change]:
        """Who joined and who left since the last call, in order."""
        return self._registry.take_changes()

    # The clock's side.

    def next_due(self) -> float | None:
        """When `on_due` wants to be called next; None while only a datagram can change that."""
        due = self._reception.next_due()
        stream_due = self._turns.next_due() if self._turns.under_way else self._stream.next_due()
        if stream_due is not None:
            due = min(due, stream_due)
        if self._end is not None:
            due = min(due, self._end_due, self._drained_at)
        elif self._is_over or self._is_ready:
            due = 0.0
        return due if due < NEVER else None

    def on_due(self, now: float) -> None:
        """Do what time asks for: start, expire, end."""
        self._reception.expire(now)
        self._start_if_ready(now)
        if self._stream.live and self._end is None and not self._turns.under_way:
            self._stream.stand_in(now)
        if self._end is None and self._is_over:
            self._close("finished", now)
        if self._end is not None and now >= self._end_due:
            self._send_end(now)

    def stop(self, now: float) -> None:
        """End the stream here: END to everyone, then drain."""
        if self._end is None:
            self._stream.cut()
            self._close("stopped", now)

    def finished(self, now: float) -> bool:
        """Whether the server may leave: the end is told, and the listeners are gone."""
        return self._end is not None and (not self._registry or now >= self._drained_at)

    # What the owner tells and asks.

    def account(
        self, turn: Turn, done_at: float, listeners: int, missed: Sequence[Address]
    ) -> None:
        """The last of the `listeners` of `turn` was sent its messages at `done_at`.

        They are all audio or all parity: the owner sends one of the `runs` of a turn at a time.
        `missed` names an address for each datagram that the system did not take for it.
        """
        count, sent = self.statistics, turn.messages
        overhead_bytes = self._stream.overhead_bytes
        new_bytes = sum(len(one.datagram) - overhead_bytes for one in sent) if turn.is_first else 0
        taken = len(sent) * listeners - len(missed)
        if sent[0].is_track:
            return
        if sent[0].is_parity:
            count.parity_messages += len(sent) if turn.is_first else 0
            count.parity_bytes += new_bytes
            count.parity_datagrams += taken
            count.parity_unsent += len(missed)
            return
        for one in sent:
            self.lateness.add(self._stream.lateness_s(one, done_at) - turn.offset_s)
        count.messages += len(sent) if turn.is_first else 0
        count.audio_bytes += new_bytes
        count.datagrams += taken
        count.unsent += len(missed)
        for address in missed:
            listener = self._registry.at(address)
            if listener is not None:
                listener.unsent += 1

    def snapshot(self, now: float) -> BroadcastSnapshot:
        """The state now. Costs in proportion to the number of listeners."""
        read = self._reception.read_report
        reports = [report for one in self._registry if (report := read(one)) is not None]
        statistics = dataclasses.replace(
            self.statistics,
            rejected=self.statistics.rejected.copy(),
            source_stalls=self._stream.stalls,
            silence_s=self._stream.silence_us / 1e6,
        )
        track = self._stream.track
        return BroadcastSnapshot(
            title=self.title,
            track=track.number if track else 0,
            position_s=self._heard_s(now),
            duration_s=self._stream.duration_s,
            started=self._stream.started,
            closing=self._end is not None,
            listeners=len(self._registry),
            lost=self._reception.audience.lost,
            jitter_ms=max((r.jitter_ms for r in reports if r.jitter_ms is not None), default=None),
            lateness_p50_ms=_ms(self.lateness.percentile_s(50)),
            lateness_p99_ms=_ms(self.lateness.percentile_s(99)),
            lateness_max_ms=_ms(self.lateness.max_s),
            statistics=statistics,
            audience=dataclasses.replace(self._reception.audience),
        )

    def _heard_s(self, now: float) -> float:
        """How much has been heard; all that was sent when the last have left after the end."""
        if self._end is not None and not len(self._registry):
            return self._stream.sent_until_us / 1e6
        return self._stream.position_s(now)

    def look(self, places: int, now: float) -> bool:
        """Look how some listeners fare, for `view`; whether there are more to be looked at.

        `places`: how many of the worst `view` should tell of.
        """
        return self._ranking.look(places, now)

    def view(self, now: float) -> BroadcastView:
        """The state now. Costs the same for any number of listeners."""
        track = self._stream.track
        return BroadcastView(
            title=cut_text(track.title) if track else "",
            artist=cut_text(track.artist) if track and track.artist else None,
            bit_rate_bps=track.bit_rate_bps if track else None,
            position_s=self._stream.position_s(now),
            duration_s=self._stream.duration_s,
            started=self._stream.started,
            closing=self._end is not None,
            listeners=len(self._registry),
            ranked=self._ranking.ranked,
            lateness_p99_ms=_ms(self.lateness.percentile_s(99)),
        )

    def position_s(self, now: float) -> float | None:
        """Where the stream is; None if it has not started."""
        return self._stream.position_s(now) if self._stream.started else None

    @property
    def title(self) -> str:
        """Of the track that is being sent; empty before the first is known."""
        track = self._stream.track
        return cut_text(track.title) if track else ""

    @property
    def departed(self) -> Sequence[Departed]:
        """Those who left, the newest last."""
        return self._reception.departed

    def listeners(self, now: float) -> list[Departed]:
        """Everyone who was or is registered, with the last figures each gave."""
        return [*self.departed, *self.present(self.addresses, now)]

    def present(self, addresses: Sequence[Address], now: float) -> list[Departed]:
        """Those of `addresses` who are registered, with the last figures each gave."""
        found = (one for address in addresses if (one := self._registry.at(address)) is not None)
        return [
            Departed(one.address, one.joined_at, now, "listening", self._reception.read_report(one))
            for one in found
        ]

    # Within.

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
        """Whether as many listen as the start waits for."""
        return len(self._registry) >= self.settings.wait_for

    def _start_if_ready(self, now: float) -> None:
        if self._is_ready:
            self._stream.start(now)
            log.info("the stream starts with %d listeners", len(self._registry))

    def _close(self, reason: str, now: float) -> None:
        last = self._stream.next_sequence - 1
        self._end = End(last_sequence=last if last >= 0 else None, reason=reason)
        self._reception.closing = True
        self._end_due = now
        self._end_pause_s = END_REPEAT_S
        self._drained_at = now + DRAIN_S + self.settings.ahead_s
        log.info("the stream ends with message %s: %s", self._end.last_sequence, reason)

    def _send_end(self, now: float) -> None:
        assert self._end is not None
        self._reception.tell_the_end(self._end, self._stream.sent_until_us)
        self._end_due = now + self._end_pause_s
        self._end_pause_s = min(2 * self._end_pause_s, END_REPEAT_MOST_S)


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1e3, 3)
