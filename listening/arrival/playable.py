"""What arrival hands to playback, in order: messages, and what happens between them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from audio.mpeg_audio import Frame
from message import Accept, Message


class Ready(NamedTuple):
    """A message whose turn it is: the fields of `AudioMessage`, and how to play it."""

    message: Message
    duration_us: int
    frames: Sequence[Frame] = ()
    longer_s: float = 0.0
    """Stretch the audio by this much; below 0, squeeze it."""


class Gap(NamedTuple):
    """What should come here was given up, or has not come when it was needed."""


class InsertedSilence(NamedTuple):
    """Silence to insert into this gap: everything behind it sounds later by as much."""

    length_s: float


class Restart(NamedTuple):
    """The timeline begins anew: what follows sounds as soon as it can."""


class EndOfStream(NamedTuple):
    """The last message of the stream was given out or given up; media time of its end."""

    media_time_us: int | None


class NewStream(NamedTuple):
    """What follows is of a stream that begins here for us: the output's timeline goes on."""

    accept: Accept


Item = Ready | Gap | InsertedSilence | Restart | EndOfStream
Playable = NewStream | Item
