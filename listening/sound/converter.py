"""PCM of any format -> PCM of one format, without seams between the pieces.

One thread may use a Converter at a time.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

from listening.sound.pcm import PcmFormat, audio_segment

if TYPE_CHECKING:
    from av.audio.frame import AudioFrame
    from av.audio.resampler import AudioResampler
    from pydub import AudioSegment

_LAYOUTS = {1: "mono", 2: "stereo"}


class Converter:
    """Converts AudioSegments to `frame_rate_hz` and `channels` (1 or 2).

    Audio of that format passes unchanged. A change of rate keeps the time: at the end of all input
    of one rate the number of samples is the nearest to its duration, counted from the start, so
    that rounding never adds up.
    """

    def __init__(self, frame_rate_hz: int, channels: int) -> None:
        self._pcm = PcmFormat(frame_rate_hz, channels)
        self._resampler: AudioResampler | None = None
        self._input_rate_hz = frame_rate_hz
        self._in_s = Fraction(0)
        self._out_samples = 0

    def convert(self, audio: AudioSegment) -> list[AudioSegment]:
        """Convert `audio`, as far as it is ready: the resampler looks a little ahead."""
        ready = []
        if audio.frame_rate != self._input_rate_hz:
            ready = self.flush()
            self._input_rate_hz = audio.frame_rate
        # pydub copies or averages channels; FFmpeg would make mono 3 dB softer.
        audio = audio.set_channels(self._pcm.channels)
        self._in_s += Fraction(int(audio.frame_count()), audio.frame_rate)
        if audio.frame_rate != self._pcm.frame_rate_hz:
            return ready + self._counted(self._resampled(audio))
        return ready + self._counted([audio])

    def flush(self) -> list[AudioSegment]:
        """Take the rest. The next audio may have any rate."""
        if self._resampler is None:
            return []
        rest = b"".join(self._data(frame) for frame in self._resampler.resample(None))
        self._resampler = None
        missing = round(self._in_s * self._pcm.frame_rate_hz) - self._out_samples
        size = max(0, missing) * self._pcm.frame_bytes
        return self._counted([audio_segment(rest[:size].ljust(size, b"\0"), self._pcm)])

    def _resampled(self, audio: AudioSegment) -> list[AudioSegment]:
        import av

        layout = _LAYOUTS[self._pcm.channels]
        if self._resampler is None:
            self._resampler = av.AudioResampler("s16", layout, self._pcm.frame_rate_hz)
        frame = av.AudioFrame("s16", layout, int(audio.frame_count()))
        frame.sample_rate = audio.frame_rate
        frame.planes[0].update(audio.raw_data)
        data = b"".join(self._data(out) for out in self._resampler.resample(frame))
        return [audio_segment(data, self._pcm)]

    def _data(self, frame: AudioFrame) -> bytes:
        # A plane may be padded at its end.
        return bytes(frame.planes[0])[: frame.samples * self._pcm.frame_bytes]

    def _counted(self, segments: list[AudioSegment]) -> list[AudioSegment]:
        self._out_samples += sum(int(segment.frame_count()) for segment in segments)
        return [segment for segment in segments if segment.raw_data]
