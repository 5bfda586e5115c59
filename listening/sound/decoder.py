"""MP3 frames -> PCM on one timeline, exact to the sample, with every gap as long as it was.

Without a loss the PCM is bit for bit what the file itself decodes to. After a loss the timeline
goes on: what is missing is concealed (splicer.py), just as long as it was, and so is what arrived
but cannot be decoded to the file's own samples yet. When it can be is known, not guessed:

1. A frame's main data may begin in the frames before it (the bit reservoir, ISO/IEC 11172-3,
   2.4.2.7). Until `main_data_begin` reaches back no further than what came since the gap, it
   cannot be decoded.
2. The first granule that is decoded overlaps with one that was not (2.4.3.4.10.3): 576 samples.
3. The synthesis filterbank (2.4.3.2.2) remembers 15 further rows of 32 subband samples.

So `SETTLING_SAMPLES` after the start of the first frame that can be decoded, every sample is
the file's own again, but for a fade at the edge of what was concealed.

Pure computation: no I/O, no clock. One thread may use a Decoder at a time.
"""

from __future__ import annotations

import sys
import warnings
from typing import TYPE_CHECKING, cast

from listening.pcm import PcmFormat
from listening.splicer import RING_S, Splicer
from wire.mpeg_audio import TICKS_PER_S, Frame, MpegAudioError, split_frames

if TYPE_CHECKING:
    from av.audio.codeccontext import AudioCodecContext
    from pydub import AudioSegment

SETTLING_SAMPLES = 576 + 15 * 32
"""From the start of the first frame that can be decoded to the first sample that is exact."""

MAX_GAP_S = 24 * 3600
"""A media time further ahead is taken for a new beginning, not for a gap."""

_TICKS_PER_MS = TICKS_PER_S // 1000


def prepare() -> None:
    """Import what decoding needs. Takes about 0.2 s, once; any thread may call it."""
    if {"av", "pydub"} <= sys.modules.keys():
        return
    with warnings.catch_warnings():
        # pydub warns that there is no ffmpeg, which is never called, and its source is older
        # than the Python that compiles it.
        warnings.simplefilter("ignore")
        import av  # noqa: F401  (for its effect)
        import pydub  # noqa: F401


class Decoder:
    """The frames of one stream in order of sequence -> PCM.

    The timeline begins at `start_time_us` of media time, or with the first message if that is
    None. The counters `intact_s`, `repaired_s` and `concealed_s` add up to what was given out
    and is held back. Sound that fades at an edge counts as sound.
    """

    def __init__(self, start_time_us: int | None = None) -> None:
        prepare()
        self._mp3 = _Mp3()
        self._splicer = Splicer()
        self._pcm: PcmFormat | None = None
        self._track: int | None = None
        self._started = start_time_us is not None
        self._position_ticks = _ticks(start_time_us or 0)
        """Media time of what follows all that was given out and is held back."""
        self._gap = False
        self._foretold_samples = 0
        """Samples that come next, and in whose place something was given out already."""
        self._sound_ticks = {False: 0, True: 0}
        self._concealed_ticks = 0
        self.malformed = 0
        """Messages that were not whole frames; they count as missing."""

    @property
    def intact_s(self) -> float:
        """Seconds of sound from messages that came as first sent."""
        return self._sound_ticks[False] / TICKS_PER_S

    @property
    def repaired_s(self) -> float:
        """Seconds of sound from messages that came after a repair."""
        return self._sound_ticks[True] / TICKS_PER_S

    @property
    def concealed_s(self) -> float:
        """Seconds of echo and silence in the place of sound."""
        return self._concealed_ticks / TICKS_PER_S

    def decode(
        self,
        data: bytes,
        media_time_us: int,
        track: int,
        skip_samples: int,
        discard_samples: int,
        *,
        contiguous: bool,
        repaired: bool = False,
    ) -> list[AudioSegment]:
        """The PCM of one message, at the end of which 5 ms are held back.

        After a loss all is held back until 20 ms can be decoded to the file's own samples.
        `contiguous`: the message before this one was the last that was decoded, or this is the
        first of the stream. Whatever is in `data`, nothing is raised.
        """
        try:
            frames = split_frames(data)
        except MpegAudioError:
            self.malformed += 1
            return self.gap()
        if not self._started:
            self._started, self._position_ticks = True, _ticks(media_time_us)
        if self._gap or not contiguous:
            self._mp3.interrupt()
            self._splicer.interrupt()
            self._go_on_at(media_time_us, _pcm(frames[0]))
        elif track != self._track:
            self._mp3.start()
            self._go_to(media_time_us, _pcm(frames[0]))
            self._splicer.join()
        self._gap = False
        self._track = track
        end = sum(frame.header.samples for frame in frames) - discard_samples
        start = skip_samples
        for frame in frames:
            self._decode_frame(frame, start, end, repaired)
            start -= frame.header.samples
            end -= frame.header.samples
        return self._splicer.take()

    def gap(self) -> list[AudioSegment]:
        """Nobody knows when what should follow comes: the sound so far dies away.

        Nothing is held back. What is given out beyond the sound so far, 50 ms at most, is counted
        as concealed; if it turns out that less was missing, so much of what follows is not heard.
        """
        self._gap = True
        beyond = self._splicer.ring_out()
        if self._pcm is not None:
            self._count_concealed(beyond, self._pcm)
        return self._splicer.take()

    def finish(self, end_time_us: int | None) -> list[AudioSegment]:
        """The stream ends: what is held back, and up to `end_time_us` what is missing.

        None: the end is here.
        """
        if end_time_us is not None and self._pcm is not None:
            self._go_to(end_time_us, self._pcm)
        self._splicer.join()
        return self._splicer.take()

    def _decode_frame(self, frame: Frame, start: int, end: int, repaired: bool) -> None:
        """Samples `start` to `end` of `frame`, as far as it has them."""
        data, inexact_samples = self._mp3.decode(frame)
        pcm = self._pcm = _pcm(frame)
        start, end = max(start, 0), min(end, frame.header.samples)
        if self._foretold_samples and start < end:
            foretold = min(self._foretold_samples, end - start)
            self._foretold_samples -= foretold
            start += foretold
        if start >= end:
            return
        exact = min(max(start, inexact_samples), end)
        self._conceal(exact - start, pcm)
        if exact < end:
            self._splicer.sound(data[exact * pcm.frame_bytes : end * pcm.frame_bytes], pcm)
            ticks = (end - exact) * _ticks_per_sample(pcm)
            self._sound_ticks[repaired] += ticks
            self._position_ticks += ticks

    def _go_on_at(self, media_time_us: int, pcm: PcmFormat) -> None:
        """After a gap: the same as `_go_to`, but that a gap may have been given out too long."""
        early_ticks = self._position_ticks - _ticks(media_time_us)
        early_samples = round(early_ticks / _ticks_per_sample(pcm))
        # One sample more: times are rounded.
        if 0 < early_samples <= round(RING_S * pcm.frame_rate_hz) + 1:
            self._foretold_samples = early_samples
        else:
            self._foretold_samples = 0
            self._go_to(media_time_us, pcm)

    def _go_to(self, media_time_us: int, pcm: PcmFormat) -> None:
        """The timeline goes on at `media_time_us`; what is before that is missing."""
        missing_ticks = _ticks(media_time_us) - self._position_ticks
        missing_samples = round(missing_ticks / _ticks_per_sample(pcm))
        if 0 <= missing_samples <= MAX_GAP_S * pcm.frame_rate_hz:
            self._conceal(missing_samples, pcm)
        else:
            self._position_ticks = _ticks(media_time_us)

    def _conceal(self, samples: int, pcm: PcmFormat) -> None:
        if not samples:
            return
        self._splicer.conceal(samples, pcm)
        self._count_concealed(samples, pcm)

    def _count_concealed(self, samples: int, pcm: PcmFormat) -> None:
        ticks = samples * _ticks_per_sample(pcm)
        self._concealed_ticks += ticks
        self._position_ticks += ticks


