"""What a listener misses -> the same again, to that listener alone, within a budget.

A listener whose link is dead asks for everything, again and again; nobody else may suffer from it.
So four things bound what is answered:

1. REQUESTs of one listener, and of all, are looked at only so often (`may_ask`).
2. What has just been repeated to a listener is not repeated again before its answer could have
   come: the copies that a listener sends of a REQUEST cost nothing.
3. A listener has an allowance of bytes: at first what the history holds, which is all that it can
   ask for; then it gains as many as are broadcast. So it is never sent more than twice the stream.
4. All listeners together share a bucket of bytes, with the bursts of those who join late.

What is not answered is forgotten: the listener asks again, if it still helps. Nothing is kept of
listeners that never asked. Pure: `now` is monotonic, in seconds.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator

from broadcasting.history import History, Sent
from broadcasting.statistics import ServerStatistics
from broadcasting.token_bucket import TokenBucket
from wire.address import Address

LISTENER_REQUESTS = 100.0
ALL_REQUESTS = 2000.0
"""REQUESTs in a second that are looked at. One costs about 30 µs, so all of them are a twentieth
of a core; a listener that misses much sends about twenty."""

REQUEST_BUCKET_S = 0.25
"""So many of them may come at once: a loss close to the server makes everyone ask."""

LEAST_REPEAT_S = 0.01
MOST_REPEAT_S = 1.0
"""A listener tells its round trip: it is believed within these bounds."""


class _Account:
    """What one listener has been repeated, and may still be."""

    def __init__(self, history: History) -> None:
        self.requests = TokenBucket(LISTENER_REQUESTS, LISTENER_REQUESTS * REQUEST_BUCKET_S)
        self.allowance_bytes = history.bytes
        self._seen_bytes = history.bytes_ever
        self._repeated_at: dict[int, float] = {}

    def earn(self, history: History) -> None:
        """Gain what was broadcast since the last time."""
        earned = history.bytes_ever - self._seen_bytes
        self.allowance_bytes = min(history.bytes, self.allowance_bytes + earned)
        self._seen_bytes = history.bytes_ever

    def repeated_within(self, seconds: float, sequence: int, now: float) -> bool:
        """Whether this message was repeated so lately."""
        at = self._repeated_at.get(sequence)
        return at is not None and now - at < seconds

    def repeat(self, sent: Sent, now: float) -> None:
        """`sent` is repeated now."""
        self.allowance_bytes -= len(sent.datagram)
        # The oldest first, so that `forget` finds them.
        self._repeated_at.pop(sent.sequence, None)
        self._repeated_at[sent.sequence] = now

    def forget(self, now: float) -> None:
        """Let go of what no round trip reaches back to: the allowance bounds the rest."""
        old = [
            *itertools.takewhile(lambda at: now - at[1] > MOST_REPEAT_S, self._repeated_at.items())
        ]
        for sequence, _ in old:
            del self._repeated_at[sequence]


class Retransmission:
    """Answers the REQUESTs of registered listeners."""

    def __init__(self, history: History, bucket: TokenBucket, statistics: ServerStatistics) -> None:
        """`bucket` holds bytes, for all listeners together."""
        self._history = history
        self._bucket = bucket
        self._statistics = statistics
        self._requests = TokenBucket(ALL_REQUESTS, ALL_REQUESTS * REQUEST_BUCKET_S)
        self._accounts: dict[Address, _Account] = {}

    def may_ask(self, address: Address, now: float) -> bool:
        """Whether a REQUEST of this registered listener is looked at; it counts as one."""
        account = self._accounts.get(address)
        if account is None:
            account = self._accounts[address] = _Account(self._history)
        if min(account.requests.fill(now), self._requests.fill(now)) < 1:
            return False
        account.requests.spend(1)
        self._requests.spend(1)
        return True

    def answer(
        self, address: Address, missing: Iterable[range], rtt_s: float | None, now: float
    ) -> list[Sent]:
        """What is repeated to `address`, which `may_ask`, of what it misses.

        `missing` is ascending and apart; `rtt_s` is the round trip that the listener told.
        """
        account, count = self._accounts[address], self._statistics
        account.earn(self._history)
        account.forget(now)
        self._bucket.fill(now)
        within_s = min(MOST_REPEAT_S, max(LEAST_REPEAT_S, rtt_s or 0.0))
        repeated = []
        for sequence in self._kept(missing):
            if account.repeated_within(within_s, sequence, now):
                count.repeats_spared += 1
                continue
            sent = self._history.at(sequence)
            size = len(sent.datagram)
            if account.allowance_bytes < size or self._bucket.tokens <= 0:
                count.repeats_refused += 1
                continue
            account.repeat(sent, now)
            self._bucket.spend(size)
            repeated.append(sent)
        count.repeated += len(repeated)
        return repeated

    def drop(self, address: Address) -> None:
        """`address` has left."""
        self._accounts.pop(address, None)

    def move(self, before: Address, address: Address) -> None:
        """Who was at `before` is at `address` now, with the same account."""
        if before in self._accounts:
            self._accounts[address] = self._accounts.pop(before)

    def _kept(self, missing: Iterable[range]) -> Iterator[int]:
        """The sequences of `missing` that are in the history: so few, however many are named."""
        kept = self._history.sequences
        unknown = False
        for wanted in missing:
            first, after = max(wanted.start, kept.start), min(wanted.stop, kept.stop)
            yield from range(first, after)
            unknown = unknown or after - first < wanted.stop - wanted.start
        self._statistics.requests_unknown += unknown
