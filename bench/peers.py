"""Cost of one listener: the whole server.py beside GStreamer and Icecast 2, one MP3, real time.

Processor time, user and system, of all threads of the server's process, for each listener and
second, in microseconds; listeners are 100, 1,000 and 10,000. Ours is measured twice, with each
datagram at its own time (the default) and with those of half a second together (`--interval 0.5`).
It runs on a terminal, writes its log, and its listeners (`crowd.py`) have shaken hands and report;
GStreamer's and Icecast's are silent (`peer_programs.py`). Counting begins when every listener
has received for a while. The four take turns, each started anew; with 10,000 listeners, which take
long to come, each is started once, and the rounds follow one another.

Ratios are ours by theirs, within a round. *Lost* is what listeners were promised, from the first
message on, and did not get. *Lateness* is what the server says of its sends, its first burst
included; and in steady state, without that burst, what the listeners see of first copies. *Memory*
is resident, less that of a server without listeners. *One more* is what a listener adds between two
numbers of listeners.
"""

from __future__ import annotations

import contextlib
import itertools
import statistics
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from bench import peer_programs
from bench.compiler import compiled
from bench.crowd import Crowd
from bench.peer_programs import CpuClock
from bench.processes import Failed
from bench.programme import write_programme
from bench.table import LeftOut, Limit, Result, Row, below
from bench.workshop import QUICK, SAMPLE, Workshop

OURS, TOGETHER, GSTREAMER, ICECAST = "server.py", "server.py --interval 0.5", "GStreamer", "Icecast"

PROGRAMME_S = 300.0
"""Length of the file for the peers, which cannot loop: longer than any of them runs."""
SETTLED_S = 1.5


@dataclass(frozen=True, slots=True)
class Plan:
    """Plan for one number of listeners."""

    listeners: int
    starts: int
    windows: int
    window_s: float


PLANS = (Plan(100, 2, 1, 2.5), Plan(1_000, 3, 1, 5.0), Plan(10_000, 1, 3, 4.0))
QUICK_PLANS = (Plan(100, 1, 1, 2.0), Plan(1_000, 1, 2, 2.0))

LIMITED_AT = 1_000
LIMITS = {
    (OURS, GSTREAMER): 1.0,
    (OURS, ICECAST): 0.65,
    (TOGETHER, GSTREAMER): 1 / 3,
    (TOGETHER, ICECAST): 1 / 5,
}
LATENESS_P99_MS = 10.0
MEMORY_BYTES = 2_000.0


@dataclass(slots=True)
class _Seen:
    """Results for one number of listeners: by program, a value for each round."""

    cost_us: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    told: dict[str, list[dict[str, Any]]] = field(default_factory=lambda: defaultdict(list))
    lost: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    memory_bytes: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    late_ms: list[float] = field(default_factory=list)
    """Lateness of ours in steady state: 99 % of arrivals."""
    crowd_percent: list[float] = field(default_factory=list)


class _Comparison:
    def __init__(self, workshop: Workshop) -> None:
        self._workshop = workshop
        self._library = compiled(workshop, "crowd.c", shared=True)
        self._mp3 = workshop.new_path("programme.mp3")
        write_programme(self._mp3, PROGRAMME_S)
        self.left_out = {
            name: reason
            for name, program in (
                (GSTREAMER, peer_programs.GSTREAMER),
                (ICECAST, peer_programs.ICECAST),
            )
            if (reason := peer_programs.missing(program)) is not None
        }
        self.too_many: list[LeftOut] = []
        self._empty_bytes = self._memory_of_nobody()

    def seen(self, plan: Plan) -> _Seen:
        seen = _Seen()
        for _ in range(plan.starts):
            for name in (OURS, GSTREAMER, TOGETHER, ICECAST):
                if name in self.left_out:
                    continue
                try:
                    with self._running(name, plan.listeners, seen) as clock:
                        time.sleep(SETTLED_S)
                        for _ in range(plan.windows):
                            seen.cost_us[name].append(_cost_us(clock, plan))
                except Failed as error:
                    if name in (OURS, TOGETHER):
                        raise
                    self.too_many.append(
                        LeftOut(f"{name}, {plan.listeners:,} listeners", str(error))
                    )
        return seen

    def _running(
        self, name: str, listeners: int, seen: _Seen
    ) -> contextlib.AbstractContextManager[CpuClock]:
        if name == GSTREAMER:
            return peer_programs.gstreamer(self._library, self._mp3, listeners)
        if name == ICECAST:
            return peer_programs.icecast(self._workshop.new_path("icecast"), self._mp3, listeners)
        return self._ours(name, listeners, seen)

    @contextlib.contextmanager
    def _ours(self, name: str, listeners: int, seen: _Seen) -> Iterator[CpuClock]:
        extra = ("--interval", "0.5") if name == TOGETHER else ()
        wanted = ("--max-clients", str(listeners), "--wait-for", str(listeners))
        with self._workshop.server(str(SAMPLE), "--loop", *wanted, *extra) as server:
            with Crowd(self._library, listeners, server.port) as crowd:
                # The burst at the start is over when the first count ends.
                time.sleep(SETTLED_S)
                began, before = time.monotonic(), crowd.count()
                yield server.cpu_s
                after = crowd.count()
                took_s = time.monotonic() - began
                if after.dropped:
                    raise Failed(f"the crowd itself has dropped {after.dropped} datagrams")
                late_ms = after.late_ms["p99"]
                if name == OURS and late_ms is not None:
                    seen.late_ms.append(late_ms)
                seen.lost[name] += after.expected - after.received
                seen.crowd_percent.append((after.cpu_s - before.cpu_s) / took_s * 100)
                more_bytes = server.memory_bytes() - self._empty_bytes
                seen.memory_bytes[name].append(more_bytes / listeners)
            seen.told[name].append(server.stop())

    def _memory_of_nobody(self) -> float:
        with self._workshop.server(str(SAMPLE), "--loop", "--wait-for", "0") as server:
            time.sleep(2 * SETTLED_S)
            memory = server.memory_bytes()
            server.stop()
        return memory