class _Mp3:
    """FFmpeg's decoder, and how much of what it gives is exact."""

    def __init__(self) -> None:
        import av

        self._av = av
        self._codec: AudioCodecContext | None = None
        self._format: PcmFormat | None = None
        self._settling_samples = 0
        self._reservoir_bytes: int | None = None
        """Main data since the interruption; None once a frame could be decoded."""

    def start(self) -> None:
        """The next frame is the first of a file."""
        self._codec = None
        self._settling_samples = 0
        self._reservoir_bytes = None

    def interrupt(self) -> None:
        """Frames are missing before the next one."""
        if self._codec is not None:
            self._codec.flush_buffers()
        self._settling_samples = SETTLING_SAMPLES
        self._reservoir_bytes = 0

    def decode(self, frame: Frame) -> tuple[bytes, int]:
        """The samples of `frame`, and how many at its start are not the file's own."""
        data = self._decoded(frame)
        if data is None:
            self._codec = None
            self.interrupt()
            return b"", frame.header.samples
        if self._reservoir_bytes is not None:
            if frame.main_data_begin > self._reservoir_bytes:
                self._reservoir_bytes += frame.header.main_data_bytes
                return data, frame.header.samples
            self._reservoir_bytes = None
        inexact = min(self._settling_samples, frame.header.samples)
        self._settling_samples -= inexact
        return data, inexact

    def _decoded(self, frame: Frame) -> bytes | None:
        """The samples of `frame` as FFmpeg decodes them; None if it refuses."""
        pcm = _pcm(frame)
        if self._codec is None or pcm != self._format:
            # The floating-point decoder: the fixed-point one dithers, with a state that goes
            # back to the first frame of the file, so after a gap it is never exact again.
            self._codec = cast("AudioCodecContext", self._av.CodecContext.create("mp3float", "r"))
            self._resampler = self._av.AudioResampler("s16")
            self._format = pcm
        try:
            (decoded,) = self._codec.decode(self._av.Packet(frame.data))
            (converted,) = self._resampler.resample(decoded)
        except (self._av.FFmpegError, ValueError):
            return None
        # A plane may be padded at its end.
        size = frame.header.samples * pcm.frame_bytes
        data = bytes(converted.planes[0])[:size]
        return data if len(data) == size else None


def _pcm(frame: Frame) -> PcmFormat:
    return PcmFormat(frame.header.sample_rate_hz, frame.header.channels)


def _ticks(media_time_us: int) -> int:
    return media_time_us * _TICKS_PER_MS // 1000


def _ticks_per_sample(pcm: PcmFormat) -> int:
    return TICKS_PER_S // pcm.frame_rate_hz
