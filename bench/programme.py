"""MP3 files of any length, made of the sample's frames."""

from __future__ import annotations

import itertools
from pathlib import Path

from audio.mpeg_audio import Frame, FrameScanner
from bench.workshop import SAMPLE, SAMPLE_RATE_HZ

INFO_TAGS = (b"Info", b"Xing")


def write_programme(path: Path, duration_s: float) -> None:
    """Write `duration_s` of the sample in a loop, without an Info frame or tags."""
    frames = [frame for frame in find_frames(SAMPLE.read_bytes()) if not _is_info(frame)]
    count = round(duration_s * SAMPLE_RATE_HZ / frames[0].header.samples)
    with path.open("wb") as file:
        for frame in itertools.islice(itertools.cycle(frames), count):
            file.write(frame.data)


def _is_info(frame: Frame) -> bool:
    return any(tag in frame.data[:64] for tag in INFO_TAGS)


def find_frames(data: bytes) -> list[Frame]:
    """The whole frames in `data`, which may hold anything else before, between and after them."""
    scanner = FrameScanner()
    return scanner.feed(data) + scanner.finish()
