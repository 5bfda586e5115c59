"""Messages of listeners in, answers out: which message is looked at, and who takes it.

A datagram that is at fault is counted and dropped; nothing that a peer sends raises out of
`receive_datagram`, and no more is looked at than the rate limiter admits. CONNECT goes to the
handshake; REPORT, REQUEST and GOODBYE are taken here. Sans-I/O, as everything here.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from broadcasting.audience.catch_up import BUCKET_S, CatchUp
from broadcasting.audience.cookie import CookieJar
from broadcasting.audience.figures import AudienceFigures
from broadcasting.audience.handshake import Handshake
from broadcasting.audience.listener import Listener
from broadcasting.audience.message_log import Incoming, MessageLog
from broadcasting.audience.outbox import Outbox
from broadcasting.audience.paths import Paths
from broadcasting.audience.rate import Budget
from broadcasting.audience.rate_limiter import RateLimiter
from broadcasting.audience.registry import MISSED_REPORTS, NEVER, Registry
from broadcasting.audience.retransmission import Retransmission
from broadcasting.audience.status_message import StatusWriter
from broadcasting.settings import Settings
from broadcasting.statistics import ServerStatistics
from broadcasting.stream.parity_control import Loss
from broadcasting.stream.stream import Stream
from message import (
    HEADER_BYTES,
    MAGIC,
    MOST_PAUSE_MS,
    OURS,
    SEALED,
    Clock,
    End,
    Goodbye,
    Message,
    MessageError,
    ReplayError,
    ReportHead,
    Request,
    SealError,
    Time,
    Type,
    VersionError,
    type_in,
)
from wire.address import Address

if TYPE_CHECKING:
    from broadcasting.audience.seal import ServerSeal

REPORT_S = 1.0
"""Interval between REPORTs of one listener, while listeners are few."""

REPORT_SPACING_S = 0.2
"""Mean interval between REPORTs of all listeners: with many of them each reports less often. One
that comes alone costs 0.2 ms with its answer, as much as the audio of five listeners in a second;
of twenty that come together (TOGETHER_S of the client's session) each costs 0.03 ms. Bandwidth
would allow far more (the 5 % of RFC 3550, section 6.2)."""

MOST_REPORT_S = 120.0
"""Longest interval between REPORTs of one listener."""

CLOCKS_PER_S = 90.0
"""CLOCKs of all listeners in a second: with more than 360 each asks less often than it would."""

PUNCTUAL_LISTENERS = 128
"""Up to this many report often enough for --timeout; of more a silent one is noticed later."""

LATE_LOOK_S = 0.25
"""A look for silent listeners that comes this much too late finds that the server stood still."""

READING_S = 1.0
"""Time in which what they have said meanwhile is read, before anybody is dismissed,"""

READING_EACH_S = 0.0005
"""and more for each listener: reading and answering a REPORT takes 0.2 ms."""

REPORTS_IN_TIMEOUT = 5
"""Least number of REPORTs within --timeout, while listeners are few."""

LONGEST_LOOK_S = 5.0
"""Longest interval between two looks for silent listeners: the time-out can become this much
shorter after a look, when fewer listeners have to report more often."""


DISMISSED_AT_ONCE = 8
"""Silent listeners that are dismissed while the lock is held, at most: 0.7 ms, most of it for the
lines of the log with their last figures."""

DISMISSAL_PAUSE_S = 0.001
"""Pause before the next are dismissed, in which messages that came are taken."""

ENDS_AT_ONCE = 16
"""ENDs that are made while the lock is held, at most: 0.3 ms."""


class Sessions:
    """The listeners of one run of the server, and what they say."""

    def __init__(
        self,
        settings: Settings,
        stream: Stream,
        statistics: ServerStatistics,
        *,
        secret: bytes,
        token: Callable[[], str],
        seal: ServerSeal | None = None,
    ) -> None:
        """`token` returns a fresh session token that nobody can guess, at each call."""
        self.registry = registry = Registry(
            settings.max_clients, settings.timeout_s, settings.max_clients_per_address
        )
        self.figures = AudienceFigures(registry)
        self.paths = Paths(registry, statistics, settings.mtu_bytes)
        self._timeout_s = settings.timeout_s
        self._usual_report_s = min(REPORT_S, settings.timeout_s / REPORTS_IN_TIMEOUT)
        self._follows_loss = settings.fec is not None and settings.fec.auto
        self._stream = stream
        self._statistics = statistics
        self._seal = seal
        self._look_at = 0.0
        self._has_waited = False
        rate = settings.burst_rate_bytes_per_s
        budget = Budget(rate, rate * BUCKET_S)
        self._limiter = RateLimiter(registry)
        self._catch_up = CatchUp(registry, budget)
        self._retransmission = Retransmission(stream.history, budget, statistics)
        self._messages = MessageLog(registry, statistics)
        self._outbox = Outbox(stream.id, self._messages, seal)
        self._status = StatusWriter()
        self._handshake = Handshake(
            settings,
            stream,
            statistics,
            registry,
            self.figures,
            self._catch_up,
            self._outbox,
            self._messages,
            CookieJar(secret),
            token,
            seal,
        )
        self._type_bits = 0xFF if seal is None else ~SEALED
        """Mask of the type: with a key everything is sealed, and the bit says nothing more."""
        self._takes: dict[int, Callable[[Incoming], None]] = {
            Type.CONNECT: self._handshake.receive_connect,
            Type.REPORT: self._receive_report,
            Type.GOODBYE: self._receive_goodbye,
            Type.REQUEST: self._receive_request,
            Type.CLOCK: self._receive_clock,
        }
        if seal is None:
            self._takes[Type.CONNECT | SEALED] = self._handshake.refuse_sealed

    def receive_datagram(
        self, data: bytes, address: Address, now: float, came_at: float | None = None
    ) -> bool:
        """Take a datagram that came from `address`, at `came_at`; whether it was looked at."""
        # What costs least comes first: a flood gets no further.
        if len(data) < HEADER_BYTES or not data.startswith(OURS):
            return self._receive_foreign(data, address, now)
        take = self._takes.get(type_in(data) & self._type_bits)
        if take is None:
            self._statistics.ignored += 1
            return False
        try:
            message = self._admitted(data, address, now)
            if message is None:
                self._statistics.passed_over += 1
                return False
            take(Incoming(message, len(data), address, now, came_at))
        except ReplayError:
            self._statistics.replayed += 1
        except SealError as error:
            self._statistics.forged += 1
            self._handshake.refuse_key(Incoming(error.message, len(data), address, now))
        except MessageError:
            self._statistics.malformed += 1
        else:
            self._statistics.control_received += 1
        return True

    def datagrams_to_send(self, now: float) -> list[tuple[bytes, Address]]:
        """Datagrams to send to one listener each, since the last call."""
        datagrams = self._outbox.take()
        return datagrams + self._catch_up.take(now) if self._catch_up else datagrams

    def next_due(self) -> float:
        """When a listener may be silent for too long, or a burst may go on; NEVER if neither."""
        return min(self._look_at if self.registry else NEVER, self._catch_up.next_due())

    def expire(self, now: float) -> None:
        """Free the slots of silent listeners."""
        self._retransmission.log_repairs(now if self.registry else NEVER)
        if now < self._look_at:
            return
        if now - self._look_at > LATE_LOOK_S and not self._has_waited and self._look_at:
            self._has_waited = True
            self._look_at = now + READING_S + READING_EACH_S * len(self.registry)
            return
        self._has_waited = False
        silent = self.registry.silent(now, DISMISSED_AT_ONCE)
        for listener in silent:
            self._statistics.expired += 1
            self._handshake.dismiss(listener, now, "silent")
        # Listeners that are heard, or join, meanwhile are silent later than this; the first to
        # join is looked at right away.
        next_look = min(self.registry.next_expiry(), now + LONGEST_LOOK_S)
        if len(silent) == DISMISSED_AT_ONCE:
            next_look = now + DISMISSAL_PAUSE_S
        self._look_at = next_look if self.registry else 0.0

    def tell_the_end(self, end: End, media_time_us: int, addresses: Iterator[Address]) -> bool:
        """Send END to the next of `addresses` that have not confirmed it; whether more are left."""
        data = end.to_message().data
        some = [*itertools.islice(addresses, ENDS_AT_ONCE)]
        for address in some:
            listener = self.registry.at(address)
            if listener is not None and not listener.end_acknowledged:
                self._outbox.send_data(Type.END, data, listener, media_time_us)
        return len(some) == ENDS_AT_ONCE

    def _admitted(self, data: bytes, address: Address, now: float) -> Message | None:
        """The message, opened; None if it is passed over. Raises MessageError."""
        if self._seal is None:
            return Message.unpack(data) if self._limiter.admits(data, address, now) else None
        listener = self.registry.at(address)
        peer = None if listener is None else listener.peer
        if listener is None or peer is None or not data.startswith(peer.salt, HEADER_BYTES):
            admitted = self._limiter.admits_unproved(data, address, now)
            return self._seal.unpack(data, address) if admitted else None
        # Only the key proves whose it is: the salt can be copied, the session cannot be read yet.
        if not self._limiter.may_open(peer, now):
            return None
        try:
            message = self._seal.unpack(data, address)
        except MessageError:
            self._limiter.failed(peer, now)
            raise
        return message if self._limiter.admits_listener(listener, now) else None

    def _receive_foreign(self, data: bytes, address: Address, now: float) -> bool:
        """Refuse a CONNECT of another version; whether the datagram was one, and looked at."""
        connect = _foreign_connect(data) if data.startswith(MAGIC) else None
        if connect is None or connect.mark is None:
            self._statistics.malformed += 1
            return False
        if not self._limiter.admits(data, address, now):
            self._statistics.passed_over += 1
            return False
        self._statistics.control_received += 1
        came = Incoming(Message(0, connect.type), len(data), address, now)
        self._handshake.refuse("version", "", came, connect.mark, openly=True)
        return True

    def _receive_report(self, came: Incoming) -> None:
        message, now = came.message, came.now
        session, clock_us = ReportHead.of(message)
        listener = self.registry.at(came.address)
        if listener is None or listener.session != session:
            self._messages.received_unproved(came)
            if not self._handshake.migration.challenge(session, came):
                self._handshake.refuse("session", session, came)
            return
        self._messages.received(came, listener.name)
        self.registry.heard(listener, now)
        if message.sequence >= listener.reported:
            # One that was overtaken would turn the figures back.
            listener.reported, listener.unread = message.sequence, message
            self.paths.report(listener, message.data)
        if self.registry.closing or self._follows_loss:
            self._heed(listener)
        report_s = self._report_s()
        if report_s > self._usual_report_s:
            self.registry.expect_reports(report_s, now)
        status = self._status.write(
            clock_us=clock_us,
            server_clock_us=round(now * 1e6),
            position_s=self._stream.position_s(now),
            listeners=len(self.registry),
            report_s=report_s,
            track=self._stream.track,
            duration_s=self._stream.skipping.new_duration_s,
            origin=self._stream.origin,
        )
        since_us = self._stream.track_time_us
        self._outbox.send_data(Type.STATUS, status, listener, since_us)

    def _heed(self, listener: Listener) -> None:
        """Read the REPORT of `listener` at once, and act on it."""
        report = self.figures.read(listener)
        if report is None:
            return
        if self._follows_loss:
            listener.loss = listener.loss or Loss()
            listener.loss.report(report)
        listener.end_acknowledged = report.ended and self.registry.closing

    def _receive_goodbye(self, came: Incoming) -> None:
        goodbye = Goodbye.from_message(came.message)
        listener = self.registry.at(came.address)
        if listener is not None and listener.session == goodbye.session:
            self._messages.received(came, listener.name)
            self.figures.take(listener, goodbye)
            self._handshake.dismiss(listener, came.now, "goodbye")
        else:
            self._messages.received_unproved(came)
            if self._handshake.migration.challenge(goodbye.session, came):
                return
        # Sent back as it came: never longer than the question, and a GOODBYE whose answer was lost
        # can be answered again when the listener is forgotten. Of no stream, so that two servers do
        # not answer each other for ever.
        if came.message.stream == self._stream.id:
            self._outbox.echo(came)

    def _receive_request(self, came: Incoming) -> None:
        request, now = Request.from_message(came.message), came.now
        ranges = request.ranges()
        listener = self.registry.at(came.address)
        if listener is None or listener.session != request.session:
            self._statistics.requests_refused += 1
            self._handshake.migration.challenge(request.session, came)
            return
        if not self._retransmission.may_ask(listener, now):
            self._statistics.requests_refused += 1
            return
        self._messages.received(came, listener.name)
        self.registry.heard(listener, now)
        self._statistics.requests += 1
        report = self.figures.read(listener)
        rtt_ms = report.rtt_ms if report else None
        rtt_s = None if rtt_ms is None else rtt_ms / 1e3
        for packet in self._retransmission.answer(listener, ranges, rtt_s, now):
            self._statistics.repeated_bytes += len(packet.datagram) - self._stream.overhead_bytes
            self._outbox.repeat(packet.sequence, self._stream.repeat(packet), listener)

    def _receive_clock(self, came: Incoming) -> None:
        clock, now = Clock.from_message(came.message), came.now
        listener = self.registry.at(came.address)
        if listener is None or listener.session != clock.session:
            self._handshake.migration.challenge(clock.session, came)
            return
        self._messages.received(came, listener.name)
        came_at = now if came.came_at is None else came.came_at
        pause_ms = min(MOST_PAUSE_MS, round(1e3 * len(self.registry) / CLOCKS_PER_S))
        origin_us, origin_sequence = self._stream.origin
        time = Time(
            clock.mark,
            round(came_at * 1e6),
            round(now * 1e6),
            origin_us,
            origin_sequence,
            pause_ms,
        )
        self._outbox.send_data(Type.TIME, time.to_message().data, listener)

    def _report_s(self) -> float:
        """Interval between REPORTs of one listener, with as many as there are now."""
        listeners = len(self.registry)
        report_s = min(MOST_REPORT_S, listeners * REPORT_SPACING_S)
        if listeners <= PUNCTUAL_LISTENERS:
            report_s = min(report_s, self._timeout_s / MISSED_REPORTS)
        return max(self._usual_report_s, report_s)


def _foreign_connect(data: bytes) -> VersionError | None:
    """The CONNECT of another version in `data`, as far as it can be read; None if it is none."""
    try:
        Message.unpack(data)
    except VersionError as error:
        return error if error.type & ~SEALED == Type.CONNECT else None
    except MessageError:
        pass
    return None
