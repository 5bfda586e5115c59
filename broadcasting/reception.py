"""Messages of listeners in, answers out: admission, keep-alive, repair, goodbye.

A datagram that is at fault is counted and dropped; nothing that a peer sends raises out of
`receive_datagram`. The handshake makes no state for an address that has not proved itself
(`cookie`), answers it with no more bytes than it sent, and looks at no more than `gate` admits.
Sans-I/O, as everything here.
"""

from __future__ import annotations

import dataclasses
import logging
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

from broadcasting.audience import Audience
from broadcasting.brief_log import BriefLog
from broadcasting.catch_up import BUCKET_S, CatchUp
from broadcasting.cookie import CookieJar
from broadcasting.gate import Gate
from broadcasting.migration import Migration
from broadcasting.outbox import Outbox
from broadcasting.parity_control import ParityControl
from broadcasting.registry import MISSED_REPORTS, Listener, Registry
from broadcasting.retransmission import Retransmission
from broadcasting.settings import Settings
from broadcasting.statistics import ServerStatistics
from broadcasting.status import StatusWriter
from broadcasting.stream import Stream
from broadcasting.token_bucket import TokenBucket
from message import (
    HEADER_BYTES,
    MAGIC,
    OURS,
    SALT_BYTES,
    SEALED,
    TYPE_NAMES,
    Accept,
    Challenge,
    Connect,
    End,
    Goodbye,
    Message,
    MessageError,
    Reject,
    ReplayError,
    Report,
    ReportHead,
    Request,
    SealError,
    Type,
    VersionError,
    cut_text,
    type_in,
)
from wire.address import Address, address_text
from wire.log import get_logger

if TYPE_CHECKING:
    from broadcasting.seal import ServerSeal

REPORT_S = 1.0
REPORT_SPACING_S = 0.2
MOST_REPORT_S = 120.0
"""From one REPORT of a listener to its next: a second, or longer, so that those of all listeners
come so far apart on the average, but never longer than this. One that comes by itself costs 0.2 ms
with its answer, as much as the audio of five listeners in a second; of twenty that come together
(`listening.session.TOGETHER_S`) each costs 0.03. More often than five times a second they are worth
that only where --timeout asks for it. Bandwidth would allow far more (the 5 % of RFC 3550, section
6.2)."""

PUNCTUAL_LISTENERS = 128
"""Up to so many report often enough for --timeout; of more a silent one is noticed later."""

REPORTS_IN_TIMEOUT = 5
"""From one REPORT of a listener to its next, while they are few, or so many in --timeout."""

LOGGED_LISTENERS = 64
"""With more listeners than this, REPORTs, REQUESTs and their answers are logged with -v only."""

BURST_PATIENCE_S = 0.5
"""A burst that would wait longer for its turn is not begun: it would come too late to be played.
Who joins then begins with the next segment, and sounds when its buffer is full."""

NEVER = float("inf")

LONGEST_LOOK_S = 5.0
"""From one look for silent listeners to the next: they may lose their slots so much sooner than
seemed at the last look, when fewer have come to report more often."""

MAX_DEPARTED = 10_000
"""Final figures kept of listeners that left, the newest: a bound, for a server that runs on."""

_OFTEN = frozenset((Type.REPORT, Type.REQUEST))
_RECEIVED = "received %s %d, %d bytes, from %s"

Leaving = Literal["goodbye", "silent", "replaced", "listening"]
"""How a listener went; the last one has not."""

log = get_logger("server")


@dataclasses.dataclass(frozen=True, slots=True)
class Departed:
    """A listener that is gone, with the last figures it gave."""

    address: Address
    joined_at: float
    left_at: float
    how: Leaving
    report: Report | None


