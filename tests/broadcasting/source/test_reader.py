"""The thread that reads: it lets nobody wait, holds a source back, and ends when it is told to."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Iterator

import pytest

from broadcasting.source import reader
from broadcasting.source.reader import MOST_AT_ONCE, MOST_BYTES, MOST_S, Reader
from broadcasting.source.segments import Segment
from tests.rig.network import segments

WAIT_S = 10

SEGMENT_S = next(segments(1)).duration_us / 1e6


class Watched:
    """A reader, the segments that it has read, and whether it holds still."""

    def __init__(self, source: Iterator[Segment], speed: float = 1.0) -> None:
        self.read = 0
        self.full = threading.Event()
        self.news = threading.Event()
        self.reader = Reader(self._segments(source), lambda: None, speed)
        self.reader.news = self.news.set
        wait = self.reader._change.wait

        def seen(timeout: float | None = None) -> bool:
            self.full.set()
            return wait(timeout)

        self.reader._change.wait = seen  # type: ignore[method-assign]

    def _segments(self, source: Iterator[Segment]) -> Iterator[Segment]:
        for segment in source:
            self.read += 1
            yield segment

    def next(self, *, at_once: bool = True) -> list[Segment] | None:
        """The next segments, as soon as there are any."""
        while (taken := self.reader.take(at_once=at_once)) == []:
            assert self.news.wait(WAIT_S)
            self.news.clear()
        return taken


@pytest.mark.parametrize(
    ("size", "speed", "most"),
    [
        (1000, 1.0, MOST_S / SEGMENT_S),
        (1000, 2.0, 2 * MOST_S / SEGMENT_S),
        (40_000, 1.0, MOST_BYTES / 40_000),
        (1000, 1e5, MOST_BYTES / 1000),
    ],
)
def test_nothing_is_read_before_it_is_wanted_and_then_only_a_little(
    size: int, speed: float, most: float
) -> None:
    source = (dataclasses.replace(one, data=bytes(size)) for one in segments(10_000))
    made = Watched(source, speed)
    assert made.read == 0
    taken = len(made.reader.take(at_once=False) or ())
    assert made.full.wait(WAIT_S)
    assert taken or made.news.is_set()
    # One is in the hands of the thread.
    assert most <= made.read <= taken + most + 2
    made.full.clear()
    while taken < 2 * most:
        taken += len(made.next() or ())
    assert made.full.wait(WAIT_S)
    made.reader.stop()
    assert made.read <= taken + most + 2


def test_many_are_handed_over_at_once_and_the_other_thread_is_not_woken_for_each() -> None:
    go_on = threading.Event()
    rings: list[int] = []

    def source() -> Iterator[Segment]:
        for number, segment in enumerate(segments(12)):
            rings.append(made.news.is_set())
            if number == 1:
                assert go_on.wait(WAIT_S)
            yield segment

    made = Watched(source())
    # Nothing lies ready: the first is told at once.
    assert made.next(at_once=True) == list(segments(1))
    # There is time: what comes next is told when it is worth while.
    assert made.reader.take(at_once=False) == []
    go_on.set()
    assert made.news.wait(WAIT_S)
    worth = round(MOST_S / 2 / SEGMENT_S)
    assert worth - 1 <= len(made.next() or ()) <= MOST_AT_ONCE
    assert not any(rings[2:worth])
    made.reader.stop()


def test_who_takes_does_not_wait_for_a_source_that_does_and_is_told_of_news() -> None:
    go_on = threading.Event()

    def source() -> Iterator[Segment]:
        assert go_on.wait(WAIT_S)
        yield from segments(1)

    made = Watched(source())
    assert made.reader.take(at_once=True) == []
    go_on.set()
    assert made.next() == list(segments(1))
    assert made.next() is None
    assert made.reader.fault is None
    made.reader.stop()


def test_a_fault_of_our_own_ends_the_source_and_is_known() -> None:
    def source() -> Iterator[Segment]:
        yield from segments(1)
        raise AttributeError("ours")

    made = Watched(source())
    assert made.next() == list(segments(1))
    assert made.next() is None
    assert isinstance(made.reader.fault, AttributeError)
    made.reader.stop()


def test_it_ends_although_its_source_waits() -> None:
    interrupted = threading.Event()

    def source() -> Iterator[Segment]:
        assert interrupted.wait(WAIT_S)
        yield from ()

    made = Reader(source(), interrupted.set)
    made.take(at_once=True)
    made.stop()
    assert interrupted.is_set()


def test_a_source_that_cannot_be_interrupted_is_left_behind(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(reader, "STOP_S", 0.05)
    over = threading.Event()

    def source() -> Iterator[Segment]:
        assert over.wait(WAIT_S)
        yield from ()

    made = Reader(source(), lambda: None)
    made.take(at_once=True)
    made.stop()
    assert "left behind" in caplog.text
    thread = made._thread
    assert thread is not None
    assert thread.daemon, "the program must be able to end"
    over.set()
    thread.join(WAIT_S)
