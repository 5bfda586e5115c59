"""One row of the sweep: its conditions and its results. Pure.

Bytes are those of the UDP payload: they include the headers of this protocol, not of UDP and IP.
"""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from simulation.link_conditions import LinkConditions
from simulation.simulated_link import LinkCounts

CLOSE_S = 0.001
"""Times are equal if they differ by less: they are sums of microseconds."""

VIRTUAL = "virtual time"

Counted = Mapping[str, LinkCounts]
"""Counts of a network, for one direction, by type of message."""


@dataclass(frozen=True, slots=True)
class Method:
    """Way to repair, as options of the programs and settings of the cores."""

    name: str
    server: Sequence[str] = ()
    """Options of server.py."""
    client: Sequence[str] = ()
    settings: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """Fields of Settings for the server's core."""
    withheld: Collection[str] = ()
    """Types of message that the client may not send; only in virtual time."""


@dataclass(frozen=True, slots=True)
class Case:
    """Conditions of a row. The server runs ahead by the client's buffer."""

    method: Method
    conditions: LinkConditions
    buffer_s: float = 1.0
    network: str = VIRTUAL
    """Network that loses the datagrams: VIRTUAL, or one in real time."""

    @property
    def rtt_ms(self) -> float:
        return 2e3 * self.conditions.delay_s

    @property
    def loss_text(self) -> str:
        loss, burst = self.conditions.loss, self.conditions.burst
        return f"{loss * 100:g} %" + (f" in bursts of {burst:g}" if burst else "")


@dataclass(frozen=True, slots=True)
class Programme:
    """Programme that is broadcast."""

    seconds: float
    audio_bytes: int
    """Bytes of MP3 in all messages."""
    messages: int


@dataclass(frozen=True, slots=True)
class Run:
    """Results of one run, with one seed."""

    result: Mapping[str, Any]
    """Final statistics of the client, as its JSON."""
    to_client: Counted
    to_server: Counted
    exact: bool
    """Whether every sample equals the decode of the programme itself."""
    programme: Programme

    @property
    def sent_ratio(self) -> float:
        """Bytes that the server sent to this listener, over bytes of audio."""
        sent = sum(one.came_bytes for one in self.to_client.values())
        return sent / self.programme.audio_bytes

    @property
    def overhead(self) -> float:
        """Bytes that the server sent to this listener beyond the AUDIO messages, over those."""
        sent = sum(one.came_bytes for one in self.to_client.values())
        return sent / self._count("AUDIO").came_bytes - 1

    @property
    def request_share(self) -> float:
        """Bytes of the listener's requests, over bytes of audio."""
        return self._requested.came_bytes / self.programme.audio_bytes

    @property
    def repeats(self) -> int:
        """Messages that the server repeated."""
        return self._count("REPEAT").came

    @property
    def heard_share(self) -> float:
        """Share of the audio that was not concealed."""
        return 1 - float(self.result["concealed_s"]) / self.programme.seconds

    @property
    def _requested(self) -> LinkCounts:
        return self.to_server.get("REQUEST", LinkCounts())

    def faults(self) -> list[str]:
        """Identities that do not hold, and counts that differ from the network's."""
        r = self.result
        audio, repeat = self._count("AUDIO"), self._count("REPEAT")
        missing = r["retransmitted"] + r["rebuilt"] + r["lost"]
        played_s = r["intact_s"] + r["repaired_s"] + r["concealed_s"]
        checks = {
            "expected = intact + retransmitted + rebuilt + lost": r["expected"]
            == r["intact"] + missing,
            "received = intact + retransmitted + duplicates + late": r["received"]
            == r["intact"] + r["retransmitted"] + r["duplicates"] + r["late"],
            "played = intact + repaired + concealed": abs(r["played_s"] - played_s) < CLOSE_S,
            "expected is the whole programme": r["expected"] == self.programme.messages,
            "played is the whole programme": abs(r["played_s"] - self.programme.seconds) < CLOSE_S,
            "what is exact has nothing concealed": not self.exact or r["concealed_s"] == 0,
            # The sound fades out before what does not come in time, even at the end.
            "what is not has something missing": self.exact or r["concealed_s"] or r["underruns"],
            "received is what the network delivered": r["received"] + r["overflows"]
            == audio.delivered + repeat.delivered,
        }
        if not r["reconnections"]:
            # Each message was first sent once: it was lost on the way, came too late, or was there
            # already because it had been requested.
            in_vain = r["late"] + r["overflows"] + r["duplicates"]
            holds = audio.dropped <= missing <= audio.dropped + in_vain
            checks["what is missing is what the network lost"] = holds
        return [check for check, holds in checks.items() if not holds]

    def _count(self, kind: str) -> LinkCounts:
        return self.to_client.get(kind, LinkCounts())


@dataclass(frozen=True, slots=True)
class Outcome:
    """Results of one case, with a run for each seed. Seconds and counts are means."""

    case: Case
    runs: Sequence[Run]

    def mean(self, name: str) -> float:
        """Mean of a number in the client's JSON."""
        return statistics.fmean(run.result[name] for run in self.runs)

    @property
    def sent_ratio(self) -> float:
        return statistics.fmean(run.sent_ratio for run in self.runs)

    @property
    def request_share(self) -> float:
        return statistics.fmean(run.request_share for run in self.runs)

    @property
    def exact(self) -> int:
        """Bit-exact runs."""
        return sum(run.exact for run in self.runs)

    @property
    def faults(self) -> list[str]:
        """Faults of all runs, each once."""
        return list(dict.fromkeys(fault for run in self.runs for fault in run.faults()))

    def as_json(self) -> dict[str, Any]:
        conditions = self.case.conditions
        return {
            "method": self.case.method.name,
            "network": self.case.network,
            "loss": conditions.loss,
            "burst": conditions.burst,
            "rtt_ms": self.case.rtt_ms,
            "jitter_ms": 1e3 * conditions.jitter_s,
            "duplicate": conditions.duplicate,
            "buffer_s": self.case.buffer_s,
            "runs": len(self.runs),
            "intact_s": round(self.mean("intact_s"), 3),
            "repaired_s": round(self.mean("repaired_s"), 3),
            "concealed_s": round(self.mean("concealed_s"), 3),
            "lost": self.mean("lost"),
            "retransmitted": self.mean("retransmitted"),
            "rebuilt": self.mean("rebuilt"),
            "late": self.mean("late"),
            "sent_ratio": round(self.sent_ratio, 4),
            "request_share": round(self.request_share, 5),
            "repeats": statistics.fmean(run.repeats for run in self.runs),
            "exact": self.exact,
            "faults": self.faults,
        }
