"""Content of the status pages: the server at one moment."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from broadcasting.audience.figures import ListenerFigures
from broadcasting.broadcast import BroadcastSnapshot

LATENESS_BOUNDS_S = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5)
"""Upper bounds of the histogram of late sends, from usual (0.5 to 2 ms) to audible."""


class StatusFigures(NamedTuple):
    """Frozen state of the server."""

    snapshot: BroadcastSnapshot
    listeners: Sequence[ListenerFigures]
    """Registered listeners."""
    capacity: int
    lateness: Sequence[int]
    """Sends that were late by less than each of LATENESS_BOUNDS_S, and all sends."""
    failed: bool
    """Whether a fault of our own has ended the broadcast."""


def worst_first(listeners: Sequence[ListenerFigures], most: int) -> list[ListenerFigures]:
    """At most `most` listeners, by messages lost, then repaired, then jitter."""
    return sorted(listeners, key=_trouble, reverse=True)[:most]


def _trouble(one: ListenerFigures) -> tuple[int, int, float, float]:
    report = one.report
    if report is None:
        return 0, 0, 0.0, -one.joined_at
    return (
        report.lost,
        report.retransmitted + report.rebuilt,
        report.jitter_ms or 0.0,
        -one.joined_at,
    )
