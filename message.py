"""The wire: every message that server and client exchange, and nothing else.

One datagram is one `Message`: a fixed header of `HEADER_BYTES` and `data`, which is whole MP3
frames (AUDIO, REPEAT) or a small UTF-8 JSON object (everything else). `docs/wire.md` has the
tables.

What comes from the network is only ever unpacked here, field by field, and every fault in it is
a `MessageError`. Nothing in this module knows a socket, a thread or a clock.
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

MAGIC = b"\xb5\x3a"
VERSION = 1

SEALED = 0x80
"""This bit of the type says that the data is sealed: only who has the key can read it, or make it.
All else is as in the message that was sealed. `wire.seal` does it."""

TAG_BYTES = 16
"""What a sealed message ends with: the proof that header and data are as they were sealed."""

SALT_BYTES = 16
"""What a sealed control message begins with: what its sender has drawn, beyond guessing."""

# magic, version, type, length, track, skip, discard, stream, sequence, media time.
_HEADER = struct.Struct("!2sBBHHHHIQQ")
HEADER_BYTES = _HEADER.size

OURS = MAGIC + bytes((VERSION,))
"""What every message of this version begins with."""

# Magic, version and type keep their place in every version to come (as RFC 8999 does for QUIC),
# so that a peer of another version can be told so; and so does the mark, in CONNECT and REJECT, so
# that only one who has read the CONNECT can tell it.
_INVARIANT = struct.Struct("!2sBB")
_MARK = struct.Struct("!24xQ")

# A CONNECT is padded to this, and no answer to an address that is not yet proved is longer, so
# the server cannot be used to amplify. 1,200 bytes pass every IPv6 path (RFC 9000 section 14).
CONNECT_BYTES = 1200
MAX_CONTROL_BYTES = CONNECT_BYTES - HEADER_BYTES

# Longest text, in characters: a title and an artist of four UTF-8 bytes a character fit an ACCEPT
# beside the longest numbers. The next field of it will cost some characters.
MAX_TEXT = 80

# A word made by one program for the other, never by people. It is bounded much closer than a text,
# because both sides repeat what the other said: what is repeated must always fit the answer.
Token = Annotated[str, re.compile(r"[0-9A-Za-z_.-]{0,32}")]

# Words for people: no control character that a terminal would obey, no half of a surrogate pair,
# which JSON can escape but UTF-8 cannot carry. Not `isprintable`: it differs between Pythons.
Text = Annotated[str, re.compile(rf"[^\x00-\x1f\x7f-\x9f\ud800-\udfff]{{0,{MAX_TEXT}}}")]

# Numbers and ranges of numbers, each below 10**16. Twice as many would fit a datagram, and a
# hundred ranges are more than a listener can still wait for.
MAX_RANGES_TEXT = 1000
Ranges = Annotated[
    str,
    re.compile(
        rf"(?=.{{1,{MAX_RANGES_TEXT}}}\Z)[0-9]{{1,16}}(?:-[0-9]{{1,16}})?"
        r"(?:,[0-9]{1,16}(?:-[0-9]{1,16})?)*"
    ),
]

# A number that is divided by, or waited for: not 0, and not so near that a quotient is infinite.
Positive = Annotated[float, 0.001]


class MessageError(ValueError):
    """The datagram is not a message of this protocol, or a field of it is wrong."""


class VersionError(MessageError):
    """A message of this protocol, in a version that is not ours."""

    def __init__(self, version: int, type_: int, mark: int | None) -> None:
        """`mark` is that of a CONNECT or of a REJECT; None if the message is too short for one."""
        super().__init__(f"version {version} where {VERSION} was expected")
        self.version = version
        self.type = type_
        self.mark = mark


class SealError(MessageError):
    """A message that is not sealed, or not with our key, where everything must be."""

    def __init__(self, reason: str, message: Message) -> None:
        super().__init__(reason)
        self.message = message
        """As it came: nothing of it is proved."""


class ReplayError(MessageError):
    """A sealed message that has come before, or too long after those that followed it."""


class Type(enum.IntEnum):
    """What a message is. A number that is not here is counted and ignored."""

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


AUDIO_TYPES = frozenset((Type.AUDIO, Type.REPEAT))
"""What holds audio: an AUDIO message as it was first sent, and the same again on request."""

TYPE_NAMES = {int(one): one.name for one in Type}
"""For the log. To ask an enumeration takes ten times as long."""


class Message(NamedTuple):
    """One datagram. A tuple, because it is made for each datagram and shared between threads.

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

        `track` is taken modulo 65,536. Any other field that does not fit is a `struct.error`: a
        fault of our own.
        """
        return (self.header(self.type, len(self.data)) + self.data).ljust(size_bytes, b"\0")

    def header(self, type_: int, length: int) -> bytes:
        """The header as of `type_`, before data of `length` bytes."""
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
        """The message in `datagram`; raises MessageError, VersionError for another version."""
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
    """The type of a message, of which nothing else is looked at."""
    return datagram[_TYPE_AT]


def repeat_of(datagram: bytes) -> bytes:
    """The REPEAT of an AUDIO message that was packed: all but the type is the same."""
    return datagram[:_TYPE_AT] + bytes((Type.REPEAT,)) + datagram[_TYPE_AT + 1 :]


def _mark_in(datagram: bytes) -> int | None:
    if len(datagram) < _MARK.size:
        return None
    mark: int = _MARK.unpack_from(datagram)[0]
    return mark


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Control:
    """The content of a control message: a flat JSON object with checked fields.

    A field that has its default is left out: most counters of a REPORT are 0. One without a
    default that is missing, or one of another type or out of bounds, is a MessageError; a field
    that is not known is ignored, so that a version may add one.
    """

    TYPE: ClassVar[Type]

    def to_message(
        self, sequence: int = 0, *, stream: int = 0, media_time_us: int = 0, track: int = 0
    ) -> Message:
        """The message that carries this content."""
        content = {
            name: value
            for name, (_, default) in _FIELDS[type(self)].items()
            if (value := getattr(self, name)) != default
        }
        data = _ENCODER.encode(content).encode("utf-8", "replace")
        assert len(data) <= MAX_CONTROL_BYTES, f"{self.TYPE.name} of {len(data)} bytes"
        return Message(sequence, self.TYPE, data, stream, media_time_us, track)

    @classmethod
    def from_message(cls, message: Message) -> Self:
        """The checked content of `message`; raises MessageError."""
        content = _json_object(message.data)
        values = {}
        for name, (kinds, default) in _FIELDS[cls].items():
            value = content.get(name, dataclasses.MISSING)
            if value is not dataclasses.MISSING:
                values[name] = _checked(name, value, kinds)
            elif default is dataclasses.MISSING:
                raise MessageError(f"{cls.TYPE.name} without {name}")
        return cls(**values)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Connect(Control):
    """I want to listen. `nonce` names this run of the client, `cookie` proves its address.

    The header's `media_time_us` is a random mark, which a REJECT in another version repeats.
    """

    TYPE: ClassVar = Type.CONNECT
    nonce: Token
    cookie: Token = ""
    session: Token = ""
    """The last one, to go on with it from an address that the server does not know it at."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Challenge(Control):
    """Say it again with this cookie, and I know that you are where you say."""

    TYPE: ClassVar = Type.CHALLENGE
    nonce: Token
    """Of the CONNECT; or the session of a message that came from an address not its own."""
    cookie: Token


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Accept(Control):
    """You are registered. The header's stream id names this run of the server."""

    TYPE: ClassVar = Type.ACCEPT
    nonce: Token
    session: Token
    first_sequence: int
    """The first AUDIO that this listener is sent."""
    first_time_us: int
    """Its media time."""
    live_time_us: int
    """Media time from which on AUDIO is sent when it is due; what is before comes at once."""
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
    """AUDIO is sent together so often; 0: each message when it is due."""
    block: int = 0
    """AUDIO messages that one block of parity protects; 0 if there is no parity."""
    parity: int = 0
    """PARITY messages for a block, for now: each PARITY says how many its block has."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Reject(Control):
    """No. `reason` is full, address, version, key (we have one, and you have not the same), keyless
    (we have none), closing, or session (that one is not known here).

    `echo` repeats the nonce of the CONNECT or the session of the REPORT that is refused, so that
    nobody who cannot read them can send a listener away; the salt of a CONNECT that is sealed.
    """

    TYPE: ClassVar = Type.REJECT
    reason: Token
    echo: Token = ""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Report(Control):
    """What a listener has; keeps it registered. Names as in the statistics."""

    TYPE: ClassVar = Type.REPORT
    session: Token
    clock_us: int
    """The listener's clock, echoed in STATUS to measure the round trip."""
    expected: int
    received: int
    intact: int
    ended: bool = False
    """END was received: it need not be repeated."""
    retransmitted: int = 0
    rebuilt: int = 0
    lost: int = 0
    late: int = 0
    duplicates: int = 0
    out_of_order: int = 0
    underruns: int = 0
    jitter_ms: float | None = None
    rtt_ms: float | None = None
    buffer_s: float | None = None
    played_s: float = 0.0
    concealed_s: float = 0.0


