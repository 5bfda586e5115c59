"""The server's clock: what to ask it, and what its answers say."""

from __future__ import annotations

from random import Random

from clock.estimate import Estimate
from clock.exchange import Exchange
from message import Clock, Time


class ServerClock:
    """The exchanges of one run of the client with its servers, one after the other."""

    def __init__(self, nonce: str, now: float) -> None:
        """`nonce`: nobody else knows it."""
        # A generator of its own: how often it is asked must not move anything else.
        self._exchange = Exchange(Random(f"clock {nonce}"), now)  # noqa: S311 - spreads pauses
        self._asked: int | None = None

    def registered(self, now: float, *, anew: bool) -> None:
        """A server has registered us; `anew`: it is another one, or another run of it."""
        if anew:
            self._exchange.restart(now)
        else:
            self._exchange.move(now)

    def next_due(self) -> float:
        """When to ask next."""
        return self._exchange.next_due()

    def question(self, session: str, now: float) -> Clock | None:
        """The CLOCK that is due, if one is."""
        mark = self._exchange.take_due(now)
        if mark is None:
            return None
        self._asked = mark
        return Clock(session, mark)

    def departed(self, at: float) -> None:
        """What was to be sent has left, the last of it at `at`."""
        if self._asked is not None:
            self._exchange.sent(self._asked, at)
            self._asked = None

    def told(self, time: Time, came_at: float) -> bool:
        """Take an answer; False if it was not asked for, or came before."""
        received_s, sent_s = time.received_us / 1e6, time.sent_us / 1e6
        return self._exchange.answered(time.mark, received_s, sent_s, time.pause_ms / 1e3, came_at)

    def hint(self, now: float) -> None:
        """Audio came at a time that the estimate does not explain: ask at once."""
        self._exchange.hint(now)

    def estimate(self, now: float) -> Estimate | None:
        """The server's clock as it is known at `now`; None before the first answer."""
        return self._exchange.estimate(now)
