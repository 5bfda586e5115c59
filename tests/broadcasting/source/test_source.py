"""Files -> segments: the bytes of the file, its length to the sample, and what cannot be played."""

import errno
import itertools
import math
import os
import socket
import tracemalloc
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import av
import pytest

from audio.mpeg_audio import split_frames
from broadcasting.source.segments import MAX_SEGMENT_S, Segment, read_segments
from broadcasting.source.tracks import SourceError, Track, probe
from broadcasting.source.transcoder import AvPacket, Mp3Format, transcoded
from tests.rig.zoo import (
    MP3_NAMES,
    OTHER_NAMES,
    ape_tag,
    encode,
    id3v1,
    noise,
    reference_pcm,
    zoo_file,
)

MAX_DATA_BYTES = 1316

# FFmpeg itself refuses to decode these (garbage in a packet), or decodes half a frame at the end.
NO_REFERENCE = {"tails.mp3", "cut-in-frame.mp3", "garbage-between.mp3", "garbage-after.mp3"}


def read(*names: str, loop: bool = False) -> list[Segment]:
    """The segments of files of the zoo; none of them may be skipped."""
    return list(read_segments([zoo_file(name).path for name in names], MAX_DATA_BYTES, loop, fail))


def fail(error: SourceError) -> None:
    raise error


def kept_samples(segments: Sequence[Segment]) -> int:
    return sum(
        sum(frame.header.samples for frame in split_frames(segment.data))
        - segment.skip_samples
        - segment.discard_samples
        for segment in segments
    )


@pytest.mark.parametrize("name", MP3_NAMES)
def test_mp3_is_sent_byte_for_byte(name: str) -> None:
    sent = b"".join(segment.data for segment in read(name))
    assert sent == b"".join(zoo_file(name).frames)


@pytest.mark.parametrize("name", sorted(set(MP3_NAMES) - NO_REFERENCE))
def test_as_many_samples_are_kept_as_the_file_decodes_to(name: str) -> None:
    segments = read(name)
    size = 2 * segments[0].track.channels
    assert kept_samples(segments) == len(reference_pcm(zoo_file(name).path)) // size