class Reception:
    """Who comes, who stays, who leaves."""

    def __init__(
        self,
        settings: Settings,
        stream: Stream,
        statistics: ServerStatistics,
        control: ParityControl | None,
        *,
        secret: bytes,
        token: Callable[[], str],
        seal: ServerSeal | None = None,
    ) -> None:
        """`token` gives a fresh session token that nobody can guess, at each call.

        `control` is told of every REPORT, if parity is to follow what listeners lose.
        """
        self.registry = Registry(
            settings.max_clients, settings.timeout_s, settings.max_clients_per_address
        )
        self.departed: deque[Departed] = deque(maxlen=MAX_DEPARTED)
        self.audience = Audience()
        self.closing = False
        """The end has been told: nobody is admitted any more."""
        self._settings = settings
        self._usual_report_s = min(REPORT_S, settings.timeout_s / REPORTS_IN_TIMEOUT)
        self._stream = stream
        self._statistics = statistics
        self._control = control
        self._token = token
        self._look_at = NEVER
        self._cookies = CookieJar(secret)
        self._gate = Gate(self.registry)
        self._unproved_log = BriefLog(statistics)
        rate = settings.burst_rate_bytes_per_s
        bucket = TokenBucket(rate, rate * BUCKET_S)
        self._catch_up = CatchUp(bucket)
        self._retransmission = Retransmission(stream.history, bucket, statistics)
        self._seal = seal
        self._outbox = Outbox(stream.id, self._unproved_log, seal)
        self._migration = Migration(self.registry, self._cookies, self._outbox)
        self._status = StatusWriter()
        self._type_bits = 0xFF if seal is None else ~SEALED
        """Of a type: with a key all is sealed, so that it says nothing more."""
        self._takes: dict[int, Callable[[Message, int, Address, float], None]] = {
            Type.CONNECT: self._receive_connect,
            Type.REPORT: self._receive_report,
            Type.GOODBYE: self._receive_goodbye,
            Type.REQUEST: self._receive_request,
        }
        if seal is None:
            self._takes[Type.CONNECT | SEALED] = self._receive_sealed_connect

    def receive_datagram(self, data: bytes, address: Address, now: float) -> bool:
        """Take what came from `address`; whether it was looked at."""
        # What costs least comes first: a flood gets no further.
        if len(data) < HEADER_BYTES or not data.startswith(OURS):
            self._statistics.malformed += 1
            return data.startswith(MAGIC) and self._receive_foreign(data, address, now)
        take = self._takes.get(type_in(data) & self._type_bits)
        if take is None:
            self._statistics.ignored += 1
            return False
        try:
            message = self._admitted(data, address, now)
            if message is None:
                self._statistics.passed_over += 1
                return False
            take(message, len(data), address, now)
        except ReplayError:
            self._statistics.replayed += 1
        except SealError as error:
            self._statistics.forged += 1
            self._refuse_key(error.message, len(data), address, now)
        except MessageError:
            self._statistics.malformed += 1
        else:
            self._statistics.control_received += 1
        return True

    def datagrams_to_send(self, now: float) -> list[tuple[bytes, Address]]:
        """What has to go to one listener each, since the last call."""
        datagrams = self._outbox.take()
        return datagrams + self._catch_up.take(now) if self._catch_up else datagrams

    def next_due(self) -> float:
        """When somebody may be silent for too long, or a burst may go on; infinite: never."""
        catch_up_due = self._catch_up.next_due()
        return self._look_at if catch_up_due is None else min(self._look_at, catch_up_due)

    def expire(self, now: float) -> None:
        """Free the slots of those who are silent."""
        if now < self._look_at:
            return
        for listener in self.registry.silent(now):
            log.warning("%s is silent: slot freed", address_text(listener.address))
            self._statistics.expired += 1
            self.dismiss(listener, now, "silent")
        # Whoever is heard meanwhile, and whoever comes, is silent later than this.
        next_expiry = self.registry.next_expiry()
        self._look_at = NEVER if next_expiry is None else min(next_expiry, now + LONGEST_LOOK_S)

    def tell_the_end(self, end: End, media_time_us: int) -> None:
        """END to everyone who has not confirmed it."""
        for listener in self.registry:
            if not listener.end_acknowledged:
                self._outbox.send(end, listener.address, media_time_us)

    def dismiss(self, listener: Listener, now: float, how: Leaving) -> None:
        """`listener` is gone: its slot is free at once, its last figures are kept."""
        self.registry.remove(listener)
        if self._seal is not None:
            self._seal.left(listener.address, now)
        self._catch_up.drop(listener.address)
        if self._control is not None:
            self._control.forget(listener.address)
        self._retransmission.drop(listener.address)
        report = self.read_report(listener)
        self.departed.append(Departed(listener.address, listener.joined_at, now, how, report))
        self._outbox.detailed = len(self.registry) <= LOGGED_LISTENERS
        log.info("%s left (%s), %d remain", address_text(listener.address), how, len(self.registry))

    def read_report(self, listener: Listener) -> Report | None:
        """The last figures that `listener` gave."""
        if listener.unread is not None:
            unread, listener.unread = listener.unread, None
            try:
                self._take_figures(listener, Report.from_message(unread))
            except MessageError:
                self._statistics.malformed += 1
        return listener.report

    def _take_figures(self, listener: Listener, report: Report) -> None:
        self.audience.add(listener.report, report)
        listener.report, listener.unread = report, None

    # Taking messages.

    def _admitted(self, data: bytes, address: Address, now: float) -> Message | None:
        """The message, opened; None if it is passed over. Raises MessageError."""
        if self._seal is None:
            return Message.unpack(data) if self._gate.admits(data, address, now) else None
        listener = self.registry.at(address)
        if listener is None:
            admitted = self._gate.admits_unproved(data, address, now)
            return self._seal.unpack(data, address) if admitted else None
        # Here the key proves whose it is: the session cannot be read before.
        try:
            message = self._seal.unpack(data, address)
        except MessageError:
            if not self._gate.admits_unproved(data, address, now):
                return None
            raise
        return message if self._gate.admits_of(listener, now) else None

    def _receive_foreign(self, data: bytes, address: Address, now: float) -> bool:
        """A message of another version: a CONNECT is told so."""
        try:
            Message.unpack(data)
        except VersionError as error:
            mark = error.mark if error.type & ~SEALED == Type.CONNECT else None
            if mark is not None and self._gate.admits(data, address, now):
                self._refuse("version", "", len(data), address, now, mark, openly=True)
                return True
        except MessageError:
            pass
        return False

    def _receive_connect(self, message: Message, size: int, address: Address, now: float) -> None:
        connect = Connect.from_message(message)
        if not self._cookies.accepts(connect.cookie, address, now):
            self._log_unproved(message, size, address, now)
            self._statistics.unproved += 1
            cookie = self._cookies.make(address, now)
            self._outbox.answer(Challenge(nonce=connect.nonce, cookie=cookie), size, address, now)
            return
        listener = self._sender_of(connect, address, now)
        if listener is not None and listener.address != address:
            if not self._migration.may_move(listener, address, now):
                # It is heard where it is: who says the same from here is passed over.
                self._log_unproved(message, size, address, now)
                return
            self._move(listener, address, now)
        if self._seal is not None:
            self._prove_sealed(message, address, now)
        if listener is not None:
            self._log_received(message, size, listener.name)
            self.registry.heard(listener, now)
            self._outbox.send(self._accept(listener), address, self._stream.track_time_us)
        elif (reason := self._no_place_for(address)) is not None:
            self._log_unproved(message, size, address, now)
            self._refuse(reason, connect.nonce, size, address, now)
            if self._seal is not None:
                self._seal.left(address, now)
        else:
            self._log_received(message, size, address_text(address))
            self._admit(connect, address, now)

    def _sender_of(self, connect: Connect, address: Address, now: float) -> Listener | None:
        """Which listener says `connect` at `address`, wherever it is registered."""
        listener = self.registry.at(address)
        if listener is not None and listener.nonce == connect.nonce:
            return listener
        if listener is not None:
            # The same port, another run of the client: the old one cannot be there any more.
            self.dismiss(listener, now, "replaced")
        return self._migration.listener_of(connect)

    def _receive_sealed_connect(
        self, message: Message, size: int, address: Address, now: float
    ) -> None:
        """We have no key. The client has, and must not think that nobody is here."""
        self._refuse("keyless", message.data[:SALT_BYTES].hex(), size, address, now)

    def _receive_report(self, message: Message, size: int, address: Address, now: float) -> None:
        session, clock_us = ReportHead.of(message)
        listener = self.registry.at(address)
        if listener is None or listener.session != session:
            self._log_unproved(message, size, address, now)
            if not self._migration.challenge(session, size, address, now):
                self._refuse("session", session, size, address, now)
            return
        self._log_received(message, size, listener.name)
        self.registry.heard(listener, now)
        if message.sequence >= listener.reported:
            # One that was overtaken would turn the figures back.
            listener.reported, listener.unread = message.sequence, message
        if self.closing or self._control is not None:
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
            duration_s=self._stream.new_duration_s,
        )
        since_us = self._stream.track_time_us
        self._outbox.send_data(Type.STATUS, status, address, listener.name, since_us)

    def _heed(self, listener: Listener) -> None:
        """Do what follows from the figures that `listener` gave just now."""
        report = self.read_report(listener)
        if report is None:
            return
        if self._control is not None:
            self._control.report(listener.address, report)
        listener.end_acknowledged = report.ended and self.closing

    def _receive_goodbye(self, message: Message, size: int, address: Address, now: float) -> None:
        goodbye = Goodbye.from_message(message)
        listener = self.registry.at(address)
        if listener is not None and listener.session == goodbye.session:
            self._log_received(message, size, listener.name)
            self._take_figures(listener, goodbye)
            self.dismiss(listener, now, "goodbye")
        else:
            self._log_unproved(message, size, address, now)
            if self._migration.challenge(goodbye.session, size, address, now):
                return
        # The same words back, so the answer is never longer than the question, and a GOODBYE
        # whose answer was lost can be answered again when nothing is known of it any more. But of
        # no stream, so that an answer which comes to a server is not answered for ever.
        if message.stream == self._stream.id:
            self._outbox.echo(message, size, address, now)

    def _receive_request(self, message: Message, size: int, address: Address, now: float) -> None:
        request = Request.from_message(message)
        listener = self.registry.at(address)
        if listener is None or listener.session != request.session:
            self._statistics.requests_refused += 1
            self._migration.challenge(request.session, size, address, now)
            return
        if not self._retransmission.may_ask(address, now):
            self._statistics.requests_refused += 1
            return
        ranges = request.ranges()
        self._log_received(message, size, listener.name)
        self.registry.heard(listener, now)
        self._statistics.requests += 1
        report = self.read_report(listener)
        rtt_ms = report.rtt_ms if report else None
        rtt_s = None if rtt_ms is None else rtt_ms / 1e3
        for sent in self._retransmission.answer(address, ranges, rtt_s, now):
            self._statistics.repeated_bytes += len(sent.datagram) - self._stream.overhead_bytes
            self._outbox.repeat(sent.sequence, self._stream.repeat(sent), address, listener.name)

    def _no_place_for(self, address: Address) -> str | None:
        """Why nobody is registered at `address`; None if somebody may be."""
        if self.closing:
            return "closing"
        if self.registry.is_full:
            return "full"
        return "address" if self.registry.is_crowded(address) else None

    def _report_s(self) -> float:
        """How often a listener should report, as many as there are now."""
        listeners = len(self.registry)
        report_s = min(MOST_REPORT_S, listeners * REPORT_SPACING_S)
        if listeners <= PUNCTUAL_LISTENERS:
            report_s = min(report_s, self._settings.timeout_s / MISSED_REPORTS)
        return max(self._usual_report_s, report_s)

    def _admit(self, connect: Connect, address: Address, now: float) -> None:
        timely = self._stream.started and self._catch_up.backlog_s <= BURST_PATIENCE_S
        burst = self._stream.burst(now) if timely else []
        listener = Listener(
            address=address,
            name=address_text(address),
            nonce=connect.nonce,
            session=self._token(),
            joined_at=now,
            heard_at=now,
            first_sequence=burst[0].sequence if burst else self._stream.next_sequence,
            first_time_us=burst[0].media_time_us if burst else self._stream.sent_until_us,
            live_time_us=max(self._stream.burst_us, self._stream.sent_until_us),
        )
        self.registry.add(listener)
        self._outbox.detailed = len(self.registry) <= LOGGED_LISTENERS
        self._look_at = min(self._look_at, now + self.registry.timeout_s)
        self._statistics.accepted += 1
        self._statistics.listeners_peak = max(self._statistics.listeners_peak, len(self.registry))
        log.info(
            "registered %s, %d of %d",
            address_text(address),
            len(self.registry),
            self.registry.capacity,
        )
        self._outbox.send(self._accept(listener), address, self._stream.track_time_us)
        self._catch_up.add(address, self._stream.with_tracks(self._stream.with_parity(burst)))
        if burst:
            log.info(
                "sent AUDIO %d to %d at once to %s",
                burst[0].sequence,
                burst[-1].sequence,
                address_text(address),
            )

    def _prove_sealed(self, message: Message, address: Address, now: float) -> None:
        """CONNECT `message` has the cookie of `address`: what is said there is sealed for it."""
        assert self._seal is not None
        before = self._seal.proved(address, message, now)
        left = None if before is None else self.registry.at(before)
        if left is not None:
            # It moved before it knew its session, so that nothing but its salt tells.
            self.dismiss(left, now, "replaced")

    def _move(self, listener: Listener, address: Address, now: float) -> None:
        """`listener` goes on from `address`, which has proved itself."""
        before = listener.address
        log.info("%s goes on from %s", address_text(before), address_text(address))
        self.registry.move(listener, address, now)
        self._catch_up.move(before, address)
        self._retransmission.move(before, address)
        if self._control is not None:
            self._control.move(before, address)
        self._statistics.moved += 1

    def _accept(self, listener: Listener) -> Accept:
        track, fec = self._stream.track, self._settings.fec
        return Accept(
            nonce=listener.nonce,
            session=listener.session,
            first_sequence=listener.first_sequence,
            first_time_us=listener.first_time_us,
            live_time_us=listener.live_time_us,
            burst_s=self._settings.ahead_s,
            timeout_s=self._settings.timeout_s,
            speed=self._settings.speed,
            title=cut_text(track.title) if track else "",
            artist=cut_text(track.artist) if track and track.artist else None,
            duration_s=self._stream.duration_s,
            frame_rate_hz=track.frame_rate_hz if track else 0,
            channels=track.channels if track else 0,
            bit_rate_bps=track.bit_rate_bps if track else None,
            block=fec.messages if fec else 0,
            parity=self._stream.parities,
            interval_s=self._settings.interval_s or 0.0,
        )

    def _refuse_key(self, message: Message, size: int, address: Address, now: float) -> None:
        """CONNECT of who has no key, or another one: it is told so, openly."""
        if message.type == Type.CONNECT:
            try:
                echo = Connect.from_message(message).nonce
            except MessageError:
                return
        elif message.type == Type.CONNECT | SEALED:
            echo = message.data[:SALT_BYTES].hex()
        else:
            return
        self._refuse("key", echo, size, address, now, openly=True)

    def _refuse(
        self,
        reason: str,
        echo: str,
        size: int,
        address: Address,
        now: float,
        mark: int = 0,
        *,
        openly: bool = False,
    ) -> None:
        self._statistics.rejected[reason] += 1
        text = address_text(address)
        self._unproved_log.write(now, logging.WARNING, "refused %s: %s", text, reason)
        reject = Reject(reason=reason, echo=echo)
        self._outbox.answer(reject, size, address, now, mark, openly=openly)

    def _log_unproved(self, message: Message, size: int, address: Address, now: float) -> None:
        name, text = TYPE_NAMES[message.type], address_text(address)
        self._unproved_log.write(now, logging.INFO, _RECEIVED, name, message.sequence, size, text)

    def _log_received(self, message: Message, size: int, name: str) -> None:
        if message.type in _OFTEN and not self._outbox.detailed:
            log.debug(_RECEIVED, TYPE_NAMES[message.type], message.sequence, size, name)
        else:
            log.info(_RECEIVED, TYPE_NAMES[message.type], message.sequence, size, name)
