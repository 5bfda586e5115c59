"""Memory and descriptors over an hour of media, while listeners come and go.

One client (output null) listens to a whole hour at many times real time. Meanwhile others join in
batches, listen for a moment, and leave: two batches with GOODBYE, one without, whose slots the
server has to free by itself. What both programs hold soon after the start is compared with what
they hold at the end.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from typing import NamedTuple

from bench.listeners import Listeners
from bench.processes import PATIENCE_S, Failed, Program
from bench.programme import write_programme
from bench.table import Result, Row, below
from bench.workshop import Workshop

SPEED = 50.0
"""Speed: the hour takes 72 s, and a client and ten listeners keep up on one core."""

BATCH = 10
STAY_S = 0.5
SILENT = 3
"""One batch in this many leaves without GOODBYE."""
TIMEOUT_S = 2.0

BEFORE, AFTER = (0.10, 0.20), (0.90, 0.98)
"""Parts of the time that are compared: after all has been used once, and before the end."""

GROWTH_MB = 2.0


class Held(NamedTuple):
    """Memory and descriptors of a program at one time."""

    memory_mb: float
    descriptors: int


def measure(workshop: Workshop) -> Iterator[Result]:
    media_s = workshop.effort.long_media_s
    path = workshop.new_path("hour.mp3")
    write_programme(path, media_s)
    arguments = ("--speed", f"{SPEED:g}", "--timeout", f"{TIMEOUT_S:g}")
    with (
        workshop.server(str(path), *arguments) as server,
        workshop.client(server.port, "null") as client,
    ):
        noted, joined = _come_and_go(server.port, media_s / SPEED, server, client)
        played = client.result(PATIENCE_S)
        sent = server.result(PATIENCE_S)
    if played["lost"] or played["played_s"] < 0.99 * media_s:
        raise Failed(f"{played['lost']} lost, {played['played_s']:.0f} s played")
    if (sent["accepted"], len(sent["listeners"])) != (joined + 1, joined + 1):
        raise Failed(f"{joined} joined, the server counts {sent['accepted']}")
    what = f"{media_s / 60:g} min of media at {SPEED:g}-fold speed, {joined} joins and leaves"
    for program, course in zip(("server", "client"), zip(*noted, strict=True), strict=True):
        before, after = (_part(course, part) for part in (BEFORE, AFTER))
        memory = [statistics.median(one.memory_mb for one in part) for part in (before, after)]
        most = [max(one.descriptors for one in part) for part in (before, after)]
        growth_mb = memory[1] - memory[0]
        yield Row(f"{program}, growth of memory", what, [growth_mb], "MB", below(GROWTH_MB))
        yield Row(
            f"{program}, more descriptors", f"than {most[0]}", [most[1] - most[0]], "", below(1)
        )
    yield Row("lost to the client", "which stayed all the time", [played["lost"]], "", below(1))


def _come_and_go(
    port: int, seconds: float, server: Program, client: Program
) -> tuple[list[tuple[Held, Held]], int]:
    """Memory and descriptors of both programs after each batch, and listeners so far."""
    noted: list[tuple[Held, Held]] = []
    end = time.monotonic() + seconds * AFTER[1]
    joined = 0
    while time.monotonic() < end:
        with Listeners(port, BATCH) as listeners:
            time.sleep(STAY_S)
            joined += BATCH
            if joined // BATCH % SILENT == 0:
                listeners.vanish()
        noted.append((_held(server), _held(client)))
    return noted, joined


def _held(program: Program) -> Held:
    return Held(program.memory_bytes() / 1e6, program.descriptors())


def _part(course: tuple[Held, ...], part: tuple[float, float]) -> tuple[Held, ...]:
    # The measurement ends at `AFTER[1]` of the time.
    first, last = (round(len(course) * share / AFTER[1]) for share in part)
    return course[first : max(last, first + 1)]
