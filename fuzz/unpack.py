"""What is promised of `message.py` and of every parser of what a message carries.

Any bytes give a message, or the one error that is declared. A message packs to what it was unpacked
from, but for the padding; a content that was taken can be said again, and is the same.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable
from typing import TypeVar

from listening.listen import audio_duration_us
from message import (
    AUDIO_TYPES,
    HEADER_BYTES,
    MAX_CONTROL_BYTES,
    Accept,
    Challenge,
    Connect,
    Control,
    End,
    Goodbye,
    Message,
    MessageError,
    Reject,
    Report,
    ReportHead,
    Request,
    Status,
    Type,
    repeat_of,
)
from wire.mpeg_audio import MpegAudioError, split_frames
from wire.parity import Parity
from wire.ranges import text_of

CONTENTS: dict[int, type[Control]] = {
    content.TYPE: content
    for content in (Connect, Challenge, Accept, Reject, Report, Status, End, Goodbye, Request)
}


Taken = TypeVar("Taken")


def one_input(data: bytes) -> None:
    """Unpack a datagram, and all that it holds."""
    try:
        message = Message.unpack(data)
    except MessageError:
        return
    assert data.startswith(message.pack())
    assert Message.unpack(message.pack()) == message
    assert len(message.data) <= len(data) - HEADER_BYTES
    if message.type in AUDIO_TYPES:
        _audio(message)
    elif message.type == Type.PARITY:
        with contextlib.suppress(MessageError):
            Parity.from_message(message)
    elif message.type in CONTENTS:
        _control(message, CONTENTS[message.type])


def _audio(message: Message) -> None:
    again = Message.unpack(repeat_of(message.pack()))
    assert again == message._replace(type=Type.REPEAT)
    with contextlib.suppress(MpegAudioError):
        frames = split_frames(message.data)
        assert b"".join(frame.data for frame in frames) == message.data
        assert audio_duration_us(message) >= 0


def _control(message: Message, kind: type[Control]) -> None:
    content = _taken(kind.from_message, message)
    if kind is Report:
        head = _taken(ReportHead.of, message)
        if isinstance(content, Report):
            assert head == ReportHead(content.session, content.clock_us)
    if content is None:
        return
    # What was taken may have been said in more words than it takes.
    said = content.to_message(message.sequence, stream=message.stream)
    assert kind.from_message(said) == content
    assert len(said.data) <= MAX_CONTROL_BYTES
    if isinstance(content, Request):
        with contextlib.suppress(MessageError):
            _ranges(content)


def _ranges(request: Request) -> None:
    ranges = request.ranges()
    assert all(ranges), "one is empty"
    assert all(a.stop <= b.start for a, b in itertools.pairwise(ranges))
    said = Request(session="", missing=",".join(map(text_of, ranges)))
    assert said.ranges() == ranges


def _taken(read: Callable[[Message], Taken], message: Message) -> Taken | None:
    """What `read` makes of it; None if that is the declared error."""
    try:
        return read(message)
    except MessageError:
        return None
