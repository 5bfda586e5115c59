"""The server without its sockets: datagrams and segments in, datagrams out, on time.

Sans-I/O: no socket, no thread, no clock. `now` is monotonic, in seconds. The owner calls from
one thread at a time. A datagram that is at fault is counted and dropped; nothing that a peer
sends raises out of `receive_datagram`.

The handshake makes no state for an address that has not proved itself (`cookie`), and answers
it with no more bytes than it sent.
"""

from __future__ import annotations

import dataclasses
import logging
from collections import deque
from collections.abc import Callable, Sequence
from typing import Literal

from broadcasting.catch_up import CatchUp
from broadcasting.cookie import CookieJar
from broadcasting.history import Sent
from broadcasting.registry import Change, Listener, Registry
from broadcasting.source import Segment
from broadcasting.statistics import Lateness, ServerStatistics
from broadcasting.stream import Stream
from message import (
    HEADER_BYTES,
    Accept,
    Challenge,
    Connect,
    Control,
    End,
    Goodbye,
    Message,
    MessageError,
    Reject,
    Report,
    Status,
    Type,
    VersionError,
    cut_text,
)
from wire.address import Address, address_text

REPORTS_PER_S = 250.0
"""REPORTs from all listeners together. One costs 30 to 50 µs with its answer, so this is about
one per cent of a core, however many listen; bandwidth would allow far more (the 5 % of RFC 3550,
section 6.2)."""

REPORT_S = 1.0
REPORTS_IN_TIMEOUT = 5
"""From one REPORT of a listener to its next, while they are few, or so many in --timeout."""

LOGGED_LISTENERS = 64
"""With more listeners than this, REPORTs and their answers are logged with -v only."""

BURST_PATIENCE_S = 0.5
"""A burst that would wait longer for its turn is not begun: it would come too late to be played.
Who joins then begins with the next segment, and sounds when its buffer is full."""

END_REPEAT_S = 0.25
"""END goes again to those who have not confirmed it: a few round trips of a long path."""

DRAIN_S = 30.0
"""How long after the end a listener may go on playing what it has before the server leaves."""

MAX_DEPARTED = 10_000
"""Final figures kept of listeners that left, the newest: a bound, for a server that runs on."""

Leaving = Literal["goodbye", "silent", "replaced", "listening"]
"""How a listener went; the last one has not."""

log = logging.getLogger("server")


@dataclasses.dataclass(frozen=True, slots=True)
class Settings:
    """What the user chose; the units are in the names."""

    max_clients: int = 64
    wait_for: int = 1
    burst_s: float = 1.0
    interval_s: float | None = None
    timeout_s: float = 5.0
    speed: float = 1.0
    burst_rate_bytes_per_s: float = 12_500_000.0
    duration_s: float | None = None
    """Length of the whole programme; None if it is not known or has no end."""


@dataclasses.dataclass(frozen=True, slots=True)
class Departed:
    """A listener that is gone, with the last figures it gave."""

    address: Address
    joined_at: float
    left_at: float
    how: Leaving
    report: Report | None


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


