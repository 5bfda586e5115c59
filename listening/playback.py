"""What is ready to be played -> the output: decoded, and in the output's format.

Only the playback thread calls. An output that takes frames gets them as they were sent.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from listening.arrival.playable import (
    EndOfStream,
    Gap,
    InsertedSilence,
    NewStream,
    Playable,
    Ready,
    Restart,
)
from listening.outputs import Output, OutputError
from listening.outputs.fader import Fader
from listening.sound.converter import Converter
from listening.sound.decoder import AudioTime, Decoder, prepare
from listening.sound.frame_splicer import FrameSplicer
from listening.sound.pcm import PcmFormat, audio_segment
from listening.sound.stretch import RateCorrection
from message import Accept, Type

if TYPE_CHECKING:
    from pydub import AudioSegment

    from audio.mpeg_audio import FrameHeader


class _PcmChain:
    """PCM -> converted to the output's format -> corrected in rate -> as loud as wanted -> output.

    The first audio opens the output. All methods raise OutputError.
    """

    def __init__(self, output: Output, fader: Fader) -> None:
        self.rate_correction = RateCorrection()
        self._output = output
        self._fader = fader
        self._pcm: PcmFormat | None = None
        self._converter: Converter | None = None

    def write(self, audio: Iterable[AudioSegment], duration_s: float | None) -> None:
        """Convert `audio`; `duration_s` is what the stream is said to last."""
        for segment in audio:
            if self._converter is None:
                given = PcmFormat(segment.frame_rate, segment.channels)
                self._pcm = self._output.open(given, duration_s)
                self._converter = Converter(self._pcm.frame_rate_hz, self._pcm.channels)
            self._hand_over(self._converter.convert(segment))

    def write_silence(self, length_s: float) -> None:
        """Insert silence that is no part of the programme, once the output is open."""
        if self._pcm is not None:
            data = bytes(self._pcm.frames(length_s) * self._pcm.frame_bytes)
            self._fader.write(audio_segment(data, self._pcm))

    def end(self) -> None:
        """Hand over what the converter holds back."""
        if self._converter is not None:
            self._hand_over(self._converter.flush())

    def _hand_over(self, audio: Iterable[AudioSegment]) -> None:
        for segment in audio:
            # While no correction is due no sample is touched.
            self._fader.write(self.rate_correction.applied(segment))


class Playback:
    """Joins jitter buffer, decoder and one output."""

    def __init__(self, output: Output, volume_db: float) -> None:
        self.fader = Fader(output, volume_db)
        self.sounds = False
        """Whether anything was handed to the output yet."""
        self.ended = False
        """Whether the stream has ended, and all of it was handed to the output."""
        self._output = output
        self._chain = _PcmChain(output, self.fader)
        self._audio_time = AudioTime()
        self._accept: Accept | None = None
        self._decoder: Decoder | None = None
        self._frames: FrameSplicer | None = None
        self._next_sequence: int | None = None

    def prepare(self) -> None:
        """Do what takes time and needs no audio; raises OutputError."""
        self._output.prepare()
        if not self._output.takes_frames:
            prepare()

    @property
    def audio_s(self) -> tuple[float, float, float]:
        """Seconds of audio intact, repaired and concealed that were handed to the output."""
        time = self._audio_time
        return time.intact_s, time.repaired_s, time.concealed_s

    def play(self, items: Iterable[Playable]) -> None:
        """Hand `items` to the output; raises OutputError."""
        item: Playable | None = None
        for item in items:
            if isinstance(item, Ready):
                self._play_message(item)
            elif isinstance(item, NewStream):
                self._begin(item.accept)
            elif isinstance(item, Gap):
                self._next_sequence = None
            elif isinstance(item, InsertedSilence):
                # It stands in a gap, which is filled first.
                self._fill_gap()
                self._chain.write_silence(item.length_s)
            elif isinstance(item, Restart):
                self.fader.resync()
            elif isinstance(item, EndOfStream):
                self._end(item.media_time_us)
                self.ended = True
        if isinstance(item, Gap):
            # What follows is not known yet. A gap with something after it has a known length.
            self._fill_gap()
        self.fader.flush()

    def finish(self) -> None:
        """Hand over what is held back, when the listener stops; raises OutputError."""
        if not self.ended:
            self._end(None)
            self.fader.flush()

    def _begin(self, accept: Accept) -> None:
        if accept.speed != 1.0 and not self._output.any_speed:
            raise OutputError(
                f"the server sends at {accept.speed:g} times real time:"
                " listen with --output FILE.wav, FILE.mp3 or null"
            )
        if self._accept is not None:
            self._end(None)
            self.fader.resync()
        self._accept = accept
        if self._output.takes_frames:
            self._frames = FrameSplicer(
                accept.first_time_us, self._audio_time, is_first=not self.sounds
            )
        else:
            self._decoder = Decoder(accept.first_time_us, self._audio_time)
        self._next_sequence = 0

    def _play_message(self, ready: Ready) -> None:
        message = ready.message
        contiguous = message.sequence == self._next_sequence
        self._next_sequence = message.sequence + 1
        repaired = message.type != Type.AUDIO
        place = message.media_time_us, message.track
        trim = message.skip_samples, message.discard_samples
        if self._frames is not None:
            self._open_for(ready.frames[0].header)
            self._write_frames(
                self._frames.splice(
                    ready.frames, *place, *trim, contiguous=contiguous, repaired=repaired
                )
            )
        elif self._decoder is not None:
            self._chain.rate_correction.add(ready.longer_s)
            self._write(
                self._decoder.decode(
                    ready.frames, *place, *trim, contiguous=contiguous, repaired=repaired
                )
            )

    def _open_for(self, header: FrameHeader) -> None:
        """Open an output that takes frames, with the first one."""
        if not self.sounds:
            self._output.open(PcmFormat(header.sample_rate_hz, header.channels), self._duration_s)
            self.sounds = True

    def _write_frames(self, pieces: Iterable[bytes]) -> None:
        for frames in pieces:
            self._output.write_frames(frames)

    @property
    def _duration_s(self) -> float | None:
        assert self._accept is not None, "audio comes after its stream"
        return self._accept.duration_s

    def _write(self, audio: list[AudioSegment]) -> None:
        self.sounds = self.sounds or bool(audio)
        self._chain.write(audio, self._duration_s)

    def _fill_gap(self) -> None:
        if self._decoder is not None:
            self._write(self._decoder.gap())

    def _end(self, end_time_us: int | None) -> None:
        if self._decoder is not None:
            self._write(self._decoder.finish(end_time_us))
            self._chain.end()
            self._decoder = None
        if self._frames is not None:
            self._write_frames(self._frames.finish(end_time_us))
            self._frames = None
