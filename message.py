"""The wire: every message that server and client exchange, and nothing else.

One datagram is one `Message`: a fixed header of `HEADER_BYTES` and `data`, which is whole MP3
frames (AUDIO, REPEAT), a few numbers (CLOCK, TIME) or a small UTF-8 JSON object (everything else
but PARITY). `docs/wire.md` has the tables.

Datagrams are unpacked here and nowhere else, field by field; every fault in one is a
`MessageError`. Nothing in this module knows a socket, a thread or a clock.
"""

from __future__ import annotations

import dataclasses
import enum
import functools
import json
import math
import re
import struct
import types
import typing
from collections.abc import Callable
from typing import Annotated, Any, ClassVar, NamedTuple, Self

from wire.ranges import ranges_in
from wire.text import harmless

MAGIC = b"\xb5\x3a"
VERSION = 1

SEALED = 0x80
"""Bit of the type: the data is sealed, so only holders of the key can read or make it. All other
fields are those of the message that was sealed (wire/seal.py)."""

TAG_BYTES = 16
"""Authentication tag at the end of a sealed message: header and data are as they were sealed."""

SALT_BYTES = 16
"""Random salt of the sender, at the start of a sealed control message."""

# magic, version, type, length, track, skip, discard, stream, sequence, media time.
_HEADER = struct.Struct("!2sBBHHHHIQQ")
HEADER_BYTES = _HEADER.size

OURS = MAGIC + bytes((VERSION,))
"""First bytes of every message of this version."""

# Magic, version and type keep their place in every future version (as RFC 8999 does for QUIC), so
# that a peer of another version can be told so. The mark in CONNECT and REJECT keeps its place too:
# only a server that has read the CONNECT can repeat it.
_INVARIANT = struct.Struct("!2sBB")
_MARK = struct.Struct("!24xQ")

CONNECT_BYTES = 1200
"""Size of a CONNECT, by padding. No answer to an unproved address is longer, so the server cannot
be used to amplify. 1,200 bytes pass every IPv6 path (RFC 9000 section 14)."""

MAX_CONTROL_BYTES = CONNECT_BYTES - HEADER_BYTES
"""Upper bound of a control message's data."""

MAX_TEXT = 80
"""Characters of a text: a title and an artist of four UTF-8 bytes a character fit an ACCEPT beside
most numbers; where they do not, ACCEPT has them shorter."""

CLOCK_BYTES = 48
"""Size of the data of CLOCK and of TIME: the answer is as long as the question."""

MOST_PAUSE_MS = 120_000
"""Longest pause between two CLOCKs that TIME may ask for."""

# A word made by one program for the other, never by people. Its bound is tighter than that of a
# text, because both sides repeat such words: a repeated one must always fit the answer.
Token = Annotated[str, re.compile(r"[0-9A-Za-z_.-]{0,32}")]

# Text for people: no control character that a terminal would obey, no half of a surrogate pair,
# which JSON can escape but UTF-8 cannot carry. The receiver leaves out more, see `cut_text`.
Text = Annotated[str, re.compile(rf"[^\x00-\x1f\x7f-\x9f\ud800-\udfff]{{0,{MAX_TEXT}}}")]

_JOINERS = "\u200c\u200d"

MAX_RANGES_TEXT = 1000
"""Characters of `Ranges`: half of what fits a datagram, with room for a hundred ranges, which is
more than a listener can still wait for."""

# Numbers and ranges of numbers, each below 10**16.
Ranges = Annotated[
    str,
    re.compile(
        rf"(?=.{{1,{MAX_RANGES_TEXT}}}\Z)[0-9]{{1,16}}(?:-[0-9]{{1,16}})?"
        r"(?:,[0-9]{1,16}(?:-[0-9]{1,16})?)*"
    ),
]

# A divisor or a duration to wait for: not 0, and not so close to 0 that a quotient is infinite.
Positive = Annotated[float, 0.001]


class MessageError(ValueError):
    """The datagram is not a message of this protocol, or one of its fields is wrong."""


