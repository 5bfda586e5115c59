"""MP3 frames with the samples to be dropped from them: the encoder's delay and padding."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from typing import NamedTuple

from audio.mpeg_audio import Frame, FrameScanner
from broadcasting.source.transcoder import AvPacket

# AV_PKT_DATA_SKIP_SAMPLES of libavcodec: skip, discard, and two bytes of reasons.
_SKIP_SAMPLES = struct.Struct("<IIBB")


class TrimmedFrame(NamedTuple):
    """A frame, of which samples are dropped at the start and at the end after decoding."""

    frame: Frame
    skip_samples: int
    discard_samples: int
    title: str | None = None
    """Title that a live source gives it; None if it gives none."""

    @property
    def kept_samples(self) -> int:
        """Samples of each channel that are heard."""
        return self.frame.header.samples - self.skip_samples - self.discard_samples


def trimmed_frames(
    packets: Iterator[AvPacket], title_at: Callable[[int | None], str | None]
) -> Iterator[TrimmedFrame]:
    """The frames in `packets`, trimmed as FFmpeg has noted there.

    `title_at` gives the title at a byte position of the input, None where there is none.
    """
    scanner, trimmer = FrameScanner(), _Trimmer()
    for packet in packets:
        if packet.has_sidedata("skip_samples"):
            trimmer.note(bytes(packet.get_sidedata("skip_samples")))
        yield from trimmer.trimmed(scanner.feed(bytes(packet)), title_at(packet.pos))
    yield from trimmer.trimmed(scanner.finish(), None)


class _Trimmer:
    """Drops samples as libavcodec does: a skip may span several packets, a discard is of one."""

    def __init__(self) -> None:
        self._skip = self._discard = 0

    def note(self, side_data: bytes) -> None:
        self._skip, self._discard, _, _ = _SKIP_SAMPLES.unpack(side_data)

    def trimmed(self, frames: list[Frame], title: str | None) -> Iterator[TrimmedFrame]:
        """The frames of one packet."""
        for frame in frames:
            samples = frame.header.samples
            skip = min(self._skip, samples)
            self._skip -= skip
            discard = 0
            if frame is frames[-1]:
                discard, self._discard = min(self._discard, samples - skip), 0
            yield TrimmedFrame(frame, skip, discard, title)
