"""Final statistics of the server as JSON. Pure."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any

from broadcasting.audience.figures import ListenerFigures
from broadcasting.broadcast import BroadcastSnapshot
from broadcasting.statistics import ServerStatistics
from wire.address import address_text

COUNTS = tuple(field.name for field in dataclasses.fields(ServerStatistics))


def as_json(
    end: BroadcastSnapshot, listeners: Iterable[ListenerFigures], failure: str | None = None
) -> dict[str, Any]:
    """Object with every count; an unknown value is None. `failure`: why it did not go well."""
    return {
        "title": end.title or None,
        "position_s": round(end.position_s, 3),
        "duration_s": end.duration_s,
        **{name: getattr(end.statistics, name) for name in COUNTS},
        "lateness_p50_ms": end.lateness_p50_ms,
        "lateness_p99_ms": end.lateness_p99_ms,
        "lateness_max_ms": end.lateness_max_ms,
        "failure": failure,
        "listeners": [_listener(one) for one in listeners],
    }


def _listener(one: ListenerFigures) -> dict[str, Any]:
    report = {} if one.report is None else dataclasses.asdict(one.report)
    for handshake in ("session", "clock_us", "ended"):
        report.pop(handshake, None)
    return {
        "address": address_text(one.address),
        "how": one.how,
        "registered_s": round(one.left_at - one.joined_at, 3),
        **report,
    }
