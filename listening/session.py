"""Registered or not: connect, keep alive, notice silence, connect again, say goodbye.

The states and what moves between them are one table, `TRANSITIONS`; what is not in it changes
nothing. Sans-I/O: no socket, no thread, no clock; chance comes in as `random`.

While connecting, CONNECT goes to each of the server's addresses in turn, with pauses that grow
and are jittered, so that a thousand listeners of a server that comes back do not all call at
the same instant. The first address that answers is the server's.
"""

from __future__ import annotations

import enum
import hashlib
from collections.abc import Sequence
from random import Random
from typing import TYPE_CHECKING

from listening.round_trip import RoundTrip
from message import (
    CONNECT_BYTES,
    TYPE_NAMES,
    VERSION,
    Accept,
    Challenge,
    Connect,
    Control,
    End,
    Goodbye,
    Message,
    Reject,
    Report,
    Request,
    Status,
    Track,
    Type,
)
from wire.address import Address, address_text
from wire.log import get_logger

if TYPE_CHECKING:
    from listening.seal import ClientSeal

FIRST_PAUSE_S = 0.25
"""Between the first two CONNECTs (RFC 8305 section 5 recommends 250 ms between attempts)."""

PAUSE_GROWTH = 1.5
LONGEST_PAUSE_S = 1.0
"""A server that is back is found within about a second."""

PAUSE_JITTER = 0.25
"""Every pause is up to this fraction longer or shorter."""

REPORT_S = 1.0
REPORTS_IN_TIMEOUT = 5
"""Between REPORTs: a second, or less where the server waits less than its default of five, so that
one has five chances to be heard."""

REPORT_EARLY_S = 0.1
"""A REPORT may go so much earlier, with the arrival of audio: to wake a processor for it alone
costs as much as the REPORT, here and there."""

REPORT_AGAIN_S = 0.25
"""A REPORT that was not answered is sent again after this, if the server has few listeners: on a
path that loses in bursts, five chances are not many."""

TOGETHER_S = 1.0
"""Where listeners are many their REPORTs reach the server at whole seconds of its clock: who is
woken once for several does with a fraction of what each would cost by itself. The server spaces
them so that a second has few."""

PROBE_S = 0.5
"""In a silence of the server a REQUEST is followed by a REPORT, so often: a NAT may have given us
another address, and a REPORT is long enough to be answered with the question whether it is us."""

VERSION_PATIENCE_S = 1.0
"""How long a true answer may follow one in another version, from another of the server's addresses,
or one that is not sealed where it should be: several CONNECTs."""

MOST_REPORT_S = 120.0
"""The longest pause between REPORTs that a server may ask for."""

GOODBYE_PAUSE_S = 0.1
GOODBYES = 5
"""A GOODBYE that nobody answers is given up after half a second: the user waits to leave."""

log = get_logger("client")


class State(enum.Enum):
    """Where the session stands."""

    CONNECTING = enum.auto()
    LISTENING = enum.auto()
    ENDING = enum.auto()
    """The server has told the end; what has come is played."""
    LEAVING = enum.auto()
    CLOSED = enum.auto()


class Event(enum.Enum):
    """What can move the session."""

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

REFUSALS = {
    "full": "the server is full: try again later, or ask for a larger --max-clients",
    "address": "the server takes no more listeners from this network's address:"
    " stop one here, or ask for a larger --max-clients-per-address",
    "closing": "the server is ending its stream",
    "version": f"the server speaks another version of the protocol than {VERSION}",
    "key": "the server has a key, and this client not the same: give its key file with --key-file",
    "keyless": "the server has no key: start it with --key-file, too, or this client without",
}