def measure(workshop: Workshop) -> Iterator[Result]:
    comparison = _Comparison(workshop)
    plans = QUICK_PLANS if workshop.effort.rounds <= QUICK.rounds else PLANS
    rest: list[Row] = []
    costs: dict[int, dict[str, float]] = {}
    for plan in plans:
        try:
            seen = comparison.seen(plan)
        except Failed as error:
            comparison.too_many.append(
                LeftOut(f"server.py, {plan.listeners:,} listeners", str(error))
            )
            continue
        costs[plan.listeners] = {n: statistics.median(v) for n, v in seen.cost_us.items()}
        yield from _ratios(plan, seen, costs[plan.listeners])
        rest += _other_rows(plan, seen)
    yield from rest
    yield from _one_more(costs)
    yield from comparison.too_many
    for name, reason in comparison.left_out.items():
        yield LeftOut(f"beside {name}", reason)


def _cost_us(clock: CpuClock, plan: Plan) -> float:
    began, used_s = time.monotonic(), clock()
    time.sleep(plan.window_s)
    used_s = clock() - used_s
    return used_s / (time.monotonic() - began) / plan.listeners * 1e6


def _ratios(plan: Plan, seen: _Seen, costs: dict[str, float]) -> Iterator[Row]:
    for (ours, theirs), limit in LIMITS.items():
        if theirs not in costs:
            continue
        yield Row(
            f"{ours} / {theirs}, {plan.listeners:,} listeners",
            f"µs of CPU a listener and second: {costs[ours]:.1f} / {costs[theirs]:.1f}",
            [a / b for a, b in zip(seen.cost_us[ours], seen.cost_us[theirs], strict=False)],
            "",
            below(limit) if plan.listeners == LIMITED_AT else None,
        )


def _other_rows(plan: Plan, seen: _Seen) -> Iterator[Row]:
    many = plan.listeners == max(one.listeners for one in PLANS)
    for name in (OURS, TOGETHER):
        who = f"{name}, {plan.listeners:,} listeners"
        for key in ("p50", "p99", "max"):
            values = [told[f"lateness_{key}_ms"] for told in seen.told[name]]
            yield Row(f"{who}, lateness {key}", "of sends, told by the server", values, "ms")
        if name == OURS:
            yield Row(
                f"{who}, lateness 99 %",
                "of first copies, in steady state, seen by the listeners",
                seen.late_ms,
                "ms",
                below(LATENESS_P99_MS) if many else None,
            )
        yield Row(
            f"{who}, lost",
            "messages promised and not received, all rounds",
            [float(seen.lost[name])],
            "",
            below(1),
        )
        limit_bytes: Limit | None = below(MEMORY_BYTES) if plan.listeners >= LIMITED_AT else None
        yield Row(
            f"{who}, memory",
            "of each listener, resident",
            seen.memory_bytes[name],
            "bytes",
            limit_bytes,
        )
    yield Row(
        f"the crowd, {plan.listeners:,} listeners",
        "its own processor time, of one core",
        seen.crowd_percent,
        "%",
    )


def _one_more(costs: dict[int, dict[str, float]]) -> Iterator[Row]:
    """Cost of one more listener between each number of listeners and the next, in that unit."""
    numbers = sorted(costs)
    for name in (OURS, TOGETHER, GSTREAMER, ICECAST):
        for few, many in itertools.pairwise(numbers):
            if name in costs[few] and name in costs[many]:
                added = many * costs[many][name] - few * costs[few][name]
                yield Row(
                    f"{name}, one more of {few:,} to {many:,}",
                    "µs of CPU a listener and second",
                    [added / (many - few)],
                    "µs/s",
                )
