"""Growth of memory over an hour of media, and with the length of files.

An hour of MP3 in one file passes at many times real time, to one client (output null). Resident
memory of both programs is noted all the time. Its *growth* is the rise of a straight line through
the values after the first tenth, when the buffers are full and everything is imported.

The server's memory must not depend on the length of the file: its peak with an hour, less its
peak with ten minutes.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator, Sequence

from bench.listeners import Listeners
from bench.processes import PATIENCE_S, Failed, Program
from bench.programme import write_programme
from bench.table import Result, Row, below
from bench.workshop import Workshop

SAMPLE_EVERY_S = 0.1
END_S = 0.5
"""Time before the end of the stream at which memory is noted last."""

SAMPLES_KEPT = 100
"""Samples in the JSON."""

GROWTH_MB = 2.0
"""Allowed growth: noise of the allocator, and FFmpeg's index of a file, at most 1 MB."""
LIMIT_MB = 100.0


def measure(workshop: Workshop) -> Iterator[Result]:
    effort = workshop.effort
    minutes = effort.long_media_s / 60
    path = workshop.new_path("long.mp3")
    write_programme(path, effort.long_media_s)
    speed = f"{effort.speed:g}"
    with (
        workshop.server(str(path), "--speed", speed) as server,
        workshop.client(server.port, "null") as client,
    ):
        noted = _watch(effort.long_media_s / effort.speed, client, server)
        played_s = client.result(PATIENCE_S)["played_s"]
    if played_s < 0.99 * effort.long_media_s:
        raise Failed(f"only {played_s:.0f} s of the programme were played")
    what = f"in {minutes:g} min of media at {speed}-fold speed"
    for name, samples in zip(("client", "server"), noted, strict=True):
        yield Row(
            f"{name}, growth of memory",
            what,
            [_growth(samples)],
            "MB",
            below(GROWTH_MB),
            samples[:: len(samples) // SAMPLES_KEPT + 1],
        )
        yield Row(
            f"{name}, memory",
            f"at its highest, {what}",
            [max(memory for _, memory in samples)],
            "MB",
            below(LIMIT_MB),
        )
    peaks = [_server_peak(workshop, s) for s in (effort.short_media_s, effort.long_media_s)]
    yield Row(
        "server, memory by length of file",
        f"at its highest, {minutes:g} min less {effort.short_media_s / 60:g} min",
        [max(0.0, peaks[1] - peaks[0])],
        "MB",
        below(GROWTH_MB),
    )


def _server_peak(workshop: Workshop, media_s: float) -> float:
    path = workshop.new_path("programme.mp3")
    write_programme(path, media_s)
    wall_s = media_s / workshop.effort.speed
    with (
        workshop.server(str(path), "--speed", f"{workshop.effort.speed:g}") as server,
        Listeners(server.port),
    ):
        _watch(wall_s, server)
        return server.peak_memory_bytes() / 1e6


def _watch(seconds: float, *programs: Program) -> list[list[tuple[float, float]]]:
    """Memory of each program until just before the end: seconds since its start, and MB."""
    noted: list[list[tuple[float, float]]] = [[] for _ in programs]
    end = time.monotonic() + seconds - END_S
    while time.monotonic() < end:
        for program, samples in zip(programs, noted, strict=True):
            after_s = time.monotonic() - program.started_at
            samples.append((round(after_s, 2), program.memory_bytes() / 1e6))
        time.sleep(SAMPLE_EVERY_S)
    return noted


def _growth(samples: Sequence[tuple[float, float]]) -> float:
    """Rise of the line after the first tenth, in MB."""
    times, memory = zip(*samples[len(samples) // 10 :], strict=True)
    return statistics.linear_regression(times, memory).slope * float(times[-1] - times[0])
