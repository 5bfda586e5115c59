"""Threads: a worker says when it is over."""

from __future__ import annotations

import threading

import pytest

from shell.process.threads import Worker


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("fails", [False, True])
def test_who_is_told_that_the_work_is_over_finds_it_over(fails: bool) -> None:
    may_end, found = threading.Event(), []

    def work() -> None:
        assert may_end.wait(20)
        if fails:
            raise ValueError

    worker = Worker("worker", work, over=lambda: found.append(worker.is_working))
    assert worker.is_working
    may_end.set()
    worker.join()
    assert found == [False]