class Broadcast:
    """One run of the server."""

    def __init__(
        self, settings: Settings, *, stream_id: int, secret: bytes, token: Callable[[], str]
    ) -> None:
        """`token` gives a fresh unguessable session token at each call, in hexadecimal."""
        self.settings = settings
        self.statistics = ServerStatistics()
        self.lateness = Lateness()
        self.departed: deque[Departed] = deque(maxlen=MAX_DEPARTED)
        self._token = token
        self._cookies = CookieJar(secret)
        self._registry = Registry(settings.max_clients, settings.timeout_s)
        self._stream = Stream(
            stream_id,
            burst_s=settings.burst_s,
            interval_s=settings.interval_s,
            speed=settings.speed,
        )
        self._catch_up = CatchUp(settings.burst_rate_bytes_per_s)
        self._outbox: list[tuple[bytes, Address]] = []
        self._sequence = 0
        self._end: End | None = None
        self._end_due = 0.0
        self._drained_at = 0.0
        self._takes: dict[int, Callable[[Message, int, Address, float], None]] = {
            Type.CONNECT: self._receive_connect,
            Type.REPORT: self._receive_report,
            Type.GOODBYE: self._receive_goodbye,
        }

    # The source's side.

    @property
    def wants_segment(self) -> bool:
        """Whether the reader should add the next segment now."""
        return self._end is None and self._stream.wants_segment

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

    # The network's side.

    def receive_datagram(self, data: bytes, address: Address, now: float) -> None:
        """Take what came from `address`."""
        try:
            message = Message.unpack(data)
            take = self._takes.get(message.type)
            if take is None:
                self.statistics.ignored += 1
                return
            take(message, len(data), address, now)
        except VersionError as error:
            self.statistics.malformed += 1
            if error.type == Type.CONNECT:
                self._reject("version", "", len(data), address)
        except MessageError:
            self.statistics.malformed += 1
        else:
            self.statistics.control_received += 1

    def datagrams_to_send(self, now: float) -> list[tuple[bytes, Address]]:
        """What has to go to one listener each, since the last call."""
        outbox, self._outbox = self._outbox, []
        return outbox + self._catch_up.take(now) if self._catch_up else outbox

    def messages_to_broadcast(self, now: float) -> list[Sent]:
        """What has to go to every one of `addresses` now."""
        sent = self._stream.take_due(now)
        self.statistics.messages += len(sent)
        return sent

    @property
    def addresses(self) -> tuple[Address, ...]:
        """Every registered listener."""
        return self._registry.addresses

    def take_changes(self) -> list[Change]:
        """Who joined and who left since the last call, in order."""
        return self._registry.take_changes()

    # The clock's side.

    def next_due(self) -> float | None:
        """When `on_due` wants to be called next; None while only a datagram can change that."""
        times = [
            self._registry.next_expiry(),
            self._stream.next_due(),
            self._catch_up.next_due(),
        ]
        if self._end is not None:
            times += [self._end_due, self._drained_at]
        elif self._stream.ended or self._is_ready:
            times.append(0.0)
        return min((t for t in times if t is not None), default=None)

    def on_due(self, now: float) -> None:
        """Do what time asks for: start, expire, end."""
        for listener in self._registry.silent(now):
            log.warning("%s is silent: slot freed", address_text(listener.address))
            self.statistics.expired += 1
            self._depart(listener, now, "silent")
        self._start_if_ready(now)
        if self._end is None and self._stream.ended:
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
        self, sent: Sequence[Sent], began: float, listeners: int, missed: Sequence[Address]
    ) -> None:
        """The owner began at `began` to send `sent` to `listeners`.

        `missed` names an address for each datagram that the system did not take for it.
        """
        for one in sent:
            self.lateness.add(began - one.due)
            self.statistics.audio_bytes += len(one.datagram) - HEADER_BYTES
        self.statistics.datagrams += len(sent) * listeners - len(missed)
        self.statistics.unsent += len(missed)
        for address in missed:
            listener = self._registry.at(address)
            if listener is not None:
                listener.unsent += 1

    def snapshot(self, now: float) -> BroadcastSnapshot:
        """The state now. Costs in proportion to the number of listeners."""
        reports = [one.report for one in self._registry if one.report is not None]
        statistics = dataclasses.replace(self.statistics, rejected=self.statistics.rejected.copy())
        track = self._stream.track
        return BroadcastSnapshot(
            title=cut_text(track.title) if track else "",
            track=track.number if track else 0,
            position_s=self._stream.position_s(now),
            duration_s=self.settings.duration_s,
            started=self._stream.started,
            closing=self._end is not None,
            listeners=len(self._registry),
            lost=sum(r.lost for r in reports)
            + sum(d.report.lost for d in self.departed if d.report is not None),
            jitter_ms=max((r.jitter_ms for r in reports if r.jitter_ms is not None), default=None),
            lateness_p50_ms=_ms(self.lateness.percentile_s(50)),
            lateness_p99_ms=_ms(self.lateness.percentile_s(99)),
            lateness_max_ms=_ms(self.lateness.max_s),
            statistics=statistics,
        )

    def listeners(self, now: float) -> list[Departed]:
        """Everyone who was or is registered, with the last figures each gave."""
        present = [
            Departed(one.address, one.joined_at, now, "listening", one.report)
            for one in self._registry
        ]
        return [*self.departed, *present]

    # Taking messages.

    def _receive_connect(self, message: Message, size: int, address: Address, now: float) -> None:
        connect = Connect.from_message(message)
        self._log_received(message, size, address)
        if not self._cookies.accepts(connect.cookie, address, now):
            self.statistics.unproved += 1
            cookie = self._cookies.make(address, now)
            self._answer(Challenge(nonce=connect.nonce, cookie=cookie), size, address)
            return
        listener = self._registry.at(address)
        if listener is not None and listener.nonce != connect.nonce:
            # The same port, another run of the client: the old one cannot be there any more.
            self._depart(listener, now, "replaced")
            listener = None
        if listener is None:
            if self._end is not None or self._registry.is_full:
                reason = "full" if self._end is None else "closing"
                self._reject(reason, connect.nonce, size, address)
                return
            self._admit(connect, address, now)
        else:
            self._registry.heard(listener, now)
            self._send(self._accept(listener), address)

    def _receive_report(self, message: Message, size: int, address: Address, now: float) -> None:
        report = Report.from_message(message)
        self._log_received(message, size, address)
        listener = self._registry.at(address)
        if listener is None or listener.session != report.session:
            self._reject("session", report.session, size, address)
            return
        self._registry.heard(listener, now)
        listener.report = report
        listener.end_acknowledged = report.ended and self._end is not None
        usual_s = min(REPORT_S, self.settings.timeout_s / REPORTS_IN_TIMEOUT)
        report_s = max(usual_s, len(self._registry) / REPORTS_PER_S)
        self._registry.expect_reports(report_s, now)
        track = self._stream.track
        status = Status(
            clock_us=report.clock_us,
            server_clock_us=round(now * 1e6),
            listeners=len(self._registry),
            report_s=report_s,
            position_s=round(self._stream.position_s(now), 3),
            track=track.number if track else 0,
            title=cut_text(track.title) if track else "",
            artist=cut_text(track.artist) if track and track.artist else None,
        )
        self._send(status, address)

    def _receive_goodbye(self, message: Message, size: int, address: Address, now: float) -> None:
        goodbye = Goodbye.from_message(message)
        self._log_received(message, size, address)
        listener = self._registry.at(address)
        if listener is not None and listener.session == goodbye.session:
            listener.report = goodbye
            self._depart(listener, now, "goodbye")
        # The same words back, so the answer is never longer than the question, and a GOODBYE
        # whose answer was lost can be answered again when nothing is known of it any more. But of
        # no stream, so that an answer which comes to a server is not answered for ever.
        if message.stream == self._stream.id:
            self._queue(message._replace(stream=0), address)

    # Doing.

    def _admit(self, connect: Connect, address: Address, now: float) -> None:
        timely = self._stream.started and self._catch_up.backlog_s <= BURST_PATIENCE_S
        burst = self._stream.burst(now) if timely else []
        listener = Listener(
            address=address,
            nonce=connect.nonce,
            session=self._token(),
            joined_at=now,
            heard_at=now,
            first_sequence=burst[0].sequence if burst else self._stream.next_sequence,
            first_time_us=burst[0].media_time_us if burst else self._stream.sent_until_us,
            live_time_us=max(self._stream.burst_us, self._stream.sent_until_us),
        )
        self._registry.add(listener)
        self.statistics.accepted += 1
        self.statistics.listeners_peak = max(self.statistics.listeners_peak, len(self._registry))
        log.info(
            "registered %s, %d of %d",
            address_text(address),
            len(self._registry),
            self._registry.capacity,
        )
        self._send(self._accept(listener), address)
        self._catch_up.add(address, burst)
        if burst:
            log.info(
                "sent AUDIO %d to %d at once to %s",
                burst[0].sequence,
                burst[-1].sequence,
                address_text(address),
            )
        self._start_if_ready(now)

    def _accept(self, listener: Listener) -> Accept:
        track = self._stream.track
        return Accept(
            nonce=listener.nonce,
            session=listener.session,
            first_sequence=listener.first_sequence,
            first_time_us=listener.first_time_us,
            live_time_us=listener.live_time_us,
            burst_s=self.settings.burst_s,
            timeout_s=self.settings.timeout_s,
            speed=self.settings.speed,
            title=cut_text(track.title) if track else "",
            artist=cut_text(track.artist) if track and track.artist else None,
            duration_s=self.settings.duration_s,
            frame_rate_hz=track.frame_rate_hz if track else 0,
            channels=track.channels if track else 0,
            bit_rate_bps=track.bit_rate_bps if track else None,
        )

    @property
    def _is_ready(self) -> bool:
        """Whether the stream can start, and has not."""
        enough = len(self._registry) >= self.settings.wait_for
        return enough and self._end is None and not self._stream.started

    def _start_if_ready(self, now: float) -> None:
        if self._is_ready:
            self._stream.start(now)
            log.info("the stream starts with %d listeners", len(self._registry))

    def _close(self, reason: str, now: float) -> None:
        last = self._stream.next_sequence - 1
        self._end = End(last_sequence=last if last >= 0 else None, reason=reason)
        self._end_due = now
        self._drained_at = now + DRAIN_S + self.settings.burst_s
        log.info("the stream ends with message %s: %s", self._end.last_sequence, reason)

    def _send_end(self, now: float) -> None:
        assert self._end is not None
        for listener in self._registry:
            if not listener.end_acknowledged:
                message = self._numbered(self._end, self._stream.sent_until_us)
                self._queue(message, listener.address)
        self._end_due = now + END_REPEAT_S

    def _depart(self, listener: Listener, now: float, how: Leaving) -> None:
        self._registry.remove(listener)
        self._catch_up.drop(listener.address)
        departed = Departed(listener.address, listener.joined_at, now, how, listener.report)
        self.departed.append(departed)
        log.info(
            "%s left (%s), %d remain", address_text(listener.address), how, len(self._registry)
        )

    # Sending to one.

    def _reject(self, reason: str, echo: str, size: int, address: Address) -> None:
        self.statistics.rejected[reason] += 1
        log.warning("refused %s: %s", address_text(address), reason)
        self._answer(Reject(reason=reason, echo=echo), size, address)

    def _answer(self, content: Control, size: int, address: Address) -> None:
        """Send to an address that may not be proved: never more than the `size` it sent."""
        message = self._numbered(content)
        if len(message.pack()) <= size:
            self._queue(message, address)

    def _send(self, content: Control, address: Address) -> None:
        self._queue(self._numbered(content), address)

    def _numbered(self, content: Control, media_time_us: int = 0) -> Message:
        message = content.to_message(
            self._sequence, stream=self._stream.id, media_time_us=media_time_us
        )
        self._sequence += 1
        return message

    def _queue(self, message: Message, address: Address) -> None:
        datagram = message.pack()
        self._outbox.append((datagram, address))
        log.log(
            self._log_level(message.type),
            "sent %s %d, %d bytes, to %s",
            Type(message.type).name,
            message.sequence,
            len(datagram),
            address_text(address),
        )

    def _log_level(self, type_: int) -> int:
        often = type_ in (Type.REPORT, Type.STATUS) and len(self._registry) > LOGGED_LISTENERS
        return logging.DEBUG if often else logging.INFO

    def _log_received(self, message: Message, size: int, address: Address) -> None:
        log.log(
            self._log_level(message.type),
            "received %s %d, %d bytes, from %s",
            Type(message.type).name,
            message.sequence,
            size,
            address_text(address),
        )


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1e3, 3)