class ReportHead(NamedTuple):
    """What of a REPORT is needed to answer it."""

    session: str
    clock_us: int

    @classmethod
    def of(cls, message: Message) -> ReportHead:
        """The head of a REPORT, whose figures may be read later; raises MessageError."""
        # As `Report.to_message` writes it. Another order is as good, and takes longer.
        found = _REPORT_HEAD.match(message.data)
        if found is not None:
            return cls(found[1].decode(), int(found[2]))
        report = Report.from_message(message)
        return cls(report.session, report.clock_us)


_REPORT_HEAD = re.compile(rb'\{"session":"([0-9A-Za-z_.-]{0,32})","clock_us":([0-9]{1,15}),')


def session_first(session: str) -> bytes:
    """What the data of REPORT, REQUEST and GOODBYE begins with, as both programs write it."""
    return b'{"session":"%b"' % session.encode()


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Status(Control):
    """The answer to a REPORT."""

    TYPE: ClassVar = Type.STATUS
    clock_us: int
    server_clock_us: int
    position_s: float
    listeners: int
    report_s: Positive
    """How often to report: less often when listeners are many."""
    track: int
    title: Text
    artist: Text | None
    duration_s: float | None = None
    """Of the whole programme, if a track was left out of it; so in TRACK."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class End(Control):
    """Nothing follows `last_sequence` (None: nothing was sent). The header has the end's time."""

    TYPE: ClassVar = Type.END
    last_sequence: int | None
    reason: Token


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Goodbye(Report):
    """I leave, with these final figures. The server answers with a GOODBYE of the session."""

    TYPE: ClassVar = Type.GOODBYE


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Track(Control):
    """From the AUDIO with the header's sequence and media time on, this is heard."""

    TYPE: ClassVar = Type.TRACK
    title: Text
    artist: Text | None = None
    duration_s: float | None = None


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Request(Control):
    """These AUDIO messages did not come: send them again, to me alone."""

    TYPE: ClassVar = Type.REQUEST
    session: Token
    missing: Ranges
    """Sequences, as in `17-19,25`."""

    def ranges(self) -> list[range]:
        """What is missing, ascending and apart; MessageError if it is not."""
        try:
            return ranges_in(self.missing)
        except ValueError as error:
            raise MessageError(str(error)) from error


