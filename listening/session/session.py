"""Registration with the server: connect, keep alive, notice silence, reconnect, say goodbye.

The states and the events that move between them are one table, `TRANSITIONS`; a pair that is not in
it changes nothing. Sans-I/O: no socket, no thread, no clock; chance comes in as `random`.
"""

from __future__ import annotations

import enum
import hashlib
import logging
from collections.abc import Sequence
from random import Random
from typing import TYPE_CHECKING

from listening.session.connecting import REFUSALS, Connecting
from listening.session.report_timing import LEAST_TIMEOUT_S, ReportTiming
from listening.session.server_clock import ServerClock
from message import (
    CONNECT_BYTES,
    TYPE_NAMES,
    Accept,
    Challenge,
    Clock,
    Connect,
    Control,
    End,
    Goodbye,
    Message,
    Reject,
    Report,
    Request,
    Status,
    Time,
    Timeline,
    TrackChange,
    Type,
)
from wire.address import Address, address_text
from wire.round_trip import RoundTrip

if TYPE_CHECKING:
    from listening.session.seal import ClientSeal

GOODBYE_PAUSE_S = 0.1
"""Pause before a GOODBYE that was not answered is said again."""

GOODBYES = 5
"""GOODBYEs that are sent at most: half a second, because the user waits to leave."""

log = logging.getLogger("client")
message_log = logging.getLogger("client.messages")


class State(enum.Enum):
    """State of the session."""

    CONNECTING = enum.auto()
    LISTENING = enum.auto()
    ENDING = enum.auto()
    """The server has announced the end of the stream; what has come is still played."""
    LEAVING = enum.auto()
    CLOSED = enum.auto()


class Event(enum.Enum):
    """Events that can change the state."""

    ACCEPTED = enum.auto()
    REFUSED = enum.auto()
    UNKNOWN = enum.auto()
    """The server does not know this session (any more)."""
    SILENCE = enum.auto()
    TIMEOUT = enum.auto()
    ENDED = enum.auto()
    LEAVE = enum.auto()
    FAREWELL = enum.auto()


TRANSITIONS: dict[tuple[State, Event], State] = {
    (State.CONNECTING, Event.ACCEPTED): State.LISTENING,
    (State.CONNECTING, Event.REFUSED): State.CLOSED,
    (State.CONNECTING, Event.TIMEOUT): State.CLOSED,
    (State.CONNECTING, Event.LEAVE): State.CLOSED,
    (State.LISTENING, Event.UNKNOWN): State.CONNECTING,
    (State.LISTENING, Event.SILENCE): State.CONNECTING,
    (State.LISTENING, Event.ENDED): State.ENDING,
    (State.LISTENING, Event.LEAVE): State.LEAVING,
    (State.ENDING, Event.LEAVE): State.LEAVING,
    (State.LEAVING, Event.FAREWELL): State.CLOSED,
    (State.LEAVING, Event.TIMEOUT): State.CLOSED,
}