class VersionError(MessageError):
    """A message of this protocol, in another version than ours."""

    def __init__(self, version: int, type_: int, mark: int | None) -> None:
        """`mark`: that of a CONNECT or REJECT; None if the message is too short for one."""
        super().__init__(f"version {version} where {VERSION} was expected")
        self.version = version
        self.type = type_
        self.mark = mark


class SealError(MessageError):
    """The message is not sealed with our key, and everything must be."""

    def __init__(self, reason: str, message: Message) -> None:
        super().__init__(reason)
        self.message = message
        """As it came, without any proof."""


class ReplayError(MessageError):
    """The sealed message has come before, or long after those that followed it."""


class Type(enum.IntEnum):
    """Types of messages. Any other number is counted and ignored."""

    CONNECT = 1
    CHALLENGE = 2
    ACCEPT = 3
    REJECT = 4
    AUDIO = 5
    REPORT = 6
    STATUS = 7
    END = 8
    GOODBYE = 9
    REQUEST = 10
    PARITY = 11
    REPEAT = 12
    TRACK = 13
    CLOCK = 14
    TIME = 15
    TIMELINE = 16


AUDIO_TYPES = frozenset((Type.AUDIO, Type.REPEAT))
"""AUDIO as first sent, and REPEAT, the retransmission of one AUDIO to one listener on request."""

TYPE_NAMES = {int(one): one.name for one in Type}
"""Names for the log; asking the enumeration takes ten times as long."""


class Message(NamedTuple):
    """One datagram. A tuple, because one is made for each datagram and shared between threads.

    `sequence` counts the AUDIO messages of a stream from 0, in 64 bits: at a million messages a
    second it would wrap after 584,000 years, so sequences are compared as plain integers. In
    control messages it counts what its sender has sent.
    """

    sequence: int
    type: int
    data: bytes = b""
    stream: int = 0
    media_time_us: int = 0
    track: int = 0
    skip_samples: int = 0
    discard_samples: int = 0

    def pack(self, size_bytes: int = 0) -> bytes:
        """The datagram, padded with zeros to `size_bytes` if it is shorter.

        `track` is taken modulo 65,536. Raises `struct.error` for any other field that does not
        fit: that is a fault of ours.
        """
        return (self.header(self.type, len(self.data)) + self.data).ljust(size_bytes, b"\0")

    def header(self, type_: int, length: int) -> bytes:
        """The header with this type, for `length` bytes of data; raises `struct.error`."""
        return _HEADER.pack(
            MAGIC,
            VERSION,
            type_,
            length,
            self.track & 0xFFFF,
            self.skip_samples,
            self.discard_samples,
            self.stream,
            self.sequence,
            self.media_time_us,
        )

    @classmethod
    def unpack(cls, datagram: bytes) -> Message:
        """The message in `datagram`; raises MessageError, or VersionError for another version."""
        if len(datagram) < _INVARIANT.size or not datagram.startswith(MAGIC):
            raise MessageError("not a message of this protocol")
        _, version, type_ = _INVARIANT.unpack_from(datagram)
        if version != VERSION:
            raise VersionError(version, type_, _mark_in(datagram))
        if len(datagram) < HEADER_BYTES:
            raise MessageError(f"{len(datagram)} bytes are shorter than a header")
        (_, _, _, length, track, skip, discard, stream, sequence, media_time_us) = (
            _HEADER.unpack_from(datagram)
        )
        if length > len(datagram) - HEADER_BYTES:
            raise MessageError(f"{length} bytes of data promised, fewer came")
        data = datagram[HEADER_BYTES : HEADER_BYTES + length]
        return cls(sequence, type_, data, stream, media_time_us, track, skip, discard)


_TYPE_AT = _INVARIANT.size - 1


def type_in(datagram: bytes) -> int:
    """The type of a packed message, without unpacking it."""
    return datagram[_TYPE_AT]


