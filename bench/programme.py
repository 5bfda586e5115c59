"""MP3 files of any length, made of the sample's frames."""

from __future__ import annotations

import itertools
from pathlib import Path

from bench.workshop import SAMPLE, SAMPLE_RATE_HZ
from wire.mpeg_audio import Frame, find_frames

INFO_TAGS = (b"Info", b"Xing")


def write_programme(path: Path, duration_s: float) -> None:
    """Write `duration_s` of the sample, over and over; without an Info frame or tags."""
    frames = [frame for frame in find_frames(SAMPLE.read_bytes()) if not _is_info(frame)]
    count = round(duration_s * SAMPLE_RATE_HZ / frames[0].header.samples)
    with path.open("wb") as file:
        for frame in itertools.islice(itertools.cycle(frames), count):
            file.write(frame.data)


def _is_info(frame: Frame) -> bool:
    return any(tag in frame.data[:64] for tag in INFO_TAGS)
