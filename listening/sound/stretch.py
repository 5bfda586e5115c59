"""Audio made a little longer or shorter, by less than anyone hears."""

from __future__ import annotations

from typing import TYPE_CHECKING

from listening.sound.pcm import SAMPLE_BYTES

if TYPE_CHECKING:
    from pydub import AudioSegment

SMALLEST_STRETCHED_FRAMES = 256
"""Shorter pieces are left alone: one frame more or less might be heard in them."""

MOST_STRETCH = 1 / 200
"""Largest change of a piece's length, as a share of it: how fast accumulated corrections go."""


class RateCorrection:
    """By how much the audio to come must still be made longer, or shorter if below 0."""

    def __init__(self) -> None:
        self._due_s = 0.0

    def add(self, seconds: float) -> None:
        """Make what follows longer by this much; shorter if below 0."""
        self._due_s += seconds

    def applied(self, audio: AudioSegment) -> AudioSegment:
        """`audio`, corrected by as much of what is due as it can take, in whole frames."""
        count = int(audio.frame_count())
        most = int(count * MOST_STRETCH)
        frames = max(-most, min(most, int(self._due_s * audio.frame_rate)))
        if not frames or count < SMALLEST_STRETCHED_FRAMES:
            return audio
        self._due_s -= frames / audio.frame_rate
        return stretched(audio, frames)


def stretched(audio: AudioSegment, frames: int) -> AudioSegment:
    """`audio` resampled to this many more frames, or fewer if below 0."""
    count = int(audio.frame_count())
    wanted = count + frames
    # The last frame out lies after the last one in: repeat that one.
    pcm = audio.raw_data + audio.raw_data[-audio.frame_width :]
    one_second = type(audio)(
        data=pcm, sample_width=SAMPLE_BYTES, frame_rate=count, channels=audio.channels
    )
    return type(audio)(
        data=one_second.set_frame_rate(wanted).raw_data[: wanted * audio.frame_width],
        sample_width=SAMPLE_BYTES,
        frame_rate=audio.frame_rate,
        channels=audio.channels,
    )
