"""Time until a program's own code runs.

The wall time of `python -c "import client"` less that of `python -c ""`, taken in turn, with
bytecode compiled before. The client's heavy libraries are left out: they are imported while the
server's answer is under way.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

from bench.table import Result, Row
from bench.workshop import Workshop


def measure(workshop: Workshop) -> Iterator[Result]:
    for program in ("client", "server"):
        values = []
        for _ in range(workshop.effort.rounds):
            bare_ms = _run_ms(workshop, "")
            values.append(_run_ms(workshop, f"import {program}") - bare_ms)
        yield Row(f"import {program}", "wall time, less that of Python alone", values, "ms")


def _run_ms(workshop: Workshop, code: str) -> float:
    began = time.perf_counter()
    workshop.python(code)
    return (time.perf_counter() - began) * 1e3