@pytest.mark.parametrize("name", sorted(NO_REFERENCE))
def test_every_whole_frame_is_kept_where_ffmpeg_gives_up(
    name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert kept_samples(read(name)) == 1152 * len(zoo_file(name).frames)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("name", [*MP3_NAMES, *OTHER_NAMES])
def test_media_time_is_exact_and_without_a_hole(name: str) -> None:
    segments = read(name)
    rate_hz = segments[0].track.frame_rate_hz
    for index, segment in enumerate(segments):
        before = kept_samples(segments[:index])
        assert segment.media_time_us == math.floor(Fraction(before * 10**6, rate_hz))
    for segment, following in itertools.pairwise(segments):
        assert segment.media_time_us + segment.duration_us == following.media_time_us


@pytest.mark.parametrize("name", [*MP3_NAMES, *OTHER_NAMES])
def test_segments_are_as_large_as_they_may_be(name: str) -> None:
    segments = read(name)
    for segment, following in itertools.pairwise(segments):
        frames = split_frames(segment.data)
        duration_s = sum(frame.header.samples / frame.header.sample_rate_hz for frame in frames)
        assert len(frames) == 1 or len(segment.data) <= MAX_DATA_BYTES
        assert duration_s <= MAX_SEGMENT_S
        next_frame = split_frames(following.data)[0]
        next_s = next_frame.header.samples / next_frame.header.sample_rate_hz
        too_large = len(segment.data) + len(next_frame.data) > MAX_DATA_BYTES
        too_long = duration_s + next_s > MAX_SEGMENT_S
        assert too_large or too_long or segment.discard_samples or following.skip_samples


def test_frame_that_is_too_large_goes_alone() -> None:
    path = zoo_file("cbr-320.mp3").path
    segments = list(read_segments([path], 500))
    assert {len(split_frames(segment.data)) for segment in segments} == {1}


@pytest.mark.parametrize(
    ("name", "input_samples", "frame_samples"),
    [("cbr-128.mp3", 66150, 1152), ("mpeg25-8-mono.mp3", 24000, 576)],
)
def test_delay_and_padding_are_those_of_the_encoder(
    name: str, input_samples: int, frame_samples: int
) -> None:
    segments = read(name)
    frames = len(zoo_file(name).frames)
    # LAME's delay of 576 samples, and the decoder's of 529; the rest fills the last frame.
    assert sum(segment.skip_samples for segment in segments) == 1105
    padding = frames * frame_samples - input_samples - 1105
    assert sum(segment.discard_samples for segment in segments) == padding


def test_segments_may_be_kept_shorter_and_are_still_all_of_the_file() -> None:
    path = zoo_file("mpeg2-22-mono.mp3").path
    short = list(read_segments([path], MAX_DATA_BYTES, max_segment_s=0.08))
    assert max(segment.duration_us for segment in short) <= 80_000
    assert len(short) > len(read("mpeg2-22-mono.mp3"))
    assert b"".join(segment.data for segment in short) == b"".join(
        zoo_file("mpeg2-22-mono.mp3").frames
    )


def test_delay_may_take_whole_segments() -> None:
    segments = list(read_segments([zoo_file("mpeg25-12.mp3").path], 200))
    assert [segment.skip_samples for segment in segments[:3]] == [576, 529, 0]
    assert segments[0].duration_us == 0
    assert segments[1].media_time_us == 0


@pytest.mark.parametrize("name", OTHER_NAMES)
def test_other_formats_keep_their_length_to_the_sample(name: str) -> None:
    path = zoo_file(name).path
    segments = read(name)
    channels = {"pcm-5.1.wav": 6, "pcm-mono-8.wav": 1}.get(name, 2)
    expected = len(reference_pcm(path)) // (2 * channels)
    if name == "pcm-96.wav":
        expected //= 2
    assert kept_samples(segments) == expected


@pytest.mark.parametrize(
    ("name", "rate_hz", "channels", "bit_rate_bps"),
    [
        ("pcm.wav", 44100, 2, 192000),
        ("pcm-mono-8.wav", 8000, 1, 64000),
        ("pcm-96.wav", 48000, 2, 192000),
        ("pcm-5.1.wav", 44100, 2, 192000),
    ],
)
def test_other_formats_are_sent_as_the_track_says(
    name: str, rate_hz: int, channels: int, bit_rate_bps: int
) -> None:
    track = probe(zoo_file(name).path)
    assert (track.frame_rate_hz, track.channels, track.bit_rate_bps) == (
        rate_hz,
        channels,
        bit_rate_bps,
    )
    headers = {f.header for segment in read(name) for f in split_frames(segment.data)}
    assert {(h.sample_rate_hz, h.channels, h.bit_rate_bps) for h in headers} == {
        (rate_hz, channels, bit_rate_bps)
    }


def test_frame_that_was_encoded_here_needs_no_other_to_be_decoded() -> None:
    frames = [frame for segment in read("pcm.wav") for frame in split_frames(segment.data)]
    assert {frame.main_data_begin for frame in frames} == {0}


@pytest.mark.parametrize(
    ("name", "title", "artist"),
    [
        ("tagged.mp3", "Wiegenlied", "J. Brahms"),
        ("flac.flac", "Gavotte", None),
        ("vorbis.ogg", "Bourrée", None),
        ("tails.mp3", "Presto", None),
        ("no-xing.mp3", "no-xing", None),
    ],
)
def test_title_is_that_of_the_tags_or_the_files_name(
    name: str, title: str, artist: str | None
) -> None:
    track = probe(zoo_file(name).path)
    assert (track.title, track.artist) == (title, artist)


def test_tags_in_no_known_encoding_are_no_fault(tmp_path: Path) -> None:
    path = tmp_path / "old.wav"
    encode(path, codec="pcm_s16le", kbps=None, duration_s=0.1, tags={"title": "Sleeper"})
    path.write_bytes(path.read_bytes().replace(b"Sleep", "Лебед".encode("cp1251")))
    assert probe(path).title == "\N{REPLACEMENT CHARACTER}" * 5 + "er"


@pytest.mark.parametrize("name", [*MP3_NAMES, *OTHER_NAMES])
def test_duration_is_exact_where_the_file_tells_it_and_near_elsewhere(name: str) -> None:
    track = probe(zoo_file(name).path)
    segments = read(name)
    sent_s = (segments[-1].media_time_us + segments[-1].duration_us) / 1e6
    assert track.duration_s is not None
    told = {
        "cbr-128.mp3",
        "vbr.mp3",
        "abr.mp3",
        "mpeg2-22-mono.mp3",
        "mpeg25-8-mono.mp3",
        "short.mp3",
        "pcm.wav",
        "flac.flac",
    }
    # The garbage is taken for audio in the estimate.
    tolerance_s = 0.001e-3 if name in told else 0.6 if name.startswith("garbage") else 0.06
    assert abs(track.duration_s - sent_s) <= tolerance_s


def test_tracks_follow_each_other_in_number_and_time() -> None:
    names = ("mpeg25-11.mp3", "cbr-128.mp3", "abr.mp3")
    segments = read(*names)
    assert [track.number for track in tracks(segments)] == [1, 2, 3]
    assert [track.frame_rate_hz for track in tracks(segments)] == [11025, 44100, 48000]
    for segment, following in itertools.pairwise(segments):
        assert segment.media_time_us + segment.duration_us == following.media_time_us


def test_loop_counts_tracks_on_and_never_drifts() -> None:
    names = ["mpeg25-11.mp3", "short.mp3"]
    rounds = 20
    endless = read_segments([zoo_file(name).path for name in names], MAX_DATA_BYTES, loop=True)
    firsts = list(
        itertools.islice((next(g) for _, g in itertools.groupby(endless, by_track)), 2 * rounds + 1)
    )
    assert [segment.track.number for segment in firsts] == list(range(1, 2 * rounds + 2))
    # 16,538 samples at 11,025 Hz are not a whole number of microseconds, nor is 0.01 s of both.
    exact_s = rounds * (Fraction(16538, 11025) + Fraction(441, 44100))
    assert firsts[-1].media_time_us == math.floor(exact_s * 10**6)


def by_track(segment: Segment) -> int:
    return segment.track.number


def tracks(segments: Sequence[Segment]) -> list[Track]:
    return [next(group).track for _, group in itertools.groupby(segments, by_track)]


UNPLAYABLE = {
    "missing.mp3": "no such file",
    "folder.mp3": "is a directory",
    "empty.mp3": "is empty",
    "zeros.mp3": "has no audio",
    "noise.mp3": "has no audio",
    "text.txt": "has no audio",
    "only-tags.mp3": "is not an audio file that can be read",
    "picture.png": "has no audio",
    "silent.wav": "holds no audio that can be played",
}


@pytest.fixture
def unplayable(tmp_path: Path) -> Path:
    """A folder with everything that cannot be played."""
    (tmp_path / "folder.mp3").mkdir()
    (tmp_path / "empty.mp3").touch()
    (tmp_path / "zeros.mp3").write_bytes(bytes(100_000))
    (tmp_path / "noise.mp3").write_bytes(noise(100_000, 7))
    (tmp_path / "text.txt").write_text("Not a sound.\n" * 1000)
    (tmp_path / "only-tags.mp3").write_bytes(ape_tag(b"x") + id3v1("y"))
    (tmp_path / "picture.png").write_bytes(PNG)
    encode(tmp_path / "silent.wav", codec="pcm_s16le", kbps=None, duration_s=0.001)
    header = (tmp_path / "silent.wav").read_bytes()
    (tmp_path / "silent.wav").write_bytes(header[: header.index(b"data") + 4] + bytes(4))
    return tmp_path


PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c489"
    "0000000d49444154789c6360606060000000050001a5f645400000000049454e44ae426082"
)


