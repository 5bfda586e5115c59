"""What holds for every test: it leaves no thread and no process behind.

pytest --part 2/3    only every third of the files, from the second on
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Parts of the tests can run side by side: many of them wait for the real time to pass."""
    parser.addoption("--part", default="1/1", metavar="K/N", help="only every N-th file, from K on")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the files that another part has."""
    part, parts = map(int, config.getoption("--part").split("/"))
    files = sorted({item.path for item in items})
    chosen = set(files[part - 1 :: parts])
    left_out = [item for item in items if item.path not in chosen]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item.path in chosen]


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
