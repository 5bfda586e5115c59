"""The form that sound has between the decoder and the outputs."""

from __future__ import annotations

from dataclasses import dataclass

SAMPLE_BYTES = 2


@dataclass(frozen=True, slots=True)
class PcmFormat:
    """Signed 16-bit little-endian PCM, channels interleaved."""

    frame_rate_hz: int
    channels: int

    @property
    def frame_bytes(self) -> int:
        """Bytes of one sample of every channel."""
        return SAMPLE_BYTES * self.channels