def repeat_of(datagram: bytes) -> bytes:
    """The REPEAT of a packed AUDIO message: only the type differs."""
    return datagram[:_TYPE_AT] + bytes((Type.REPEAT,)) + datagram[_TYPE_AT + 1 :]


def _mark_in(datagram: bytes) -> int | None:
    if len(datagram) < _MARK.size:
        return None
    mark: int = _MARK.unpack_from(datagram)[0]
    return mark


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Control:
    """The content of a control message: a flat JSON object with checked fields.

    A field that equals its default is left out: most counters of a REPORT are 0. An unknown field
    is ignored, so that a version may add one. A missing field without a default, a wrong type and
    a value out of bounds are each a MessageError.
    """

    TYPE: ClassVar[Type]

    def to_message(
        self, sequence: int = 0, *, stream: int = 0, media_time_us: int = 0, track: int = 0
    ) -> Message:
        """The message that carries this content."""
        data = self._data()
        assert len(data) <= MAX_CONTROL_BYTES, f"{self.TYPE.name} of {len(data)} bytes"
        return Message(sequence, self.TYPE, data, stream, media_time_us, track)

    def _data(self) -> bytes:
        # mypy takes the types of dataclasses for unhashable.
        content = {
            name: value
            for name, (_, default) in _fields(type(self)).items()  # type: ignore[arg-type]
            if (value := getattr(self, name)) != default
        }
        return _ENCODER.encode(content).encode("utf-8", "replace")

    @classmethod
    def from_message(cls, message: Message) -> Self:
        """The checked content of `message`; raises MessageError."""
        content = _json_object(message.data)
        values = {}
        for name, (kinds, default) in _fields(cls).items():  # type: ignore[arg-type]
            value = content.get(name, dataclasses.MISSING)
            if value is not dataclasses.MISSING:
                values[name] = _checked(name, value, kinds)
            elif default is dataclasses.MISSING:
                raise MessageError(f"{cls.TYPE.name} without {name}")
        return cls(**values)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Connect(Control):
    """Client: register me. `nonce` names this run of the client, `cookie` proves its address.

    The header's `media_time_us` is a random mark, which a REJECT in another version repeats.
    """

    TYPE: ClassVar = Type.CONNECT
    nonce: Token
    cookie: Token = ""
    session: Token = ""
    """The last session, to resume it from an address that the server does not know."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Challenge(Control):
    """Server: send it again with this cookie, which proves your address."""

    TYPE: ClassVar = Type.CHALLENGE
    nonce: Token
    """The nonce of the CONNECT, or the session of a message that came from another address."""
    cookie: Token


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Accept(Control):
    """Server: you are registered. The header's stream id names this run of the server."""

    TYPE: ClassVar = Type.ACCEPT
    nonce: Token
    session: Token
    first_sequence: int
    """Sequence of the first AUDIO that this listener is sent."""
    first_time_us: int
    """Its media time."""
    live_time_us: int
    """Media time from which AUDIO is sent when it is due; earlier AUDIO is sent at once."""
    burst_s: float
    timeout_s: Positive
    speed: Positive
    title: Text
    artist: Text | None
    duration_s: float | None
    frame_rate_hz: int
    channels: int
    bit_rate_bps: int | None
    interval_s: float = 0.0
    """Interval at which AUDIO is sent together; 0: each message when it is due."""
    block: int = 0
    """AUDIO messages in a block of parity; 0: no parity."""
    parity: int = 0
    """PARITY messages of a block, at present; each PARITY tells the number for its own block."""
    origin_us: int | None = None
    """Time on the server's clock at which media time 0 is heard; None before the start, and at
    another speed than 1."""
    origin_sequence: int = 0
    """Sequence of the first AUDIO that it holds for."""

    def fitted(self) -> Accept:
        """This, with texts so short that it fits a datagram; STATUS has them whole."""
        for most in range(MAX_TEXT, 0, -8):
            artist = None if self.artist is None else cut_text(self.artist, most)
            short = dataclasses.replace(self, title=cut_text(self.title, most), artist=artist)
            if len(short._data()) <= MAX_CONTROL_BYTES:
                break
        return short


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Reject(Control):
    """Server: refused. `reason` is full, address, version, key (yours is not ours), keyless (we
    have none), closing, or session (unknown here).

    `echo` repeats the nonce of the CONNECT or the session of the REPORT that is refused (the salt
    of a sealed CONNECT), so that nobody who cannot read those can send a listener away.
    """

    TYPE: ClassVar = Type.REJECT
    reason: Token
    echo: Token = ""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Report(Control):
    """Client: my figures, and I am still here. Names as in the client's statistics."""

    TYPE: ClassVar = Type.REPORT
    session: Token
    clock_us: int
    """The listener's clock, echoed in STATUS to measure the round trip."""
    expected: int
    received: int
    intact: int
    ended: bool = False
    """END was received, and need not be repeated."""
    retransmitted: int = 0
    rebuilt: int = 0
    lost: int = 0
    late: int = 0
    duplicates: int = 0
    out_of_order: int = 0
    underruns: int = 0
    device_underruns: int = 0
    """Times that the sound device needed audio that had not been written."""
    jumps: int = 0
    jitter_ms: float | None = None
    rtt_ms: float | None = None
    buffer_s: float | None = None
    played_s: float = 0.0
    concealed_s: float = 0.0
    clock_spread_ms: float | None = None
    clock_path_ms: float | None = None
    behind_ms: float | None = None
    """None: not in step with the server's clock, for it is not known."""


