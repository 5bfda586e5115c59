"""A source that stalls, and a track that is skipped: what is sent, in virtual time."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator

import pytest

from audio.mpeg_audio import FrameHeader, silent_frame, split_frames
from broadcasting.settings import Fec
from broadcasting.source.segments import Segment
from broadcasting.stream.history import Packet
from broadcasting.stream.stream import CUSHION_S, OPENING_S, Stream
from broadcasting.stream.timeline import HEAD_START_S
from message import Message, TrackChange, Type
from tests.rig.network import TRACK, segments
from wire.parity import encode

START = 1000.0
SEGMENT_S = 3 * 1152 / 44_100
FEC = Fec(10, 2)


def made(*, live: bool = False, fec: Fec | None = None) -> Stream:
    return Stream(7, burst_s=1.0, interval_s=None, speed=1.0, fec=fec, live=live)


def of_track(number: int, count: int) -> Iterator[Segment]:
    track = dataclasses.replace(
        TRACK, number=number, title=f"Title {number}", duration_s=count * SEGMENT_S
    )
    begin_us = (number - 1) * round(count * SEGMENT_S * 1e6)
    for one in segments(count):
        yield dataclasses.replace(one, media_time_us=begin_us + one.media_time_us, track=track)


def run(stream: Stream, until: float, now: float = START) -> list[Packet]:
    """What is sent until then, with silence where nothing comes."""
    sent: list[Packet] = []
    while (due := stream.next_due()) is not None and due <= until:
        now = max(now, due)
        stream.make_good(now)
        sent += stream.take_due(now)
    return sent


def audio(sent: list[Packet]) -> list[Message]:
    messages = [Message.unpack(one.datagram) for one in sent]
    return [one for one in messages if one.type == Type.AUDIO]


def assert_without_a_hole(messages: list[Message]) -> None:
    assert [one.sequence for one in messages] == list(range(len(messages)))
    for one, following in itertools.pairwise(messages):
        frames = split_frames(one.data)
        kept_us = sum(f.header.samples for f in frames) / 44_100 * 1e6
        assert following.media_time_us == pytest.approx(one.media_time_us + kept_us, abs=2)


def assert_parity_is_of(messages: list[Message], sent: list[Packet]) -> None:
    """Each PARITY is what its block, as it was sent, gives."""
    blocks = itertools.groupby(
        (one for one in sent if one.kind == Type.PARITY), key=lambda p: p.sequence
    )
    for first, parities in blocks:
        made_of = encode(messages[first : first + FEC.messages], FEC.parity_count)
        assert [one.datagram for one in parities] == [one.pack() for one in made_of]


@pytest.mark.parametrize("live", [True, False])
def test_a_source_starts_when_so_much_lies_ready_that_it_may_hesitate(live: bool) -> None:
    stream = made(live=live)
    source = segments(100)
    while not stream.is_filled:
        stream.add_segment(next(source))
    added = 100 - len(list(source))
    assert added * SEGMENT_S == pytest.approx(1.0 + CUSHION_S, abs=SEGMENT_S)
    together = Stream(7, burst_s=1.0, interval_s=2.0, speed=1.0, live=True)
    for segment in itertools.islice(segments(100), added):
        together.add_segment(segment)
    assert not together.is_filled


@pytest.mark.parametrize("live", [True, False])
@pytest.mark.parametrize("fec", [None, FEC])
def test_a_stall_is_silence_and_nothing_of_the_source_is_lost(fec: Fec | None, live: bool) -> None:
    stream = made(live=live, fec=fec)
    source = list(segments(60))
    for segment in source[:40]:
        stream.add_segment(segment)
    stream.start(START)
    # 40 segments last until 1 s before their end; then nothing comes for a second.
    sent = run(stream, START + 40 * SEGMENT_S)
    for segment in source[40:]:
        stream.add_segment(segment)
    stream.end_of_source()
    sent += run(stream, START + 100, START + 40 * SEGMENT_S)
    messages = audio(sent)
    assert_without_a_hole(messages)
    silence = silent_frame(FrameHeader.parse(source[0].data))
    kept = [one for one in messages if not one.data.startswith(silence)]
    assert [one.data for one in kept] == [one.data for one in source]
    assert stream.silence.stalls == 1
    assert stream.silence.duration_us / 1e6 == pytest.approx(1.0, abs=2 * SEGMENT_S)
    # A decoder begins anew at both ends of the silence.
    assert [number for number, _ in itertools.groupby(one.track for one in messages)] == [1, 2, 3]
    assert stream.ended


def test_after_a_stall_a_cushion_is_filled_again() -> None:
    stream = made(live=True)
    source = segments(1000)
    for segment in itertools.islice(source, 20):
        stream.add_segment(segment)
    stream.start(START)
    run(stream, START + 20 * SEGMENT_S - 0.99)
    assert stream.silence.stalls == 1
    stream.add_segment(next(source))
    run(stream, START + 20 * SEGMENT_S - 0.5, START + 20 * SEGMENT_S - 0.99)
    assert (stream.silence.stalls, stream.silence.duration_us > 400_000) == (1, True)


def test_silence_of_another_length_than_the_source_has_leaves_no_hole() -> None:
    stream = made(live=True)
    source = list(segments(90, frames=2))
    for segment in source[:45]:
        stream.add_segment(segment)
    stream.start(START)
    sent = run(stream, START + 30 * SEGMENT_S)
    for segment in source[45:]:
        stream.add_segment(segment)
    stream.end_of_source()
    sent += run(stream, START + 100, START + 30 * SEGMENT_S)
    assert stream.silence.stalls == 1
    assert_without_a_hole(audio(sent))


def test_a_track_that_is_skipped_in_a_stall_does_not_come_back() -> None:
    stream = made(live=True)
    first = list(of_track(1, 50))
    for segment in first[:20]:
        stream.add_segment(segment)
    stream.start(START)
    sent = run(stream, START + 20 * SEGMENT_S - 0.5)
    stream.add_segment(first[20])
    assert stream.skip() == 2, "the source leaves what keeps everybody waiting"
    for segment in of_track(2, 20):
        stream.add_segment(segment)
    stream.end_of_source()
    sent += run(stream, START + 100, START + 20 * SEGMENT_S - 0.5)
    messages = audio(sent)
    assert_without_a_hole(messages)
    # After the silence, 3 would be the first track and 4 is the second.
    assert [one.track for one in messages if one.track > 2] == [4] * 20


def test_what_is_held_in_a_stall_is_not_sent_after_a_cut() -> None:
    stream = made(live=True)
    source = segments(100)
    for segment in itertools.islice(source, 20):
        stream.add_segment(segment)
    stream.start(START)
    run(stream, START + 20 * SEGMENT_S - 0.5)
    stream.add_segment(next(source))
    stream.cut()
    stream.end_of_source()
    assert stream.ended
    assert stream.take_due(START + 1e6) == []


def test_a_copy_at_another_speed_waits_for_its_source_and_holds_nothing_else() -> None:
    stream = Stream(7, burst_s=1.0, interval_s=None, speed=20.0)
    source = list(segments(400))
    for segment in source[:200]:
        stream.add_segment(segment)
    stream.start(START)
    # 200 segments last for 15.7 s: 0.73 s after the first one of 19 s is due. Then the disk hangs.
    sent = run(stream, START + 60)
    assert stream.next_due() is None
    back = START + 60
    stream.make_good(back)
    for segment in source[200:]:
        stream.add_segment(segment)
    stream.end_of_source()
    sent += (again := run(stream, back + 100, back))
    messages = audio(sent)
    assert_without_a_hole(messages)
    assert [one.data for one in messages] == [one.data for one in source]
    assert stream.silence.stalls == 0
    # Nothing comes in a heap, and nothing is late.
    first = [one for one in again if stream.lateness_s(one, back) >= 0]
    assert len(first) == 1
    assert stream.lateness_s(again[0], back) == pytest.approx(0, abs=1e-6)


STOOD_S = 60.0


def stood_still(stream: Stream, source: list[Segment]) -> tuple[list[Message], list[Message]]:
    """What is sent in the first two seconds, and, after standing still, in the second after."""
    for segment in source:
        stream.add_segment(segment)
    stream.start(START)
    before = audio(run(stream, START + 2))
    back = START + 2 + STOOD_S
    after = audio(run(stream, back + 1, back))
    return before, after


def test_after_standing_still_a_file_goes_on_where_it_was_with_a_burst_and_the_origin_moves() -> (
    None
):
    stream, source = made(), list(segments(100))
    before, after = stood_still(stream, source)
    assert_without_a_hole([*before, *after])
    assert [one.data for one in [*before, *after]] == [
        one.data for one in source[: len(before) + len(after)]
    ]
    # A second at once, and a second later.
    assert len(after) == pytest.approx(2 / SEGMENT_S, abs=1.01)
    next_us = before[-1].media_time_us + round(SEGMENT_S * 1e6)
    heard_at = START + 2 + STOOD_S + HEAD_START_S
    origin_us, sequence = stream.origin
    assert origin_us == pytest.approx(heard_at * 1e6 - next_us, abs=2)
    assert sequence == len(before)


def test_after_standing_still_nothing_of_a_live_source_is_sent_that_lay_ready() -> None:
    stream = made(live=True)
    source = [
        dataclasses.replace(one, data=one.data[:-4] + index.to_bytes(4))
        for index, one in enumerate(segments(100))
    ]
    before, after = stood_still(stream, source[:60])
    assert len(before) < 60
    old = {one.data for one in source[len(before) : 60]}
    assert len(old) > 10
    assert after
    assert not old & {one.data for one in after}
    assert_without_a_hole([*before, *after])
    for segment in source[60:]:
        stream.add_segment(segment)
    back = START + 3 + STOOD_S
    later = audio(run(stream, back + 3, back))
    assert source[60].data in [one.data for one in later]


@pytest.mark.parametrize("late_s", [0.5, 0.9])
def test_what_is_late_by_less_than_it_is_sent_ahead_is_sent_all_the_same(late_s: float) -> None:
    stream, source = made(), list(segments(100))
    for segment in source:
        stream.add_segment(segment)
    stream.start(START)
    run(stream, START + 2)
    origin = stream.origin
    run(stream, START + 2 + late_s, START + 2 + late_s)
    assert stream.origin == origin


@pytest.mark.parametrize("fec", [None, FEC])
def test_the_next_track_follows_at_once_and_without_a_hole(fec: Fec | None) -> None:
    stream = made(fec=fec)
    first, second = list(of_track(1, 50)), list(of_track(2, 50))
    for segment in first:
        stream.add_segment(segment)
    stream.start(START)
    sent = run(stream, START + 0.5)
    sent_before = len(audio(sent))
    assert stream.skip() == 1
    stream.add_segment(first[-1])  # what the reader had in its hands
    for segment in second:
        stream.add_segment(segment)
    stream.end_of_source()
    sent += run(stream, START + 100, START + 0.5)
    messages = audio(sent)
    assert_without_a_hole(messages)
    assert_parity_is_of(messages, sent)
    played = [one.track for one in messages]
    of_first = played.count(1)
    # With parity the block that was begun is sent to its end. The next one takes time to open.
    at_least = 20 if fec else sent_before
    assert at_least < of_first <= at_least + OPENING_S / SEGMENT_S
    assert played == [1] * of_first + [2] * 50
    assert [one.data for one in messages[of_first:]] == [one.data for one in second]
    assert stream.ended


@pytest.mark.parametrize("skips", [1, 3])
@pytest.mark.parametrize("fec", [None, FEC])
def test_what_was_skipped_is_no_longer_part_of_the_duration(fec: Fec | None, skips: int) -> None:
    """However often, and at whatever point, the same track is skipped: it is left out once."""
    stream = Stream(7, burst_s=1.0, interval_s=None, speed=1.0, fec=fec, duration_s=120 * SEGMENT_S)
    first, second, third = (list(of_track(number, 40)) for number in (1, 2, 3))
    for segment in (*first, *second):
        stream.add_segment(segment)
    assert (stream.skipping.duration_s, stream.skipping.new_duration_s) == (120 * SEGMENT_S, None)
    stream.start(START)
    sent = run(stream, START + 0.5)
    for _ in range(skips):
        stream.skip()
    assert stream.skipping.duration_s == stream.skipping.new_duration_s
    told = stream.skipping.duration_s
    for segment in third:
        stream.add_segment(segment)
    stream.end_of_source()
    sent += run(stream, START + 100, START + 0.5)
    assert 80 < len(audio(sent)) < 120
    assert told == pytest.approx(stream.sent_until_us / 1e6, abs=1e-4)
    tracks = [Message.unpack(one.datagram) for one in sent if one.kind == Type.TRACK]
    assert [TrackChange.from_message(one).duration_s for one in tracks] == [told, told]


def test_silence_makes_the_programme_longer_and_a_skip_does_not_count_it() -> None:
    stream = Stream(7, burst_s=1.0, interval_s=None, speed=1.0, duration_s=100 * SEGMENT_S)
    first, second = list(of_track(1, 50)), list(of_track(2, 50))
    for segment in first[:20]:
        stream.add_segment(segment)
    stream.start(START)
    run(stream, START + 20 * SEGMENT_S + 1)
    assert stream.silence.duration_us > 1.9e6
    silence_s = stream.silence.duration_us / 1e6
    assert stream.skipping.duration_s == pytest.approx(100 * SEGMENT_S + silence_s)
    stream.skip()
    for segment in second:
        stream.add_segment(segment)
    stream.end_of_source()
    run(stream, START + 100, START + 20 * SEGMENT_S + 1)
    assert stream.skipping.duration_s == pytest.approx(stream.sent_until_us / 1e6, abs=1e-4)


@pytest.mark.parametrize("played", [0, 1])
def test_a_source_that_gives_nothing_can_be_skipped(played: int) -> None:
    stream = made()
    if played:
        for segment in of_track(1, 20):
            stream.add_segment(segment)
        stream.start(START)
        run(stream, START + 20 * SEGMENT_S)
    assert stream.skip() == played + 1


def test_a_track_that_is_skipped_before_the_start_is_left_out_whole() -> None:
    stream = Stream(7, burst_s=1.0, interval_s=None, speed=1.0, duration_s=60 * SEGMENT_S)
    for segment in (*of_track(1, 20), *of_track(2, 20), *of_track(3, 20)):
        stream.add_segment(segment)
    stream.skip()
    assert stream.skipping.duration_s == pytest.approx(40 * SEGMENT_S, abs=1e-4)
    stream.skip()
    assert stream.skipping.duration_s == pytest.approx(20 * SEGMENT_S, abs=1e-4)


def test_what_was_read_of_the_next_track_is_kept() -> None:
    stream = made()
    for segment in (*of_track(1, 20), *of_track(2, 20)):
        stream.add_segment(segment)
    stream.start(START)
    sent = run(stream, START)
    assert stream.skip() is None
    stream.end_of_source()
    messages = audio(sent + run(stream, START + 100))
    assert_without_a_hole(messages)
    assert [one.track for one in messages].count(2) == 20
    assert len(messages) < 40


@pytest.mark.parametrize("rest", [1, 9, 10, 13, 20])
@pytest.mark.parametrize("skipped_at_s", [0.0, 0.3, 1.0])
def test_every_message_has_its_parity_if_a_skip_comes_when_all_is_read(
    skipped_at_s: float, rest: int
) -> None:
    stream = made(fec=FEC)
    for segment in (*of_track(1, 40), *of_track(2, rest)):
        stream.add_segment(segment)
    stream.end_of_source()
    stream.start(START)
    sent = run(stream, START + skipped_at_s)
    assert stream.skip() is None
    sent += run(stream, START + 100)
    messages = audio(sent)
    assert [one.track for one in messages].count(2) == rest
    parities = [one.sequence for one in sent if one.kind == Type.PARITY]
    blocks = range(0, len(messages), FEC.messages)
    assert parities == [first for first in blocks for _ in range(FEC.parity_count)]
    assert_parity_is_of(messages, sent)
    assert stream.ended


def test_the_last_track_is_skipped_to_the_end() -> None:
    stream = made()
    for segment in segments(50):
        stream.add_segment(segment)
    stream.end_of_source()
    stream.start(START)
    run(stream, START)
    assert stream.skip() is None
    assert stream.ended


def test_a_track_is_told_just_before_its_first_audio_and_with_a_burst() -> None:
    stream = made()
    for segment in (*of_track(1, 20), *of_track(2, 20)):
        stream.add_segment(segment)
    stream.start(START)
    sent = run(stream, START + 20 * SEGMENT_S - 0.5)
    (told,) = (one for one in sent if one.kind == Type.TRACK)
    after = Message.unpack(sent[sent.index(told) + 1].datagram)
    message = Message.unpack(told.datagram)
    assert TrackChange.from_message(message) == TrackChange(title="Title 2")
    assert (message.sequence, message.media_time_us) == (after.sequence, after.media_time_us)
    assert (after.sequence, message.track) == (20, 2)
    burst = stream.burst(START + 20 * SEGMENT_S - 0.5)
    with_tracks = stream.history.with_tracks(burst)
    assert [
        Message.unpack(one.datagram).track for one in with_tracks if one.kind == Type.TRACK
    ] == [1, 2]
    assert [one for one in with_tracks if one.kind != Type.TRACK] == burst
