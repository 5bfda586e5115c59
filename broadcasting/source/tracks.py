"""An input opened by FFmpeg: what it says of itself, and its MP3 frames.

MP3 goes through byte for byte: the frames of the file without tags, pictures, the Xing frame or
garbage between frames. Anything else that FFmpeg reads is encoded on the way (`transcoder`). Both
come with the samples to be dropped at the start (the encoder's delay) and at the end (its padding),
so that a listener hears exactly the samples that went into the encoder.

An input is the name of a file or a live source, whose title may change on the way.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import av
from av.audio.stream import AudioStream
from av.container import InputContainer

from broadcasting.source.live_source import LiveSource
from broadcasting.source.skimming import SkimmedFile
from broadcasting.source.transcoder import AvPacket, mp3_format, transcoded
from broadcasting.source.trimming import TrimmedFrame, trimmed_frames

Input: TypeAlias = "str | os.PathLike[str] | LiveSource"
"""Name of a file, or a live source."""

NO_AUDIO = "holds no audio that can be played"

# PyAV raises FFmpeg's errors and plain ValueErrors of its own when a file breaks.
_FAULTS = (av.FFmpegError, OSError, ValueError)


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
    """Mean bit rate; None if not known."""


class SourceError(Exception):
    """An input cannot be played, or not further. One plain line: its name and what is wrong."""

    def __init__(self, path: str, reason: str, *, ended_early: bool = False) -> None:
        super().__init__(f"{path}: {reason}")
        self.ended_early = ended_early
        """Whether it could be played up to here."""


def probe(source: Input) -> Track:
    """What `source` holds, found by reading its first frame; raises SourceError.

    A live source is read only as far as FFmpeg must to know what it is.
    """
    with opened(source) as found:
        if isinstance(source, (str, os.PathLike)) and next(found.frames(), None) is None:
            raise found.fault or SourceError(found.path, NO_AUDIO)
        return found.track(1)


@contextmanager
def opened(source: Input) -> Iterator[OpenInput]:
    """`source`, open until the block ends; raises SourceError."""
    live = None if isinstance(source, (str, os.PathLike)) else source
    name = os.fspath(source) if isinstance(source, (str, os.PathLike)) else source.name
    with ExitStack() as closing:
        try:
            if live is None:
                container = _open_file(name, closing)
            else:
                closing.callback(live.close)
                container = live.open()
        except _FAULTS as error:
            raise SourceError(name, _reason(error)) from error
        yield OpenInput(name, container, live)


class OpenInput:
    """An input that FFmpeg has opened, and the audio stream of it that is played."""

    def __init__(self, path: str, container: InputContainer, live: LiveSource | None) -> None:
        """Raises SourceError if it holds no audio that can be decoded."""
        self.path = path
        self.fault: SourceError | None = None
        """What ended `frames()` before the end of the input."""
        self._live = live
        self._container = container
        stream = container.streams.best("audio")
        if not isinstance(stream, AudioStream):
            raise SourceError(path, "has no audio")
        self._stream = stream
        context = stream.codec_context
        if context is None:
            raise SourceError(path, "has audio in a format that cannot be decoded")
        # None: the frames of the file go through as they are.
        self._encoded_as = (
            None
            if context.codec.canonical_name == "mp3"
            else mp3_format(context.sample_rate, context.channels)
        )

    def track(self, number: int) -> Track:
        """What the input says of itself."""
        context = self._stream.codec_context
        as_it_is = context.sample_rate, context.channels, self._stream.bit_rate or None
        frame_rate_hz, channels, bit_rate_bps = self._encoded_as or as_it_is
        title, artist, duration_s = self._title(), self._tag("artist"), self._duration_s()
        return Track(
            number, self.path, title, artist, duration_s, frame_rate_hz, channels, bit_rate_bps
        )

    def frames(self) -> Iterator[TrimmedFrame]:
        """The frames to be sent; sets `fault` if they end before the input does."""
        packets = self._until_fault(self._container.demux(self._stream))
        if self._encoded_as is not None:
            packets = self._until_fault(transcoded(packets, self._encoded_as))
        return trimmed_frames(packets, self._title_at)

    def _until_fault(self, packets: Iterator[AvPacket]) -> Iterator[AvPacket]:
        try:
            yield from packets
            # What came before it broke has been played; only now it is an end.
            if self._live is not None and self._live.fault is not None:
                raise self._live.fault
        except _FAULTS as error:
            self.fault = SourceError(self.path, f"ends early: {_reason(error)}", ended_early=True)

    def _title_at(self, position_bytes: int | None) -> str | None:
        return None if self._live is None else self._live.title_at(position_bytes)

    def _title(self) -> str:
        name = Path(self.path).stem if self._live is None else self._live.title
        return self._title_at(None) or self._tag("title") or name

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


def _open_file(name: str, closing: ExitStack) -> InputContainer:
    if Path(name).is_file() and Path(name).stat().st_size == 0:
        raise SourceError(name, "is empty")
    # Opened here and not by its name, which may look like an address or a pattern.
    file = SkimmedFile(name)
    closing.callback(file.close)
    # Its content names no other places.
    options = {"protocol_whitelist": "none"}
    container = av.open(file, mode="r", metadata_errors="replace", options=options)
    closing.callback(container.close)
    file.skims = container.format.name == "mp3"
    return container


def _reason(error: Exception) -> str:
    """What is wrong with an input, for people."""
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
