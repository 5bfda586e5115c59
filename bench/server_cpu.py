"""Cost of broadcasting: processor time of server.py with ten listeners.

A stream of 128 kbit/s in real time, from the bundled sample in a loop, on a terminal. The ten
listeners are light ones (`listeners.py`) that connect and report as client.py does; no send wakes
one, as if they were on machines of their own. Processor time is that of all threads of the
process, user and system, for each second of real time.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

from bench.listeners import Listeners
from bench.processes import Failed
from bench.table import Result, Row, below
from bench.workshop import SAMPLE, Workshop

LISTENERS = 10
LOOK_EVERY_S = 0.1
SETTLED_S = 3.0
LIMIT_PERCENT = 1.0
LIMIT_MB = 100.0


def measure(workshop: Workshop) -> Iterator[Result]:
    with workshop.server(str(SAMPLE), "--loop") as server:
        with Listeners(server.port, LISTENERS, LOOK_EVERY_S) as listeners:
            time.sleep(SETTLED_S)
            percent = server.cpu_percent(workshop.effort.steady_s, workshop.effort.windows)
            memory = server.peak_memory_bytes() / 1e6
            lost = listeners.expected - listeners.received
        server.stop()
    if lost > 0:
        raise Failed(f"{lost} messages were lost: the machine is too busy for a measurement")
    yield Row(
        f"server, processor, {LISTENERS} listeners",
        f"of one core, over {workshop.effort.steady_s:g} s",
        percent,
        "%",
        below(LIMIT_PERCENT),
    )
    yield Row(
        f"server, memory, {LISTENERS} listeners",
        "resident, at its highest",
        [memory],
        "MB",
        below(LIMIT_MB),
    )
