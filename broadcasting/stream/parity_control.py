"""How much parity the listeners need, from what they report: up at once, down slowly.

A REPORT counts the messages that were repaired or lost: the loss before any repair. It is averaged
for each listener. Parity is chosen for nine listeners in ten, so that one on a dead link does not
take bandwidth from the others, and so that all but one block in a hundred can be rebuilt if losses
are independent. More than `MOST_PARITIES` is never sent: what is still missing is requested.

Pure: `now` is monotonic, in seconds.
"""

from __future__ import annotations

import dataclasses
import itertools
import logging
import math
from collections.abc import Iterable, Iterator

from broadcasting.settings import Fec
from message import Report

AUTO_MESSAGES = 20
"""AUDIO messages in a block."""

MOST_PARITIES = 4
"""Upper bound for a block of `AUTO_MESSAGES`: parity adds a fifth of the bytes at most."""

AUTO = Fec(AUTO_MESSAGES, 0, auto=True)
"""Setting of `--fec auto`."""

WINDOW = 128
"""Averaging window in messages: ten seconds at 128 kbit/s."""

WELL_OFF = 0.9
"""Share of listeners for which the parity must be enough."""

TOLERANCE = 0.01
"""Share of blocks that may lose more messages than their parity repairs."""

DECISION_S = 2.0
"""Shortest decision interval: all listeners are looked at, a part with each message."""

LOSSES_A_LOOK = 256
"""Listeners that one look passes over at most: 0.5 ms, short enough that nothing due is late."""

HOLD_S = 20.0
"""Lower the parity by one only after this long with spare parity."""


log = logging.getLogger("server")


@dataclasses.dataclass(slots=True)
class Loss:
    """Loss of one listener: an average over its REPORTs."""

    expected: int = 0
    missed: int = 0
    share: float = 0.0

    def report(self, report: Report) -> None:
        """Take the figures of a REPORT into the average."""
        expected = report.expected
        missed = report.retransmitted + report.rebuilt + report.lost
        new = expected - self.expected
        if new > 0:
            lost = (missed - self.missed) / new
            share = self.share + (lost - self.share) * min(1.0, new / WINDOW)
            self.share = min(1.0, max(0.0, share))
        self.expected, self.missed = expected, missed


class ParityControl:
    """Decides the parity of a block from the loss of every listener."""

    def __init__(self) -> None:
        self.parity_count = AUTO.parity_count
        """PARITY messages for a block, as decided last."""
        self._due: float | None = None
        self._enough_since: float | None = None
        # The look that is under way: listeners that were not looked at, losses of those that were.
        self._left: Iterator[Loss | None] | None = None
        self._shares: list[float] = []

    def decide(self, now: float, losses: Iterable[Loss | None]) -> int:
        """`parity_count`; looks at some listeners, and decides anew when all were looked at.

        `losses` has an item for each listener. It is read bit by bit, and only where a look begins.
        """
        if self._left is None and (self._due is None or now >= self._due):
            self._due = now + DECISION_S
            self._left, self._shares = iter(losses), []
        if self._left is not None:
            some = [*itertools.islice(self._left, LOSSES_A_LOOK)]
            # Sorted in runs, which are quick to sort together.
            self._shares += sorted(one.share for one in some if one is not None)
            if len(some) < LOSSES_A_LOOK:
                self._left = None
                self._decide(_loss_of_most(self._shares), now)
        return self.parity_count

    def _decide(self, loss: float, now: float) -> None:
        before = self.parity_count
        self._follow(parities_for(loss), now)
        if self.parity_count != before:
            log.info("parity %d+%d: %.1f %% lost", AUTO_MESSAGES, self.parity_count, 100 * loss)

    def _follow(self, needed: int, now: float) -> None:
        if needed >= self.parity_count:
            self.parity_count = needed
            self._enough_since = None
        elif self._enough_since is None:
            self._enough_since = now
        elif now - self._enough_since >= HOLD_S:
            self.parity_count -= 1
            self._enough_since = now


def parities_for(loss: float) -> int:
    """PARITY messages that a block needs at this share of lost messages, 0 to `MOST_PARITIES`."""
    for parity_count in range(MOST_PARITIES):
        if 1 - _at_most(parity_count, AUTO_MESSAGES + parity_count, loss) <= TOLERANCE:
            return parity_count
    return MOST_PARITIES


def _loss_of_most(shares: list[float]) -> float:
    """Highest loss among the `WELL_OFF` share of listeners that lose least."""
    shares.sort()
    return shares[math.ceil(WELL_OFF * len(shares)) - 1] if shares else 0.0


def _at_most(lost: int, shards: int, loss: float) -> float:
    """Probability that no more than `lost` of `shards` are lost (binomial distribution)."""
    return sum(math.comb(shards, n) * loss**n * (1 - loss) ** (shards - n) for n in range(lost + 1))