@pytest.mark.parametrize(("name", "reason"), UNPLAYABLE.items())
def test_file_that_cannot_be_played_is_told_in_one_line(
    unplayable: Path, name: str, reason: str, capfd: pytest.CaptureFixture[str]
) -> None:
    path = unplayable / name
    with pytest.raises(SourceError) as raised:
        probe(path)
    assert str(raised.value) == f"{path}: {reason}"
    assert capfd.readouterr() == ("", "")


def test_file_that_may_not_be_read_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "locked.mp3"
    path.write_bytes(b"closed")

    # Root, whom the tests may be run by, may read everything.
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(av, "open", refuse)
    with pytest.raises(SourceError, match="permission denied"):
        probe(path)


@pytest.mark.parametrize("loop", [False, True])
def test_bad_files_are_skipped_and_told_once_a_round(unplayable: Path, loop: bool) -> None:
    good = zoo_file("short.mp3").path
    paths = [unplayable / name for name in UNPLAYABLE]
    paths[3:3] = [good]
    told: list[str] = []
    segments = read_segments([*paths, good], MAX_DATA_BYTES, loop, lambda e: told.append(str(e)))
    list(itertools.islice(segments, 2))
    bad = [path for path in paths if path != good]
    assert [line.startswith(f"{path}: ") for line, path in zip(told, bad, strict=True)] == [
        True
    ] * len(bad)


