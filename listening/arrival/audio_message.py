"""An AUDIO message whose MPEG frames have been split and checked, once for everyone behind."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from typing import NamedTuple

from audio.mpeg_audio import Frame, MpegAudioError, split_frames
from message import Message


class AudioMessage(NamedTuple):
    """AUDIO, REPEAT, or AUDIO rebuilt from parity, whose type is then PARITY."""

    message: Message
    duration_us: int
    """Length of the audio without the samples to skip and to discard."""
    frames: Sequence[Frame] = ()

    @classmethod
    def of(cls, message: Message) -> AudioMessage:
        """`message` with its frames; raises MpegAudioError unless it holds whole frames."""
        frames = split_frames(message.data)
        rate_hz = frames[0].header.sample_rate_hz
        samples = sum(frame.header.samples for frame in frames)
        kept = samples - message.skip_samples - message.discard_samples
        if kept < 0 or any(frame.header.sample_rate_hz != rate_hz for frame in frames):
            raise MpegAudioError("the frames do not belong together")
        return cls(message, round(kept * 1_000_000 / rate_hz), frames)

    @property
    def sequence(self) -> int:
        """Place in the stream."""
        return self.message.sequence

    @property
    def end_us(self) -> int:
        """Media time at which the audio ends."""
        return self.message.media_time_us + self.duration_us


class Arrival(enum.Enum):
    """What became of a message that arrived."""

    IN_TIME = enum.auto()
    DUPLICATE = enum.auto()
    LATE = enum.auto()
    OVERFLOW = enum.auto()
