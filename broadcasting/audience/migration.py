"""A listener that speaks from another address or port than before: whether it goes on from there.

A NAT gives a client another port after a restart, or just when it likes; a laptop changes from one
network to another. The client does not see it: its session's token comes from elsewhere now. But a
token may have been overheard, and a source address can be forged. So, after RFC 9000, sections 8.2
and 9.3:

1. Nothing moves, and no audio goes to the new address, until that has sent back its own cookie.
2. A client that still speaks from the registered address keeps the session: only if nothing came
   from there for `QUIET_S` is anybody else asked for proof, and then the registered address is
   asked, too.
3. If its answer comes after the session has moved, the session goes back: proof from where it came
   from counts at once. So it is not decided by who answers faster.

Nothing is kept for an address that is not proved. Pure: `now` is monotonic, in seconds.
"""

from __future__ import annotations

from broadcasting.audience.cookie import CookieJar
from broadcasting.audience.listener import Listener
from broadcasting.audience.message_log import Incoming
from broadcasting.audience.outbox import Outbox
from broadcasting.audience.registry import Registry
from message import Challenge, Connect
from wire.address import Address

QUIET_S = 0.5
"""Silence of the registered address before another is asked for proof: half the usual pause between
REPORTs, so that what was missed can still be repaired, and long beside the delays by which
datagrams of one path overtake those of another."""


class Migration:
    """Asks for proof, and judges it."""

    def __init__(self, registry: Registry, cookies: CookieJar, outbox: Outbox) -> None:
        self._registry = registry
        self._cookies = cookies
        self._outbox = outbox

    def challenge(self, session: str, came: Incoming) -> bool:
        """`session` was named by a message that came from an address that is not its own.

        Asks both addresses for proof if the listener may move. False if no listener has this
        session.
        """
        listener = self._registry.with_session(session)
        if listener is None:
            return False
        if self.may_move(listener, came.address, came.now) and self._outbox.answer(
            self._challenge(session, came.address, came.now), came
        ):
            self._outbox.send(self._challenge(session, listener.address, came.now), listener)
        return True

    def listener_of(self, connect: Connect) -> Listener | None:
        """The listener that sent `connect`, wherever it is registered."""
        listener = self._registry.with_session(connect.session)
        return None if listener is None or listener.nonce != connect.nonce else listener

    def may_move(self, listener: Listener, address: Address, now: float) -> bool:
        """Whether `listener` may go on from `address`, if that is proved."""
        quiet = address == listener.came_from or now - listener.heard_at >= QUIET_S
        return quiet and self._registry.has_room(listener, address)

    def _challenge(self, session: str, address: Address, now: float) -> Challenge:
        return Challenge(nonce=session, cookie=self._cookies.make(address, now))
