"""The server's final statistics as JSON; names as in the definitions. Pure."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any

from broadcasting.broadcast import BroadcastSnapshot
from broadcasting.reception import Departed
from wire.address import address_text


def as_json(end: BroadcastSnapshot, listeners: Iterable[Departed]) -> dict[str, Any]:
    """Everything that was counted; what is not known is None."""
    count = {
        field.name: getattr(end.statistics, field.name)
        for field in dataclasses.fields(end.statistics)
    }
    return {
        "title": end.title or None,
        "position_s": round(end.position_s, 3),
        "duration_s": end.duration_s,
        **count,
        "lateness_p50_ms": end.lateness_p50_ms,
        "lateness_p99_ms": end.lateness_p99_ms,
        "lateness_max_ms": end.lateness_max_ms,
        "listeners": [_listener(one) for one in listeners],
    }


def _listener(one: Departed) -> dict[str, Any]:
    report = {} if one.report is None else dataclasses.asdict(one.report)
    for handshake in ("session", "clock_us", "ended"):
        report.pop(handshake, None)
    return {
        "address": address_text(one.address),
        "how": one.how,
        "registered_s": round(one.left_at - one.joined_at, 3),
        **report,
    }
