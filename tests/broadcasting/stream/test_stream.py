"""Segments in, numbered datagrams out when they are due."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator

import pytest

from broadcasting.settings import Fec
from broadcasting.source.segments import Segment
from broadcasting.stream.history import Packet
from broadcasting.stream.stream import HISTORY_S, LOOKAHEAD_S, Stream
from message import Message, Type
from tests.rig.network import TRACK, segments

ID = 0xABCD
START = 1000.0
SEGMENT_S = 3 * 1152 / 44_100


def stream(
    count: int | None = None,
    *,
    burst_s: float = 1.0,
    interval_s: float | None = None,
    speed: float = 1.0,
) -> Stream:
    """A stream that has read the whole programme of `count` segments, if one is given."""
    made = Stream(ID, burst_s=burst_s, interval_s=interval_s, speed=speed)
    if count is not None:
        for segment in segments(count):
            made.add_segment(segment)
        made.end_of_source()
    return made


def running(made: Stream, seconds: float, source: Iterator[Segment]) -> list[Packet]:
    """Let the stream, started at `START`, run until `seconds` later, fed as it wants to be."""
    sent: list[Packet] = []
    while True:
        while made.wants_segment:
            made.add_segment(next(source))
        due = made.next_due()
        assert due is not None
        if due > START + seconds:
            return sent
        taken = made.take_due(due)
        assert taken, "nothing was due when it should be"
        sent += taken


def test_nothing_is_due_before_the_start() -> None:
    made = stream(20)
    assert (made.started, made.next_due(), made.take_due(1e9)) == (False, None, [])
    assert made.position_s(1e9) == 0
    made.start(START)
    assert (made.started, made.next_due()) == (True, START)


def test_a_stream_starts_once() -> None:
    made = stream()
    made.start(START)
    with pytest.raises(AssertionError):
        made.start(START)


def test_messages_are_numbered_from_0_and_carry_what_the_segment_says() -> None:
    made = stream()
    track = dataclasses.replace(TRACK, number=70_000)
    made.add_segment(Segment(b"first", 0, 20_000, TRACK, 1105, 0))
    made.add_segment(Segment(b"second", 20_000, 30_000, track, 0, 700))
    assert made.track == TRACK
    made.start(START)
    first, told, second = made.take_due(START)
    assert Message.unpack(told.datagram)[:2] == (1, Type.TRACK)
    assert Message.unpack(first.datagram) == Message(0, Type.AUDIO, b"first", ID, 0, 1, 1105, 0)
    assert Message.unpack(second.datagram) == Message(
        1, Type.AUDIO, b"second", ID, 20_000, 70_000 % 65_536, 0, 700
    )
    assert (second.sequence, second.media_time_us, second.end_time_us) == (1, 20_000, 50_000)
    assert (made.next_sequence, made.sent_until_us, made.track) == (2, 50_000, track)


def test_each_message_is_taken_once_when_it_is_due_and_in_order() -> None:
    made = stream(100)
    made.start(START)
    taken = made.take_due(START)
    assert len(taken) == 1 + int(1.0 / SEGMENT_S)
    assert made.take_due(START) == []
    due = made.next_due()
    assert due is not None
    assert made.take_due(due - 1e-6) == []
    (following,) = made.take_due(due)
    assert made.lateness_s(following, due + 0.25) == 0.25
    rest = made.take_due(START + 1e6)
    assert [one.sequence for one in [*taken, following, *rest]] == list(range(100))
    assert made.ended


def test_a_late_wake_up_is_followed_by_the_next_message_at_its_own_time() -> None:
    on_time, late = stream(100), stream(100)
    for one in (on_time, late):
        one.start(START)
        one.take_due(START + 2)
    late.take_due(START + 2.5)
    on_time.take_due(START + 2.5)
    assert late.next_due() == on_time.next_due()
    due = late.next_due()
    assert due is not None
    assert due - (START + 2.5) < SEGMENT_S


@pytest.mark.parametrize(("interval_s", "speed"), [(None, 1.0), (0.5, 1.0), (None, 20.0), (0.5, 3)])
def test_a_little_more_is_read_ahead_than_is_due_until_the_next_wake_up(
    interval_s: float | None, speed: float
) -> None:
    made = stream(interval_s=interval_s, speed=speed)
    source = segments(10_000)
    read = 0
    while made.wants_segment:
        made.add_segment(next(source))
        read += 1
    least_s = (LOOKAHEAD_S + (interval_s or 0)) * speed
    assert least_s <= read * SEGMENT_S < least_s + SEGMENT_S
    made.start(START)
    made.take_due(START + LOOKAHEAD_S / 2)
    assert made.wants_segment


def test_at_any_speed_what_is_read_ahead_is_a_few_megabytes() -> None:
    made = stream(speed=100_000)
    source = segments(100_000)
    while made.wants_segment:
        made.add_segment(next(source))
    assert made.is_filled
    read = 100_000 - len(list(source))
    assert read * SEGMENT_S > 60
    assert read * len(next(segments(1)).data) < 10e6


def test_what_the_user_wants_sent_together_is_read_however_much_it_is() -> None:
    made = stream(burst_s=1200.0)
    source = segments(100_000)
    while made.wants_segment:
        made.add_segment(next(source))
    read = 100_000 - len(list(source))
    assert 1200 < read * SEGMENT_S < 1202
    assert made.is_filled


def test_no_segment_is_wanted_when_the_source_has_ended() -> None:
    made = stream()
    assert made.wants_segment
    assert made.is_empty
    made.end_of_source()
    assert not made.wants_segment
    assert made.ended


def test_the_stream_has_ended_when_the_last_segment_was_taken() -> None:
    made = stream(3)
    assert not made.ended
    made.start(START)
    made.take_due(START + 10)
    assert made.ended
    assert made.next_due() is None


def test_cut_ends_the_stream_with_what_was_sent_last() -> None:
    made = stream(100)
    made.start(START)
    sent = made.take_due(START)
    made.cut()
    assert made.take_due(START + 1e6) == []
    assert made.ended
    assert not made.wants_segment
    assert made.next_sequence == len(sent)
    assert made.sent_until_us == sent[-1].end_time_us


def test_the_position_is_what_is_heard_and_never_beyond_what_was_sent() -> None:
    made = stream(100)
    made.start(START)
    assert made.position_s(START + 5) == 0
    made.take_due(START + 2)
    assert made.position_s(START + 2) == pytest.approx(2)
    assert made.position_s(START + 1e6) == pytest.approx(made.sent_until_us / 1e6)


@pytest.mark.parametrize("burst_s", [0.0, 1.0, 20.0])
@pytest.mark.parametrize("interval_s", [None, 0.5])
@pytest.mark.parametrize("speed", [1.0, 4.0])
def test_who_joins_gets_all_that_is_still_to_be_heard_and_at_least_the_burst(
    burst_s: float, interval_s: float | None, speed: float
) -> None:
    made = stream(burst_s=burst_s, interval_s=interval_s, speed=speed)
    made.start(START)
    source = segments(2000)
    for after_s in (5.3, 11.9, 20.0):
        sent = running(made, after_s, source)
        now = START + after_s
        burst = made.burst(now)
        assert [one.sequence for one in burst] == list(
            range(made.next_sequence - len(burst), made.next_sequence)
        )
        if burst:
            assert burst[-1] == sent[-1]
            span_us = made.sent_until_us - burst[0].media_time_us
            assert span_us >= burst_s * 1e6
            assert span_us <= (burst_s + (interval_s or 0) * speed + 2 * SEGMENT_S) * 1e6
            assert burst[0].media_time_us <= round(made.position_s(now) * 1e6)
        else:
            assert burst_s == 0


def test_who_joins_a_stream_that_stands_still_gets_the_burst_too() -> None:
    made = stream(20)
    made.start(START)
    made.take_due(START + 60)
    span_us = made.sent_until_us - made.burst(START + 60)[0].media_time_us
    assert 1.0 <= span_us / 1e6 < 1.0 + SEGMENT_S


def test_who_joins_at_the_start_gets_all_that_was_sent() -> None:
    made = stream(100)
    made.start(START)
    assert made.burst(START) == []
    sent = made.take_due(START)
    assert made.burst(START) == sent


def test_ten_minutes_later_no_more_is_kept_than_the_history_holds() -> None:
    made = stream(burst_s=1.0)
    made.start(START)
    sent = running(made, 600, segments(8000))
    kept = made.burst(START)
    assert 0 < (kept[-1].end_time_us - kept[0].end_time_us) / 1e6 <= HISTORY_S
    assert [b.sequence - a.sequence for a, b in itertools.pairwise(sent)] == [1] * (len(sent) - 1)
    # Nothing has added up.
    due = START + sent[-1].media_time_us / 1e6 - 1.0
    assert made.lateness_s(sent[-1], due) == pytest.approx(0.0, abs=1e-6)


def test_with_parity_a_burst_begins_where_it_would_and_brings_the_parity_of_its_blocks() -> None:
    made = Stream(ID, burst_s=2.6, interval_s=None, speed=1.0, fec=Fec(20, 4))
    made.start(START)
    running(made, 7.3, segments(1000))
    burst = made.burst(START + 7.3)
    with_parity = made.history.with_parity(burst)
    assert [one for one in with_parity if one.kind != Type.PARITY] == burst
    first, last = burst[0].sequence, burst[-1].sequence
    parity = [one.sequence for one in with_parity if one.kind == Type.PARITY]
    blocks = range(first - first % 20, last + 1, 20)
    # All that was sent of each block: the last is not over yet.
    assert parity == sorted(parity)
    assert [parity.count(block) for block in blocks] == [
        *[4] * (len(blocks) - 1),
        (last % 20 + 1) // 5,
    ]
    assert len(made.history._parity) < 4 * (2.6 / 0.0784 / 20 + 3)


def test_parity_that_was_read_too_late_is_due_at_once_and_before_the_end() -> None:
    made = Stream(ID, burst_s=1.0, interval_s=None, speed=1.0, fec=Fec(4, 2))
    source = segments(6)
    made.start(START)
    sent = []
    for _ in range(6):
        made.add_segment(next(source))
        sent += made.take_due(START)
    assert [one.kind == Type.PARITY for one in sent] == [False] * 3 + [True, False] * 2 + [False]
    assert made.next_due() == START, "nothing but what stands in for the source"
    made.end_of_source()
    assert not made.ended
    assert made.next_due() == float("-inf")
    assert [one.kind == Type.PARITY for one in made.take_due(START)] == [True, True]
    assert made.ended


def test_what_is_cut_off_has_no_parity_any_more() -> None:
    made = Stream(ID, burst_s=0.1, interval_s=None, speed=1.0, fec=Fec(4, 2))
    for segment in segments(8):
        made.add_segment(segment)
    made.start(START)
    assert len(made.take_due(START)) == 3
    made.cut()
    assert made.ended
    assert made.take_due(START + 1) == []


def test_enough_is_read_ahead_that_a_block_is_whole_when_its_parity_is_due() -> None:
    for fec in (Fec(20, 1), Fec(200, 50), Fec(255, 1)):
        made = Stream(ID, burst_s=1.0 + fec.block_s, interval_s=None, speed=1.0, fec=fec)
        made.start(START)
        sent = running(made, 100, segments(4000))
        for before, one in itertools.pairwise(sent):
            if one.kind == Type.PARITY and before.kind != Type.PARITY:
                place = before.sequence - one.sequence
                assert place < fec.messages
                assert (place + 1) * fec.parity_count % fec.messages < fec.parity_count
