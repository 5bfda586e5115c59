"""MPEG audio Layer III frames: where they begin and end, how long they last, what they need.

ISO/IEC 11172-3 (MPEG-1), sections 2.4.1.3 and 2.4.2.3, and ISO/IEC 13818-3 (the lower sampling
frequencies of MPEG-2), with the common extension to 8, 11.025 and 12 kHz ("MPEG-2.5").

A frame is a header of 4 bytes, a check word of 2 if its protection bit is 0, side information
and main data. The main data of a frame may begin up to 511 bytes (MPEG-1) or 255 (MPEG-2)
before its header, in the space that earlier frames left over: the bit reservoir. So a frame can
be decoded after a gap only if `main_data_begin` is at most the main data received since the gap.

Bytes in, frames out; every fault in the bytes is a `MpegAudioError`. Free format (a bit rate
that the header does not give) counts as a fault: its frames do not tell their length.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

HEADER_BYTES = 4

TICKS_PER_S = 14_112_000
"""Clock rate, the least common multiple of the nine sample rates: a sample lasts whole ticks."""

# Bit rates in kbit/s by bitrate_index: 0 is free format, 15 is forbidden.
_KBPS_MPEG1 = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
_KBPS_MPEG2 = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)

# By the two bits of the version; 1 is reserved.
_VERSIONS = {3: "1", 2: "2", 0: "2.5"}
_SAMPLE_RATES_HZ = {
    "1": (44100, 48000, 32000),
    "2": (22050, 24000, 16000),
    "2.5": (11025, 12000, 8000),
}
SAMPLE_RATES_HZ = tuple(sorted(rate for rates in _SAMPLE_RATES_HZ.values() for rate in rates))

# The bits of a header that say something of the frame's shape: all but private, mode extension,
# copyright, original and emphasis.
_SHAPE = 0xFFFFFEC0
_SYNC_AND_LAYER = 0xFFE60000
_LAYER_III = 0xFFE20000


class MpegAudioError(ValueError):
    """Bytes that are not a Layer III frame, or not whole frames."""


@dataclass(frozen=True, slots=True)
class FrameHeader:
    """Content of a frame's header. One object for all frames of one shape."""

    version: str
    """MPEG version: `1`, `2` or `2.5`."""
    sample_rate_hz: int
    channels: int
    bit_rate_bps: int
    frame_bytes: int
    samples: int
    """Samples of each channel: 1152, or 576 in MPEG-2 and 2.5."""
    has_crc: bool
    main_data_bytes: int
    """Bytes of the frame without header, check word and side information."""

    @staticmethod
    def parse(data: bytes, offset: int = 0) -> FrameHeader:
        """The header at `offset` of `data`; raises MpegAudioError."""
        header = data[offset : offset + HEADER_BYTES]
        if len(header) < HEADER_BYTES:
            raise MpegAudioError("the bytes end within a frame header")
        return _header(int.from_bytes(header) & _SHAPE)

    @property
    def side_info_offset(self) -> int:
        """Bytes from the start of the frame to its side information."""
        return HEADER_BYTES + 2 * self.has_crc

    @property
    def duration_ticks(self) -> int:
        """Duration of the frame in 1 / `TICKS_PER_S` s."""
        return self.samples * (TICKS_PER_S // self.sample_rate_hz)

    def is_same_stream(self, other: FrameHeader) -> bool:
        """Whether both may be frames of one stream, in which version and sample rate are fixed."""
        return self.version == other.version and self.sample_rate_hz == other.sample_rate_hz


class Frame(NamedTuple):
    """One whole frame."""

    header: FrameHeader
    data: bytes
    main_data_begin: int
    """Bytes of main data before this frame that belong to it."""


@cache  # Bounded: 2,016 shapes are valid, and errors are not kept.
def _header(shape: int) -> FrameHeader:
    if shape & _SYNC_AND_LAYER != _LAYER_III:
        raise MpegAudioError("not the header of a Layer III frame")
    version = _VERSIONS.get(shape >> 19 & 3)
    bit_rate_index, rate_index = shape >> 12 & 15, shape >> 10 & 3
    if version is None or bit_rate_index in (0, 15) or rate_index == 3:
        raise MpegAudioError("a frame header with a reserved value")
    mpeg1 = version == "1"
    kbps = (_KBPS_MPEG1 if mpeg1 else _KBPS_MPEG2)[bit_rate_index]
    sample_rate_hz = _SAMPLE_RATES_HZ[version][rate_index]
    samples = 1152 if mpeg1 else 576
    frame_bytes = samples // 8 * kbps * 1000 // sample_rate_hz + (shape >> 9 & 1)
    has_crc = not shape >> 16 & 1
    channels = 1 if shape >> 6 & 3 == 3 else 2
    side_info_bytes = (17 if channels == 1 else 32) if mpeg1 else (9 if channels == 1 else 17)
    return FrameHeader(
        version,
        sample_rate_hz,
        channels,
        kbps * 1000,
        frame_bytes,
        samples,
        has_crc,
        main_data_bytes=frame_bytes - HEADER_BYTES - 2 * has_crc - side_info_bytes,
    )


def _frame_at(data: bytes, offset: int, header: FrameHeader) -> Frame:
    """The frame with `header`, all of which is in `data`."""
    side_info = offset + header.side_info_offset
    # main_data_begin is the first field of the side information: 9 bits, 8 in MPEG-2.
    begin = data[side_info]
    if header.version == "1":
        begin = begin << 1 | data[side_info + 1] >> 7
    return Frame(header, data[offset : offset + header.frame_bytes], begin)


def split_frames(data: bytes) -> list[Frame]:
    """The frames of `data`, which is whole frames back to back; raises MpegAudioError."""
    frames = []
    offset, end = 0, len(data)
    while offset < end:
        header = FrameHeader.parse(data, offset)
        if offset + header.frame_bytes > end:
            raise MpegAudioError("the last frame is cut off")
        frames.append(_frame_at(data, offset, header))
        offset += header.frame_bytes
    if not frames:
        raise MpegAudioError("no frame")
    return frames


def silent_frame(header: FrameHeader) -> bytes:
    """The shortest frame of this version, sample rate and number of channels, all silence.

    Its side information is zeros: no main data, of this frame or of any before it.
    """
    index = _SAMPLE_RATES_HZ[header.version].index(header.sample_rate_hz)
    version = next(bits for bits, name in _VERSIONS.items() if name == header.version)
    mode = 3 if header.channels == 1 else 0
    # Layer III without a check word, at the lowest bit rate there is.
    word = 0xFFE20000 | version << 19 | 1 << 16 | 1 << 12 | index << 10 | mode << 6
    data = word.to_bytes(HEADER_BYTES)
    return data.ljust(FrameHeader.parse(data).frame_bytes, b"\0")


def muted(frame: Frame, *, keeps_main_data: bool) -> bytes:
    """`frame` as silence, of the same length in bytes and in time.

    Its main data may be part of later frames: with `keeps_main_data` they find it in its place.
    """
    header = frame.header
    # No check word: it would be that of other side information. Zeros take its place.
    data = bytearray(frame.data[:HEADER_BYTES])
    data[1] |= 1
    data = data.ljust(header.frame_bytes - header.main_data_bytes, b"\0")
    if keeps_main_data:
        data += frame.data[header.frame_bytes - header.main_data_bytes :]
    return bytes(data.ljust(header.frame_bytes, b"\0"))


class FrameScanner:
    """Finds the frames in bytes that may hold something else between them.

    In step, a frame follows the one before. Out of step (at the start and after anything else) a
    header is believed only when another of the same stream follows its frame, or when the frame
    ends the input: 150,000 random bytes hold one header by chance, and never two in a row. So a
    lone frame between garbage is garbage, too.
    """

    def __init__(self) -> None:
        self._rest = b""
        self._in_step = False
        self._stream: FrameHeader | None = None

    def feed(self, chunk: bytes) -> list[Frame]:
        """The frames that are certain by now, in order. Keeps the bytes of less than two frames."""
        return list(self._scan(self._rest + chunk, is_last=False))

    def finish(self) -> list[Frame]:
        """The whole frames in the bytes that were kept. A frame that is cut off is dropped."""
        return list(self._scan(self._rest, is_last=True))

    def _scan(self, data: bytes, *, is_last: bool) -> Iterator[Frame]:
        offset = 0
        while True:
            if not self._in_step:
                # Every header begins with eight 1 bits, and find() is fast.
                offset = data.find(b"\xff", offset)
                if offset < 0:
                    offset = len(data)
            if len(data) - offset < HEADER_BYTES:
                break
            try:
                header = FrameHeader.parse(data, offset)
                believed = self._believed(header, data, offset, is_last)
            except MpegAudioError:
                believed = False
            if believed is None:
                break
            self._in_step = believed
            if believed:
                self._stream = header
                yield _frame_at(data, offset, header)
                offset += header.frame_bytes
            else:
                offset += 1
        self._rest = data[offset:]

    def _believed(
        self, header: FrameHeader, data: bytes, offset: int, is_last: bool
    ) -> bool | None:
        """Whether there is a frame at `offset` of `data`; None: more bytes are needed to tell."""
        end = offset + header.frame_bytes
        if end > len(data):
            return False if is_last else None
        if self._stream is None:
            expected = offset == 0 and end == len(data)
        else:
            expected = self._in_step and header.is_same_stream(self._stream)
        if expected:
            return True
        if end + HEADER_BYTES > len(data):
            return end == len(data) if is_last else None
        try:
            return FrameHeader.parse(data, end).is_same_stream(header)
        except MpegAudioError:
            return False
