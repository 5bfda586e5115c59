"""Cost of the live view: at the server with a thousand listeners, and at the client.

Each program runs on a terminal twice in turn, with its live view and without (`-q --report-every
0`). The listeners (`crowd.py`) have shaken hands and report, so the table has figures to rank. The
main thread of either program only looks and draws: its processor time is the cost of the view, and
the difference between the two processes shows whether other threads pay as well. *Lateness* is what
the server says of its sends.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from bench.compiler import compiled
from bench.crowd import Crowd
from bench.processes import Program
from bench.table import Result, Row, below
from bench.workshop import SAMPLE, Workshop

LISTENERS = 1_000
SETTLED_S = 3.0
WITHOUT = ("-q", "--report-every", "0")
ROUNDS, QUICK_ROUNDS = 3, 1
LIMIT_PERCENT = 1.0

Seen = dict[bool, list[float]]
"""Values with the view (True) and without, one for each round."""


def measure(workshop: Workshop) -> Iterator[Result]:
    rounds = ROUNDS if workshop.effort.steady_s >= 18 else QUICK_ROUNDS
    window_s = workshop.effort.steady_s / 3
    yield from _server(workshop, rounds, window_s)
    yield from _client(workshop, rounds, window_s)


def _server(workshop: Workshop, rounds: int, window_s: float) -> Iterator[Result]:
    library = compiled(workshop, "crowd.c", shared=True)
    total, drawing, late_ms = _nothing(), _nothing(), _nothing()
    wanted = ("--max-clients", str(LISTENERS), "--wait-for", str(LISTENERS))
    for is_shown in (False, True) * rounds:
        options = (*wanted, *(() if is_shown else WITHOUT))
        with workshop.server(str(SAMPLE), "--loop", *options) as server:
            with Crowd(library, LISTENERS, server.port):
                _note(server, window_s, total[is_shown], drawing[is_shown])
            late_ms[is_shown].append(_number(server.stop()["lateness_p99_ms"]))
    name = f"server, {LISTENERS:,} listeners"
    yield from _rows(name, total, drawing)
    for is_shown, how in ((False, "without"), (True, "with")):
        yield Row(f"{name}, 99 % sent within", f"{how} the view", late_ms[is_shown], "ms")


def _client(workshop: Workshop, rounds: int, window_s: float) -> Iterator[Result]:
    total, drawing = _nothing(), _nothing()
    with workshop.server(str(SAMPLE), "--loop", "--wait-for", "0") as server:
        for is_shown in (False, True) * rounds:
            options = () if is_shown else WITHOUT
            with workshop.client(server.port, "null", *options) as client:
                client.wait_for("first sound")
                _note(client, window_s, total[is_shown], drawing[is_shown])
                client.stop()
        server.stop()
    yield from _rows("client, null", total, drawing)


def _note(program: Program, window_s: float, total: list[float], drawing: list[float]) -> None:
    time.sleep(SETTLED_S)
    began, used_s, drawn_s = time.monotonic(), program.cpu_s(), program.main_thread_cpu_s()
    time.sleep(window_s)
    took_s = time.monotonic() - began
    total.append((program.cpu_s() - used_s) / took_s * 100)
    drawing.append((program.main_thread_cpu_s() - drawn_s) / took_s * 100)


def _rows(name: str, total: Seen, drawing: Seen) -> Iterator[Row]:
    for is_shown, how in ((False, "without"), (True, "with")):
        yield Row(f"{name}, {how} a live view", "all of it, of one core", total[is_shown], "%")
    more = [a - b for a, b in zip(total[True], total[False], strict=True)]
    yield Row(f"{name}, the difference", "in each round", more, "%", below(LIMIT_PERCENT))
    yield Row(
        f"{name}, the live view",
        "the main thread, which looks and draws, of one core",
        drawing[True],
        "%",
        below(LIMIT_PERCENT),
    )


def _nothing() -> Seen:
    return defaultdict(list)


def _number(value: Any) -> float:
    return float(value)
