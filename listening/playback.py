"""Audio whose turn has come -> the output: decoded, and in the output's format.

One thread calls, the playback thread. An output that takes frames gets them as they were sent.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from listening.converter import Converter
from listening.decoder import Decoder, prepare
from listening.fader import Fader
from listening.listen import (
    End,
    Gap,
    NewStream,
    Pause,
    Playable,
    Ready,
    Restart,
    audio_duration_us,
)
from listening.outputs import Output, OutputError
from listening.pcm import PcmFormat
from listening.splicer import audio_segment
from listening.stretch import Debt
from message import Accept, Message, Type
from wire.mpeg_audio import FrameHeader

if TYPE_CHECKING:
    from pydub import AudioSegment


class Playback:
    """What stands between the jitter buffer and one output."""

    def __init__(self, output: Output, volume_db: float) -> None:
        self.fader = Fader(output, volume_db)
        self._output = output
        self._accept: Accept | None = None
        self._decoder: Decoder | None = None
        self._converter: Converter | None = None
        self._pcm: PcmFormat | None = None
        self._next_sequence: int | None = None
        self._debt = Debt()
        self._done_s = (0.0, 0.0, 0.0)
        self.sounds = False
        """Whether anything was handed to the output yet."""
        self.ended = False
        """Whether the stream has come to its end, and all of it was handed to the output."""

    def prepare(self) -> None:
        """Do what takes time and needs no audio; raises OutputError."""
        self._output.prepare()
        if not self._output.takes_frames:
            prepare()

    @property
    def audio_s(self) -> tuple[float, float, float]:
        """Seconds of audio intact, repaired and concealed that were handed to the output."""
        before, decoder = self._done_s, self._decoder
        if decoder is None:
            return before
        return (
            before[0] + decoder.intact_s,
            before[1] + decoder.repaired_s,
            before[2] + decoder.concealed_s,
        )

    def play(self, items: Iterable[Playable]) -> None:
        """Hand `items` to the output; raises OutputError."""
        item: Playable | None = None
        for item in items:
            if isinstance(item, Ready):
                self._debt.add(item.longer_s)
                self._play_message(item.message)
            elif isinstance(item, NewStream):
                self._begin(item.accept)
            elif isinstance(item, Gap):
                self._next_sequence = None
            elif isinstance(item, Pause):
                self._pause(item.length_s)
            elif isinstance(item, Restart):
                self.fader.resync()
            elif isinstance(item, End):
                self._finish(item.media_time_us)
                self.ended = True
        if isinstance(item, Gap) and self._decoder is not None:
            # Only what has nothing after it yet: else it is known how long it is.
            self._write(self._decoder.gap())
        self.fader.flush()

    def finish(self) -> None:
        """The listener stops: hand over what is held back."""
        if not self.ended:
            self._finish(None)
            self.fader.flush()

    def _begin(self, accept: Accept) -> None:
        if accept.speed != 1.0 and not self._output.any_speed:
            raise OutputError(
                f"the server sends at {accept.speed:g} times real time:"
                " listen with --output FILE.wav, FILE.mp3 or null"
            )
        if self._accept is not None:
            self._finish(None)
            self.fader.resync()
        self._accept = accept
        if not self._output.takes_frames:
            self._decoder = Decoder(accept.first_time_us)
        self._next_sequence = 0

    def _play_message(self, message: Message) -> None:
        contiguous = message.sequence == self._next_sequence
        self._next_sequence = message.sequence + 1
        repaired = message.type != Type.AUDIO
        if self._decoder is None:
            if not self.sounds:
                header = FrameHeader.parse(message.data)
                self._open(PcmFormat(header.sample_rate_hz, header.channels))
            self._output.write_frames(message.data)
            played_s = audio_duration_us(message) / 1e6
            intact_s, repaired_s, concealed_s = self._done_s
            if repaired:
                repaired_s += played_s
            else:
                intact_s += played_s
            self._done_s = (intact_s, repaired_s, concealed_s)
            return
        self._write(
            self._decoder.decode(
                message.data,
                message.media_time_us,
                message.track,
                message.skip_samples,
                message.discard_samples,
                contiguous=contiguous,
                repaired=repaired,
            )
        )

    def _open(self, pcm: PcmFormat) -> PcmFormat:
        assert self._accept is not None, "audio comes after its stream"
        self.sounds = True
        self._pcm = self._output.open(pcm, self._accept.duration_s)
        return self._pcm

    def _write(self, audio: Iterable[AudioSegment]) -> None:
        for segment in audio:
            if self._converter is None:
                pcm = self._open(PcmFormat(segment.frame_rate, segment.channels))
                self._converter = Converter(pcm.frame_rate_hz, pcm.channels)
            self._hand_over(self._converter.convert(segment))

    def _hand_over(self, audio: Iterable[AudioSegment]) -> None:
        for segment in audio:
            # A play-out delay that stays may not touch a sample.
            self.fader.write(self._debt.pay(segment))

    def _pause(self, length_s: float) -> None:
        """Silence that is no part of the programme. It stands in a gap, which is filled first."""
        if self._decoder is not None:
            self._write(self._decoder.gap())
        if self._pcm is not None:
            samples = round(length_s * self._pcm.frame_rate_hz)
            self.fader.write(audio_segment(bytes(samples * self._pcm.frame_bytes), self._pcm))

    def _finish(self, end_time_us: int | None) -> None:
        decoder = self._decoder
        if decoder is None:
            return
        self._write(decoder.finish(end_time_us))
        if self._converter is not None:
            self._hand_over(self._converter.flush())
        self._done_s = self.audio_s
        self._decoder = None