class ReportHead(NamedTuple):
    """The fields of a REPORT that its answer needs."""

    session: str
    clock_us: int

    @classmethod
    def of(cls, message: Message) -> ReportHead:
        """The head of a REPORT, all of which is checked; raises MessageError.

        Checking takes a tenth of the time that reading the figures takes: those can wait.
        """
        # As `Report.to_message` writes it. Another form may be as good, and is slower.
        found = _written_report().fullmatch(message.data)
        if found is not None:
            return cls(found[1].decode(), int(found[2]))
        report = Report.from_message(message)
        return cls(report.session, report.clock_us)


_WRITTEN = {
    str: '"([0-9A-Za-z_.-]{0,32})"',
    int: "(?:0|[1-9][0-9]{0,14}+)",
    float: r"(?:0|[1-9][0-9]{0,13}+)(?:\.[0-9]{1,20}+)?",
    bool: "(?:true|false)",
    type(None): "null",
}
"""JSON type -> pattern of texts that every field of a REPORT of that type takes, not of all."""


@functools.cache
def _written_report() -> re.Pattern[bytes]:
    """Pattern of REPORTs without a fault: each field in its place, at most once."""
    fields: list[str] = []
    for name, (kinds, default) in _fields(Report).items():
        value = "|".join(_WRITTEN[kind.type] for kind in kinds)
        value = f"({value})" if name == "clock_us" else f"(?:{value})"
        field = f'{"," if fields else ""}"{name}":{value}'
        fields.append(field if default is dataclasses.MISSING else f"(?:{field})?")
    return re.compile(rf"\{{{''.join(fields)}\}}".encode())


