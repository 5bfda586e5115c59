"""MP3 frames -> PCM on one timeline, exact to the sample, with every gap as long as it was.

Without a loss the PCM is bit for bit what the file itself decodes to. After a loss the timeline
continues: what is missing is concealed for exactly its length (splicer.py), and so is what arrived
but cannot be decoded to the file's own samples yet. When it can be follows from the standard:

1. A frame's main data may begin in earlier frames (the bit reservoir, ISO/IEC 11172-3, 2.4.2.7).
   While `main_data_begin` reaches back further than what came since the gap, the frame cannot be
   decoded.
2. The first decoded granule overlaps with one that was not decoded (2.4.3.4.10.3): 576 samples.
3. The synthesis filterbank (2.4.3.2.2) remembers 15 further rows of 32 subband samples.

So `SETTLING_SAMPLES` after the start of the first frame that can be decoded, every sample is the
file's own again, but for a fade at the edge of what was concealed.

Pure computation: no I/O, no clock. One thread may use a Decoder at a time.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from audio.mpeg_audio import TICKS_PER_S, Frame
from listening.sound.pcm import PcmFormat
from listening.sound.splicer import RING_S, Splicer

if TYPE_CHECKING:
    from av.audio.codeccontext import AudioCodecContext
    from pydub import AudioSegment

SETTLING_SAMPLES = 576 + 15 * 32
"""Samples from the start of the first frame that can be decoded to the first exact sample."""

MAX_GAP_S = 24 * 3600
"""Longest gap. A media time further ahead begins a new timeline instead."""

_TICKS_PER_MS = TICKS_PER_S // 1000


def prepare() -> None:
    """Import what decoding needs: about 0.2 s, once. Any thread may call it."""
    if {"av", "pydub"} <= sys.modules.keys():
        return
    with warnings.catch_warnings():
        # pydub warns that ffmpeg is missing, which is never called, and Python's compiler warns of
        # escapes in pydub's source.
        warnings.simplefilter("ignore")
        import av  # noqa: F401  (for its effect)
        import pydub  # noqa: F401


@dataclass(slots=True)
class AudioTime:
    """Time of the audio that was given out or is held back, by its origin.

    Sound that fades at an edge counts as sound.
    """

    intact_ticks: int = 0
    repaired_ticks: int = 0
    concealed_ticks: int = 0

    @property
    def intact_s(self) -> float:
        """Seconds of sound from messages that came as first sent."""
        return self.intact_ticks / TICKS_PER_S

    @property
    def repaired_s(self) -> float:
        """Seconds of sound from messages that came after a repair."""
        return self.repaired_ticks / TICKS_PER_S

    @property
    def concealed_s(self) -> float:
        """Seconds of echo and silence in place of sound."""
        return self.concealed_ticks / TICKS_PER_S

    def add_sound(self, ticks: int, *, repaired: bool) -> None:
        """Count sound, in 1 / `TICKS_PER_S` s."""
        if repaired:
            self.repaired_ticks += ticks
        else:
            self.intact_ticks += ticks


class Decoder:
    """The frames of one stream in order of sequence -> PCM.

    The timeline begins at `start_time_us` of media time, or with the first message if that is None.
    What is given out is counted in `audio_time`, which may be that of an earlier stream.
    """

    def __init__(
        self, start_time_us: int | None = None, audio_time: AudioTime | None = None
    ) -> None:
        prepare()
        self.audio_time = audio_time or AudioTime()
        self._mp3 = _Mp3()
        self._splicer = Splicer()
        self._pcm: PcmFormat | None = None
        self._track: int | None = None
        self._started = start_time_us is not None
        self._position_ticks = media_ticks(start_time_us or 0)
        """Media time at the end of all that was given out or is held back."""
        self._gap = False
        self._already_concealed = 0
        """Samples to come next in whose place something was given out already."""

    def decode(
        self,
        frames: Sequence[Frame],
        media_time_us: int,
        track: int,
        skip_samples: int,
        discard_samples: int,
        *,
        contiguous: bool,
        repaired: bool = False,
    ) -> list[AudioSegment]:
        """PCM of one message's `frames`, at least one; the last 5 ms are held back.

        After a loss all is held back until 20 ms can be decoded to the file's own samples.
        `contiguous`: the message before this one was the last that was decoded, or this is the
        first of the stream. Raises nothing, whatever the frames hold.
        """
        pcm = _pcm(frames[0])
        if not self._started:
            self._started, self._position_ticks = True, media_ticks(media_time_us)
        if self._gap or not contiguous:
            self._mp3.interrupt()
            self._splicer.interrupt()
            self._continue_at(media_time_us, pcm)
        elif track != self._track:
            self._mp3.start()
            self._go_to(media_time_us, pcm)
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
        """PCM of a gap of unknown length: the sound so far dies away. Nothing is held back.

        What is given out beyond the sound so far, 50 ms at most, counts as concealed. If less was
        missing, the start of what follows is left out instead.
        """
        self._gap = True
        beyond = self._splicer.ring_out()
        if self._pcm is not None:
            self._count_concealed(beyond, self._pcm)
        return self._splicer.take()

    def finish(self, end_time_us: int | None) -> list[AudioSegment]:
        """PCM of the end: what is held back, and what is missing up to `end_time_us`.

        None: the stream ends where the sound does.
        """
        if end_time_us is not None and self._pcm is not None:
            self._go_to(end_time_us, self._pcm)
        self._splicer.join()
        return self._splicer.take()

    def _decode_frame(self, frame: Frame, start: int, end: int, repaired: bool) -> None:
        """Decode samples `start` to `end` of `frame`, as far as it has them."""
        data, inexact_samples = self._mp3.decode(frame)
        pcm = self._pcm = _pcm(frame)
        start, end = max(start, 0), min(end, frame.header.samples)
        already = min(self._already_concealed, max(0, end - start))
        self._already_concealed -= already
        start += already
        if start >= end:
            return
        exact = min(max(start, inexact_samples), end)
        self._conceal(exact - start, pcm)
        if exact < end:
            self._splicer.sound(data[exact * pcm.frame_bytes : end * pcm.frame_bytes], pcm)
            ticks = (end - exact) * _ticks_per_sample(pcm)
            self.audio_time.add_sound(ticks, repaired=repaired)
            self._position_ticks += ticks

    def _continue_at(self, media_time_us: int, pcm: PcmFormat) -> None:
        """Like `_go_to`, after a gap for which too much may have been given out."""
        early_ticks = self._position_ticks - media_ticks(media_time_us)
        early_samples = round(early_ticks / _ticks_per_sample(pcm))
        # Media times are rounded, so it may be one sample more.
        if 0 < early_samples <= pcm.frames(RING_S) + 1:
            self._already_concealed = early_samples
        else:
            self._already_concealed = 0
            self._go_to(media_time_us, pcm)

    def _go_to(self, media_time_us: int, pcm: PcmFormat) -> None:
        """Continue the timeline at `media_time_us`; what lies before it is missing."""
        missing_ticks = media_ticks(media_time_us) - self._position_ticks
        missing_samples = round(missing_ticks / _ticks_per_sample(pcm))
        if 0 <= missing_samples <= MAX_GAP_S * pcm.frame_rate_hz:
            self._conceal(missing_samples, pcm)
        else:
            self._position_ticks = media_ticks(media_time_us)

    def _conceal(self, samples: int, pcm: PcmFormat) -> None:
        if not samples:
            return
        self._splicer.conceal(samples, pcm)
        self._count_concealed(samples, pcm)

    def _count_concealed(self, samples: int, pcm: PcmFormat) -> None:
        ticks = samples * _ticks_per_sample(pcm)
        self.audio_time.concealed_ticks += ticks
        self._position_ticks += ticks


class _Mp3:
    """FFmpeg's decoder, and the number of its samples that are exact."""

    def __init__(self) -> None:
        import av

        self._av = av
        self._codec: AudioCodecContext | None = None
        self._format: PcmFormat | None = None
        self._settling_samples = 0
        self._reservoir_bytes: int | None = None
        """Bytes of main data since the interruption; None once a frame could be decoded."""

    def start(self) -> None:
        """Begin a file with the next frame."""
        self._codec = None
        self._settling_samples = 0
        self._reservoir_bytes = None

    def interrupt(self) -> None:
        """Note that frames are missing before the next one."""
        if self._codec is not None:
            self._codec.flush_buffers()
        self._settling_samples = SETTLING_SAMPLES
        self._reservoir_bytes = 0

    def decode(self, frame: Frame) -> tuple[bytes, int]:
        """PCM of `frame`, and the number of samples at its start that are not the file's own."""
        if self._format is not None and self._format.frame_rate_hz != frame.header.sample_rate_hz:
            # Another stream: nothing in its reservoir comes from this one.
            self._codec = None
            self._reservoir_bytes = 0
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
        """PCM of `frame` as FFmpeg decodes it; None if it refuses."""
        pcm = _pcm(frame)
        if self._codec is None:
            # The fixed-point decoder dithers, with a state that goes back to the first frame of the
            # file: after a gap it is never exact again. The floating-point one is.
            self._codec = cast("AudioCodecContext", self._av.CodecContext.create("mp3float", "r"))
        if pcm != self._format:
            # It follows a change between mono and stereo, and keeps the reservoir.
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


def media_ticks(media_time_us: int) -> int:
    """A media time in 1 / `TICKS_PER_S` s."""
    return media_time_us * _TICKS_PER_MS // 1000


def _ticks_per_sample(pcm: PcmFormat) -> int:
    return TICKS_PER_S // pcm.frame_rate_hz