def test_loop_without_any_sound_ends(unplayable: Path) -> None:
    told: list[SourceError] = []
    paths = [unplayable / "missing.mp3", unplayable / "silent.wav"]
    assert list(read_segments(paths, MAX_DATA_BYTES, True, told.append)) == []
    assert len(told) == 2


def test_file_that_shrinks_while_it_is_sent_ends_there(tmp_path: Path) -> None:
    path = tmp_path / "shrinking.mp3"
    path.write_bytes(b"".join(zoo_file("cbr-128.mp3").frames) * 20)
    segments = read_segments([path, zoo_file("short.mp3").path], MAX_DATA_BYTES, False, fail)
    first = next(segments)
    os.truncate(path, path.stat().st_size // 2)
    rest = list(segments)
    assert [track.number for track in tracks(rest)] == [1, 2]
    whole = b"".join(zoo_file("cbr-128.mp3").frames) * 20
    sent = first.data + b"".join(s.data for s in rest if s.track.number == 1)
    assert whole.startswith(sent)
    assert len(whole) // 2 - 500 < len(sent) <= len(whole) // 2


def test_fault_in_mid_file_is_told_and_the_next_file_follows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def breaking(packets: Iterator[AvPacket], target: Mp3Format) -> Iterator[AvPacket]:
        yield from itertools.islice(transcoded(packets, target), 10)
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("broadcasting.source.tracks.transcoded", breaking)
    told: list[SourceError] = []
    wav = zoo_file("pcm.wav").path
    segments = list(
        read_segments([wav, zoo_file("short.mp3").path], MAX_DATA_BYTES, False, told.append)
    )
    assert [str(error) for error in told] == [f"{wav}: ends early: input/output error"]
    assert [track.number for track in tracks(segments)] == [1, 2]
    assert sum(len(split_frames(s.data)) for s in segments if s.track.number == 1) == 10


def test_memory_does_not_depend_on_the_length_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "long.mp3"
    path.write_bytes(b"".join(zoo_file("no-xing.mp3").frames) * 400)
    assert path.stat().st_size > 8_000_000
    tracemalloc.start()
    try:
        for _ in read_segments([path], MAX_DATA_BYTES):
            pass
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak_bytes < 500_000


def test_name_that_looks_like_an_address_or_a_pattern_is_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("http:x", "%03d.mp3", os.fsdecode(b"\xff.mp3"), "-", "a?b#c.mp3"):
        Path(name).write_bytes(zoo_file("short.mp3").path.read_bytes())
        assert probe(name).duration_s == pytest.approx(0.01)


def test_playlist_makes_nobody_connect_anywhere(tmp_path: Path) -> None:
    path = tmp_path / "list.m3u8"
    with socket.create_server(("127.0.0.1", 0)) as elsewhere:
        elsewhere.setblocking(False)
        url = f"http://127.0.0.1:{elsewhere.getsockname()[1]}/a.ts"
        path.write_text(f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{url}\n#EXT-X-ENDLIST\n")
        with pytest.raises(SourceError):
            probe(path)
        with pytest.raises(BlockingIOError):
            elsewhere.accept()


def test_files_joined_end_to_end_are_sent_whole(tmp_path: Path) -> None:
    path = tmp_path / "joined.mp3"
    first, second = zoo_file("cbr-128.mp3"), zoo_file("picture.mp3")
    path.write_bytes(first.path.read_bytes() + second.path.read_bytes())
    sent = b"".join(segment.data for segment in read_segments([path], MAX_DATA_BYTES))
    assert sent == b"".join(first.frames + second.frames)


def test_change_of_format_within_a_file_begins_a_segment(tmp_path: Path) -> None:
    path = tmp_path / "changing.mp3"
    first, second = zoo_file("no-xing.mp3").frames, zoo_file("mpeg2-24.mp3").frames
    path.write_bytes(b"".join(first + second + first))
    segments = list(read_segments([path], MAX_DATA_BYTES))
    assert b"".join(segment.data for segment in segments) == b"".join(first + second + first)
    for segment in segments:
        assert len({f.header.sample_rate_hz for f in split_frames(segment.data)}) == 1
    total = Fraction(2 * 1152 * len(first), 44100) + Fraction(576 * len(second), 24000)
    assert segments[-1].media_time_us + segments[-1].duration_us == math.floor(total * 10**6)