def session_first(session: str) -> bytes:
    """First bytes of the data of REPORT, REQUEST and GOODBYE, as both programs write them."""
    return b'{"session":"%b"' % session.encode()


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Status(Control):
    """Server: the answer to a REPORT."""

    TYPE: ClassVar = Type.STATUS
    clock_us: int
    server_clock_us: int
    position_s: float
    listeners: int
    report_s: Positive
    """Pause until the next REPORT: longer where listeners are many."""
    track: int
    title: Text
    artist: Text | None
    duration_s: float | None = None
    """New duration of the whole programme, after a track was left out; as in TRACK."""
    origin_us: int | None = None
    origin_sequence: int = 0
    """Both as in ACCEPT."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class End(Control):
    """Server: nothing follows `last_sequence` (None: nothing was sent at all).

    The header's media time is that of the end.
    """

    TYPE: ClassVar = Type.END
    last_sequence: int | None
    reason: Token


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Goodbye(Report):
    """Client: I leave, with these final figures. The server answers with GOODBYE."""

    TYPE: ClassVar = Type.GOODBYE


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class TrackChange(Control):
    """Server: the track that begins at the sequence and media time of the header (TRACK)."""

    TYPE: ClassVar = Type.TRACK
    title: Text
    artist: Text | None = None
    duration_s: float | None = None


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Timeline(Control):
    """Server: from the sequence of the header on, media time 0 is heard at `origin_us`.

    The header's track counts the moves of the origin, modulo 65,536.
    """

    TYPE: ClassVar = Type.TIMELINE
    origin_us: int


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Request(Control):
    """Client: retransmit these AUDIO messages, to me alone (in RTCP a NACK)."""

    TYPE: ClassVar = Type.REQUEST
    session: Token
    missing: Ranges
    """Sequences, as in `17-19,25`."""

    def ranges(self) -> list[range]:
        """The ranges of `missing`; raises MessageError unless they ascend and are apart."""
        try:
            return ranges_in(self.missing)
        except ValueError as error:
            raise MessageError(str(error)) from error


# Binary, because many are sent and the less time passes between the two clocks' readings and the
# wire the better. The session comes first, so that it can be compared before anything is unpacked.
_SESSION_BYTES = 32
_CLOCK = struct.Struct(f"!{_SESSION_BYTES}sQ8x")
_TIME = struct.Struct("!QQQQQI4x")
_UNKNOWN = (1 << 64) - 1
assert _CLOCK.size == _TIME.size == CLOCK_BYTES


def session_at_start(session: str) -> bytes:
    """First bytes of the data of CLOCK."""
    return session.encode().ljust(_SESSION_BYTES, b"\0")


class Clock(NamedTuple):
    """Client: what time is it? `mark` is 64 random bits, which the answer repeats (CLOCK).

    The time of sending stays with the client, which remembers it with the mark: nobody can answer
    a question that was not asked, and nobody learns the client's clock (RFC 5905 sends it).
    """

    session: str
    mark: int

    def to_message(self, sequence: int = 0, *, stream: int = 0) -> Message:
        """The message that carries it; raises struct.error for a mark that does not fit."""
        data = _CLOCK.pack(session_at_start(self.session), self.mark)
        return Message(sequence, Type.CLOCK, data, stream)

    @classmethod
    def from_message(cls, message: Message) -> Self:
        """The checked content of `message`; raises MessageError."""
        session, mark = _unpacked(_CLOCK, message)
        try:
            text = session.rstrip(b"\0").decode("ascii")
        except UnicodeDecodeError:
            raise MessageError("the session is no token") from None
        _checked("session", text, (_kind(Token),))
        return cls(text, mark)


class Time(NamedTuple):
    """Server: the answer to CLOCK (TIME). Times are in microseconds of the server's clock."""

    mark: int
    received_us: int
    """When CLOCK was received."""
    sent_us: int
    """When this is sent; not before."""
    origin_us: int | None
    origin_sequence: int
    """Both as in ACCEPT."""
    pause_ms: int
    """Pause until the next CLOCK: longer where listeners are many."""

    def to_message(self, sequence: int = 0, *, stream: int = 0) -> Message:
        """The message that carries it; raises struct.error for a number that does not fit."""
        origin_us = _UNKNOWN if self.origin_us is None else self.origin_us
        data = _TIME.pack(*self._replace(origin_us=origin_us))
        return Message(sequence, Type.TIME, data, stream)

    @classmethod
    def from_message(cls, message: Message) -> Self:
        """The checked content of `message`; raises MessageError."""
        mark, received_us, sent_us, origin_us, origin_sequence, pause_ms = _unpacked(_TIME, message)
        known = 0 if origin_us == _UNKNOWN else origin_us
        # As in JSON: below 2**53 a float holds them exactly, as seconds to the microsecond.
        if max(received_us, sent_us, known, origin_sequence) >= 1 << 53:
            raise MessageError("a time out of bounds")
        if sent_us < received_us:
            raise MessageError("sent before it was received")
        if pause_ms > MOST_PAUSE_MS:
            raise MessageError(f"a pause of {pause_ms} ms")
        known_us = None if origin_us == _UNKNOWN else origin_us
        return cls(mark, received_us, sent_us, known_us, origin_sequence, pause_ms)


