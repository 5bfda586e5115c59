"""Machine on which the numbers were taken: without it they mean little."""

from __future__ import annotations

import os
import platform
from pathlib import Path

BUSY_LOAD = 0.5
"""Load of a busy machine: an idle one shows about 0.1."""


def description() -> dict[str, str | int | float | None]:
    """The machine, and its load before the measurements."""
    return {
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.release()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "load_1min": load(),
    }


def as_text(machine: dict[str, str | int | float | None]) -> str:
    """The machine in one line."""
    return "{cpu}, {cores} cores, {system}, {python}".format(**machine)


def load() -> float | None:
    """Mean number of running processes in the last minute; None where it is unknown."""
    try:
        return round(os.getloadavg()[0], 2)
    except OSError:
        return None


def _cpu_model() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return value.strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
