"""Sound and silence -> one stream of PCM without a click: every edge between the two is faded.

To fade out before a silence that is not known yet, the last `FADE_S` of sound are held back.
What goes in comes out with the same number of samples. One thread may use a Splicer at a time.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import TYPE_CHECKING

from listening.outputs import SAMPLE_BYTES, PcmFormat

if TYPE_CHECKING:
    from pydub import AudioSegment

FADE_S = 0.005
"""Long enough not to click, short beside the shortest frame (24 ms at 48 kHz)."""

_PIECE_S = 1
"""A silence of hours is many times the same piece of one second."""


class Splicer:
    """Collects PCM (`sound`) and silence in order, and gives it out (`take`)."""

    def __init__(self) -> None:
        self._segments: list[AudioSegment] = []
        self._parts: list[bytes] = []
        self._held = b""
        self._pcm: PcmFormat | None = None
        self._faded_in: int | None = None
        """Samples of the fade-in done so far; None when there is none to do."""

    def sound(self, data: bytes, pcm: PcmFormat) -> None:
        """`data` follows. In a new format it is joined without a fade."""
        self._set_format(pcm)
        if self._faded_in is not None:
            data = self._fade_in(data, self._faded_in, pcm)
        data = self._held + data
        cut = max(0, len(data) - _fade_samples(pcm) * pcm.frame_bytes)
        self._parts.append(data[:cut])
        self._held = data[cut:]

    def silence(self, samples: int, pcm: PcmFormat) -> None:
        """`samples` of silence follow; sound before and after it is faded. 0 changes nothing."""
        if samples == 0:
            return
        self.interrupt()
        self._set_format(pcm)
        pieces, rest = divmod(samples, _PIECE_S * pcm.frame_rate_hz)
        if pieces:
            self._close_segment()
            piece = audio_segment(bytes(_PIECE_S * pcm.frame_rate_hz * pcm.frame_bytes), pcm)
            self._segments += [piece] * pieces
        self._parts.append(bytes(rest * pcm.frame_bytes))

    def interrupt(self) -> None:
        """What is held back fades out, and what follows fades in."""
        if self._held and self._pcm is not None:
            samples = len(self._held) // self._pcm.frame_bytes
            self._parts.append(_scaled(self._held, _ramp(samples)[::-1], self._pcm))
            self._held = b""
        self._faded_in = 0

    def join(self) -> None:
        """What is held back is given out as it is, and what follows does not fade in."""
        self._parts.append(self._held)
        self._held = b""
        self._faded_in = None

    def take(self) -> list[AudioSegment]:
        """What came out so far."""
        self._close_segment()
        segments, self._segments = self._segments, []
        return segments

    def _set_format(self, pcm: PcmFormat) -> None:
        if pcm != self._pcm:
            self._parts.append(self._held)
            self._held = b""
            self._close_segment()
            self._pcm = pcm

    def _fade_in(self, data: bytes, done: int, pcm: PcmFormat) -> bytes:
        gains = _ramp(_fade_samples(pcm))[done:]
        fading = gains[: len(data) // pcm.frame_bytes]
        self._faded_in = done + len(fading) if len(fading) < len(gains) else None
        cut = len(fading) * pcm.frame_bytes
        return _scaled(data[:cut], fading, pcm) + data[cut:]

    def _close_segment(self) -> None:
        data = b"".join(self._parts)
        self._parts.clear()
        if data and self._pcm is not None:
            self._segments.append(audio_segment(data, self._pcm))


def audio_segment(data: bytes, pcm: PcmFormat) -> AudioSegment:
    """`data` as the AudioSegment that it is."""
    from pydub import AudioSegment

    return AudioSegment(
        data=data, sample_width=SAMPLE_BYTES, frame_rate=pcm.frame_rate_hz, channels=pcm.channels
    )


def _fade_samples(pcm: PcmFormat) -> int:
    return round(FADE_S * pcm.frame_rate_hz)


def _ramp(samples: int) -> list[float]:
    """Gains that rise over `samples`; 0 and 1 would be the samples before and after."""
    return [step / (samples + 1) for step in range(1, samples + 1)]


def _scaled(data: bytes, gains: Sequence[float], pcm: PcmFormat) -> bytes:
    """`data` with one of `gains` for each sample of every channel."""
    values = array("h", data)
    for index, value in enumerate(values):
        values[index] = round(value * gains[index // pcm.channels])
    return values.tobytes()
