"""Promises of `message.py`, and of every parser of a message's data.

Any bytes give a message, or the one error that is declared. A message packs to the bytes that it
was unpacked from, without the padding; a content that was read can be written, and reads as the
same.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable
from typing import TypeVar

from audio.mpeg_audio import MpegAudioError, split_frames
from listening.arrival.audio_message import AudioMessage
from message import (
    AUDIO_TYPES,
    HEADER_BYTES,
    MAX_CONTROL_BYTES,
    Accept,
    Challenge,
    Clock,
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
    Time,
    Timeline,
    TrackChange,
    Type,
    repeat_of,
)
from wire.parity import Parity
from wire.ranges import text_of

CONTENTS: dict[int, type[Control]] = {
    content.TYPE: content
    for content in (
        *(Connect, Challenge, Accept, Reject, Report, Status, End, Goodbye, Request),
        *(TrackChange, Timeline),
    )
}

NUMBERS: dict[int, type[Clock | Time]] = {Type.CLOCK: Clock, Type.TIME: Time}


Taken = TypeVar("Taken")


def one_input(data: bytes) -> None:
    """Unpack a datagram, and all its data."""
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
    elif message.type in NUMBERS:
        _numbers(message, NUMBERS[message.type])


def _numbers(message: Message, kind: type[Clock | Time]) -> None:
    content = _taken(kind.from_message, message)
    if isinstance(content, Clock | Time):
        assert kind.from_message(content.to_message()) == content


def _audio(message: Message) -> None:
    again = Message.unpack(repeat_of(message.pack()))
    assert again == message._replace(type=Type.REPEAT)
    with contextlib.suppress(MpegAudioError):
        frames = split_frames(message.data)
        assert b"".join(frame.data for frame in frames) == message.data
        assert AudioMessage.of(message).duration_us >= 0


def _control(message: Message, kind: type[Control]) -> None:
    content = _taken(kind.from_message, message)
    if kind is Report:
        head = _taken(ReportHead.of, message)
        whole = content if isinstance(content, Report) else None
        assert head == (None if whole is None else ReportHead(whole.session, whole.clock_us))
    if content is None:
        return
    # The content may have been written in a longer way than ours.
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
    """The result of `read`; None if it raises the declared error."""
    try:
        return read(message)
    except MessageError:
        return None
