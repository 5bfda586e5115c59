"""The thread that reads: it lets nobody wait, holds a source back, and ends when it is told to."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Iterator

from broadcasting.reader import MOST_SEGMENTS, NotYet, Reader
from broadcasting.source import Segment
from tests.network import TRACK, segments

WAIT_S = 10


def reader(source: Iterator[Segment]) -> tuple[Reader, threading.Event]:
    made, news = Reader(source, lambda: None), threading.Event()
    made.news = news.set
    return made, news


def test_nothing_is_read_before_it_is_wanted_and_then_only_a_little() -> None:
    read: list[int] = []
    full = threading.Event()

    def source() -> Iterator[Segment]:
        for number, segment in enumerate(segments(1000)):
            read.append(number)
            if number == MOST_SEGMENTS:
                full.set()
            yield segment

    made, news = reader(source())
    assert read == []
    made.take()
    assert full.wait(WAIT_S)
    assert news.is_set()
    assert isinstance(made.take(), Segment)
    made.stop()
    assert len(read) <= MOST_SEGMENTS + 3


def test_who_takes_does_not_wait_for_a_source_that_does_and_is_told_of_news() -> None:
    go_on = threading.Event()

    def source() -> Iterator[Segment]:
        assert go_on.wait(WAIT_S)
        yield from segments(1)

    made, news = reader(source())
    assert isinstance(made.take(), NotYet)
    go_on.set()
    assert news.wait(WAIT_S)
    assert made.take() == next(segments(1))
    while isinstance(made.take(), NotYet):
        news.wait(0.01)
    assert made.take() is None
    made.stop()


def test_it_knows_when_it_has_read_beyond_a_track() -> None:
    later = dataclasses.replace(TRACK, number=2)
    both = (*segments(1), dataclasses.replace(next(segments(1)), track=later))
    read = threading.Event()

    def source() -> Iterator[Segment]:
        yield from both
        read.set()

    made, _ = reader(source())
    made.take()
    assert read.wait(WAIT_S)
    assert (made.is_beyond(1), made.is_beyond(2)) == (True, False)
    made.stop()


def test_it_ends_although_its_source_waits() -> None:
    interrupted = threading.Event()

    def source() -> Iterator[Segment]:
        assert interrupted.wait(WAIT_S)
        yield from ()

    made = Reader(source(), interrupted.set)
    made.take()
    made.stop()
    assert interrupted.is_set()
