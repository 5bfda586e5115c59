"""What is kept of what was sent: its bounds, and what a late listener gets."""

from __future__ import annotations

import pytest

from broadcasting.stream.history import MAX_BYTES, History, Packet

SPAN_S = 10.0
STEP_US = 100_000


def sent(sequence: int, datagram: bytes = b"datagram", duration_us: int = STEP_US) -> Packet:
    """A message of a tenth of a second, at its place."""
    begin_us = sequence * STEP_US
    return Packet(sequence, begin_us, begin_us + duration_us, datagram)


def filled(count: int) -> History:
    history = History(SPAN_S)
    for sequence in range(count):
        history.append(sent(sequence))
    return history


def sequences(found: list[Packet]) -> list[int]:
    return [one.sequence for one in found]


def test_it_keeps_as_much_as_its_span_and_lets_go_of_the_oldest() -> None:
    history = filled(1000)
    # The oldest of them ends where the span begins.
    assert sequences(history.since(0)) == list(range(1000 - 101, 1000))
    assert len(history.sequences) == 101


def test_it_keeps_everything_while_the_span_is_not_full() -> None:
    assert sequences(filled(50).since(0)) == list(range(50))


def test_a_long_pause_in_the_media_empties_it_but_for_the_newest() -> None:
    history = filled(50)
    history.append(sent(100_000))
    assert sequences(history.since(0)) == [100_000]


def test_its_bytes_are_bounded_whatever_the_media_times_are() -> None:
    history = History(1e9)
    datagram = bytes(65_507)
    for sequence in range(2 * MAX_BYTES // len(datagram)):
        history.append(sent(sequence, datagram, duration_us=0))
    assert len(history.sequences) == MAX_BYTES // len(datagram)
    assert sequences(history.since(0))[-1] == 2 * MAX_BYTES // len(datagram) - 1


@pytest.mark.parametrize(
    ("media_time_us", "first"),
    [(0, 0), (STEP_US - 1, 0), (STEP_US, 1), (5 * STEP_US + 1, 5), (49 * STEP_US, 49)],
)
def test_since_begins_with_what_is_still_to_be_heard_at_that_time(
    media_time_us: int, first: int
) -> None:
    assert sequences(filled(50).since(media_time_us)) == list(range(first, 50))


def test_what_is_kept_is_found_by_its_sequence() -> None:
    history = filled(1000)
    assert history.sequences == range(899, 1000)
    assert all(history.at(sequence).sequence == sequence for sequence in history.sequences)
    assert len(History(SPAN_S).sequences) == 0


def test_it_knows_the_bytes_that_it_keeps_and_all_that_there_ever_were() -> None:
    history = filled(1000)
    assert history.bytes == 101 * len(b"datagram")
    assert history.bytes_ever == 1000 * len(b"datagram")


def test_nothing_is_beyond_the_newest() -> None:
    assert filled(50).since(50 * STEP_US) == []
    assert History(SPAN_S).since(0) == []
