"""PCM -> the output, as loud as the listener wants it. A change is heard soon, and never clicks.

What was handed over a second ago may not have been heard yet. So at a change the output gives back
what it can of that, it fades from the old loudness to the new one, and the rest is written anew.

The playback thread calls, but for `wanted`, which any thread may set.
"""

from __future__ import annotations

from array import array
from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from listening.outputs import Output
from listening.pcm import SAMPLE_BYTES, PcmFormat
from listening.splicer import audio_segment

if TYPE_CHECKING:
    from pydub import AudioSegment

FADE_S = 0.02
"""From full loudness to silence: far slower than music itself moves."""


STEP_DB = 2.0
LEAST_DB, MOST_DB = -60.0, 12.0
"""Of a volume that is dialled: softer than that is silence, and louder is an accident."""


class Loudness(NamedTuple):
    """What the listener has chosen. A pause is silence, while the programme goes on."""

    volume_db: float = 0.0
    muted: bool = False
    paused: bool = False

    @property
    def gain(self) -> float:
        """What samples are multiplied by."""
        return 0.0 if self.muted or self.paused else 10 ** (self.volume_db / 20)

    def louder(self, by_db: float) -> Loudness:
        """By so much, or (below 0) softer, within bounds; what is beyond them already may stay."""
        least_db, most_db = min(LEAST_DB, self.volume_db), max(MOST_DB, self.volume_db)
        return self._replace(volume_db=min(most_db, max(least_db, self.volume_db + by_db)))


class _Fade(NamedTuple):
    """From one gain to another, beginning at a frame."""

    begin: int
    frames: int
    before: float
    after: float

    def gain(self, frame: int) -> float:
        share = min(1.0, max(0.0, (frame - self.begin) / self.frames)) if self.frames else 1.0
        return self.before + (self.after - self.before) * share


class Fader:
    """What stands before an output."""

    def __init__(self, output: Output, volume_db: float) -> None:
        self.wanted = Loudness(volume_db)
        """Taken up by `follow`."""
        self.paused_s = 0.0
        """Seconds of what was written that are silent because of a pause."""
        self._output = output
        self._loudness = self.wanted
        self._fade = _Fade(0, 0, 1.0, self.wanted.gain)
        self._pcm: PcmFormat | None = None
        self._written = 0
        self._unheard: deque[AudioSegment] = deque()
        self._unheard_frames = 0

    def write(self, audio: AudioSegment) -> None:
        """Hand over `audio`; raises OutputError."""
        frames = int(audio.frame_count())
        self._pcm = self._pcm or PcmFormat(audio.frame_rate, audio.channels)
        self._unheard.append(audio)
        self._unheard_frames += frames
        if self._loudness.paused:
            self.paused_s += frames / audio.frame_rate
        self._output.write(self._scaled(audio, frames))
        self._written += frames

    def flush(self) -> None:
        """All that was due has been written; raises OutputError."""
        self._output.flush()
        changeable = self._output.changeable_frames
        while self._unheard:
            left_frames = self._unheard_frames - int(self._unheard[0].frame_count())
            if left_frames < changeable:
                break
            self._unheard.popleft()
            self._unheard_frames = left_frames

    def resync(self) -> None:
        """A new timeline begins: what was written keeps its place; raises OutputError."""
        self._forget()
        self._output.resync()

    def follow(self) -> bool:
        """Take up what is wanted, if that has changed; whether it has. Raises OutputError."""
        wanted = self.wanted
        if wanted == self._loudness:
            return False
        again = self._taken_back()
        self._loudness = wanted
        # Before the first sound there is nothing to fade from.
        frames = round(FADE_S * self._pcm.frame_rate_hz) if self._pcm else 0
        self._fade = _Fade(self._written, frames, self._fade.gain(self._written), wanted.gain)
        if again is not None:
            self.write(again)
            self.flush()
        return True

    def _taken_back(self) -> AudioSegment | None:
        """The end of what was written, as it was before it was scaled, if it can be changed."""
        frames = self._output.take_back(self._unheard_frames)
        if not frames or self._pcm is None:
            return None
        data = b"".join(bytes(audio.raw_data) for audio in self._unheard)
        self._forget()
        self._written -= frames
        if self._loudness.paused:
            self.paused_s -= frames / self._pcm.frame_rate_hz
        return audio_segment(data[-frames * self._pcm.frame_bytes :], self._pcm)

    def _forget(self) -> None:
        self._unheard.clear()
        self._unheard_frames = 0

    def _scaled(self, audio: AudioSegment, frames: int) -> AudioSegment:
        fade = self._fade
        fading = min(frames, max(0, fade.begin + fade.frames - self._written))
        if not fading and fade.after == 1.0:
            return audio  # no sample may be touched
        assert self._pcm is not None, "it is known from the audio itself"
        data = bytes(audio.raw_data)
        cut = fading * self._pcm.frame_bytes
        gains = [fade.gain(self._written + frame) for frame in range(fading)]
        return audio_segment(_faded(data[:cut], gains) + _times(data[cut:], fade.after), self._pcm)


def _faded(data: bytes, gains: Sequence[float]) -> bytes:
    """`data` with one of `gains` for each frame; what is too loud is clipped."""
    samples = array("h", data)
    channels = len(samples) // max(1, len(gains))
    for index, value in enumerate(samples):
        samples[index] = min(32_767, max(-32_768, round(value * gains[index // channels])))
    return samples.tobytes()


def _times(data: bytes, gain: float) -> bytes:
    if gain == 1.0:
        return data
    import audioop

    return audioop.mul(data, SAMPLE_BYTES, gain)
