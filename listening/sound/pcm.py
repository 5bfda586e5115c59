"""The form of audio between the decoder and the outputs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydub import AudioSegment

SAMPLE_BYTES = 2


@dataclass(frozen=True, slots=True)
class PcmFormat:
    """Signed 16-bit little-endian PCM, channels interleaved."""

    frame_rate_hz: int
    channels: int

    @property
    def frame_bytes(self) -> int:
        """Bytes of one frame: one sample of every channel."""
        return SAMPLE_BYTES * self.channels

    def frames(self, duration_s: float) -> int:
        """Frames in this many seconds, to the nearest."""
        return round(duration_s * self.frame_rate_hz)


def audio_segment(data: bytes, pcm: PcmFormat) -> AudioSegment:
    """Wrap `data`, which is PCM of this format, without copying it."""
    from pydub import AudioSegment

    return AudioSegment(
        data=data, sample_width=SAMPLE_BYTES, frame_rate=pcm.frame_rate_hz, channels=pcm.channels
    )
