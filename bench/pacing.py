"""Punctuality of the server: lateness of its sends, and whether errors add up.

Lateness in real time, on a terminal: what server.py says of itself (from a message's deadline to
its first send), and what a listener sees: how much later than the most punctual message the others
came, measured against their media times, the listener's own lateness included. Beside it stands the
lateness of the machine: that of a process that only sleeps.

Drift over an hour of media, which passes at many times real time: the median lateness that a
listener sees in the last tenth of the hour, less that in the first tenth. Deadlines are absolute,
so it must be zero but for noise.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator

from bench.listeners import Arrivals, Listeners
from bench.processes import PATIENCE_S, Failed
from bench.programme import write_programme
from bench.table import Result, Row, below
from bench.workshop import SAMPLE, Workshop

LIMIT_MS = 2.0

SLEEP_S = 0.078
"""Sleep of the server between two messages of 128 kbit/s."""


def measure(workshop: Workshop) -> Iterator[Result]:
    yield from _lateness(workshop)
    yield from _drift(workshop)


def _lateness(workshop: Workshop) -> Iterator[Result]:
    with workshop.server(str(SAMPLE), "--loop") as server:
        with Listeners(server.port) as listeners:
            asleep_ms = _lateness_of_sleep_ms(workshop.effort.steady_s)
        told = server.stop()
    seen_ms = sorted(lateness_seen_ms(listeners.arrivals))
    over = f"over {workshop.effort.steady_s:g} s"
    yield Row(
        "lateness of sends, 99 %",
        f"told by the server, {over}",
        [told["lateness_p99_ms"]],
        "ms",
        below(LIMIT_MS),
    )
    for name, key in (("50 %", "p50"), ("worst", "max")):
        yield Row(
            f"lateness of sends, {name}",
            f"told by the server, {over}",
            [told[f"lateness_{key}_ms"]],
            "ms",
        )
    for name, measured, sorted_ms in (
        ("arrivals", "seen by a listener", seen_ms),
        ("sleep", "of this machine, for comparison", asleep_ms),
    ):
        yield Row(
            f"lateness of {name}, 99 %",
            f"{measured}, {over}",
            [sorted_ms[int(len(sorted_ms) * 0.99)]],
            "ms",
        )


def _lateness_of_sleep_ms(seconds: float) -> list[float]:
    """Sleep from deadline to deadline for `seconds`; return the sorted lateness, in ms."""
    lateness_ms = []
    began = time.monotonic()
    for index in range(1, round(seconds / SLEEP_S) + 1):
        due = began + index * SLEEP_S
        time.sleep(max(0.0, due - time.monotonic()))
        lateness_ms.append((time.monotonic() - due) * 1e3)
    return sorted(lateness_ms)


def _drift(workshop: Workshop) -> Iterator[Result]:
    effort = workshop.effort
    path = workshop.new_path("long.mp3")
    write_programme(path, effort.long_media_s)
    with (
        workshop.server(str(path), "--speed", f"{effort.speed:g}") as server,
        Listeners(server.port) as listeners,
    ):
        give_up_at = time.monotonic() + effort.long_media_s / effort.speed + PATIENCE_S
        while not listeners.ended:
            if time.monotonic() > give_up_at:
                raise Failed("the stream does not end in time")
            time.sleep(0.1)
    yield Row(
        "drift of sends",
        f"in {effort.long_media_s / 60:g} min of media at {effort.speed:g}-fold speed",
        [abs(drift_ms(listeners.arrivals))],
        "ms",
        below(LIMIT_MS),
    )


def lateness_seen_ms(arrivals: Arrivals) -> list[float]:
    """Lateness of each message against its media time, compared with the most punctual one."""
    offsets = [
        at - media_time_us / 1e6 / arrivals.speed
        for media_time_us, at in zip(arrivals.media_time_us, arrivals.at, strict=True)
        if media_time_us >= arrivals.live_time_us
    ]
    punctual = min(offsets)
    return [(offset - punctual) * 1e3 for offset in offsets]


def drift_ms(arrivals: Arrivals) -> float:
    """Median lateness in the last tenth, less that in the first."""
    lateness_ms = lateness_seen_ms(arrivals)
    tenth = len(lateness_ms) // 10
    return statistics.median(lateness_ms[-tenth:]) - statistics.median(lateness_ms[:tenth])