def _unpacked(layout: struct.Struct, message: Message) -> tuple[Any, ...]:
    if len(message.data) != layout.size:
        raise MessageError(f"{len(message.data)} bytes where {layout.size} were expected")
    return layout.unpack(message.data)


@functools.lru_cache(maxsize=16)
def cut_text(text: str, most: int = MAX_TEXT) -> str:
    """`text` without what a terminal would obey, of at most this many characters.

    For a field of a control message, and for one that comes from elsewhere.
    """
    shown = harmless(text, " ")
    # A joiner joins nothing to the ellipsis.
    return shown if len(shown) <= most else shown[: most - 1].rstrip(_JOINERS) + "…"


class _Kind(NamedTuple):
    """A JSON type, and a predicate for the values that are allowed."""

    type: type
    takes: Callable[[Any], object]


@functools.cache
def _fields(content: type[Control]) -> dict[str, tuple[tuple[_Kind, ...], Any]]:
    """Name -> what that field of `content` takes, and its default. Made once for each class."""
    hints = typing.get_type_hints(content, include_extras=True)
    fields = {}
    for field in dataclasses.fields(content):
        hint = hints[field.name]
        is_union = isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union
        alternatives = typing.get_args(hint) if is_union else (hint,)
        fields[field.name] = (tuple(_kind(one) for one in alternatives), field.default)
    return fields


@functools.cache
def _kind(hint: Any) -> _Kind:
    base, *bounds = typing.get_args(hint) or (hint,)
    if base is str:
        return _Kind(str, bounds[0].fullmatch)
    if base is int:
        # Below 2**53, so that every JSON reader has the same number.
        return _Kind(int, lambda value: 0 <= value < 1 << 53)
    if base is float:
        least = bounds[0] if bounds else 0.0
        return _Kind(float, lambda value: least <= value < 1e15)
    assert base in (bool, type(None)), hint
    return _Kind(base, lambda value: True)


def _checked(name: str, value: object, kinds: tuple[_Kind, ...]) -> object:
    """`value` if one of `kinds` takes it; else raises MessageError."""
    # The type itself, as a bool is an int to `isinstance`.
    given = type(value)
    for kind, takes in kinds:
        if given is kind and takes(value):
            return value
        # JSON has one type of number, and many write 2.0 as 2.
        if given is int and kind is float and takes(value):
            return float(typing.cast(int, value))
    raise MessageError(f"{name} does not take this {given.__name__}")


def _json_object(data: bytes) -> dict[str, Any]:
    if len(data) > MAX_CONTROL_BYTES:
        raise MessageError(f"{len(data)} bytes are too many")
    try:
        content = _DECODER.decode(data.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise MessageError(f"not JSON: {error}") from error
    if not isinstance(content, dict):
        raise MessageError("not a JSON object")
    return content


def _refuse_constant(name: str) -> float:
    raise MessageError(f"{name} is no number")


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    # Which of two equal names counts is up to each reader (RFC 8259 section 4).
    content = dict(pairs)
    if len(content) < len(pairs):
        raise MessageError("a name comes twice")
    return content


# Made once: making them costs as much as using them.
_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))
_DECODER = json.JSONDecoder(parse_constant=_refuse_constant, object_pairs_hook=_without_duplicates)


def milliseconds(seconds: float | None) -> float | None:
    """Seconds as milliseconds with three decimals, for a report; None stays None."""
    return None if seconds is None or not math.isfinite(seconds) else round(seconds * 1e3, 3)
