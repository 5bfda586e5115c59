"""Choices -> a datagram: arbitrary bytes, a real message, or a real message changed in some way.

Each kind of change reaches other code: bytes the header, cuts the lengths, fields the code behind
the checks of JSON.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from fuzz.cursor import Cursor
from message import (
    CONNECT_BYTES,
    MAX_CONTROL_BYTES,
    Accept,
    Challenge,
    Clock,
    Connect,
    Control,
    End,
    Goodbye,
    Message,
    Reject,
    Report,
    Request,
    Status,
    Time,
    Timeline,
    Type,
    repeat_of,
)
from wire.parity import encode

FRAME = bytes.fromhex("fffb9064") + bytes(413)
"""A Layer III frame of 1,152 samples at 44.1 kHz, 128 kbit/s, filled with zeros."""

FRAME_US = 26_122
"""Its duration."""

VALUES: Sequence[Any] = (
    0, 1, -1, 2, 3, 1 << 32, (1 << 53) - 1, 1 << 53, 10**400,
    0.0, 0.001, 1e-9, 1.5, 1e14, 1e15, 1e308, True, False, None,
    "", "x", "x" * 32, "x" * 33, "\ud800", "\u202e", "é" * 80, "0-9007199254740991", "3-1", "1,1",
    "0," * 400 + "9", [], {}, [[[]]],
)  # fmt: skip
"""Values for fields: the bounds of every kind, and a step beyond."""

FAR: Sequence[int] = (
    0,
    1,
    2,
    3,
    5,
    8,
    40,
    255,
    1 << 16,
    1 << 20,
    (1 << 53) - 1,
    1 << 53,
    (1 << 64) - 1,
)
"""Values for sequences and, in frames, for media times."""


class Known(NamedTuple):
    """What the sender of a datagram knows of the other side."""

    nonce: str
    session: str
    stream: int
    cookie: str = ""


def _frames(choices: Cursor) -> int:
    """A sequence, usually near the start of the stream."""
    number = choices.byte()
    return number % 32 if number < 240 else FAR[number % len(FAR)]


def _audio(choices: Cursor, known: Known) -> Message:
    sequence, count = _frames(choices), 1 + choices.byte() % 4
    time_us = min(sequence * FRAME_US * count, (1 << 64) - 1)
    return Message(sequence, Type.AUDIO, FRAME * count, known.stream, time_us, 1)


def _repeat(choices: Cursor, known: Known) -> Message:
    return Message.unpack(repeat_of(_audio(choices, known).pack()))


def _parity(choices: Cursor, known: Known) -> Message:
    messages, parity_count = 1 + choices.byte() % 12, 1 + choices.byte() % 4
    first = choices.byte() % 16 * messages
    block = [
        Message(n, Type.AUDIO, FRAME, known.stream, n * FRAME_US, 1)
        for n in range(first, first + messages)
    ]
    return encode(block, parity_count)[choices.byte() % parity_count]


def _accept(choices: Cursor, known: Known) -> Control:
    first = _frames(choices)
    time_us = min(first * FRAME_US, (1 << 53) - 1)
    return Accept(
        nonce=known.nonce, session=known.session, first_sequence=min(first, (1 << 53) - 1),
        first_time_us=time_us, live_time_us=min(time_us + choices.word() * 100, (1 << 53) - 1),
        burst_s=1.0, timeout_s=choices.pick((5.0, 0.001, 1.0, 1e14)),
        speed=choices.pick((1.0, 20.0, 0.001, 1e14)), title="Fuzz", artist=None, duration_s=None,
        frame_rate_hz=44_100, channels=2, bit_rate_bps=128_000,
        interval_s=choices.pick((0.0, 0.5, 1e14)),
        block=choices.pick((0, 4, 1, 12, 255, 256, 1 << 52)),
        parity=choices.pick((0, 1, 2, 255, 1 << 52)),
    )  # fmt: skip


def _status(choices: Cursor, known: Known) -> Control:
    return Status(
        clock_us=choices.word() * 1000, server_clock_us=1, position_s=1.0,
        listeners=choices.byte(), report_s=choices.pick((1.0, 0.001, 60.0, 1e14)),
        track=1, title="Fuzz", artist=None,
    )  # fmt: skip


def _report(kind: type[Report]) -> Callable[[Cursor, Known], Control]:
    def report(choices: Cursor, known: Known) -> Control:
        return kind(
            session=known.session, clock_us=choices.word(), expected=choices.byte(),
            received=choices.byte(), intact=choices.byte(), ended=bool(choices.byte() % 2),
            lost=choices.byte(), rtt_ms=choices.pick((None, 0.0, 20.0, 1e14)),
        )  # fmt: skip

    return report


def _request(choices: Cursor, known: Known) -> Control:
    first = choices.byte()
    missing = choices.pick((f"{first}", f"{first}-{first + 9}", "0-9007199254740991", "9-1"))
    return Request(session=known.session, missing=missing)


def _time(choices: Cursor, known: Known) -> Message:
    first = choices.word()
    answered = Time(choices.word(), first, first + choices.byte(), choices.word(), 0, 0)
    return answered.to_message(choices.byte(), stream=known.stream)


def _timeline(choices: Cursor, known: Known) -> Message:
    origin = Timeline(origin_us=choices.pick((*FAR[:11], 1_000_000, 9_000_000)))
    return origin.to_message(_frames(choices), stream=known.stream, track=choices.byte())


Makers = Sequence[Callable[[Cursor, Known], Control | Message]]
"""Functions that each make a message of one type."""

FROM_CLIENT: Makers = (
    _report(Report),
    _request,
    lambda choices, known: Connect(nonce=known.nonce),
    lambda choices, known: Connect(nonce=known.nonce, cookie=known.cookie),
    lambda choices, known: Connect(nonce=known.nonce, cookie=known.cookie, session=known.session),
    _report(Goodbye),
    lambda choices, known: Clock(known.session, choices.word()).to_message(stream=known.stream),
    lambda choices, known: Message(choices.byte(), choices.byte(), b"{}", known.stream),
)
FROM_SERVER: Makers = (
    _audio,
    _repeat,
    _parity,
    lambda choices, known: Challenge(
        nonce=choices.pick((known.nonce, known.session)), cookie="c" * 32
    ),
    _accept,
    _status,
    lambda choices, known: End(last_sequence=choices.pick((*FAR[:11], None)), reason="finished"),
    lambda choices, known: Reject(
        reason=choices.pick(("session", "full", "closing", "version", "key", "?")),
        echo=choices.pick((known.session, known.nonce, "")),
    ),
    _time,
    _timeline,
    _report(Goodbye),
    lambda choices, known: Message(choices.byte(), choices.byte(), b"{}", known.stream),
)


def datagram(choices: Cursor, messages: Makers, known: Known) -> bytes:
    """The next datagram of a sender that knows `known`."""
    how = choices.byte() % 6
    if how == 0:
        return choices.take(choices.word())
    message = choices.pick(messages)(choices, known)
    if isinstance(message, Control):
        message = message.to_message(choices.byte(), stream=known.stream)
    if how == 1:
        message = _with_another_field(choices, message)
    whole = message.pack(CONNECT_BYTES if message.type == Type.CONNECT else 0)
    if how == 2:
        return _with_other_bytes(choices, whole)
    if how == 3:
        return whole[: choices.word() % (len(whole) + 1)] + choices.take(choices.byte() % 32)
    return whole


def _with_another_field(choices: Cursor, message: Message) -> Message:
    """`message` with another value in a field of its header or JSON object."""
    field = choices.pick(("data", "data", "data", "sequence", "stream", "media_time_us", "track"))
    if field == "data" and message.data.startswith(b"{"):
        content = json.loads(message.data)
        name = choices.pick([*content, "ended", "block"])
        content[name] = choices.pick(VALUES)
        data = json.dumps(content).encode("utf-8", "surrogatepass")
        return message._replace(data=data[: 2 * MAX_CONTROL_BYTES])
    if field == "sequence":
        return message._replace(sequence=choices.pick(FAR))
    if field == "media_time_us":
        return message._replace(media_time_us=choices.pick(FAR) * FRAME_US % (1 << 64))
    if field == "stream":
        return message._replace(stream=choices.pick((0, 1, (1 << 32) - 1)))
    skip, discard = choices.word(), choices.word()
    return message._replace(track=choices.byte(), skip_samples=skip, discard_samples=discard)


def _with_other_bytes(choices: Cursor, whole: bytes) -> bytes:
    changed = bytearray(whole)
    for _ in range(1 + choices.byte() % 4):
        changed[choices.word() % min(len(changed), 1 << 11)] = choices.byte()
    return bytes(changed)
