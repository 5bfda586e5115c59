"""How a listener comes, moves and leaves: CONNECT in, CHALLENGE, ACCEPT or REJECT out.

An address that has not proved itself makes no state (`cookie`), and is answered with no more bytes
than it sent. Sans-I/O, as everything here.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from broadcasting.audience.catch_up import CatchUp
from broadcasting.audience.cookie import CookieJar
from broadcasting.audience.farewells import Farewells
from broadcasting.audience.figures import AudienceFigures, Leaving, last_words
from broadcasting.audience.listener import Listener
from broadcasting.audience.message_log import Incoming, MessageLog
from broadcasting.audience.migration import Migration
from broadcasting.audience.outbox import Outbox
from broadcasting.audience.registry import Registry
from broadcasting.settings import Settings
from broadcasting.statistics import ServerStatistics
from broadcasting.stream.stream import Stream
from message import (
    SALT_BYTES,
    SEALED,
    Accept,
    Challenge,
    Connect,
    Message,
    MessageError,
    Reject,
    Type,
    cut_text,
)
from wire.address import Address, address_text

if TYPE_CHECKING:
    from broadcasting.audience.listener import Peer
    from broadcasting.audience.seal import ServerSeal

BURST_PATIENCE_S = 0.5
"""A burst that would wait longer for its turn is not begun: it would come too late to be played.
The listener begins with the next segment then, and sounds when its buffer is full."""

log = logging.getLogger("server")


@dataclasses.dataclass(eq=False)
class Handshake:
    """Admits listeners, and dismisses them."""

    settings: Settings
    stream: Stream
    statistics: ServerStatistics
    registry: Registry
    figures: AudienceFigures
    catch_up: CatchUp
    outbox: Outbox
    messages: MessageLog
    cookies: CookieJar
    token: Callable[[], str]
    """Returns a fresh session token that nobody can guess, at each call."""
    seal: ServerSeal | None = None

    def __post_init__(self) -> None:
        self.migration = Migration(self.registry, self.cookies, self.outbox)
        self.farewells = None if self.seal is not None else Farewells()

    def receive_connect(self, came: Incoming) -> None:
        """Take a CONNECT; raises MessageError."""
        message, address, now = came.message, came.address, came.now
        connect = Connect.from_message(message)
        if not self.cookies.accepts(connect.cookie, address, now):
            self.messages.received_unproved(came)
            self.statistics.unproved += 1
            cookie = self.cookies.make(address, now)
            self.outbox.answer(Challenge(nonce=connect.nonce, cookie=cookie), came)
            return
        if self.farewells is not None and self.farewells.is_over(connect, address, now):
            self.messages.received_unproved(came)
            return
        listener = self._sender_of(connect, address, now)
        if listener is not None and listener.address != address:
            if not self.migration.may_move(listener, address, now):
                # It is heard where it is: the same words from here are passed over.
                self.messages.received_unproved(came)
                return
            self._move(listener, address, now)
        peer = None if self.seal is None else self._proved(self.seal, message, listener, now)
        if listener is not None:
            self.registry.heard(listener, now)
        elif (reason := self.registry.refusal(address)) is None:
            listener = self._admit(connect, address, now)
        else:
            self.messages.received_unproved(came)
            self.refuse(reason, connect.nonce, came)
            if self.seal is not None and peer is not None:
                self.seal.retire(peer, now)
            return
        if self.seal is not None and peer is not None:
            self.seal.register(listener, peer, now)
        self.messages.received(came, listener.name)
        self.outbox.send(self._accept(listener).fitted(), listener, self.stream.track_time_us)

    def refuse_sealed(self, came: Incoming) -> None:
        """A client with a key, where there is none, must not think that nobody is here."""
        self.refuse("keyless", came.message.data[:SALT_BYTES].hex(), came)

    def refuse_key(self, came: Incoming) -> None:
        """A client without our key is told so, openly, if it said CONNECT."""
        message = came.message
        if message.type == Type.CONNECT:
            try:
                echo = Connect.from_message(message).nonce
            except MessageError:
                return
        elif message.type == Type.CONNECT | SEALED:
            echo = message.data[:SALT_BYTES].hex()
        else:
            return
        self.refuse("key", echo, came, openly=True)

    def refuse(
        self, reason: str, echo: str, came: Incoming, mark: int = 0, *, openly: bool = False
    ) -> None:
        """Answer with REJECT; `mark` and `openly` as for `Outbox.answer`."""
        self.statistics.rejected[reason] += 1
        self.messages.limited.write(
            came.now, log, logging.WARNING, "refused %s: %s", address_text(came.address), reason
        )
        self.outbox.answer(Reject(reason=reason, echo=echo), came, mark, openly=openly)

    def dismiss(self, listener: Listener, now: float, how: Leaving) -> None:
        """`listener` is gone: its slot is free at once, its last figures are kept."""
        self.registry.remove(listener)
        if self.seal is not None and listener.peer is not None:
            self.seal.retire(listener.peer, now)
        if self.farewells is not None and how != "silent":
            self.farewells.left(listener, now)
        log.log(
            logging.WARNING if how == "silent" else logging.INFO,
            "%s left (%s), %d remain: %s",
            listener.name,
            how,
            len(self.registry),
            last_words(self.figures.keep(listener, now, how)),
        )

    def _sender_of(self, connect: Connect, address: Address, now: float) -> Listener | None:
        """The listener that says `connect` at `address`, wherever it is registered."""
        listener = self.registry.at(address)
        if listener is not None and listener.nonce == connect.nonce:
            return listener
        if listener is not None:
            # The same port, another run of the client: the old one cannot be there any more.
            self.dismiss(listener, now, "replaced")
        return self.migration.listener_of(connect)

    def _proved(
        self, seal: ServerSeal, message: Message, listener: Listener | None, now: float
    ) -> Peer:
        """The peer that said CONNECT `message`, with a good cookie."""
        peer = seal.proved(message)
        if peer.listener is not None and peer.listener is not listener:
            # It moved before it knew its session: only its salt tells.
            self.dismiss(peer.listener, now, "replaced")
        return peer

    def _admit(self, connect: Connect, address: Address, now: float) -> Listener:
        """Register the sender of `connect`; there is room."""
        stream, registry, count = self.stream, self.registry, self.statistics
        timely = stream.started and self.catch_up.backlog_s <= BURST_PATIENCE_S
        burst = stream.burst(now) if timely else []
        listener = Listener(
            address=address,
            name=address_text(address),
            nonce=connect.nonce,
            session=self.token(),
            joined_at=now,
            heard_at=now,
            first_sequence=burst[0].sequence if burst else stream.next_sequence,
            first_time_us=burst[0].media_time_us if burst else stream.sent_until_us,
            live_time_us=max(stream.burst_us, stream.sent_until_us),
        )
        registry.add(listener)
        self.catch_up.add(listener, stream.with_the_rest(burst))
        count.accepted += 1
        count.listeners_peak = max(count.listeners_peak, len(registry))
        log.info("registered %s, %d of %d", listener.name, len(registry), registry.capacity)
        if burst:
            self.messages.sent_burst(burst, listener.name)
        return listener

    def _move(self, listener: Listener, address: Address, now: float) -> None:
        """`listener` goes on from `address`, which has proved itself."""
        log.info("%s goes on from %s", listener.name, address_text(address))
        if self.farewells is not None:
            self.farewells.moves(listener, now)
        self.registry.move(listener, address, now)
        self.statistics.moved += 1

    def _accept(self, listener: Listener) -> Accept:
        track, fec = self.stream.track, self.settings.fec
        origin_us, origin_sequence = self.stream.origin
        return Accept(
            nonce=listener.nonce,
            session=listener.session,
            first_sequence=listener.first_sequence,
            first_time_us=listener.first_time_us,
            live_time_us=listener.live_time_us,
            burst_s=self.settings.ahead_s,
            timeout_s=self.settings.timeout_s,
            speed=self.settings.speed,
            title=cut_text(track.title) if track else "",
            artist=cut_text(track.artist) if track and track.artist else None,
            duration_s=self.stream.skipping.duration_s,
            frame_rate_hz=track.frame_rate_hz if track else 0,
            channels=track.channels if track else 0,
            bit_rate_bps=track.bit_rate_bps if track else None,
            block=fec.messages if fec else 0,
            parity=self.stream.parity.parity_count,
            interval_s=self.settings.interval_s or 0.0,
            origin_us=origin_us,
            origin_sequence=origin_sequence,
        )
