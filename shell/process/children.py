"""Other programs that this one runs: none outlives it, whatever it does with signals."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from subprocess import Popen

TERMINATE_S = 0.3
"""Time to end in order; then it is killed. Less than half of what a program that hurries has."""

_running: set[Popen[bytes]] = set()


def start(command: Sequence[str]) -> Popen[bytes]:
    """Run `command`, with pipes at its output; raises OSError.

    Ctrl-C is for this program, which ends the child in order.
    """
    import subprocess  # most runs need no child

    child = subprocess.Popen(  # noqa: S603 - one of ours
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    _running.add(child)
    return child


def end(child: Popen[bytes]) -> bytes:
    """Terminate `child`, or kill it if it does not end; its last words on standard error."""
    from subprocess import TimeoutExpired

    with contextlib.suppress(ProcessLookupError):
        child.terminate()
    try:
        _, said = child.communicate(timeout=TERMINATE_S)
    except TimeoutExpired as unfinished:
        said = unfinished.stderr or b""
    # What a script has started may still have its pipes.
    _kill(child)
    child.wait()
    for pipe in (child.stdout, child.stderr):
        if pipe is not None:
            pipe.close()
    _running.discard(child)
    return said


def kill_all() -> None:
    """Kill those that still run. Any thread may call."""
    for child in list(_running):
        _kill(child)


def _kill(child: Popen[bytes]) -> None:
    with contextlib.suppress(OSError):
        if sys.platform == "win32":
            child.kill()
        else:
            os.killpg(child.pid, signal.SIGKILL)
