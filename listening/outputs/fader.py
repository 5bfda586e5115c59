"""PCM -> the output, as loud as the listener wants it. A change is heard soon and never clicks.

What was written a second ago may not have been heard yet. At a change the output gives back what it
can of that; it is written anew, faded from the old loudness to the new one.

The playback thread makes all calls; any thread may set `wanted`.
"""

from __future__ import annotations

from array import array
from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from listening.outputs import Output
from listening.sound.pcm import SAMPLE_BYTES, PcmFormat, audio_segment

if TYPE_CHECKING:
    from pydub import AudioSegment

FADE_S = 0.02
"""Length of the fade between two loudnesses: short, and free of clicks."""

STEP_DB = 2.0
"""Change of the volume for one press of a key."""

LEAST_DB, MOST_DB = -60.0, 12.0
"""Bounds of a volume that is changed by keys: below is silence, above is an accident."""


class Loudness(NamedTuple):
    """The listener's choice. During a pause the programme continues, silently."""

    volume_db: float = 0.0
    muted: bool = False
    paused: bool = False

    @property
    def gain(self) -> float:
        """Factor for every sample."""
        return 0.0 if self.muted or self.paused else 10 ** (self.volume_db / 20)

    def louder(self, by_db: float) -> Loudness:
        """Louder, or softer if below 0, within bounds; a volume beyond them already may stay."""
        least_db, most_db = min(LEAST_DB, self.volume_db), max(MOST_DB, self.volume_db)
        return self._replace(volume_db=min(most_db, max(least_db, self.volume_db + by_db)))


class _Fade(NamedTuple):
    """A linear change of gain over `frames` from frame `begin` on; constant before and after."""

    begin: int
    frames: int
    before: float
    after: float

    def gain(self, frame: int) -> float:
        share = min(1.0, max(0.0, (frame - self.begin) / self.frames)) if self.frames else 1.0
        return self.before + (self.after - self.before) * share

    def scaled(self, audio: AudioSegment, first_frame: int) -> AudioSegment:
        """`audio`, which begins at `first_frame`, with this gain; too loud samples are clipped."""
        frames = int(audio.frame_count())
        fading = min(frames, max(0, self.begin + self.frames - first_frame))
        if not fading and self.after == 1.0:
            return audio  # no sample may be touched
        pcm = PcmFormat(audio.frame_rate, audio.channels)
        data = bytes(audio.raw_data)
        samples = array("h", data[: fading * pcm.frame_bytes])
        for index, value in enumerate(samples):
            gain = self.gain(first_frame + index // pcm.channels)
            samples[index] = min(32_767, max(-32_768, round(value * gain)))
        rest = _times(data[fading * pcm.frame_bytes :], self.after)
        return audio_segment(samples.tobytes() + rest, pcm)


class _Unheard:
    """The end of what was written, as it was before it was scaled: what may be written anew."""

    def __init__(self) -> None:
        self.frames = 0
        self._pieces: deque[AudioSegment] = deque()

    def add(self, audio: AudioSegment) -> None:
        self._pieces.append(audio)
        self.frames += int(audio.frame_count())

    def keep_last(self, frames: int) -> None:
        """Forget whole pieces before the last `frames`."""
        while self._pieces:
            left_frames = self.frames - int(self._pieces[0].frame_count())
            if left_frames < frames:
                break
            self._pieces.popleft()
            self.frames = left_frames

    def taken(self, frames: int, pcm: PcmFormat) -> AudioSegment:
        """The last `frames`, of at least one; everything is forgotten."""
        data = b"".join(bytes(audio.raw_data) for audio in self._pieces)
        self.clear()
        return audio_segment(data[-frames * pcm.frame_bytes :], pcm)

    def clear(self) -> None:
        self._pieces.clear()
        self.frames = 0


class Fader:
    """Stands before an output, and applies the listener's loudness to what is written."""

    def __init__(self, output: Output, volume_db: float) -> None:
        self.wanted = Loudness(volume_db)
        """Applied by the next `follow`."""
        self.paused_s = 0.0
        """Seconds of what was written that are silent because of a pause."""
        self._output = output
        self._loudness = self.wanted
        self._fade = _Fade(0, 0, 1.0, self.wanted.gain)
        self._pcm: PcmFormat | None = None
        self._written_frames = 0
        self._unheard = _Unheard()

    def write(self, audio: AudioSegment) -> None:
        """Scale `audio` and hand it over; raises OutputError."""
        self._pcm = self._pcm or PcmFormat(audio.frame_rate, audio.channels)
        self._unheard.add(audio)
        self._output.write(self._fade.scaled(audio, self._written_frames))
        self._count(int(audio.frame_count()))

    def flush(self) -> None:
        """Let what was written be heard; raises OutputError."""
        self._output.flush()
        self._unheard.keep_last(self._output.changeable_frames)

    def resync(self) -> None:
        """Begin a new timeline: what was written keeps its place; raises OutputError."""
        self._unheard.clear()
        self._output.resync()

    def follow(self) -> bool:
        """Apply `wanted`; whether that is a change. Raises OutputError."""
        wanted = self.wanted
        if wanted == self._loudness:
            return False
        again = self._taken_back()
        self._loudness = wanted
        # Before the first sound there is nothing to fade from.
        frames = self._pcm.frames(FADE_S) if self._pcm else 0
        begin = self._written_frames
        self._fade = _Fade(begin, frames, self._fade.gain(begin), wanted.gain)
        if again is not None:
            self.write(again)
            self.flush()
        return True

    def _taken_back(self) -> AudioSegment | None:
        """What the output gives back of what is not heard yet, before it was scaled."""
        frames = self._output.take_back(self._unheard.frames)
        if not frames or self._pcm is None:
            return None
        self._count(-frames)
        return self._unheard.taken(frames, self._pcm)

    def _count(self, frames: int) -> None:
        self._written_frames += frames
        if self._loudness.paused and self._pcm is not None:
            self.paused_s += frames / self._pcm.frame_rate_hz


def _times(data: bytes, gain: float) -> bytes:
    if gain == 1.0:
        return data
    import audioop

    return audioop.mul(data, SAMPLE_BYTES, gain)
