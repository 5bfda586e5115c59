"""Memory that this process may still take, as far as the system tells. I/O; decides nothing."""

from __future__ import annotations

import contextlib
import re
import sys
from pathlib import Path

_MEMINFO = Path("/proc/meminfo")
_CGROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")


def free_bytes() -> tuple[int, str] | None:
    """The smallest limit in bytes, and its name for the user; None if nothing is known."""
    limits = [*_of_the_machine(), *_of_the_group(), *_of_the_process()]
    return min(limits, default=None)


def _of_the_machine() -> list[tuple[int, str]]:
    with contextlib.suppress(OSError):
        found = re.search(r"^MemAvailable:\s+(\d+) kB$", _MEMINFO.read_text(), re.MULTILINE)
        if found is not None:
            return [(int(found[1]) << 10, "memory is free")]
    return []


def _of_the_group() -> list[tuple[int, str]]:
    with contextlib.suppress(OSError, ValueError):
        return [(int(_CGROUP_LIMIT.read_text()), "memory is allowed to this container")]
    return []


def _of_the_process() -> list[tuple[int, str]]:
    if sys.platform != "win32":
        import resource

        limit, _ = resource.getrlimit(resource.RLIMIT_AS)
        if limit != resource.RLIM_INFINITY:
            return [(limit, "memory is allowed by ulimit -v")]
    return []
