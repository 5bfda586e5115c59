"""Sound and holes -> one stream of PCM without a click.

What is missing is concealed (concealment.py) as soon as it is known how long it is and what comes
after it. To lead into a hole that is not known yet, the last `FADE_S` of sound are held back. What
goes in comes out with the same number of samples. One thread may use a Splicer at a time.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from listening.concealment import FADE_S, LEAST_S, bridge
from listening.outputs import SAMPLE_BYTES, PcmFormat

if TYPE_CHECKING:
    from pydub import AudioSegment

RING_S = 0.05
"""What sounds on into a gap of unknown length: no longer than a gap of one frame at 44.1 kHz."""

_NEAR_PIECES = 3
"""So many frames, 72 ms at 48 kHz, tell how the sound goes on."""

_PIECE_S = 1
"""A silence of hours is many times the same piece of one second."""


class Splicer:
    """Collects PCM (`sound`) and holes (`conceal`) in order, and gives sound out (`take`)."""

    def __init__(self) -> None:
        self._segments: list[AudioSegment] = []
        self._parts: list[bytes] = []
        self._held = b""
        self._near: deque[bytes] = deque(maxlen=_NEAR_PIECES)
        """The latest sound, with what is held back."""
        self._pcm: PcmFormat | None = None
        self._hole: int | None = None
        """Samples missing after the sound so far; None: what follows continues it."""
        self._after = b""
        """The sound after the hole."""

    def sound(self, data: bytes, pcm: PcmFormat) -> None:
        """`data` follows. In a new format it is joined without a fade."""
        self._set_format(pcm)
        if self._hole is None:
            self._append(data)
        else:
            self._after += data

    def conceal(self, samples: int, pcm: PcmFormat) -> None:
        """`samples` are missing. 0 changes nothing."""
        if samples == 0:
            return
        self.interrupt()
        self._set_format(pcm)
        self._hole = (self._hole or 0) + samples

    def interrupt(self) -> None:
        """What follows does not continue what came: there is a hole, if only of no length."""
        if self._after:
            self._fill()
        self._hole = self._hole or 0

    def ring_out(self) -> int:
        """It is not known when anything follows: give out all, and what sounds on for a while.

        Returns how many samples that is beyond what is known to be missing.
        """
        self.interrupt()
        beyond = 0
        if self._pcm is not None and self._held:
            ring = round(RING_S * self._pcm.frame_rate_hz)
            beyond = max(0, ring - (self._hole or 0))
        self._hole = (self._hole or 0) + beyond
        self._fill()
        self._hole = 0
        return beyond

    def join(self) -> None:
        """What is held back is given out as it is, and what follows does not fade in."""
        self._fill()
        self._parts.append(self._held)
        self._held = b""
        self._near.clear()

    def take(self) -> list[AudioSegment]:
        """What came out so far. A hole does when enough of the sound after it is known."""
        if self._pcm is not None and len(self._after) >= _bytes(LEAST_S, self._pcm):
            self._fill()
        self._close_segment()
        segments, self._segments = self._segments, []
        return segments

    def _append(self, data: bytes) -> None:
        assert self._pcm is not None, "sound has a format"
        self._near.append(data)
        data = self._held + data
        cut = max(0, len(data) - _bytes(FADE_S, self._pcm))
        self._parts.append(data[:cut])
        self._held = data[cut:]

    def _set_format(self, pcm: PcmFormat) -> None:
        if pcm == self._pcm:
            return
        interrupted = self._hole is not None
        self.join()
        self._close_segment()
        self._hole = 0 if interrupted else None
        self._pcm = pcm

    def _fill(self) -> None:
        """Close the hole, with what is known of the sound on both sides of it."""
        if self._hole is None:
            return
        if self._pcm is not None:
            # However short the pieces were, what is held back is among them.
            before, after = max(b"".join(self._near), self._held, key=len), self._after
            out, silent, into = bridge(before, self._hole, after, self._pcm)
            self._parts.append(out)
            self._silence(silent, self._pcm)
            self._near.clear()
            self._held = self._after = b""
            if after:
                self._append(into + after[_bytes(FADE_S, self._pcm) :])
            else:
                self._parts.append(into)
        self._hole = None

    def _silence(self, samples: int, pcm: PcmFormat) -> None:
        pieces, rest = divmod(samples, _PIECE_S * pcm.frame_rate_hz)
        if pieces:
            self._close_segment()
            piece = audio_segment(bytes(_PIECE_S * pcm.frame_rate_hz * pcm.frame_bytes), pcm)
            self._segments += [piece] * pieces
        self._parts.append(bytes(rest * pcm.frame_bytes))

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


def _bytes(duration_s: float, pcm: PcmFormat) -> int:
    return round(duration_s * pcm.frame_rate_hz) * pcm.frame_bytes
