"""What tests of faults have in common: when something was logged, and when sound began again."""

from __future__ import annotations

import re
import resource
from collections.abc import Iterable
from datetime import datetime

from tests.rig.programs import Program

MOST_S = 3.0
"""Longest time from the end of a fault until sound is heard again, where it can be."""


def logged_at_s(program: Program, pattern: str) -> float:
    """When the last line that looks so was logged, in seconds since the epoch."""
    times = re.findall(rf"^(\S+ \S+) - \d+ - \w+ - .*{pattern}", program.log, re.MULTILINE)
    return _seconds(times[-1])


def heard_again_s(program: Program, since: float) -> float:
    """How long after `since` it let something be heard again, after silence."""
    return program.wait_until(lambda: _heard_after(program, since), "heard again") - since


def tell(fault: str, times_s: Iterable[float]) -> None:
    """What pytest shows with -rP."""
    sorted_s = sorted(times_s)
    print(f"{fault}: heard again after {sorted_s[0]:.2f} to {sorted_s[-1]:.2f} s")


def set_limit(program: Program, which: int, soft: int | None) -> None:
    """Change one of its limits while it runs; None: as it was."""
    assert program.process.poll() is None, program
    pid = program.process.pid
    _, hard = resource.prlimit(pid, which)
    usual, _ = resource.getrlimit(which)
    resource.prlimit(pid, which, (usual if soft is None else soft, hard))


def _heard_after(program: Program, since: float) -> float | None:
    found = re.findall(r"^(\S+ \S+) - \d+ - INFO - AUDIO \d+: heard in (\S+) s$", program.log, re.M)
    times = (_seconds(stamp) + float(in_s) for stamp, in_s in found if _seconds(stamp) >= since)
    return next(times, None)


def _seconds(stamp: str) -> float:
    return datetime.strptime(stamp, "%Y-%m-%d %H:%M:%S,%f").timestamp()
