"""A source that stalls, and a track that is skipped: what is sent, in virtual time."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator

import pytest

from broadcasting.history import Sent
from broadcasting.parity import Fec
from broadcasting.source import Segment
from broadcasting.stream import CUSHION_S, Stream
from message import Message, Track, Type
from tests.network import TRACK, segments
from wire.mpeg_audio import FrameHeader, silent_frame, split_frames
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


def run(stream: Stream, until: float, now: float = START) -> list[Sent]:
    """What is sent until then, with silence where nothing comes."""
    sent: list[Sent] = []
    while (due := stream.next_due()) is not None and due <= until:
        now = max(now, due)
        stream.stand_in(now)
        sent += stream.take_due(now)
    return sent


def audio(sent: list[Sent]) -> list[Message]:
    messages = [Message.unpack(one.datagram) for one in sent]
    return [one for one in messages if one.type == Type.AUDIO]


def assert_without_a_hole(messages: list[Message]) -> None:
    assert [one.sequence for one in messages] == list(range(len(messages)))
    for one, following in itertools.pairwise(messages):
        frames = split_frames(one.data)
        kept_us = sum(f.header.samples for f in frames) / 44_100 * 1e6
        assert following.media_time_us == pytest.approx(one.media_time_us + kept_us, abs=2)


def assert_parity_is_of(messages: list[Message], sent: list[Sent]) -> None:
    """Each PARITY is what its block, as it was sent, gives."""
    blocks = itertools.groupby((one for one in sent if one.is_parity), key=lambda p: p.sequence)
    for first, parities in blocks:
        made_of = encode(messages[first : first + FEC.messages], FEC.parities)
        assert [one.datagram for one in parities] == [one.pack() for one in made_of]


def test_a_live_source_starts_when_so_much_lies_ready_that_it_may_hesitate() -> None:
    stream = made(live=True)
    source = segments(100)
    while not stream.is_filled:
        stream.add_segment(next(source))
    added = 100 - len(list(source))
    assert added * SEGMENT_S == pytest.approx(1.0 + CUSHION_S, abs=SEGMENT_S)
    together = Stream(7, burst_s=1.0, interval_s=2.0, speed=1.0, live=True)
    for segment in itertools.islice(segments(100), added):
        together.add_segment(segment)
    assert not together.is_filled
    assert made().is_filled


@pytest.mark.parametrize("fec", [None, FEC])
def test_a_stall_is_silence_and_nothing_of_the_source_is_lost(fec: Fec | None) -> None:
    stream = made(live=True, fec=fec)
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
    assert stream.stalls == 1
    assert stream.silence_us / 1e6 == pytest.approx(1.0, abs=2 * SEGMENT_S)
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
    assert stream.stalls == 1
    stream.add_segment(next(source))
    run(stream, START + 20 * SEGMENT_S - 0.5, START + 20 * SEGMENT_S - 0.99)
    assert (stream.stalls, stream.silence_us > 400_000) == (1, True)


def test_a_file_never_stands_still_by_silence() -> None:
    stream = made()
    for segment in segments(20):
        stream.add_segment(segment)
    stream.start(START)
    run(stream, START + 60)
    assert (stream.stalls, stream.next_due()) == (0, None)


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
    # With parity the block that was begun is sent to its end.
    assert of_first == (20 if fec else sent_before)
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
    assert (stream.duration_s, stream.new_duration_s) == (120 * SEGMENT_S, None)
    stream.start(START)
    sent = run(stream, START + 0.5)
    for _ in range(skips):
        stream.skip()
    assert stream.duration_s == stream.new_duration_s
    told = stream.duration_s
    for segment in third:
        stream.add_segment(segment)
    stream.end_of_source()
    sent += run(stream, START + 100, START + 0.5)
    assert 80 < len(audio(sent)) < 120
    assert told == pytest.approx(stream.sent_until_us / 1e6, abs=1e-4)
    tracks = [Message.unpack(one.datagram) for one in sent if one.is_track]
    assert [Track.from_message(one).duration_s for one in tracks] == [told, told]


def test_a_track_that_is_skipped_before_the_start_is_left_out_whole() -> None:
    stream = Stream(7, burst_s=1.0, interval_s=None, speed=1.0, duration_s=60 * SEGMENT_S)
    for segment in (*of_track(1, 20), *of_track(2, 20), *of_track(3, 20)):
        stream.add_segment(segment)
    stream.skip()
    assert stream.duration_s == pytest.approx(40 * SEGMENT_S, abs=1e-4)
    stream.skip()
    assert stream.duration_s == pytest.approx(20 * SEGMENT_S, abs=1e-4)


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
    (told,) = (one for one in sent if one.is_track)
    after = Message.unpack(sent[sent.index(told) + 1].datagram)
    message = Message.unpack(told.datagram)
    assert Track.from_message(message) == Track(title="Title 2")
    assert (message.sequence, message.media_time_us) == (after.sequence, after.media_time_us)
    assert (after.sequence, message.track) == (20, 2)
    burst = stream.burst(START + 20 * SEGMENT_S - 0.5)
    with_tracks = stream.with_tracks(burst)
    assert [Message.unpack(one.datagram).track for one in with_tracks if one.is_track] == [1, 2]
    assert [one for one in with_tracks if not one.is_track] == burst