@functools.lru_cache(maxsize=16)
def cut_text(text: str) -> str:
    """`text` on one line, at most `MAX_TEXT` characters, for a field of a control message."""
    printable = "".join(c if c.isprintable() else " " for c in text)
    return printable if len(printable) <= MAX_TEXT else printable[: MAX_TEXT - 1] + "…"


class _Kind(NamedTuple):
    """A JSON type, and which of its values are taken."""

    type: type
    takes: Callable[[Any], object]


def _kinds(content: type[Control]) -> dict[str, tuple[tuple[_Kind, ...], Any]]:
    """What each field of `content` takes, and its default."""
    hints = typing.get_type_hints(content, include_extras=True)
    kinds = {}
    for field in dataclasses.fields(content):
        hint = hints[field.name]
        is_union = isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union
        alternatives = typing.get_args(hint) if is_union else (hint,)
        kinds[field.name] = (tuple(_kind(one) for one in alternatives), field.default)
    return kinds


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


_FIELDS: dict[type[Control], dict[str, tuple[tuple[_Kind, ...], Any]]] = {
    content: _kinds(content)
    for content in (
        Connect,
        Challenge,
        Accept,
        Reject,
        Report,
        Status,
        End,
        Goodbye,
        Request,
        Track,
    )
}


def _checked(name: str, value: object, kinds: tuple[_Kind, ...]) -> object:
    """`value` if one of `kinds` takes it, else MessageError."""
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


# Made once: to make them costs as much as to use them.
_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))
_DECODER = json.JSONDecoder(parse_constant=_refuse_constant, object_pairs_hook=_without_duplicates)


def milliseconds(seconds: float | None) -> float | None:
    """Seconds as milliseconds with three decimals, for a report; None stays None."""
    return None if seconds is None or not math.isfinite(seconds) else round(seconds * 1e3, 3)
