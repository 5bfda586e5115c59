"""Final statistics of the client as JSON. Pure."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from listening.listen import ListenSnapshot
from message import Accept, milliseconds

if TYPE_CHECKING:
    from listening.simulated_network import SimulatedNetwork
    from simulation.simulated_link import SimulatedLink

COUNTS = (
    "expected", "intact", "retransmitted", "rebuilt", "lost",
    "received", "received_bytes", "duplicates", "late", "out_of_order",
    "parity_received", "parity_refused", "requests", "requested", "spurious",
    "overflows", "malformed", "forged", "replayed", "ignored", "underruns", "device_underruns",
    "reconnections", "jumps",
)  # fmt: skip
"""Counters of the statistics, as they are called in the JSON as well."""

DURATIONS = ("played_s", "intact_s", "repaired_s", "concealed_s", "unheard_s", "paused_s")
"""Sums of audio in the statistics, as they are called in the JSON as well."""


def as_json(
    end: ListenSnapshot,
    accept: Accept | None,
    failure: str | None,
    simulated: SimulatedNetwork | None = None,
) -> dict[str, Any]:
    """Object with every count; an unknown value is None."""
    count = end.statistics
    return {
        "title": end.title or None,
        "artist": end.artist,
        "format": None
        if accept is None
        else {
            "frame_rate_hz": accept.frame_rate_hz,
            "channels": accept.channels,
            "bit_rate_bps": accept.bit_rate_bps,
        },
        "duration_s": end.duration_s,
        "tracks": [
            {
                "begins_s": round(one.media_time_us / 1e6, 6),
                "title": one.title,
                "artist": one.artist,
            }
            for one in end.tracks
        ],
        **{name: getattr(count, name) for name in COUNTS},
        **{name: round(getattr(count, name), 6) for name in DURATIONS},
        "narrow_path": count.narrow_path,
        "first_sound_s": None if count.first_sound_s is None else round(count.first_sound_s, 4),
        "jitter_ms": milliseconds(count.jitter_s),
        "rtt_ms": milliseconds(count.rtt_s),
        "clock_spread_ms": milliseconds(count.clock_spread_s),
        "clock_path_ms": milliseconds(count.clock_path_s),
        "clock_drift_ppm": None
        if count.clock_drift_ppm is None
        else round(count.clock_drift_ppm, 3),
        "delay_s": _thousandths(count.delay_s),
        "delay_wanted_s": _thousandths(count.delay_wanted_s),
        "delay_lowest_s": _thousandths(count.delay_lowest_s),
        "delay_highest_s": _thousandths(count.delay_highest_s),
        "failure": failure,
        "simulated": None
        if simulated is None
        else {
            "conditions": str(simulated.conditions),
            "to_client": _link(simulated.to_us),
            "to_server": _link(simulated.from_us),
        },
    }


def _thousandths(value: float | None) -> float | None:
    return None if value is None else round(value, 3)


def _link(link: SimulatedLink) -> dict[str, Any]:
    """Datagrams of one direction by what became of them, in all and by type."""
    types = {name: dataclasses.asdict(one) for name, one in sorted(link.counts().items())}
    return {**dataclasses.asdict(link.total()), "types": types}
