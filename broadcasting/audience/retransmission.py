"""What a listener misses -> the same again, to that listener alone, within a budget.

A listener whose link is dead asks for everything, again and again; nobody else may suffer from it.
Four bounds:

1. REQUESTs of one listener, and of all, are limited in rate (`may_ask`).
2. A message that has just been repeated to a listener is not repeated again within a round trip:
   the copies that a listener sends of a REQUEST cost nothing.
3. A listener has an allowance of bytes: at first what the history holds, which is all that it can
   ask for; then it gains what is broadcast. It is never sent more than twice the stream.
4. All listeners together share a budget of bytes, with the bursts of those that join late.

What is not answered is forgotten: the listener asks again, if it still helps. The wire calls a
request for repair REQUEST (a NACK) and its answer REPEAT (a retransmission). Pure: `now` is
monotonic, in seconds.
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterable, Iterator

from broadcasting.audience.listener import Account, Listener
from broadcasting.audience.rate import IDLE, Budget, Rate
from broadcasting.statistics import ServerStatistics
from broadcasting.stream.history import History, Packet

LISTENER_REQUESTS = 100.0
"""REQUESTs of one listener that are looked at in a second; one that misses much sends 20."""

ALL_REQUESTS = 2000.0
"""REQUESTs of all listeners that are looked at in a second: 30 µs each, 6 % of a core."""

REQUEST_BUCKET_S = 0.25
"""Burst of both in seconds of their rate: a loss close to the server makes everyone ask at once."""

LEAST_REPEAT_S = 0.01
"""Lower bound for the round trip that a listener reports."""

MOST_REPEAT_S = 1.0
"""Upper bound for the round trip that a listener reports."""

REPEATS_AT_ONCE = 128
"""Messages of one REQUEST that are looked at, while the lock is held: 1 ms, and with a key 2 ms.
More than ten seconds of 96 kbit/s, or three of 320 kbit/s."""

LOG_EVERY_S = 1.0
"""Repairs are logged in one line for this long."""

_LISTENER = Rate(LISTENER_REQUESTS, LISTENER_REQUESTS * REQUEST_BUCKET_S)
_ALL = Rate(ALL_REQUESTS, ALL_REQUESTS * REQUEST_BUCKET_S)

log = logging.getLogger("server")


class Retransmission:
    """Answers the REQUESTs of registered listeners."""

    def __init__(self, history: History, budget: Budget, statistics: ServerStatistics) -> None:
        """`budget` is in bytes, for all listeners together."""
        self._history = history
        self._budget = budget
        self._statistics = statistics
        self._requested_until = IDLE
        # For the line of the log: messages, listeners, and when the second is over.
        self._repeated = 0
        self._repeated_to: set[int] = set()
        self._log_due = 0.0

    def may_ask(self, listener: Listener, now: float) -> bool:
        """Whether a REQUEST of `listener` is looked at; it counts as one if it is."""
        account = listener.account
        if account is None:
            account = listener.account = Account(self._history)
        own = _LISTENER.reserve(account.requested_until, now)
        of_all = _ALL.reserve(self._requested_until, now)
        if own is None or of_all is None:
            return False
        account.requested_until, self._requested_until = own, of_all
        return True

    def answer(
        self, listener: Listener, missing: Iterable[range], rtt_s: float | None, now: float
    ) -> list[Packet]:
        """The messages to repeat to `listener`, which `may_ask`.

        `missing` holds the sequences it asked for, ascending and disjoint; `rtt_s` is the round
        trip that it reported.
        """
        account, count = listener.account, self._statistics
        assert account is not None, "it may ask"
        account.earn(self._history)
        account.forget(now - MOST_REPEAT_S)
        within_s = min(MOST_REPEAT_S, max(LEAST_REPEAT_S, rtt_s or 0.0))
        repeated = []
        for sequence in itertools.islice(self._kept(missing), REPEATS_AT_ONCE):
            if account.repeated_within(within_s, sequence, now):
                count.repeats_spared += 1
                continue
            packet = self._history.at(sequence)
            size = len(packet.datagram)
            if account.allowance_bytes < size or self._budget.is_spent(now):
                count.repeats_refused += 1
                continue
            account.repeat(packet, now)
            self._budget.spend(size, now)
            repeated.append(packet)
        count.repeated += len(repeated)
        if repeated:
            self._note(len(repeated), listener, now)
        return repeated

    def log_repairs(self, now: float) -> None:
        """Write the line of a second that is over at `now`, if something was repeated in it."""
        if self._repeated and now >= self._log_due:
            log.info(
                "in one second: %d repeated, listeners: %d", self._repeated, len(self._repeated_to)
            )
            self._repeated = 0
            self._repeated_to.clear()

    def _note(self, repeated: int, listener: Listener, now: float) -> None:
        self.log_repairs(now)
        if not self._repeated:
            self._log_due = now + LOG_EVERY_S
        self._repeated += repeated
        self._repeated_to.add(id(listener))

    def _kept(self, missing: Iterable[range]) -> Iterator[int]:
        """The sequences of `missing` that are in the history: few, however many are named."""
        kept = self._history.sequences
        unknown = False
        for wanted in missing:
            first, after = max(wanted.start, kept.start), min(wanted.stop, kept.stop)
            yield from range(first, after)
            unknown = unknown or after - first < wanted.stop - wanted.start
        self._statistics.requests_unknown += unknown
