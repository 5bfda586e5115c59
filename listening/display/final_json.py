"""The client's final statistics as JSON; names as in the definitions. Pure."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from listening.listen import ListenSnapshot
from message import Accept, milliseconds

if TYPE_CHECKING:
    from listening.simulated_network import SimulatedNetwork
    from wire.simulated_link import SimulatedLink


def as_json(
    end: ListenSnapshot,
    accept: Accept | None,
    failure: str | None,
    simulated: SimulatedNetwork | None = None,
) -> dict[str, Any]:
    """Everything that was counted; what is not known is None."""
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
        "expected": count.expected,
        "intact": count.intact,
        "retransmitted": count.retransmitted,
        "rebuilt": count.rebuilt,
        "lost": count.lost,
        "received": count.received,
        "received_bytes": count.received_bytes,
        "duplicates": count.duplicates,
        "late": count.late,
        "out_of_order": count.out_of_order,
        "parity_received": count.parity_received,
        "parity_refused": count.parity_refused,
        "requests": count.requests,
        "requested": count.requested,
        "needless": count.needless,
        "overflows": count.overflows,
        "malformed": count.malformed,
        "forged": count.forged,
        "replayed": count.replayed,
        "ignored": count.ignored,
        "underruns": count.underruns,
        "reconnections": count.reconnections,
        "played_s": round(count.played_s, 6),
        "intact_s": round(count.intact_s, 6),
        "repaired_s": round(count.repaired_s, 6),
        "concealed_s": round(count.concealed_s, 6),
        "unheard_s": round(count.unheard_s, 6),
        "paused_s": round(count.paused_s, 6),
        "first_sound_s": None if count.first_sound_s is None else round(count.first_sound_s, 4),
        "jitter_ms": milliseconds(count.jitter_s),
        "rtt_ms": milliseconds(count.rtt_s),
        "delay_s": _seconds(count.delay_s),
        "delay_wanted_s": _seconds(count.delay_wanted_s),
        "delay_lowest_s": _seconds(count.delay_lowest_s),
        "delay_highest_s": _seconds(count.delay_highest_s),
        "failure": failure,
        "simulated": None
        if simulated is None
        else {
            "conditions": str(simulated.conditions),
            "to_client": _link(simulated.to_us),
            "to_server": _link(simulated.from_us),
        },
    }


def _seconds(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 3)


def _link(link: SimulatedLink) -> dict[str, Any]:
    """What became of the datagrams of one direction, in all and by type."""
    types = {name: dataclasses.asdict(one) for name, one in sorted(link.counts().items())}
    return {**dataclasses.asdict(link.total()), "types": types}
