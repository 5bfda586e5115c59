"""The same sound, a little longer or shorter."""

from __future__ import annotations

from typing import TYPE_CHECKING

from listening.pcm import SAMPLE_BYTES

if TYPE_CHECKING:
    from pydub import AudioSegment

SMALLEST_STRETCHED_FRAMES = 256
"""In a piece that is shorter a frame more or less might be heard."""

MOST_STRETCH = 1 / 200
"""A debt may have added up; it is paid no faster than at so much of the length."""


class Debt:
    """By how much what follows must still be made longer, or (below 0) shorter."""

    def __init__(self) -> None:
        self._owed_s = 0.0

    def add(self, seconds: float) -> None:
        """So much more of it."""
        self._owed_s += seconds

    def pay(self, audio: AudioSegment) -> AudioSegment:
        """`audio`, longer or shorter by as much of the debt as it can take, in whole frames."""
        count = int(audio.frame_count())
        most = int(count * MOST_STRETCH)
        frames = max(-most, min(most, int(self._owed_s * audio.frame_rate)))
        if not frames or count < SMALLEST_STRETCHED_FRAMES:
            return audio
        self._owed_s -= frames / audio.frame_rate
        return stretched(audio, frames)


def stretched(audio: AudioSegment, frames: int) -> AudioSegment:
    """The same sound in so many frames more, or (below 0) less, at the same frame rate."""
    count = int(audio.frame_count())
    wanted = count + frames
    # One frame more goes in, for the last one that comes out lies after the last one that goes in.
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