class Session:
    """One listener's relation to one server."""

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
        """`timeout_s` is how long to look for the server before the user is told.

        `patience_s` is the same for a server that was found once; None for as long. With a `seal`
        everything that is said is sealed; what is received was opened with it.
        """
        assert addresses, "there is nobody to connect to"
        self.state = State.CONNECTING
        self.accept: Accept | None = None
        self.stream: int | None = None
        self.server: Address | None = None
        self.failure: str | None = None
        """Why it closed, for the user; None if all went as it should."""
        self.status: Status | None = None
        self._status_sequence = -1
        self.round_trip = RoundTrip()
        self._addresses = list(addresses)
        self._nonce = nonce
        # As hard to guess as the nonce, and as long as the header has room for.
        digest = hashlib.blake2b(nonce.encode(), digest_size=8).digest()
        self._mark = int.from_bytes(digest)
        self._timeout_s = timeout_s
        self._patience_s = timeout_s if patience_s is None else patience_s
        self._random = random
        self._seal = seal
        self._pack = seal.pack if seal else Message.pack
        self._cookie: str | None = None
        self._outbox: list[tuple[bytes, Address]] = []
        self._sequence = 0
        self._attempts = 0
        self._connects: list[float] = []
        """When the CONNECTs that wait for the same answer were sent."""
        self._hint: str | None = None
        self._pause_s = FIRST_PAUSE_S
        self._goodbye: Goodbye | None = None
        self._goodbyes = 0
        self._heard_at = now
        self._act_at = now
        self._reported_at = now
        self._server_ahead_s = 0.0
        """What the server's clock shows when something that is sent now arrives, less ours."""
        self._give_up_at = now + timeout_s

    # The network's side.

    def knows(self, address: Address) -> bool:
        """Whether what comes from `address` is for this session."""
        if self.state is State.CONNECTING:
            return address in self._addresses
        return address == self.server

    def heard(self, now: float) -> None:
        """Audio came: the server is there, and both sides are awake."""
        self._heard_at = now
        if self.state is State.LISTENING and self._act_at <= now + REPORT_EARLY_S:
            self._act_at = now

    def receive(self, message: Message, address: Address, now: float) -> Control | None:
        """Take a control message from an address that `knows`; its content if it counts.

        Raises MessageError if the content is wrong.
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
            self._heard_at = now
            return Track.from_message(message)
        elif message.type == Type.GOODBYE:
            return self._answered(Goodbye.from_message(message))
        return None

    def ended(self, now: float) -> None:
        """The end that the server told is believed: confirm it, and play what has come."""
        if self._move(Event.ENDED):
            self._act_at = now

    def refused_version(self, mark: int | None, now: float) -> None:
        """A REJECT came in another version of the protocol.

        Nothing of it can be read but the `mark`, which only one who was sent the CONNECT can
        repeat: from anybody else it changes nothing.
        """
        if mark == self._mark and self.state is State.CONNECTING and self._hint is None:
            self._take_hint("version", now)

    def refused_openly(self, message: Message, now: float) -> None:
        """A REJECT came that is not sealed, where everything must be.

        Whoever sees our CONNECTs may have sent it: a true answer still counts. After one it means
        nothing: the server has our key. Raises MessageError.
        """
        assert self._seal is not None
        reject = Reject.from_message(message)
        if self.state is not State.CONNECTING or self._cookie is not None:
            return
        if reject.reason in ("key", "keyless") and reject.echo == self._seal.salt.hex():
            self._take_hint(reject.reason, now)

    def datagrams_to_send(self) -> list[tuple[bytes, Address]]:
        """What has to go out, since the last call."""
        outbox, self._outbox = self._outbox, []
        return outbox

    # The clock's side.

    def next_due(self) -> float | None:
        """When `on_due` wants to be called next."""
        if self.state is State.CLOSED:
            return None
        if self.state is State.CONNECTING:
            return min(self._act_at, self._give_up_at)
        if self.state is State.LISTENING:
            return min(self._act_at, self._silent_at())
        return self._act_at

    def on_due(self, now: float) -> None:
        """Do what time asks for, but for REPORTs: `report_is_due` asks for those."""
        if self.state is State.LISTENING and now >= self._silent_at():
            log.warning("nothing heard for %.0f s: connecting again", now - self._heard_at)
            self._reconnect(Event.SILENCE, now)
        if self.state is State.CONNECTING:
            if now >= self._give_up_at:
                self._move(Event.TIMEOUT)
                self.failure = self._no_answer()
            elif now >= self._act_at:
                self._connect(now)
        elif self.state is State.LEAVING and now >= self._act_at:
            self._say_goodbye(now)

    def report_is_due(self, now: float) -> bool:
        """Whether a REPORT should go now."""
        return self.registered and now >= self._act_at

    def report(self, report: Report, now: float) -> None:
        """Send what the listener has."""
        assert self.server is not None
        assert self.accept is not None
        self._send(report, self.server)
        self._reported_at = now
        self._act_at = self._next_report_at()
        if self.status is not None and self.status.report_s <= self._usual_report_s():
            self._act_at = min(self._act_at, now + REPORT_AGAIN_S)

    @property
    def registered(self) -> bool:
        """Whether the server, as far as we know, has us among its listeners."""
        return self.state in (State.LISTENING, State.ENDING)

    def request(self, missing: str, now: float) -> None:
        """Ask for these ranges of sequences."""
        assert self.server is not None
        assert self.accept is not None
        self._send(Request(session=self.accept.session, missing=missing), self.server)
        if now - max(self._heard_at, self._reported_at) >= PROBE_S:
            self._act_at = now

    def leave(self, goodbye: Goodbye, now: float) -> None:
        """Say goodbye, with the final figures, until it is answered."""
        if self._move(Event.LEAVE) and self.state is State.LEAVING:
            self._goodbye = goodbye
            self._say_goodbye(now)

    # Within.

    def _usual_report_s(self) -> float:
        assert self.accept is not None
        return min(REPORT_S, self.accept.timeout_s / REPORTS_IN_TIMEOUT)

    def _next_report_at(self) -> float:
        usual_s = self._usual_report_s()
        if self.status is None or self.status.report_s <= usual_s:
            return self._reported_at + usual_s
        # Many listeners that joined together must not all report together (RFC 3550, 6.3.1).
        longest_s = min(MOST_REPORT_S, self.status.report_s)
        at = self._reported_at + longest_s * self._random.uniform(0.5, 1.0)
        server_at = TOGETHER_S * round((at + self._server_ahead_s) / TOGETHER_S)
        together_at = server_at - self._server_ahead_s
        pause_s = together_at - self._reported_at
        return together_at if longest_s / 2 <= pause_s <= longest_s + REPORT_EARLY_S else at

    def _take_hint(self, reason: str, now: float) -> None:
        """Why we may be refused, if nothing better comes soon."""
        self._hint = REFUSALS[reason]
        self._give_up_at = min(self._give_up_at, now + VERSION_PATIENCE_S)

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
        return self._heard_at + self.accept.timeout_s

    def _no_answer(self) -> str:
        if self._hint is not None:
            return self._hint
        where = address_text(self._addresses[0])
        if self.accept is not None:
            return (
                f"the server at {where} was lost, and did not come back in {self._patience_s:g} s"
            )
        return (
            f"no answer from {where} in {self._timeout_s:g} s:"
            " check address and port, and that the server is running"
        )

    def _connect(self, now: float) -> None:
        self._send_connect(self._addresses[self._attempts % len(self._addresses)], self._cookie)
        self._attempts += 1
        self._connects.append(now)
        self._act_at = now + self._pause_s * self._random.uniform(
            1 - PAUSE_JITTER, 1 + PAUSE_JITTER
        )
        self._pause_s = min(LONGEST_PAUSE_S, self._pause_s * PAUSE_GROWTH)

    def _send_connect(self, address: Address, cookie: str | None) -> None:
        session = self.accept.session if self.accept else ""
        connect = Connect(nonce=self._nonce, cookie=cookie or "", session=session)
        self._send(connect, address, CONNECT_BYTES, self._mark)

    def _reconnect(self, event: Event, now: float) -> None:
        if self._move(event):
            if self._seal is not None:
                self._seal.renew()
            self._cookie = None
            self._attempts = 0
            self._pause_s = FIRST_PAUSE_S
            self._act_at = now
            self._give_up_at = now + self._patience_s

    def _challenged(self, challenge: Challenge, address: Address, now: float) -> Challenge | None:
        if self.server is not None and self._has_session(challenge.nonce):
            # We are seen at another address than before, or somebody else has our session. This
            # is no sign that the server still serves us: it does not count as heard.
            self._send_connect(self.server, challenge.cookie)
            return challenge
        if self.state is not State.CONNECTING or challenge.nonce != self._nonce:
            return None
        # Only the first is answered at once, what follows is left to the pauses: no ping-pong
        # with a server that takes none of its cookies.
        at_once, self._cookie = self._cookie is None, challenge.cookie
        # This address answers: the cookie is for it, and so is the next attempt.
        self._addresses.remove(address)
        self._addresses.insert(0, address)
        self._attempts = 0
        if at_once:
            # The server is there: no need to be as patient with it as with a silent one.
            self._pause_s = FIRST_PAUSE_S
            if self._seal is not None and self._hint is not None:
                self._hint = None
                self._give_up_at = now + self._timeout_s
            self._measure_handshake(now)
            self._connect(now)
        return challenge

    def _has_session(self, session: str) -> bool:
        """Whether this is the session that is still going on."""
        going_on = self.registered or self.state is State.LEAVING
        return going_on and self.accept is not None and session == self.accept.session

    def _accepted(self, accept: Accept, stream: int, address: Address, now: float) -> Accept | None:
        if accept.nonce != self._nonce or not self._move(Event.ACCEPTED):
            return None
        self.accept = accept
        self.stream = stream
        self.server = address
        self._hint = None
        self._status_sequence = -1
        self._heard_at = now
        self._act_at = now
        self._measure_handshake(now)
        return accept

    def _measure_handshake(self, now: float) -> None:
        # Only if it is certain which CONNECT was answered (Karn's rule).
        if len(self._connects) == 1:
            self.round_trip.measure(now - self._connects[0])
        self._connects.clear()

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
            # While the server was out of reach, the stream that was heard has simply ended.
            ended = reason == "closing" and self.accept is not None
            text = REFUSALS.get(reason, f"the server refused: {reason}")
            self.failure = None if ended else text
        return reject

    def _answered(self, goodbye: Goodbye) -> Goodbye | None:
        if self.accept is None or goodbye.session != self.accept.session:
            return None
        self._move(Event.FAREWELL)
        return goodbye

    def _informed(self, status: Status, sequence: int, now: float) -> Status:
        self._heard_at = now
        if sequence < self._status_sequence:
            # It was overtaken by a newer one.
            return status
        self.status, self._status_sequence = status, sequence
        self.round_trip.measure(now - status.clock_us / 1e6)
        self._server_ahead_s = (status.server_clock_us - status.clock_us) / 1e6
        if self.registered and self._act_at > now:
            self._act_at = max(now, self._next_report_at())
        return status

    def _say_goodbye(self, now: float) -> None:
        assert self._goodbye is not None
        assert self.server is not None
        if self._goodbyes == GOODBYES:
            self._move(Event.TIMEOUT)
            return
        self._send(self._goodbye, self.server)
        self._goodbyes += 1
        self._act_at = now + GOODBYE_PAUSE_S

    def _send(self, content: Control, address: Address, size_bytes: int = 0, mark: int = 0) -> None:
        message = content.to_message(self._sequence, stream=self.stream or 0, media_time_us=mark)
        datagram = self._pack(message, size_bytes)
        self._sequence += 1
        self._outbox.append((datagram, address))
        log.info(
            "sent %s %d, %d bytes, to %s",
            TYPE_NAMES[content.TYPE],
            message.sequence,
            len(datagram),
            address_text(address),
        )
