"""Which listeners fare worst, found out a few listeners at a time.

They say in REPORTs how they fare, and to read one takes 0.04 ms, while the owner holds the lock. So
one look passes over some listeners, and reads few REPORTs. When all have been looked at a round is
over; the next begins a while later.

Sans-I/O: `now` is an argument.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator
from typing import NamedTuple

from broadcasting.registry import Listener, Registry
from message import Report
from wire.address import Address

ROUND_EVERY_S = 2.0
LISTENERS_A_SECOND = 50
"""From one round to the next: so long, or so many listeners for each second of it. Where there are
more each REPORTs seldom, and a round over a thousand takes 3 ms of a processor that has slept."""

LISTENERS_A_LOOK = 256
REPORTS_A_LOOK = 32
"""A look takes 1.5 ms at the most: what is due meanwhile is not late yet."""

SILENT_SHARE = 0.7
"""Who has said nothing for so much of the time after which the slot is lost is called silent."""

JOINING, PLAYING, EMPTY, SILENT, ENDED = "joining", "playing", "empty", "silent", "ended"
_GRAVITY = {SILENT: 2, EMPTY: 1, PLAYING: 0, JOINING: 0, ENDED: 0}


class Standing(NamedTuple):
    """How one listener fares, as it said of itself last; None is not known."""

    name: str
    since_s: float
    lost: int
    loss: float | None
    """Share of its messages that are lost."""
    repaired: int
    jitter_ms: float | None
    rtt_ms: float | None
    buffer_s: float | None
    state: str


class Ranked(NamedTuple):
    """What one round came to."""

    worst: list[Standing]
    """The worst first."""
    lost: int
    repaired: int
    jitter_ms: float | None
    """The worst of all."""


_NOBODY = Ranked([], 0, 0, None)


class Ranking:
    """Looks at the listeners of `registry`."""

    def __init__(
        self, registry: Registry, read_report: Callable[[Listener], Report | None]
    ) -> None:
        self.ranked = _NOBODY
        """Of the last round that is over."""
        self._registry = registry
        self._read_report = read_report
        self._next_round_at = float("-inf")
        self._left: Iterator[Address] | None = None
        self._round = _NOBODY

    def look(self, places: int, now: float) -> bool:
        """Look at some listeners; whether there are more to be looked at, soon.

        `places`: how many of the worst are wanted.
        """
        if self._left is None:
            if now < self._next_round_at:
                return False
            pause_s = max(ROUND_EVERY_S, len(self._registry) / LISTENERS_A_SECOND)
            self._next_round_at = now + pause_s
            # Who comes meanwhile has to wait for the next round.
            self._left = iter(self._registry.addresses)
            self._round = _NOBODY
        seen, is_over = self._some(self._left, now)
        before = self._round
        jitters_ms = [before.jitter_ms, *(one.jitter_ms for one in seen)]
        self._round = Ranked(
            heapq.nlargest(places, [*before.worst, *seen], key=_badness),
            before.lost + sum(one.lost for one in seen),
            before.repaired + sum(one.repaired for one in seen),
            max((ms for ms in jitters_ms if ms is not None), default=None),
        )
        if is_over:
            self.ranked, self._left = self._round, None
        return not is_over

    def _some(self, addresses: Iterator[Address], now: float) -> tuple[list[Standing], bool]:
        """The next ones, as many as one look may take, and whether they are the last."""
        silent_s = SILENT_SHARE * self._registry.timeout_s
        seen: list[Standing] = []
        reports = 0
        for address in addresses:
            listener = self._registry.at(address)
            if listener is None:
                continue
            reports += listener.unread is not None
            seen.append(_standing(listener, self._read_report(listener), silent_s, now))
            if len(seen) == LISTENERS_A_LOOK or reports == REPORTS_A_LOOK:
                return seen, False
        return seen, True


def _standing(listener: Listener, report: Report | None, silent_s: float, now: float) -> Standing:
    if now - listener.heard_at >= silent_s:
        state = SILENT
    elif report is None:
        state = JOINING
    elif report.ended:
        state = ENDED
    else:
        state = EMPTY if report.buffer_s == 0 else PLAYING
    since_s = now - listener.joined_at
    if report is None:
        return Standing(listener.name, since_s, 0, None, 0, None, None, None, state)
    return Standing(
        listener.name,
        since_s,
        report.lost,
        report.lost / report.expected if report.expected else None,
        report.retransmitted + report.rebuilt,
        report.jitter_ms,
        report.rtt_ms,
        report.buffer_s,
        state,
    )


def _badness(one: Standing) -> tuple[float, ...]:
    """The greater, the worse."""
    return (_GRAVITY[one.state], one.loss or 0.0, one.repaired, one.jitter_ms or 0.0)
