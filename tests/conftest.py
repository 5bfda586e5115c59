"""What holds for every test: it leaves no thread and no process behind."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def nothing_is_left_behind() -> Iterator[None]:
    """A test ends what it has started."""
    threads, processes = set(threading.enumerate()), children()
    yield
    assert set(threading.enumerate()) <= threads, "the test has left a thread behind"
    assert children() <= processes, "the test has left a process behind"


def children() -> set[str]:
    """The processes that this one has started, by number. Empty where there is no /proc."""
    while True:
        tasks = Path("/proc/self/task").glob("*/children")
        # A thread that ends meanwhile passes its children on to another: look again.
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            return {pid for task in tasks for pid in task.read_text().split()}
