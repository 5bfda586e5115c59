"""Sound and holes -> one stream of PCM without a click, sample for sample as long as they are.

A hole is concealed (concealment.py) as soon as its length and the sound after it are known. The
last `FADE_S` of sound are held back, to lead into a hole that is not known yet. One thread may use
a Splicer at a time.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from listening.sound.concealment import FADE_S, LEAST_S, bridge
from listening.sound.pcm import PcmFormat, audio_segment

if TYPE_CHECKING:
    from pydub import AudioSegment

RING_S = 0.05
"""Length of the echo into a gap of unknown length: what one lost frame leaves at 44.1 kHz."""

_NEAR_PIECES = 3
"""Frames that are kept to tell how the sound continues: 72 ms at 48 kHz."""

_PIECE_S = 1
"""A silence of hours consists of one piece of this length, many times."""


class Splicer:
    """Takes PCM (`sound`) and holes (`conceal`) in order, and gives PCM out (`take`)."""

    def __init__(self) -> None:
        self._segments: list[AudioSegment] = []
        self._parts: list[bytes] = []
        self._fresh: list[bytes] = []
        """New sound, of which nothing is held back yet."""
        self._held = b""
        self._near: deque[bytes] = deque(maxlen=_NEAR_PIECES)
        """The latest sound, including what is held back."""
        self._pcm: PcmFormat | None = None
        self._fade_bytes = 0
        self._hole: int | None = None
        """Samples missing after the sound so far; None: the next sound continues it."""
        self._after = b""
        """The sound after the hole."""

    def sound(self, data: bytes, pcm: PcmFormat) -> None:
        """Append sound. In a new format it is joined without a fade."""
        if pcm is not self._pcm:
            self._set_format(pcm)
        if self._hole is None:
            self._fresh.append(data)
        else:
            self._after += data

    def conceal(self, samples: int, pcm: PcmFormat) -> None:
        """Append a hole. One of no samples changes nothing."""
        if samples == 0:
            return
        self.interrupt()
        self._set_format(pcm)
        self._hole = (self._hole or 0) + samples

    def interrupt(self) -> None:
        """Begin a hole, if only of no length: the next sound does not continue what came."""
        if self._after:
            self._fill()
        self._hold_back()
        self._hole = self._hole or 0

    def ring_out(self) -> int:
        """Give out everything and an echo of it, because it is unknown when sound follows.

        Returns the samples given out beyond what is known to be missing.
        """
        self.interrupt()
        beyond = 0
        if self._pcm is not None and self._held:
            beyond = max(0, self._pcm.frames(RING_S) - (self._hole or 0))
        self._hole = (self._hole or 0) + beyond
        self._fill()
        self._hole = 0
        return beyond

    def join(self) -> None:
        """Give out what is held back as it is; what follows does not fade in."""
        self._fill()
        self._hold_back()
        self._parts.append(self._held)
        self._held = b""
        self._near.clear()

    def take(self) -> list[AudioSegment]:
        """Take the PCM so far. A hole is filled once enough of the sound after it is known."""
        if self._after and self._pcm and len(self._after) >= _bytes(LEAST_S, self._pcm):
            self._fill()
        self._hold_back()
        self._close_segment()
        segments, self._segments = self._segments, []
        return segments

    def _hold_back(self) -> None:
        """Give out the new sound, but for the end of it."""
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
        """Fill the hole from what is known of the sound on both sides of it."""
        if self._hole is None:
            return
        if self._pcm is not None:
            # Of very short pieces the held back sound may be longer.
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


def _bytes(duration_s: float, pcm: PcmFormat) -> int:
    return pcm.frames(duration_s) * pcm.frame_bytes
