"""MPEG audio frames, against tables worked out by hand from the standards."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audio.mpeg_audio import (
    SAMPLE_RATES_HZ,
    TICKS_PER_S,
    Frame,
    FrameHeader,
    FrameScanner,
    MpegAudioError,
    split_frames,
)
from tests.rig.zoo import noise, zoo_file

# Header; version, Hz, channels, bit/s; bytes, samples, CRC, bytes of main data.
# Bytes are 144 (MPEG-1) or 72 times bit rate / sample rate, and 1 of padding. Main data is
# without 4 of header, 2 of CRC, and side information of 32 and 17, or 17 and 9 for mono.
GOLDEN = [
    ("fffb9000", ("1", 44100, 2, 128000, 417, 1152, False, 381)),
    ("fffa9200", ("1", 44100, 2, 128000, 418, 1152, True, 380)),
    ("fffbe8c4", ("1", 32000, 1, 320000, 1440, 1152, False, 1419)),
    ("fffb1464", ("1", 48000, 2, 32000, 96, 1152, False, 60)),
    ("fff384c0", ("2", 24000, 1, 64000, 192, 576, False, 179)),
    ("fff2e240", ("2", 22050, 2, 160000, 523, 576, True, 500)),
    ("fff318c0", ("2", 16000, 1, 8000, 36, 576, False, 23)),
    ("fff21400", ("2", 24000, 2, 8000, 24, 576, True, 1)),
    ("ffe318c0", ("2.5", 8000, 1, 8000, 72, 576, False, 59)),
    ("ffe3ea00", ("2.5", 8000, 2, 160000, 1441, 576, False, 1420)),
    ("ffe24480", ("2.5", 12000, 2, 32000, 192, 576, True, 169)),
    ("ffe36000", ("2.5", 11025, 2, 48000, 313, 576, False, 292)),
]


def fields(header: FrameHeader) -> tuple[object, ...]:
    return (
        header.version,
        header.sample_rate_hz,
        header.channels,
        header.bit_rate_bps,
        header.frame_bytes,
        header.samples,
        header.has_crc,
        header.main_data_bytes,
    )


def frame_bytes(header: str, fill: int = 0) -> bytes:
    """A frame with this header and nothing sensible in it."""
    data = bytes.fromhex(header)
    return data.ljust(FrameHeader.parse(data).frame_bytes, bytes([fill]))


@pytest.mark.parametrize(("header", "expected"), GOLDEN)
def test_header_says_what_the_standards_say(header: str, expected: tuple[object, ...]) -> None:
    assert fields(FrameHeader.parse(b"??" + bytes.fromhex(header), 2)) == expected


@pytest.mark.parametrize(
    ("header", "fault"),
    [
        ("fffb00", "ends"),
        ("7ffb9000", "sync"),
        ("ff1b9000", "sync"),
        ("ffeb9000", "reserved version"),
        ("fffd9000", "Layer II"),
        ("ffff9000", "Layer I"),
        ("fff99000", "reserved layer"),
        ("fffb0000", "free format"),
        ("fffbf000", "forbidden bit rate"),
        ("fffb9c00", "reserved sample rate"),
    ],
)
def test_header_that_is_not_of_layer_iii_is_refused(header: str, fault: str) -> None:
    with pytest.raises(MpegAudioError):
        FrameHeader.parse(bytes.fromhex(header))


def test_bits_that_do_not_shape_the_frame_are_not_looked_at() -> None:
    # Private, mode extension, copyright, original, emphasis.
    assert FrameHeader.parse(bytes.fromhex("fffb913f")) == FrameHeader.parse(
        bytes.fromhex("fffb9000")
    )


@pytest.mark.parametrize(
    ("header", "side_info", "begin"),
    [
        ("fffb9000", "ff80", 511),
        ("fffb9000", "007f", 0),
        ("fffb9000", "9680", 301),
        ("fffa9000", "abcd9680", 301),  # After the check word.
        ("fff384c0", "96ff", 150),  # 8 bits in MPEG-2.
        ("ffe24480", "abcd96ff", 150),
    ],
)
def test_main_data_begin_is_read_where_the_side_information_is(
    header: str, side_info: str, begin: int
) -> None:
    data = frame_bytes(header + side_info)
    assert split_frames(data)[0].main_data_begin == begin


def test_every_sample_lasts_whole_ticks() -> None:
    assert SAMPLE_RATES_HZ == (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)
    assert all(TICKS_PER_S % rate == 0 for rate in SAMPLE_RATES_HZ)
    assert FrameHeader.parse(bytes.fromhex("fffb9400")).duration_ticks == TICKS_PER_S * 0.024


def test_longest_frame_is_as_long_as_it_says() -> None:
    assert max(FrameHeader.parse(bytes.fromhex(header)).frame_bytes for header, _ in GOLDEN) == 1441


def find_frames(data: bytes) -> list[Frame]:
    scanner = FrameScanner()
    return scanner.feed(data) + scanner.finish()


frames_data = st.lists(
    st.tuples(st.sampled_from([header for header, _ in GOLDEN]), st.integers(0, 255)),
    min_size=1,
    max_size=8,
).map(lambda chosen: [frame_bytes(header, fill) for header, fill in chosen])


@given(frames_data)
def test_split_gives_back_the_frames_that_were_joined(frames: list[bytes]) -> None:
    assert [frame.data for frame in split_frames(b"".join(frames))] == frames


@given(frames_data, st.data())
def test_split_refuses_what_is_not_whole_frames(frames: list[bytes], data: st.DataObject) -> None:
    joined = b"".join(frames)
    cut = data.draw(st.integers(1, len(frames[-1]) - 1))
    for wrong in (joined[:-cut], joined + b"\0", b"\0" + joined, joined + joined[:3]):
        with pytest.raises(MpegAudioError):
            split_frames(wrong)


@given(st.binary() | st.binary().map(lambda rest: bytes.fromhex("fff31400") + rest))
def test_split_of_any_bytes_raises_nothing_else(data: bytes) -> None:
    try:
        frames = split_frames(data)
    except MpegAudioError:
        return
    assert frames
    assert b"".join(frame.data for frame in frames) == data


def test_split_of_nothing_is_refused() -> None:
    with pytest.raises(MpegAudioError):
        split_frames(b"")


A = frame_bytes("fffb9000", 1)
B = frame_bytes("fffb9200", 2)
OTHER_RATE = frame_bytes("fffb9400", 3)


@pytest.mark.parametrize(
    ("data", "frames"),
    [
        (b"", []),
        (b"no frame at all", []),
        (A, [A]),
        (A + B, [A, B]),
        (b"junk" + A + B, [A, B]),
        (b"\xff\xfbjunk" + A, [A]),
        (A + A + b"junk" + B + A, [A, A, B, A]),
        (A + A + B[:-1], [A, A]),
        (A + A + B[:3], [A, A]),
        (A + A + b"TAG" + bytes(125), [A, A]),
        (A + A + OTHER_RATE + OTHER_RATE, [A, A, OTHER_RATE, OTHER_RATE]),
        # A header in the garbage, but no frame of its kind where its frame would end.
        (A + A + b"junk" + A[:4] + b"junk" + B + A, [A, A, B, A]),
        (A[:4] + b"junk" + B + A, [B, A]),
    ],
)
def test_find_takes_the_whole_frames_and_nothing_else(data: bytes, frames: list[bytes]) -> None:
    assert [frame.data for frame in find_frames(data)] == frames


def test_first_chunk_that_is_a_frame_is_believed_at_once() -> None:
    scanner = FrameScanner()
    chunks = [A, B, b"junk" + A, B, b"junk"]
    found = [[frame.data for frame in scanner.feed(chunk)] for chunk in chunks]
    # After garbage, the next frame must confirm it.
    assert found == [[A], [B], [], [A, B], []]
    assert scanner.finish() == []


def test_first_chunk_that_is_more_than_a_frame_is_not_believed_at_once() -> None:
    scanner = FrameScanner()
    assert scanner.feed(b"junk" + A) == []
    assert [frame.data for frame in scanner.feed(b"junk" + B + A)] == [B, A]


def test_headers_by_chance_are_not_believed() -> None:
    # The noise has a dozen headers of the stream, and none that is confirmed.
    garbage = noise(2_000_000, 1)
    assert find_frames(A + A + garbage + B + B) == find_frames(A + A + B + B)


@given(st.sets(st.integers(1, 2500), max_size=20))
@settings(deadline=None)  # The first example makes the file.
def test_scanner_finds_the_same_however_the_stream_is_cut(cuts: set[int]) -> None:
    frames = zoo_file("vbr.mp3").frames[:15]
    stream = b"".join(frames)
    scanner, found = FrameScanner(), []
    for start, end in itertools.pairwise([0, *sorted(cuts), len(stream)]):
        found += scanner.feed(stream[start:end])
    found += scanner.finish()
    assert [frame.data for frame in found] == frames


def test_scanner_keeps_less_than_two_frames() -> None:
    scanner = FrameScanner()
    for seed in range(50):
        scanner.feed(noise(10_000, seed) + A[:7])
        assert len(scanner._rest) <= 2 * 1441
