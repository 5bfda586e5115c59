"""Files -> segments of whole MP3 frames, each with its media time.

MP3 goes through byte for byte: what is sent is the frames of the file, without tags, pictures,
the Xing frame or garbage between frames. Anything else that FFmpeg reads is encoded on the way
(`transcoder`). Both come with the samples to be dropped at the start (the encoder's delay) and
at the end (its padding), so a listener hears exactly the samples that went into the encoder.

Everything is read lazily: memory does not depend on the length of a file. A segment belongs to
one track, and the media time runs on from track to track. What is no file (`live_source`) is cut in
the same way, and may change its title on the way.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple, TypeAlias

import av
from av.audio.stream import AudioStream
from av.container import InputContainer

from broadcasting.live_source import LiveSource
from broadcasting.transcoder import Packet, mp3_format, transcoded
from wire.mpeg_audio import TICKS_PER_S, Frame, FrameHeader, FrameScanner

MAX_SEGMENT_S = 0.2
"""RFC 3551 section 4.2: a receiver should accept packets of 0 to 200 ms of audio."""

_TICKS_PER_MS = TICKS_PER_S // 1000

# AV_PKT_DATA_SKIP_SAMPLES of libavcodec: skip, discard, and two bytes of reasons.
_SKIP_SAMPLES = struct.Struct("<IIBB")

# What PyAV raises when a file breaks: FFmpeg's errors, and plain ValueErrors of its own.
_FAULTS = (av.FFmpegError, OSError, ValueError)

Input: TypeAlias = "str | os.PathLike[str] | LiveSource"
"""The name of a file, or a source that is none."""

_NO_AUDIO = "holds no audio that can be played"


@dataclass(frozen=True, slots=True)
class Track:
    """What is played, as it is sent. Numbers go on counting, also when the files start again."""

    number: int
    path: str
    title: str
    artist: str | None
    duration_s: float | None
    """An estimate for VBR without a Xing header; None if not known."""
    frame_rate_hz: int
    channels: int
    bit_rate_bps: int | None
    """The mean, where it is known."""


@dataclass(frozen=True, slots=True)
class Segment:
    """Whole MP3 frames to be sent together.

    `skip_samples` are to be dropped from the start of what decodes out of `data`, and
    `discard_samples` from its end; what is left is kept, and may be nothing.
    """

    data: bytes
    media_time_us: int
    """Of the first sample that is kept, from the start of the stream."""
    duration_us: int
    """Of the samples that are kept: the next segment's media time, less this one's."""
    track: Track
    skip_samples: int
    discard_samples: int


class SourceError(Exception):
    """A file cannot be played, or not further. One plain line: the path and what is wrong."""

    def __init__(self, path: str, reason: str, *, ended_early: bool = False) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = path
        self.reason = reason
        self.ended_early = ended_early
        """Whether it could be played up to here."""


class _TrimmedFrame(NamedTuple):
    frame: Frame
    skip_samples: int
    discard_samples: int
    title: str | None = None
    """What a live source calls it; None if it does not say."""

    @property
    def kept_samples(self) -> int:
        return self.frame.header.samples - self.skip_samples - self.discard_samples


def probe(path: Input, number: int = 1) -> Track:
    """What `path` holds, found by reading its first frame; raises SourceError.

    Nothing is read of a live source but what FFmpeg must see to know what it is.
    """
    with _opened(path) as opened:
        if not isinstance(path, (str, os.PathLike)):
            return opened.track(number)
        if next(opened.frames(), None) is None:
            raise opened.fault or SourceError(opened.path, _NO_AUDIO)
        return opened.track(number)


def read_segments(
    paths: Iterable[Input],
    max_data_bytes: int,
    loop: bool = False,
    on_skipped: Callable[[SourceError], None] = lambda error: None,
    max_segment_s: float = MAX_SEGMENT_S,
    is_unwanted: Callable[[], bool] = lambda: False,
) -> Iterator[Segment]:
    """The segments of `paths`, one file after another; with `loop` again and again.

    Each round asks `paths` anew. When `is_unwanted` says so the next one follows at once. A segment
    holds as many frames as fit `max_data_bytes` and `max_segment_s`; a frame that is longer goes
    alone. A file that cannot be played, or not to its end, is handed to
    `on_skipped`, and the next one follows. Ends when a round over all files gave no sound.
    """
    clock = _Clock()
    room = _Room(max_data_bytes, round(max_segment_s * TICKS_PER_S))
    number = 0
    while True:
        round_start_us = clock.now_us
        for path in paths:
            try:
                with closing(_track_segments(path, number + 1, room, clock)) as segments:
                    for segment in segments:
                        number = segment.track.number
                        yield segment
                        if is_unwanted():
                            break
            except SourceError as error:
                if not is_unwanted():
                    on_skipped(error)
        if not loop or clock.now_us == round_start_us:
            return


class _Room(NamedTuple):
    """How much goes into one segment."""

    data_bytes: int
    ticks: int


class _Clock:
    """The media time, kept in ticks that every sample rate divides: it never drifts."""

    def __init__(self) -> None:
        self._ticks = 0

    @property
    def now_us(self) -> int:
        return self._ticks * 1000 // _TICKS_PER_MS

    def advance(self, samples: int, header: FrameHeader) -> None:
        self._ticks += samples * (TICKS_PER_S // header.sample_rate_hz)


def _track_segments(
    path: Input, number: int, room: _Room, clock: _Clock
) -> Generator[Segment, None, None]:
    """The segments of one file; raises SourceError after those that could be read."""
    with _opened(path) as opened:
        track = None
        for group in _groups(opened.frames(), room):
            # Only now, as FFmpeg knows more of a file when it has read some of it.
            track = track or opened.track(number)
            title = group[0].title
            if title is not None and title != track.title:
                track = replace(track, title=title)
            start_us = clock.now_us
            header = group[0].frame.header
            clock.advance(sum(item.kept_samples for item in group), header)
            yield Segment(
                data=b"".join(item.frame.data for item in group),
                media_time_us=start_us,
                duration_us=clock.now_us - start_us,
                track=track,
                skip_samples=sum(item.skip_samples for item in group),
                discard_samples=sum(item.discard_samples for item in group),
            )
        if opened.fault is not None:
            raise opened.fault
        if track is None:
            raise SourceError(opened.path, _NO_AUDIO)


def _groups(frames: Iterator[_TrimmedFrame], room: _Room) -> Iterator[list[_TrimmedFrame]]:
    """`frames`, those together that make one segment."""
    group: list[_TrimmedFrame] = []
    size = ticks = 0
    for item in frames:
        header = item.frame.header
        size += header.frame_bytes
        ticks += header.duration_ticks
        too_much = size > room.data_bytes or ticks > room.ticks
        if group and (too_much or not _may_follow(group, item)):
            yield group
            group = []
            size, ticks = header.frame_bytes, header.duration_ticks
        group.append(item)
    if group:
        yield group


def _may_follow(group: list[_TrimmedFrame], item: _TrimmedFrame) -> bool:
    """Whether one skip and one discard can still describe the group with `item` at its end."""
    last = group[-1].frame.header
    header = item.frame.header
    return (
        (header.sample_rate_hz, header.channels) == (last.sample_rate_hz, last.channels)
        and item.title == group[-1].title
        and (item.skip_samples == 0 or all(before.kept_samples == 0 for before in group))
        and (item.kept_samples == 0 or all(before.discard_samples == 0 for before in group))
    )


class _OpenFile:
    """A file that FFmpeg has opened, and the audio stream of it that is played."""

    def __init__(
        self,
        path: str,
        container: InputContainer,
        stream: AudioStream,
        live: LiveSource | None = None,
    ) -> None:
        self.path = path
        self._live = live
        self.fault: SourceError | None = None
        """What ended `frames()` before the end of the file."""
        self._container = container
        self._stream = stream
        context = stream.codec_context
        # None: the frames of the file go through as they are.
        self._encoded_as = (
            None
            if context.codec.canonical_name == "mp3"
            else mp3_format(context.sample_rate, context.channels)
        )

    def track(self, number: int) -> Track:
        """What the file says of itself."""
        context = self._stream.codec_context
        rate_hz, channels = context.sample_rate, context.channels
        bit_rate_bps = self._stream.bit_rate or None
        if self._encoded_as is not None:
            rate_hz, channels, bit_rate_bps = self._encoded_as
        return Track(
            number=number,
            path=self.path,
            title=self._title(),
            artist=self._tag("artist"),
            duration_s=self._duration_s(),
            frame_rate_hz=rate_hz,
            channels=channels,
            bit_rate_bps=bit_rate_bps,
        )

    def frames(self) -> Iterator[_TrimmedFrame]:
        """The frames to be sent; sets `fault` if they end before the file does."""
        packets = self._until_fault(self._container.demux(self._stream))
        if self._encoded_as is not None:
            packets = self._until_fault(transcoded(packets, self._encoded_as))
        return _trimmed_frames(packets, None if self._live is None else self._live.title_at)

    def _until_fault(self, packets: Iterator[Packet]) -> Iterator[Packet]:
        try:
            yield from packets
            # What came before it broke has been played; only now it is an end.
            if self._live is not None and self._live.fault is not None:
                raise self._live.fault
        except _FAULTS as error:
            self.fault = SourceError(self.path, f"ends early: {_reason(error)}", ended_early=True)

    def _title(self) -> str:
        if self._live is None:
            return self._tag("title") or Path(self.path).stem
        return self._live.title_at(None) or self._tag("title") or self.path

    def _tag(self, name: str) -> str | None:
        # MP3 has its tags on the container, Ogg on the stream; some write them in capitals.
        for tags in (self._container.metadata, self._stream.metadata):
            for key, value in tags.items():
                if key.lower() == name and value.strip():
                    return " ".join(value.split())
        return None

    def _duration_s(self) -> float | None:
        if self._stream.duration and self._stream.duration > 0 and self._stream.time_base:
            return float(self._stream.duration * self._stream.time_base)
        if self._container.duration and self._container.duration > 0:
            return self._container.duration / av.time_base
        return None


def _opened(path: Input) -> AbstractContextManager[_OpenFile]:
    """What `path` names, open until the block ends; raises SourceError."""
    return _opened_file(path) if isinstance(path, (str, os.PathLike)) else _opened_live(path)


@contextmanager
def _opened_live(source: LiveSource) -> Iterator[_OpenFile]:
    try:
        try:
            container = source.open()
            yield _OpenFile(source.name, container, _audio_of(source.name, container), source)
        except _FAULTS as error:
            raise SourceError(source.name, _reason(error)) from error
    finally:
        source.close()


@contextmanager
def _opened_file(path: str | os.PathLike[str]) -> Iterator[_OpenFile]:
    name = os.fspath(path)
    try:
        if Path(name).is_file() and Path(name).stat().st_size == 0:
            raise SourceError(name, "is empty")
        # A file and nothing else, also if its name looks like an address or a pattern, or its
        # content names other places.
        container = av.open(
            f"file:{name}", metadata_errors="replace", options={"protocol_whitelist": "file"}
        )
    except _FAULTS as error:
        raise SourceError(name, _reason(error)) from error
    with container:
        yield _OpenFile(name, container, _audio_of(name, container))


def _audio_of(name: str, container: InputContainer) -> AudioStream:
    stream = container.streams.best("audio")
    if not isinstance(stream, AudioStream):
        raise SourceError(name, "has no audio")
    if stream.codec_context is None:
        raise SourceError(name, "has audio in a format that cannot be decoded")
    return stream


def _reason(error: Exception) -> str:
    """What is wrong with a file, for people."""
    match error:
        case FileNotFoundError():
            return "no such file"
        case IsADirectoryError():
            return "is a directory"
        case PermissionError():
            return "permission denied"
        case av.InvalidDataError():
            return "is not an audio file that can be read"
        case av.FFmpegError() | OSError():
            return (error.strerror or "cannot be read").lower()
    return "cannot be read"


def _trimmed_frames(
    packets: Iterator[Packet], title_at: Callable[[int | None], str | None] | None
) -> Iterator[_TrimmedFrame]:
    """The frames in `packets`, with the samples to be dropped that FFmpeg has noted there.

    `title_at` tells the title at a place in the bytes that were read, if titles change on the way.
    """
    scanner, trimmer = FrameScanner(), _Trimmer()
    for packet in packets:
        if packet.has_sidedata("skip_samples"):
            trimmer.note(bytes(packet.get_sidedata("skip_samples")))
        frames = trimmer.trimmed(scanner.feed(bytes(packet)))
        if title_at is None or (title := title_at(packet.pos)) is None:
            yield from frames
        else:
            yield from (frame._replace(title=title) for frame in frames)
    yield from trimmer.trimmed(scanner.finish())


class _Trimmer:
    """Drops samples as libavcodec would: a skip may span several packets, a discard is of one."""

    def __init__(self) -> None:
        self._skip = self._discard = 0

    def note(self, side_data: bytes) -> None:
        self._skip, self._discard, _, _ = _SKIP_SAMPLES.unpack(side_data)

    def trimmed(self, frames: list[Frame]) -> Iterator[_TrimmedFrame]:
        """The frames of one packet."""
        for frame in frames:
            samples = frame.header.samples
            skip = min(self._skip, samples)
            self._skip -= skip
            discard = 0
            if frame is frames[-1]:
                discard, self._discard = min(self._discard, samples - skip), 0
            yield _TrimmedFrame(frame, skip, discard)
