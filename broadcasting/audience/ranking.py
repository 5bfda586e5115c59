"""Which listeners fare worst, found a few listeners at a time.

The owner holds the lock during a look, so one look passes over some listeners only. When all have
been looked at the round is over; the next begins a while later.

Sans-I/O: `now` is an argument.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from typing import NamedTuple

from broadcasting.audience.figures import AudienceFigures
from broadcasting.audience.listener import Listener
from broadcasting.audience.registry import Registry
from message import Report
from wire.address import Address

ROUND_EVERY_S = 2.0
"""Shortest interval from one round to the next."""

LISTENERS_A_SECOND = 50
"""Listeners for each second of that interval, if there are many: each of them reports seldom, and a
round over a thousand takes 3 ms of a processor that has slept."""

SILENT_SHARE = 0.7
"""A listener that has said nothing for this share of its time-out is called silent."""

JOINING, PLAYING, EMPTY, SILENT, ENDED = "joining", "playing", "empty", "silent", "ended"
_GRAVITY = {SILENT: 2, EMPTY: 1, PLAYING: 0, JOINING: 0, ENDED: 0}


class Standing(NamedTuple):
    """How one listener fares, by its last REPORT; None is not known."""

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
    """Result of one round."""

    worst: list[Standing]
    """The worst first."""
    lost: int
    repaired: int
    jitter_ms: float | None
    """Largest jitter of all listeners."""


_NOBODY = Ranked([], 0, 0, None)


class Ranking:
    """Looks at the listeners of `registry`."""

    def __init__(self, registry: Registry, figures: AudienceFigures) -> None:
        self.ranked = _NOBODY
        """Result of the last round that is over."""
        self._registry = registry
        self._figures = figures
        self._next_round_at = float("-inf")
        self._left: Iterator[Address] | None = None
        self._round = _NOBODY

    def look(self, places: int, now: float) -> bool:
        """Look at some listeners; whether the round goes on, and `look` should be called soon.

        `places` is the number of worst listeners that are wanted.
        """
        if self._left is None:
            if now < self._next_round_at:
                return False
            pause_s = max(ROUND_EVERY_S, len(self._registry) / LISTENERS_A_SECOND)
            self._next_round_at = now + pause_s
            # Listeners that join meanwhile wait for the next round.
            self._left = iter(self._registry.addresses)
            self._round = _NOBODY
        listeners, has_more = self._figures.look(self._left)
        silent_s = SILENT_SHARE * self._registry.timeout_s
        seen = [_standing(one, one.report, silent_s, now) for one in listeners]
        before = self._round
        jitters_ms = [before.jitter_ms, *(one.jitter_ms for one in seen)]
        self._round = Ranked(
            heapq.nlargest(places, [*before.worst, *seen], key=_badness),
            before.lost + sum(one.lost for one in seen),
            before.repaired + sum(one.repaired for one in seen),
            max((ms for ms in jitters_ms if ms is not None), default=None),
        )
        if not has_more:
            self.ranked, self._left = self._round, None
        return has_more


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
    """Sort key: the greater, the worse."""
    return (_GRAVITY[one.state], one.loss or 0.0, one.repaired, one.jitter_ms or 0.0)
