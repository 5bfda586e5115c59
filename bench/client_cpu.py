"""Cost of listening: processor time and memory of client.py in steady state.

A stream of 128 kbit/s in real time, from the bundled sample in a loop, on a terminal. The clock
starts when the client has played for a while, so start-up is left out. Processor time is that of
all threads of the process, user and system, for each second of real time: 1 % is 10 ms.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

from bench.first_sound import OUTPUTS
from bench.processes import Failed
from bench.table import LeftOut, Result, Row, below
from bench.workshop import SAMPLE, Workshop

SETTLED_S = 3.0
LIMIT_PERCENT = 2.0
LIMIT_MB = 100.0


def measure(workshop: Workshop) -> Iterator[Result]:
    for output in OUTPUTS:
        try:
            percent, memory = _measured(workshop, output)
        except Failed as error:
            yield LeftOut(f"client, {output}", str(error))
            continue
        yield Row(
            f"client, processor, {output}",
            f"of one core, over {workshop.effort.steady_s:g} s",
            percent,
            "%",
            below(LIMIT_PERCENT),
        )
        yield Row(
            f"client, memory, {output}",
            "resident, at its highest",
            [memory],
            "MB",
            below(LIMIT_MB),
        )


def _measured(workshop: Workshop, output: str) -> tuple[list[float], float]:
    with (
        workshop.server(str(SAMPLE), "--loop") as server,
        workshop.client(server.port, output) as client,
    ):
        client.wait_for("first sound")
        time.sleep(SETTLED_S)
        percent = client.cpu_percent(workshop.effort.steady_s, workshop.effort.windows)
        memory = client.peak_memory_bytes() / 1e6
        client.stop()
    return percent, memory
