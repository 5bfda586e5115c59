"""MP3 as it was sent, with holes in it: decoded, nothing squeals, and all is at its time."""

from __future__ import annotations

import dataclasses
import math
from array import array
from collections.abc import Collection
from functools import cache
from pathlib import Path

import pytest

from audio.mpeg_audio import FrameHeader, muted, split_frames
from broadcasting.source.segments import Segment, read_segments
from listening.arrival.playable import EndOfStream, Gap, NewStream, Playable, Ready
from listening.outputs.mp3_file import Mp3File
from listening.playback import Playback
from message import Accept, Message, Type
from tests.rig.zoo import reference_pcm, zoo_file

MAX_DATA_BYTES = 1316

ACCEPT = Accept(
    nonce="",
    session="",
    first_sequence=0,
    first_time_us=0,
    live_time_us=0,
    burst_s=1.0,
    timeout_s=5.0,
    speed=1.0,
    title="",
    artist=None,
    duration_s=None,
    frame_rate_hz=0,
    channels=0,
    bit_rate_bps=None,
)


@cache
def segments_of(*names: str) -> list[Segment]:
    return list(read_segments([zoo_file(name).path for name in names], MAX_DATA_BYTES))


def ready(number: int, segment: Segment) -> Ready:
    message = Message(
        number,
        Type.AUDIO,
        segment.data,
        1,
        segment.media_time_us,
        segment.track.number,
        segment.skip_samples,
        segment.discard_samples,
    )
    return Ready(message, segment.duration_us, split_frames(segment.data))


def written(
    path: Path, segments: list[Segment], lost: Collection[int] = (), first: int = 0
) -> Playback:
    """Write what a listener has from message `first` on who never gets the messages `lost`."""
    playback = Playback(output := Mp3File(path), 0.0)
    begins_us = segments[first].media_time_us
    items: list[Playable] = [NewStream(dataclasses.replace(ACCEPT, first_time_us=begins_us))]
    for number, segment in enumerate(segments[first:], first):
        items.append(Gap() if number in lost else ready(number, segment))
    last = segments[-1]
    items.append(EndOfStream(last.media_time_us + last.duration_us))
    playback.play(items)
    output.close()
    return playback


def loudness(samples: array[int]) -> float:
    return math.sqrt(sum(value * value for value in samples) / len(samples)) if samples else 0.0


@pytest.mark.parametrize("name", ["cbr-128.mp3", "vbr.mp3", "mono.mp3", "mpeg2-22-mono.mp3"])
@pytest.mark.parametrize("lost", [{5}, {3, 4, 5, 6}, {3, 6}])
def test_after_a_hole_nothing_squeals_and_all_is_at_its_time(
    tmp_path: Path, name: str, lost: set[int]
) -> None:
    segments = segments_of(name)
    written(tmp_path / "whole.mp3", segments)
    assert (tmp_path / "whole.mp3").read_bytes() == b"".join(one.data for one in segments)
    playback = written(tmp_path / "holes.mp3", segments, lost)
    whole, holes = (
        array("h", reference_pcm(tmp_path / name)) for name in ("whole.mp3", "holes.mp3")
    )
    assert len(holes) == len(whole)
    width = segments[0].track.channels
    frames = [len(split_frames(one.data)) for one in segments]
    header = FrameHeader.parse(segments[0].data)
    begins = [sum(frames[:number]) * header.samples * width for number in range(len(frames) + 1)]
    exact = 0
    for number in range(len(frames)):
        part = slice(begins[number], begins[number + 1])
        # The decoder's filters reach a frame back, and the reservoir a few.
        if not {number, number - 1, number - 2, number - 3} & lost:
            exact += 1
            assert whole[part] == holes[part], number
        elif loudness(whole[part]) > 100:
            assert loudness(holes[part]) < 1.02 * loudness(whole[part]), number
            worst = loudness(array("h", map(int.__sub__, whole[part], holes[part])))
            assert worst < 1.02 * loudness(whole[part]), number
    assert exact >= 3
    lost_s = sum(segments[number].duration_us for number in lost) / 1e6
    intact_s, repaired_s, concealed_s = playback.audio_s
    assert lost_s - 1e-3 < concealed_s < lost_s + 0.2 * len(lost)
    total_s = (segments[-1].media_time_us + segments[-1].duration_us) / 1e6
    assert intact_s + repaired_s + concealed_s == pytest.approx(total_s, abs=0.03)


def test_where_the_start_is_lost_the_delay_of_the_encoder_is_not_made_up(tmp_path: Path) -> None:
    segments = segments_of("cbr-128.mp3")
    written(tmp_path / "whole.mp3", segments)
    written(tmp_path / "start.mp3", segments, {0})
    whole, start = (
        array("h", reference_pcm(tmp_path / name)) for name in ("whole.mp3", "start.mp3")
    )
    frame = 1152 * 2
    assert len(whole) - len(start) == segments[0].skip_samples // 1152 * frame + frame
    assert start[-20 * frame :] == whole[-20 * frame :]


def test_who_comes_in_the_middle_has_every_byte_from_there_on(tmp_path: Path) -> None:
    segments = segments_of("cbr-128.mp3")
    written(tmp_path / "late.mp3", segments, first=6)
    sent = b"".join(one.data for one in segments[6:])
    assert (tmp_path / "late.mp3").read_bytes() == sent
    written(tmp_path / "whole.mp3", segments)
    late, whole = (array("h", reference_pcm(tmp_path / name)) for name in ("late.mp3", "whole.mp3"))
    tail = whole[-len(late) :]
    frame = 1152 * 2
    for begin in range(0, 4 * frame, frame):
        part = slice(begin, begin + frame)
        assert loudness(late[part]) < 1.02 * loudness(tail[part])
    assert late[4 * frame :] == tail[4 * frame :]


def test_a_second_stream_does_not_reach_into_the_first(tmp_path: Path) -> None:
    """As after a restart of the server: it begins in the middle, behind other main data."""
    segments = segments_of("cbr-128.mp3")
    playback = Playback(output := Mp3File(tmp_path / "both.mp3"), 0.0)
    for part in (segments[:4], segments[7:]):
        accept = dataclasses.replace(ACCEPT, first_time_us=part[0].media_time_us)
        items = [ready(number, one) for number, one in enumerate(segments) if one in part]
        playback.play([NewStream(accept), *items])
    output.close()
    data = (tmp_path / "both.mp3").read_bytes()
    sent = b"".join(one.data for one in (*segments[:4], *segments[7:]))
    assert len(data) == len(sent)
    assert split_frames(segments[7].data)[0].main_data_begin > 0
    (silent, *_) = split_frames(data)[3 * 4 :]
    assert silent.main_data_begin == 0
    assert data[: 4 * len(segments[0].data)] == sent[: 4 * len(segments[0].data)]
    assert data[-2000:] == sent[-2000:]


@pytest.mark.parametrize(
    "name", ["cbr-128.mp3", "check-words.mp3", "mpeg2-22-mono.mp3", "mpeg25-8-mono.mp3"]
)
def test_a_muted_frame_has_the_length_of_the_frame_and_keeps_its_main_data(name: str) -> None:
    for frame in split_frames(segments_of(name)[2].data):
        for keeps in (True, False):
            (silent,) = split_frames(data := muted(frame, keeps_main_data=keeps))
            assert len(data) == len(frame.data)
            assert silent.header.duration_ticks == frame.header.duration_ticks
            assert silent.header.channels == frame.header.channels
            assert silent.main_data_begin == 0
            tail = data[-frame.header.main_data_bytes :]
            assert (tail == frame.data[-frame.header.main_data_bytes :]) == keeps
