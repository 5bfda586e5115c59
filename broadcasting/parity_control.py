"""How much parity the listeners need, from what they report: up at once, down slowly.

Each REPORT tells how many messages were repaired or lost: the loss before any repair. It is
averaged for each listener, and the parity is to be enough for nine listeners in ten, so that one
on a dead link does not take the others' bandwidth. Enough means that all but one block in a
hundred can be rebuilt, as far as losses are independent. More is never sent than `MOST_PARITIES`:
what is still missing is asked for.

Pure: `now` is monotonic, in seconds.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

from broadcasting.parity import Fec
from message import Report
from wire.address import Address
from wire.log import get_logger

AUTO_MESSAGES = 20
MOST_PARITIES = 4
"""A block that parity follows by itself: never more than a quarter of the bytes."""

AUTO = Fec(AUTO_MESSAGES, 0, auto=True)

WINDOW = 128
"""Messages over which a listener's loss is averaged: ten seconds at 128 kbit/s."""

WELL_OFF = 0.9
"""Part of the listeners for which it is to be enough."""

TOLERANCE = 0.01
"""Part of the blocks that may have lost more than their parity."""

DECISION_S = 2.0
"""From one decision to the next: a pass over ten thousand listeners takes some milliseconds."""

HOLD_S = 20.0
"""So long fewer parities must have been enough before there is one fewer."""


log = get_logger("server")


@dataclasses.dataclass(slots=True)
class _Loss:
    """What one listener reported last, and the average."""

    expected: int = 0
    missed: int = 0
    share: float = 0.0

    def report(self, expected: int, missed: int) -> None:
        new = expected - self.expected
        if new > 0:
            lost = (missed - self.missed) / new
            share = self.share + (lost - self.share) * min(1.0, new / WINDOW)
            self.share = min(1.0, max(0.0, share))
        self.expected, self.missed = expected, missed


class ParityControl:
    """The loss of every listener, and what follows from it."""

    def __init__(self) -> None:
        self.parities = AUTO.parities
        """For a block, as decided last."""
        self._losses: dict[Address, _Loss] = {}
        self._due: float | None = None
        self._enough_since: float | None = None

    def report(self, address: Address, report: Report) -> None:
        """The listener at `address` has sent a REPORT."""
        missed = report.retransmitted + report.rebuilt + report.lost
        self._losses.setdefault(address, _Loss()).report(report.expected, missed)

    def forget(self, address: Address) -> None:
        """The listener at `address` has left."""
        self._losses.pop(address, None)

    def move(self, before: Address, address: Address) -> None:
        """The listener at `before` is at `address` now."""
        if before in self._losses:
            self._losses[address] = self._losses.pop(before)

    def decide(self, now: float) -> int:
        """`parities`, decided anew if it is time to."""
        if self._due is None or now >= self._due:
            self._due = now + DECISION_S
            before, loss = self.parities, self._loss()
            self._follow(parities_for(loss), now)
            if self.parities != before:
                log.info("parity %d+%d: %.1f %% lost", AUTO_MESSAGES, self.parities, 100 * loss)
        return self.parities

    def _loss(self) -> float:
        """The loss that all but the worst off have at the most."""
        shares = sorted(loss.share for loss in self._losses.values())
        return shares[math.ceil(WELL_OFF * len(shares)) - 1] if shares else 0.0

    def _follow(self, needed: int, now: float) -> None:
        if needed >= self.parities:
            self.parities = needed
            self._enough_since = None
        elif self._enough_since is None:
            self._enough_since = now
        elif now - self._enough_since >= HOLD_S:
            self.parities -= 1
            self._enough_since = now


def parities_for(loss: float) -> int:
    """How many parities a block needs at this share of lost messages, `MOST_PARITIES` at most."""
    for parities in range(MOST_PARITIES):
        if 1 - _at_most(parities, AUTO_MESSAGES + parities, loss) <= TOLERANCE:
            return parities
    return MOST_PARITIES


def _at_most(lost: int, shards: int, loss: float) -> float:
    """The probability that no more than `lost` of `shards` are lost (binomial distribution)."""
    terms: Sequence[float] = [
        math.comb(shards, n) * loss**n * (1 - loss) ** (shards - n) for n in range(lost + 1)
    ]
    return sum(terms)
