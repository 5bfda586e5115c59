"""No child outlives the program, whatever it does with signals."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

import pytest

from shell.process import children

DEAF = "trap '' TERM; echo ready; while :; do sleep 0.05; done"
DEAF_PARENT = f'sh -c "{DEAF}" & wait'


def running(group: int) -> list[str]:
    """The processes of a group that are not dead."""
    states = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, _, its_group = path.read_text().rpartition(")")[2].split()[:3]
            if int(its_group) == group and state not in "ZX":
                states.append(state)
    return states


def wait_for_their_end(group: int) -> None:
    """A process that was killed runs until the system gets round to it."""
    until = time.monotonic() + 20
    while running(group) and time.monotonic() < until:
        time.sleep(0.01)
    assert not running(group)


@pytest.mark.parametrize("script", [DEAF, DEAF_PARENT], ids=["itself", "what it has started"])
def test_a_child_that_ignores_sigterm_is_killed_with_its_own_children(script: str) -> None:
    child = children.start(["sh", "-c", script])
    assert child.stdout is not None
    assert child.stdout.readline() == b"ready\n"
    asked_at = time.monotonic()
    children.end(child)
    assert time.monotonic() - asked_at < 2
    wait_for_their_end(child.pid)


def test_what_a_child_says_when_it_ends_is_told() -> None:
    child = children.start(["sh", "-c", "echo no such device >&2; exit 1"])
    child.wait()
    assert children.end(child) == b"no such device\n"


def test_all_children_can_be_killed_at_once() -> None:
    child = children.start(["sh", "-c", DEAF])
    assert child.stdout is not None
    child.stdout.readline()
    children.kill_all()
    assert child.wait(20) < 0
    children.end(child)
    wait_for_their_end(child.pid)
