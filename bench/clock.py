"""How wrong the clock filter is, over simulated paths: the largest error of each of many runs.

In virtual time; of each run of 20 minutes, with the rhythm of a client and up to 20 ppm between the
clocks unless the row says otherwise.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from random import Random

from bench.table import Limit, Result, Row, below
from bench.workshop import Workshop
from clock.filter import ClockFilter
from tests.rig.clocks import (
    FAR,
    FAR_AND_LOSSY,
    LAN,
    Clocks,
    Path,
    Reading,
    busy_wifi,
    even,
    largest_ms,
    slewed,
    wandering,
    warming,
    wifi,
)

RUNS_A_ROUND = 10
RUN_S = 1200.0
EXCHANGES = 1000
READS = 10_000

PATHS: tuple[tuple[str, Path, float | None, float | None], ...] = (
    ("LAN, ±0.05 ms", LAN, 0.1, 0.05),
    ("Wi-Fi", wifi, 1.0, 0.3),
    ("Wi-Fi, busy in turn", busy_wifi, None, None),
    ("±20 ms", FAR, 5.0, 2.0),
    ("±20 ms, loss of 30 %", FAR_AND_LOSSY, None, None),
)
"""Name and path; what the largest error must be below, in ms, after 20 s and from a minute on."""


def measure(workshop: Workshop) -> Iterator[Result]:
    seeds = range(RUNS_A_ROUND * workshop.effort.rounds)
    for name, path, after_20_s, after_a_minute in PATHS:
        runs = [list(Clocks(path, seed, even).readings(RUN_S)) for seed in seeds]
        yield _largest(f"{name}: after 20 s", runs, 20, after_20_s)
        yield _largest(f"{name}: from a minute on", runs, 60, after_a_minute)
        yield _largest(f"{name}: from 5 minutes on", runs, 300, None)
    for name, ahead, since in (
        ("LAN, warming up by 3 ppm in 5 min", warming, 20),
        ("LAN, ±1 ppm in 15 min", wandering, 20),
        ("LAN, 60 s after a slew of 10 ms", slewed, 680),
    ):
        runs = [list(Clocks(LAN, seed, ahead).readings(RUN_S)) for seed in seeds]
        yield _largest(name, runs, since, 0.3 if ahead is slewed else 0.1)
    yield from _cost()


def _largest(name: str, runs: list[list[Reading]], since: float, limit: float | None) -> Row:
    values = [largest_ms(run, since) for run in runs]
    return Row(name, "largest error of a run", values, "ms", _below(limit))


def _below(limit: float | None) -> Limit | None:
    return None if limit is None else below(limit)


def _cost() -> Iterator[Row]:
    """Processor time of both calls, with a window that is full."""
    random = Random(1)
    clock_filter = ClockFilter()
    add_ms = []
    for count in range(EXCHANGES):
        sent = 4.0 * count
        received = sent + random.uniform(0.01, 0.05)
        came = received + random.uniform(0.01, 0.05)
        began = time.process_time()
        clock_filter.add(sent, received, received, came)
        add_ms.append((time.process_time() - began) * 1e3)
    yield Row("an exchange", "processor time", add_ms[EXCHANGES // 2 :], "ms", below(1))
    began = time.process_time()
    for _ in range(READS):
        clock_filter.estimate(came)
    took_us = (time.process_time() - began) / READS * 1e6
    yield Row("reading the estimate", "processor time", [took_us], "µs", below(5))