class Session:
    """The session of one listener with one server."""

    def __init__(
        self,
        addresses: Sequence[Address],
        *,
        nonce: str,
        timeout_s: float,
        patience_s: float | None = None,
        random: Random,
        now: float,
        seal: ClientSeal | None = None,
    ) -> None:
        """`timeout_s`: seconds to look for the server before the user is told.

        `patience_s`: the same for a server that was found once; None for as long. With a `seal`
        everything that is sent is sealed; what is received was opened with it.
        """
        self.state = State.CONNECTING
        self.accept: Accept | None = None
        self.stream: int | None = None
        self.server: Address | None = None
        self.failure: str | None = None
        """Why the session closed, for the user; None if nothing went wrong."""
        self.status: Status | None = None
        self._status_sequence = -1
        self.round_trip = RoundTrip()
        self._nonce = nonce
        patience_s = timeout_s if patience_s is None else patience_s
        self._connecting = Connecting(
            addresses, timeout_s, patience_s, self.round_trip, random, now
        )
        self._reports = ReportTiming(random, now)
        self.clock = ServerClock(nonce, now)
        self._seal = seal
        self._pack = seal.pack if seal else Message.pack
        self._outbox: list[tuple[bytes, Address]] = []
        self._sequence = 0
        self._goodbye: Goodbye | None = None
        self._goodbyes = 0
        self._goodbye_at = now
        self._heard_at = now

    # The network's side.

    def knows(self, address: Address) -> bool:
        """Whether datagrams from `address` belong to this session."""
        if self.state is State.CONNECTING:
            return self._connecting.knows(address)
        return address == self.server

    def heard(self, now: float) -> None:
        """Audio came: the server is there, and both sides are awake."""
        self._heard_at = now
        if self.state is State.LISTENING:
            self._reports.heard(now)

    def receive(
        self, message: Message, address: Address, now: float, came_at: float | None = None
    ) -> Control | Time | None:
        """Take a control message from an address that the session `knows`.

        `came_at`: when it came, where that is known better than `now`.

        Its content, or None if it means nothing here. Raises MessageError.
        """
        if message.type == Type.CHALLENGE:
            return self._challenged(Challenge.from_message(message), address, now)
        elif message.type == Type.ACCEPT:
            return self._accepted(Accept.from_message(message), message.stream, address, now)
        elif message.type == Type.REJECT:
            return self._rejected(Reject.from_message(message), now)
        elif message.type == Type.STATUS and message.stream == self.stream:
            return self._informed(Status.from_message(message), message.sequence, now)
        elif message.type == Type.END and message.stream == self.stream:
            self._heard_at = now
            return End.from_message(message)
        elif message.type == Type.TRACK and message.stream == self.stream:
            # No sign of life: sealed, it may be a replay. The AUDIO behind it is one.
            return TrackChange.from_message(message)
        elif message.type == Type.TIMELINE and message.stream == self.stream:
            return Timeline.from_message(message)
        elif message.type == Type.TIME and message.stream == self.stream:
            time = Time.from_message(message)
            return time if self.clock.told(time, came_at or now) else None
        elif message.type == Type.GOODBYE:
            return self._answered(Goodbye.from_message(message))
        return None

    def ended(self, now: float) -> None:
        """The announced end is plausible: confirm it, and play what has come."""
        if self._move(Event.ENDED):
            self._reports.next_at = now

    def refused_version(self, mark: int | None, now: float) -> bool:
        """A REJECT came in another version of the protocol; whether its `mark` is ours."""
        believed = mark == _mark(self._nonce) and self.state is State.CONNECTING
        if believed:
            self._connecting.take_hint("version", now)
        return believed

    def refused_openly(self, message: Message, now: float) -> None:
        """An unsealed REJECT came, although we have a key; raises MessageError.

        Anyone who sees our CONNECTs can forge it, so a sealed answer still counts. After one it
        means nothing: the server has our key.
        """
        assert self._seal is not None
        reject = Reject.from_message(message)
        if self.state is not State.CONNECTING or self._connecting.cookie is not None:
            return
        if reject.reason in ("key", "keyless") and reject.echo == self._seal.salt.hex():
            self._connecting.take_hint(reject.reason, now)

    def datagrams_to_send(self) -> list[tuple[bytes, Address]]:
        """Datagrams to send since the last call, and where to."""
        outbox, self._outbox = self._outbox, []
        return outbox

    # The clock's side.

    def next_due(self) -> float | None:
        """When `on_due` wants to be called next."""
        if self.state is State.CLOSED:
            return None
        if self.state is State.CONNECTING:
            return min(self._connecting.next_at, self._connecting.give_up_at)
        if self.state is State.LISTENING:
            return min(self._reports.next_at, self._silent_at(), self.clock.next_due())
        return self._reports.next_at if self.state is State.ENDING else self._goodbye_at

    def on_due(self, now: float) -> None:
        """Do what is due, except for REPORTs (`report_is_due`)."""
        if self.state is State.LISTENING and now >= self._silent_at():
            log.warning("nothing heard for %.0f s: connecting again", now - self._heard_at)
            self._reconnect(Event.SILENCE, now)
        if self.state is State.CONNECTING:
            if now >= self._connecting.give_up_at:
                self._move(Event.TIMEOUT)
                self.failure = self._connecting.no_answer(was_found=self.accept is not None)
            elif now >= self._connecting.next_at:
                self._connect(now)
        elif self.state is State.LEAVING and now >= self._goodbye_at:
            self._say_goodbye(now)
        if self.state is State.LISTENING and self.accept is not None and self.server is not None:
            question = self.clock.question(self.accept.session, now)
            if question is not None:
                self._send(question, self.server)

    def report_is_due(self, now: float) -> bool:
        """Whether a REPORT should go now."""
        return self.registered and now >= self._reports.next_at

    def report(self, report: Report, now: float) -> None:
        """Send the listener's figures."""
        assert self.server is not None
        self._send(report, self.server)
        self._reports.sent(now)

    @property
    def registered(self) -> bool:
        """Whether the server has us among its listeners, as far as we know."""
        return self.state in (State.LISTENING, State.ENDING)

    def request(self, missing: str, now: float) -> None:
        """Ask for the retransmission of these ranges of sequences."""
        assert self.server is not None
        assert self.accept is not None
        self._send(Request(session=self.accept.session, missing=missing), self.server)
        self._reports.requested(self._heard_at, now)

    def leave(self, goodbye: Goodbye, now: float) -> None:
        """Say goodbye, with the final figures, until it is answered."""
        if self._move(Event.LEAVE) and self.state is State.LEAVING:
            self._goodbye = goodbye
            self._say_goodbye(now)

    # Within.

    def _move(self, event: Event) -> bool:
        """Follow the table; False if `event` means nothing in this state."""
        to = TRANSITIONS.get((self.state, event))
        if to is None:
            return False
        log.debug("%s: %s -> %s", event.name, self.state.name, to.name)
        self.state = to
        return True

    def _silent_at(self) -> float:
        assert self.accept is not None
        return self._heard_at + max(LEAST_TIMEOUT_S, self.accept.timeout_s)

    def _connect(self, now: float) -> None:
        self._send_connect(self._connecting.next_address(now), self._connecting.cookie)

    def _send_connect(self, address: Address, cookie: str | None) -> None:
        session = self.accept.session if self.accept else ""
        connect = Connect(nonce=self._nonce, cookie=cookie or "", session=session)
        self._send(connect, address, CONNECT_BYTES, _mark(self._nonce))

    def _reconnect(self, event: Event, now: float) -> None:
        if self._move(event):
            if self._seal is not None:
                self._seal.renew()
            self._connecting.begin_again(now)

    def _challenged(self, challenge: Challenge, address: Address, now: float) -> Challenge | None:
        if self.server is not None and self._has_session(challenge.nonce):
            # The server sees us at another address, or somebody else has our session. It may not
            # serve us any more, so this does not count as heard.
            if self._connecting.may_prove(now):
                self._send_connect(self.server, challenge.cookie)
            return challenge
        if self.state is not State.CONNECTING or challenge.nonce != self._nonce:
            return None
        if self._connecting.challenged(address, challenge.cookie, now):
            if self._seal is not None:
                self._connecting.drop_hint(now)
            self._connect(now)
        return challenge

    def _has_session(self, session: str) -> bool:
        """Whether this is our session, and it is not over."""
        going_on = self.registered or self.state is State.LEAVING
        return going_on and self.accept is not None and session == self.accept.session

    def _accepted(self, accept: Accept, stream: int, address: Address, now: float) -> Accept | None:
        if accept.nonce != self._nonce or not self._move(Event.ACCEPTED):
            return None
        self.clock.registered(now, anew=stream != self.stream)
        self.accept = accept
        self.stream = stream
        self.server = address
        self._connecting.drop_hint(now)
        self._reports.registered(accept.timeout_s, now)
        self._status_sequence = -1
        self._heard_at = now
        self._connecting.registered(now)
        log.info("registered with %s", address_text(address))
        return accept

    def _rejected(self, reject: Reject, now: float) -> Reject | None:
        if reject.reason == "session":
            if self.accept is None or reject.echo != self.accept.session:
                return None
            log.warning("the server does not know this session: connecting again")
            self._reconnect(Event.UNKNOWN, now)
        elif reject.echo != self._nonce:
            return None
        elif self._move(Event.REFUSED):
            reason = reject.reason[:20]
            # The stream that was heard has simply ended while the server was out of reach.
            ended = reason == "closing" and self.accept is not None
            text = REFUSALS.get(reason, f"the server refused: {reason}")
            self.failure = None if ended else text
        return reject

    def _answered(self, goodbye: Goodbye) -> Goodbye | None:
        if self.accept is None or goodbye.session != self.accept.session:
            return None
        if self._move(Event.FAREWELL):
            log.info("left")
        return goodbye

    def _informed(self, status: Status, sequence: int, now: float) -> Status:
        self._heard_at = now
        if sequence < self._status_sequence:
            # A newer one has overtaken it.
            return status
        self.status, self._status_sequence = status, sequence
        self.round_trip.measure(now - status.clock_us / 1e6)
        self._reports.answered(status, now)
        return status

    def _say_goodbye(self, now: float) -> None:
        assert self._goodbye is not None
        assert self.server is not None
        if self._goodbyes == GOODBYES:
            self._move(Event.TIMEOUT)
            return
        self._send(self._goodbye, self.server)
        self._goodbyes += 1
        self._goodbye_at = now + GOODBYE_PAUSE_S

    def _send(
        self, content: Control | Clock, address: Address, size_bytes: int = 0, mark: int = 0
    ) -> None:
        message = content.to_message(self._sequence, stream=self.stream or 0)
        if mark:
            message = message._replace(media_time_us=mark)
        datagram = self._pack(message, size_bytes)
        self._sequence += 1
        self._outbox.append((datagram, address))
        message_log.info(
            "sent %s %d, %d bytes, to %s",
            TYPE_NAMES[message.type],
            message.sequence,
            len(datagram),
            address_text(address),
        )


def _mark(nonce: str) -> int:
    """As hard to guess as the nonce, and as long as the header has room for."""
    return int.from_bytes(hashlib.blake2b(nonce.encode(), digest_size=8).digest())
