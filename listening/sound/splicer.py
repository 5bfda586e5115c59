"""Sound and holes -> one stream of PCM without a click.

What is missing is concealed (concealment.py) as soon as it is known how long it is and what comes
after it. To lead into a hole that is not known yet, the last `FADE_S` of sound are held back. What
goes in comes out with the same number of samples. One thread may use a Splicer at a time.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from listening.concealment import FADE_S, LEAST_S, bridge
from listening.pcm import SAMPLE_BYTES, PcmFormat

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
        self._fresh: list[bytes] = []
        """The sound since the last look, of which the end is not yet held back."""
        self._held = b""
        self._near: deque[bytes] = deque(maxlen=_NEAR_PIECES)
        """The latest sound, with what is held back."""
        self._pcm: PcmFormat | None = None
        self._fade_bytes = 0
        self._hole: int | None = None
        """Samples missing after the sound so far; None: what follows continues it."""
        self._after = b""
        """The sound after the hole."""

    def sound(self, data: bytes, pcm: PcmFormat) -> None:
        """`data` follows. In a new format it is joined without a fade."""
        if pcm is not self._pcm:
            self._set_format(pcm)
        if self._hole is None:
            self._fresh.append(data)
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
        self._hold_back()
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
        self._hold_back()
        self._parts.append(self._held)
        self._held = b""
        self._near.clear()

    def take(self) -> list[AudioSegment]:
        """What came out so far. A hole does when enough of the sound after it is known."""
        if self._after and self._pcm and len(self._after) >= _bytes(LEAST_S, self._pcm):
            self._fill()
        self._hold_back()
        self._close_segment()
        segments, self._segments = self._segments, []
        return segments

    def _hold_back(self) -> None:
        """Of the sound since the last look only the end can be that before a hole."""
        if not self._fresh:
            return
        self._near.extend(self._fresh)
        last = self._fresh.pop()
        if len(last) < self._fade_bytes:
            last = b"".join((self._held, *self._fresh, last))
            self._fresh.clear()
            self._held = b""
        cut = max(0, len(last) - self._fade_bytes)
        self._parts += (self._held, *self._fresh, last[:cut])
        self._held = last[cut:]
        self._fresh.clear()

    def _set_format(self, pcm: PcmFormat) -> None:
        if pcm == self._pcm:
            return
        interrupted = self._hole is not None
        self.join()
        self._close_segment()
        self._hole = 0 if interrupted else None
        self._pcm = pcm
        self._fade_bytes = _bytes(FADE_S, pcm)

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
                self._fresh.append(into + after[self._fade_bytes :])
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
