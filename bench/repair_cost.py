"""Cost of repair where nothing is lost: the programs with and without it.

The whole client and one without requests and concealment (`without_repair.py`) hear the same server
at the same time, so that what disturbs one disturbs the other; likewise the crowds of two servers.
Each window of time gives one ratio of processor time. Faster than real time, a larger part of it is
work and less is waking up, which shows a difference better.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

from bench.processes import Failed, Program
from bench.table import Result, Row, below
from bench.workshop import SAMPLE, Workshop

SPEEDS = (1, 20)
SETTLED_S = 3.0
WINDOW_S = 3.0
WINDOWS = 9
LISTENERS = 5
"""Listeners of each server."""

BOTH = tuple(("bench/without_repair.py", which) for which in ("whole", "without"))

LIMIT = 1.05


def measure(workshop: Workshop) -> Iterator[Result]:
    windows = max(2, WINDOWS * workshop.effort.rounds // 5)
    for speed in SPEEDS:
        with contextlib.ExitStack() as stack:
            options = (str(SAMPLE), "--loop", "--speed", str(speed), "--wait-for", "2")
            server = stack.enter_context(workshop.server(*options))
            clients = [
                stack.enter_context(workshop.client(server.port, "null", by=by)) for by in BOTH
            ]
            for one in clients:
                one.wait_for("first sound")
            yield Row(
                f"repair, client, speed {speed}",
                "processor time with it, by that without; nothing is lost",
                _ratios(*clients, windows=windows),
                "",
                below(LIMIT),
            )
            for one in clients:
                if one.stop()["lost"]:
                    raise Failed("something was lost, and nothing should be")
    yield _server(workshop, windows)


def _server(workshop: Workshop, windows: int) -> Row:
    with contextlib.ExitStack() as stack:
        options = (str(SAMPLE), "--loop", "--speed", "20", "--wait-for", str(LISTENERS))
        servers = [stack.enter_context(workshop.server(*options, by=by)) for by in BOTH]
        for server in servers:
            for _ in range(LISTENERS):
                stack.enter_context(workshop.client(server.port, "null"))
        for server in servers:
            server.wait_for("the stream starts")
        return Row(
            "repair, server, speed 20",
            f"processor time with it, by that without; {LISTENERS} listeners, nothing is lost",
            _ratios(*servers, windows=windows),
            "",
            below(LIMIT),
        )


def _ratios(whole: Program, without: Program, *, windows: int) -> list[float]:
    """Ratio of processor time in each of the next windows of time."""
    time.sleep(SETTLED_S)
    ratios = []
    for _ in range(windows):
        before = whole.cpu_s(), without.cpu_s()
        time.sleep(WINDOW_S)
        ratios.append((whole.cpu_s() - before[0]) / (without.cpu_s() - before[1]))
    return ratios
