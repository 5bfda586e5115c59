"""Looking for the server: which address gets the next CONNECT, when, and when to give up.

CONNECT goes to each of the server's addresses in turn. The first that answers is the server's. The
pauses grow and are jittered, so that a thousand listeners of a server that comes back do not all
call at the same instant. Pure: `now` is monotonic, in seconds; chance comes in as `random`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from random import Random

from message import VERSION
from wire.address import Address, address_text
from wire.round_trip import RoundTrip

FIRST_PAUSE_S = 0.25
"""Pause between the first two CONNECTs (RFC 8305 section 5 recommends 250 ms)."""

PAUSE_GROWTH = 1.5
"""Each pause is this multiple of the one before."""

LONGEST_PAUSE_S = 1.0
"""Upper bound of the pauses: a server that is back is found within about a second."""

STEADY_S = 10.0
"""A server that is lost sooner than this after it registered us, and again, is called more and more
slowly: its answers may be at fault."""

MOST_GROWTHS = 10
"""Growths of that pause: to 14 s."""

PAUSE_JITTER = 0.25
"""Every pause is up to this fraction longer or shorter."""

PROOF_PAUSE_S = 0.1
"""Shortest pause between two proofs of our address: a server may ask again and again."""

HINT_PATIENCE_S = 1.0
"""Time for a true answer to follow a hint (a REJECT in another version, or unsealed where it should
be sealed), perhaps from another of the server's addresses: several CONNECTs."""

REFUSALS = {
    "full": "the server is full: try again later, or ask for a larger --max-clients",
    "address": "the server takes no more listeners from this network's address:"
    " stop one here, or ask for a larger --max-clients-per-address",
    "closing": "the server is ending its stream",
    "version": f"the server speaks another version of the protocol than {VERSION}",
    "key": "the server has a key, and this client not the same: give its key file with --key-file",
    "keyless": "the server has no key: start it with --key-file, too, or this client without",
}
"""Reason of a REJECT -> text for the user."""


class Connecting:
    """The attempts to connect, the first time and whenever the server was lost."""

    def __init__(
        self,
        addresses: Sequence[Address],
        timeout_s: float,
        patience_s: float,
        round_trip: RoundTrip,
        random: Random,
        now: float,
    ) -> None:
        """Give up after `timeout_s`, or `patience_s` if the server was found before.

        `round_trip` is told how long the handshake takes.
        """
        assert addresses, "there is nobody to connect to"
        self.cookie: str | None = None
        """What proves our address to the server; None until it has sent one."""
        self._addresses = list(addresses)
        self._timeout_s = timeout_s
        self._patience_s = patience_s
        self._round_trip = round_trip
        self._random = random
        self._attempts = 0
        self._pause_s = FIRST_PAUSE_S
        self._hint: str | None = None
        self._registered_at = now
        self._next_proof_at = now
        self._losses = 0
        """Losses of the server, one soon after the other."""
        self._unanswered: deque[float] = deque(maxlen=2)
        """When the CONNECTs that wait for the same answer were sent."""
        self.next_at = now
        """When the next CONNECT should go."""
        self.give_up_at = now + timeout_s

    def knows(self, address: Address) -> bool:
        """Whether the server may answer from `address`."""
        return address in self._addresses

    def begin_again(self, now: float) -> None:
        """The server was lost: look for it anew."""
        self.cookie = None
        self._attempts = 0
        self._pause_s = FIRST_PAUSE_S
        self._losses = self._losses + 1 if now - self._registered_at < STEADY_S else 0
        repeated = max(0, self._losses - 1)
        pause_s = FIRST_PAUSE_S * PAUSE_GROWTH ** min(repeated, MOST_GROWTHS) if repeated else 0.0
        self.next_at = now + pause_s
        self.give_up_at = now + self._patience_s

    def next_address(self, now: float) -> Address:
        """Where the CONNECT goes that is sent now."""
        address = self._addresses[self._attempts % len(self._addresses)]
        self._attempts += 1
        self._unanswered.append(now)
        jitter = self._random.uniform(1 - PAUSE_JITTER, 1 + PAUSE_JITTER)
        self.next_at = now + self._pause_s * jitter
        self._pause_s = min(LONGEST_PAUSE_S, self._pause_s * PAUSE_GROWTH)
        return address

    def registered(self, now: float) -> None:
        """The server has registered us."""
        self._registered_at = now
        self.answered(now)

    def may_prove(self, now: float) -> bool:
        """Whether the server that has registered us gets another proof of our address, now."""
        may = now >= self._next_proof_at
        if may:
            self._next_proof_at = now + PROOF_PAUSE_S
        return may

    def challenged(self, address: Address, cookie: str, now: float) -> bool:
        """`address` answered with `cookie`; whether to send the next CONNECT at once.

        Only the first is answered at once, what follows is left to the pauses: no ping-pong with a
        server that takes none of its cookies.
        """
        is_first, self.cookie = self.cookie is None, cookie
        self._addresses.remove(address)
        self._addresses.insert(0, address)
        self._attempts = 0
        if is_first:
            # The server is there: no need to be as patient with it as with a silent one.
            self._pause_s = FIRST_PAUSE_S
            self.answered(now)
        return is_first

    def answered(self, now: float) -> None:
        """The server answered: measure the round trip if it is certain to what (Karn's rule)."""
        if len(self._unanswered) == 1:
            self._round_trip.measure(now - self._unanswered[0])
        self._unanswered.clear()

    def take_hint(self, reason: str, now: float) -> None:
        """Why we may be refused, if nothing better comes soon."""
        if self._hint is None or reason != "version":
            self._hint = REFUSALS[reason]
            self.give_up_at = min(self.give_up_at, now + HINT_PATIENCE_S)

    def drop_hint(self, now: float) -> None:
        """The hint was not true."""
        if self._hint is not None:
            self._hint = None
            self.give_up_at = now + self._timeout_s

    def no_answer(self, *, was_found: bool) -> str:
        """Why nothing came of it, for the user."""
        if self._hint is not None:
            return self._hint
        where = address_text(self._addresses[0])
        if was_found:
            return (
                f"the server at {where} was lost, and did not come back in {self._patience_s:g} s"
            )
        return (
            f"no answer from {where} in {self._timeout_s:g} s:"
            " check address and port, and that the server is running"
        )
