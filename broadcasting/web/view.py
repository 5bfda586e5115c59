"""What the status pages show of the server at one moment."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from broadcasting.broadcast import BroadcastSnapshot
from broadcasting.reception import Departed

LATENESS_BOUNDS_S = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5)
"""Of the histogram of late sends: around what is usual, 0.5 to 2 ms, and what would be heard."""


class View(NamedTuple):
    """The state of the server. It changes with nothing."""

    snapshot: BroadcastSnapshot
    listeners: Sequence[Departed]
    """Those who are registered."""
    capacity: int
    lateness: Sequence[int]
    """How many sends were late by less than each of `LATENESS_BOUNDS_S`, and how many in all."""
    failed: bool
    """A fault of our own has ended the broadcast."""


def worst_first(listeners: Sequence[Departed], most: int) -> list[Departed]:
    """At most so many: by what they lost, then what was repaired, then by their path."""
    return sorted(listeners, key=_trouble, reverse=True)[:most]


def _trouble(one: Departed) -> tuple[int, int, float, float]:
    report = one.report
    if report is None:
        return 0, 0, 0.0, -one.joined_at
    return (
        report.lost,
        report.retransmitted + report.rebuilt,
        report.jitter_ms or 0.0,
        -one.joined_at,
    )
