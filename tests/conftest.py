"""What holds for every test: it leaves no thread and no process behind.

pytest --part 2/3    only every third of the files, from the second on
"""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from math import inf
from pathlib import Path

import pytest

from listening.session.server_clock import ServerClock
from tests.rig.luck import LITTLE

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""A program that ended in the test's own process ignores them."""

HERE = Path(__file__).resolve().parent


def pytest_addoption(parser: pytest.Parser) -> None:
    """Parts of the tests can run side by side: many of them wait for the real time to pass."""
    parser.addoption("--part", default="1/1", metavar="K/N", help="only every N-th file, from K on")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Whether another part has this file; None: that is not asked of it."""
    part, parts = map(int, config.getoption("--part").split("/"))
    files = sorted(HERE.rglob("test_*.py"))
    if parts == 1 or collection_path not in files:
        return None
    return files.index(collection_path) % parts != part - 1 or None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave what needs to be tried `once` to the first of several Pythons."""
    if LITTLE:
        left_out = [item for item in items if item.get_closest_marker("once")]
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in set(left_out)]


@pytest.fixture(autouse=True)
def nothing_is_left_behind() -> Iterator[None]:
    """A test ends what it has started."""
    threads, processes = set(threading.enumerate()), children()
    actions = {number: signal.getsignal(number) for number in SIGNALS}
    yield
    for number, action in actions.items():
        signal.signal(number, action)
    assert set(threading.enumerate()) <= threads, "the test has left a thread behind"
    assert children() <= processes, "the test has left a process behind"


@pytest.fixture
def nobody_asks_for_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """For crowds in virtual time: each question is a moment at which all of them are looked at."""
    monkeypatch.setattr(ServerClock, "next_due", lambda self: inf)
    monkeypatch.setattr(ServerClock, "question", lambda self, session, now: None)


def children() -> set[str]:
    """The processes that this one has started, by number. Empty where there is no /proc."""
    while True:
        tasks = Path("/proc/self/task").glob("*/children")
        # A thread that ends meanwhile passes its children on to another: look again.
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            return {pid for task in tasks for pid in task.read_text().split()}
