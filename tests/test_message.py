"""The codec, against bytes written out by hand from `docs/wire.md`, and against anything at all."""

import dataclasses
import json
import math
import struct
from collections.abc import Callable, Iterator
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from message import (
    CONNECT_BYTES,
    HEADER_BYTES,
    MAX_CONTROL_BYTES,
    MAX_RANGES_TEXT,
    MAX_TEXT,
    MOST_PAUSE_MS,
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
    Type,
    VersionError,
    cut_text,
    milliseconds,
    repeat_of,
    session_at_start,
)

# Another value in each byte, so that nothing can change places unseen.
AUDIO = Message(
    sequence=0x0102030405060708,
    type=Type.AUDIO,
    data=b"\xff\xfbabc",
    stream=0xF1F2F3F4,
    media_time_us=0x1112131415161718,
    track=0x2122,
    skip_samples=0x3132,
    discard_samples=0x4142,
)
AUDIO_BYTES = bytes.fromhex(
    "b53a 01 05 0005 2122 3132 4142 f1f2f3f4 0102030405060708 1112131415161718 fffb616263"
)
NO_DATA_BYTES = AUDIO_BYTES[:4] + bytes(2) + AUDIO_BYTES[6:32]

REPORT_FIELDS: dict[str, object] = {
    "session": "session-1",
    "clock_us": 1,
    "expected": 2,
    "received": 3,
    "intact": 4,
    "ended": True,
    "retransmitted": 5,
    "rebuilt": 6,
    "lost": 7,
    "late": 8,
    "duplicates": 9,
    "out_of_order": 10,
    "underruns": 11,
    "device_underruns": 17,
    "jumps": 18,
    "jitter_ms": 12.5,
    "rtt_ms": 13.5,
    "buffer_s": 14.5,
    "played_s": 15.5,
    "concealed_s": 16.5,
    "clock_spread_ms": 19.5,
    "clock_path_ms": 20.5,
    "behind_ms": 21.5,
}
REPORT_DATA = (
    b'{"session":"session-1","clock_us":1,"expected":2,"received":3,"intact":4,"ended":true,'
    b'"retransmitted":5,"rebuilt":6,"lost":7,"late":8,"duplicates":9,"out_of_order":10,'
    b'"underruns":11,"device_underruns":17,"jumps":18,"jitter_ms":12.5,"rtt_ms":13.5,'
    b'"buffer_s":14.5,"played_s":15.5,"concealed_s":16.5,"clock_spread_ms":19.5,'
    b'"clock_path_ms":20.5,"behind_ms":21.5}'
)
ACCEPT_FIELDS: dict[str, object] = {
    "nonce": "nonce-1",
    "session": "session-1",
    "first_sequence": 1,
    "first_time_us": 2,
    "live_time_us": 3,
    "burst_s": 4.5,
    "timeout_s": 5.5,
    "speed": 6.5,
    "title": 'Größe "ж" 😀',
    "artist": "Artist",
    "duration_s": 7.5,
    "frame_rate_hz": 8,
    "channels": 9,
    "bit_rate_bps": 10,
    "interval_s": 11.5,
    "block": 12,
    "parity": 13,
    "origin_us": 14,
    "origin_sequence": 15,
}
ACCEPT_DATA = (
    '{"nonce":"nonce-1","session":"session-1","first_sequence":1,"first_time_us":2,'
    '"live_time_us":3,"burst_s":4.5,"timeout_s":5.5,"speed":6.5,'
    '"title":"Größe \\"ж\\" 😀","artist":"Artist","duration_s":7.5,"frame_rate_hz":8,'
    '"channels":9,"bit_rate_bps":10,"interval_s":11.5,"block":12,"parity":13,'
    '"origin_us":14,"origin_sequence":15}'
).encode()
STATUS_FIELDS: dict[str, object] = {
    "clock_us": 1,
    "server_clock_us": 2,
    "position_s": 4.5,
    "listeners": 3,
    "report_s": 3.5,
    "track": 5,
    "title": "Title",
    "artist": "Artist",
    "duration_s": 6.25,
    "origin_us": 7,
    "origin_sequence": 8,
}
STATUS_DATA = (
    b'{"clock_us":1,"server_clock_us":2,"position_s":4.5,"listeners":3,"report_s":3.5,"track":5,'
    b'"title":"Title","artist":"Artist","duration_s":6.25,"origin_us":7,'
    b'"origin_sequence":8}'
)


class Golden(NamedTuple):
    """A control message: its number, its class, and its fields as values and as bytes."""

    number: int
    control: type[Control]
    fields: dict[str, object]
    data: bytes

    def read(self, **values: object) -> dict[str, object]:
        """What is read from this message, with `values` in the place of some fields."""
        return self.read_text(json.dumps({**self.fields, **values}))

    def read_text(self, data: bytes | str) -> dict[str, object]:
        data = data.encode("utf-8", "surrogatepass") if isinstance(data, str) else data
        return dataclasses.asdict(self.control.from_message(Message(0, self.number, data)))

    def with_literals(self, literals: list[str]) -> Iterator[tuple[str, str, str]]:
        """The message with each field in turn written like each of `literals`."""
        for field in self.fields:
            text = json.dumps({**self.fields, field: "@"})
            for literal in literals:
                yield field, literal, text.replace('"@"', literal)


GOLDEN = [
    Golden(
        1,
        Connect,
        {"nonce": "n", "cookie": "c", "session": "s"},
        b'{"nonce":"n","cookie":"c","session":"s"}',
    ),
    Golden(2, Challenge, {"nonce": "n", "cookie": "c"}, b'{"nonce":"n","cookie":"c"}'),
    Golden(3, Accept, ACCEPT_FIELDS, ACCEPT_DATA),
    Golden(4, Reject, {"reason": "full", "echo": "n"}, b'{"reason":"full","echo":"n"}'),
    Golden(6, Report, REPORT_FIELDS, REPORT_DATA),
    Golden(7, Status, STATUS_FIELDS, STATUS_DATA),
    Golden(8, End, {"last_sequence": 1, "reason": "r"}, b'{"last_sequence":1,"reason":"r"}'),
    Golden(9, Goodbye, REPORT_FIELDS, REPORT_DATA),
    Golden(
        10,
        Request,
        {"session": "s", "missing": "17-19,25"},
        b'{"session":"s","missing":"17-19,25"}',
    ),
    Golden(16, Timeline, {"origin_us": 1}, b'{"origin_us":1}'),
]

NO_ORIGIN: dict[str, object] = {"origin_us": None, "origin_sequence": 0}

DEFAULTS: dict[type[Control], dict[str, object]] = {
    Connect: {"cookie": "", "session": ""},
    Accept: {"interval_s": 0.0, "block": 0, "parity": 0, **NO_ORIGIN},
    Reject: {"echo": ""},
    Status: {"duration_s": None, **NO_ORIGIN},
    Report: {
        "ended": False,
        **dict.fromkeys(("jitter_ms", "rtt_ms", "buffer_s")),
        **dict.fromkeys(("retransmitted", "rebuilt"), 0),
        **dict.fromkeys(("lost", "late", "duplicates", "out_of_order", "underruns"), 0),
        **dict.fromkeys(("device_underruns", "jumps"), 0),
        **dict.fromkeys(("clock_spread_ms", "clock_path_ms", "behind_ms")),
        **dict.fromkeys(("played_s", "concealed_s"), 0.0),
    },
}
DEFAULTS[Goodbye] = DEFAULTS[Report]

# What each field takes, by its name: the same in every message. All others are integers.
TOKENS = {"nonce", "cookie", "session", "reason", "echo"}
TEXTS = {"title", "artist"}
RANGES = {"missing"}
POSITIVES = {"timeout_s", "speed", "report_s"}
NUMBERS = {
    *("burst_s", "interval_s", "duration_s", "jitter_ms", "rtt_ms", "buffer_s"),
    *("played_s", "concealed_s", "position_s"),
    *("clock_spread_ms", "clock_path_ms", "behind_ms"),
}
BOOLEANS = {"ended"}
NULLABLE = {
    *("artist", "duration_s", "bit_rate_bps", "jitter_ms", "rtt_ms", "buffer_s"),
    *("last_sequence", "origin_us", "clock_spread_ms", "clock_path_ms", "behind_ms"),
}

NESTED: list[object] = [[], {}, [1], {"a": 1}]
LONE_SURROGATES = ["\ud800", "\udfff", "a\udc80b", "\ude00\ud83d"]


def wrong_values(field: str) -> list[object]:
    """What `field` must not hold."""
    wrong = NESTED if field in NULLABLE else [None, *NESTED]
    if field in TOKENS:
        return [*wrong, 1, 1.5, True, "x" * 33, "a b", 'a"', "é", "a\n", *LONE_SURROGATES]
    if field in TEXTS:
        return [*wrong, 1, 1.5, True, "x" * (MAX_TEXT + 1), "a\n", "\x1b[2J", *LONE_SURROGATES]
    if field in RANGES:
        empty = ["", ",", "-", "1,", ",1", "1-", "-1", "1--2", "1-2-3", "1,,2"]
        odd = ["1 ", "+1", "1.0", "0x1", "1_0", "a", "1\n", "¹", "٣", "1" * 17, *LONE_SURROGATES]
        return [*wrong, 1, 1.5, True, "1," * (MAX_RANGES_TEXT // 2) + "1", *empty, *odd]
    if field in BOOLEANS:
        return [*wrong, 0, 1, 1.0, "true", ""]
    if field in POSITIVES:
        return [*wrong, "1", "", True, False, 0, 0.0, 5e-324, 0.0009, -1, -1.5, 1e15, 10**15]
    if field in NUMBERS:
        return [*wrong, "1", "", True, False, -1, -1.5, -5e-324, 1e15, 10**15, 10**200]
    return [*wrong, "1", "", True, False, 1.0, 1.5, -1, -(2**53), 2**53, 2**64, 10**200]


def is_refused(golden: Golden, data: bytes | str) -> bool:
    """Whether reading `data` raises MessageError; whatever else it raises is raised."""
    try:
        golden.read_text(data)
    except MessageError:
        return True
    return False


def make(control: Callable[..., Control], fields: dict[str, object]) -> Control:
    return control(**fields)


each_control = pytest.mark.parametrize("golden", GOLDEN, ids=lambda one: one.control.__name__)


# The header.


def test_message_packs_to_the_golden_bytes() -> None:
    assert AUDIO.pack() == AUDIO_BYTES


def test_golden_bytes_unpack_to_the_message() -> None:
    assert Message.unpack(AUDIO_BYTES) == AUDIO


def test_message_without_data_packs_and_unpacks() -> None:
    assert AUDIO._replace(data=b"").pack() == NO_DATA_BYTES
    assert Message.unpack(NO_DATA_BYTES) == AUDIO._replace(data=b"")


@pytest.mark.parametrize("length", range(len(AUDIO_BYTES)))
def test_every_truncation_is_refused_and_never_taken_for_another_version(length: int) -> None:
    with pytest.raises(MessageError) as caught:
        Message.unpack(AUDIO_BYTES[:length])
    assert not isinstance(caught.value, VersionError)


@pytest.mark.parametrize("padding", [b"\0", bytes(1200), b"\xff", b"]}", AUDIO_BYTES])
def test_what_follows_the_data_is_ignored(padding: bytes) -> None:
    assert Message.unpack(AUDIO_BYTES + padding) == AUDIO
    assert Message.unpack(NO_DATA_BYTES + padding) == AUDIO._replace(data=b"")


def test_pack_pads_with_zeros_to_a_size_and_never_shortens() -> None:
    assert AUDIO.pack(40) == AUDIO_BYTES + bytes(3)
    assert AUDIO.pack(37) == AUDIO.pack(36) == AUDIO.pack(0) == AUDIO_BYTES


@pytest.mark.parametrize("bit", range(16))
def test_a_datagram_without_the_magic_is_refused(bit: int) -> None:
    stray = bytearray(AUDIO_BYTES)
    stray[bit // 8] ^= 1 << bit % 8
    with pytest.raises(MessageError, match="not a message"):
        Message.unpack(bytes(stray))


@pytest.mark.parametrize("version", [0, 2, 255])
@pytest.mark.parametrize("rest", [b"", b"\xff", AUDIO_BYTES[4:], bytes(1400)])
def test_another_version_is_told_with_its_type_whatever_follows(version: int, rest: bytes) -> None:
    with pytest.raises(VersionError) as caught:
        Message.unpack(b"\xb5\x3a" + bytes([version, 200]) + rest)
    assert (caught.value.version, caught.value.type) == (version, 200)
    assert isinstance(caught.value, MessageError)


def test_the_mark_of_another_version_is_told_if_the_message_is_long_enough_for_it() -> None:
    foreign = b"\xb5\x3a\x02\x04" + bytes(20) + bytes(range(1, 9))
    for datagram, mark in ((foreign + b"more", 0x0102030405060708), (foreign[:-1], None)):
        with pytest.raises(VersionError) as caught:
            Message.unpack(datagram)
        assert caught.value.mark == mark


@pytest.mark.parametrize("number", [0, 12, 255])
def test_an_unknown_type_survives(number: int) -> None:
    unknown = AUDIO._replace(type=number)
    assert Message.unpack(unknown.pack()) == unknown


def test_the_last_sequence_of_64_bits_packs_and_the_one_after_it_does_not_wrap() -> None:
    last = AUDIO._replace(sequence=2**64 - 1)
    assert last.pack()[16:24] == b"\xff" * 8
    assert Message.unpack(last.pack()) == last
    with pytest.raises(struct.error):
        AUDIO._replace(sequence=2**64).pack()


@pytest.mark.parametrize(
    "wrong",
    [
        AUDIO._replace(sequence=-1),
        AUDIO._replace(type=256),
        AUDIO._replace(data=bytes(65_536)),
        AUDIO._replace(stream=2**32),
        AUDIO._replace(media_time_us=-1),
        AUDIO._replace(media_time_us=2**64),
        AUDIO._replace(skip_samples=65_536),
        AUDIO._replace(discard_samples=65_536),
    ],
)
def test_a_field_that_does_not_fit_is_not_packed(wrong: Message) -> None:
    with pytest.raises(struct.error):
        wrong.pack()


def test_track_numbers_go_on_from_0_after_65535() -> None:
    assert AUDIO._replace(track=65_535).pack()[6:8] == b"\xff\xff"
    assert AUDIO._replace(track=65_536).pack()[6:8] == b"\0\0"
    assert AUDIO._replace(track=65_537).pack()[6:8] == b"\0\1"


# Control messages.


@each_control
def test_control_message_has_the_golden_data_and_type(golden: Golden) -> None:
    content = make(golden.control, golden.fields)
    written = content.to_message(7, stream=8, media_time_us=9, track=10)
    assert written == Message(7, golden.number, golden.data, stream=8, media_time_us=9, track=10)


@each_control
def test_golden_data_is_read_into_the_control_message(golden: Golden) -> None:
    content = golden.control.from_message(Message(0, golden.number, golden.data))
    assert content == make(golden.control, golden.fields)
    assert type(content) is golden.control


@each_control
def test_fields_are_read_in_any_order_with_spaces_and_escapes(golden: Golden) -> None:
    text = json.dumps(dict(reversed(golden.fields.items())), indent=1)
    assert golden.read_text(text) == golden.fields


@each_control
def test_unknown_fields_are_ignored_whatever_they_hold(golden: Golden) -> None:
    values: list[object] = [
        *(None, True, -1, 1e300, 2**70, "x" * 100, "\ud800", "\x1b", [[]], {"nonce": [1]}),
    ]
    for value in values:
        assert golden.read(unknown=value) == golden.fields


@each_control
def test_null_is_read_only_where_a_value_may_be_unknown(golden: Golden) -> None:
    fields = NULLABLE - {"origin_us"} if golden.control is Timeline else NULLABLE
    for field in fields & set(golden.fields):
        assert golden.read(**{field: None}) == {**golden.fields, field: None}


@each_control
def test_a_missing_field_is_refused_unless_it_has_a_default(golden: Golden) -> None:
    defaults = DEFAULTS.get(golden.control, {})
    for field in golden.fields:
        rest = {name: value for name, value in golden.fields.items() if name != field}
        if field in defaults:
            assert golden.read_text(json.dumps(rest)) == {**rest, field: defaults[field]}
        else:
            with pytest.raises(MessageError, match=field):
                golden.read_text(json.dumps(rest))


@each_control
def test_a_field_of_another_type_or_out_of_bounds_is_refused(golden: Golden) -> None:
    for field in golden.fields:
        for value in wrong_values(field):
            with pytest.raises(MessageError, match=field):
                golden.read(**{field: value})


@each_control
def test_a_literal_that_no_field_takes_is_refused(golden: Golden) -> None:
    literals = [
        *("NaN", "Infinity", "-Infinity", "1e999", "-1e999", "9" * 200, "-" + "9" * 200),
        *("[" * 200 + "]" * 200, '{"a":' * 40 + "1" + "}" * 40, "[" * 1100),
        *('"\\ud800"', '"\\udfff\\ud800"', "'x'", "01", "1.", "+1", "0x1", "nul", ""),
    ]
    cases = list(golden.with_literals(literals))
    assert [case for case in cases if not is_refused(golden, case[2])] == []


@each_control
def test_a_field_that_comes_twice_is_refused(golden: Golden) -> None:
    for field, value in golden.fields.items():
        again = f', "{field}": {json.dumps(value)}}}'
        with pytest.raises(MessageError, match="twice"):
            golden.read_text(json.dumps(golden.fields)[:-1] + again)


@pytest.mark.parametrize(
    "literal", ["NaN", "-Infinity", '{"a": 1, "a": 1}', '[{"a": 1, "a": 2}]', "[" * 900]
)
def test_what_is_not_plain_json_is_refused_in_an_unknown_field_too(literal: str) -> None:
    assert is_refused(GOLDEN[3], f'{{"reason": "full", "unknown": {literal}}}')


@each_control
def test_data_that_is_not_a_json_object_is_refused(golden: Golden) -> None:
    wrong = [
        *(b"", b" ", b"\0", b"null", b"true", b"1", b'"nonce"', b"[]", b"[{}]", b"{", b"{}{}"),
        *(b"{}\0", b"{},", b'{"nonce"}', b'{"nonce":}', b"{nonce:1}", b"{'nonce':1}", b"{} x"),
        *(b"\xff", b"\xed\xa0\x80", b'{"\xc3":1}', b"9" * 1100, b"9" * 60_000),
        *(b"[" * 1100, b'{"a":' * 230, b"[" * 580 + b"]" * 580, b"[" * 60_000),
        *(b"\xef\xbb\xbf" + golden.data, golden.data.decode().encode("utf-16")),
        *(golden.data + more for more in (b"\0", b",", b"{}", golden.data)),
        *(golden.data[:length] for length in range(len(golden.data))),
    ]
    assert [data for data in wrong if not is_refused(golden, data)] == []


@each_control
def test_data_longer_than_any_control_message_is_refused(golden: Golden) -> None:
    assert golden.read_text(golden.data.ljust(MAX_CONTROL_BYTES)) == golden.fields
    with pytest.raises(MessageError, match="too many"):
        golden.read_text(golden.data.ljust(MAX_CONTROL_BYTES + 1))


def test_a_whole_number_is_read_as_a_float_where_a_fraction_is_meant() -> None:
    data = b'{"session":"s","clock_us":1,"expected":0,"received":0,"intact":0,"played_s":2}'
    content = Report.from_message(Message(0, 6, data))
    assert (content.played_s, type(content.played_s)) == (2.0, float)
    assert type(content.clock_us) is int


def test_a_field_that_has_its_default_is_left_out() -> None:
    content = Report(session="s", clock_us=1, expected=0, received=0, intact=0, lost=2)
    data = b'{"session":"s","clock_us":1,"expected":0,"received":0,"intact":0,"lost":2}'
    assert content.to_message().data == data
    assert Report.from_message(content.to_message()) == content


def test_values_at_their_bounds_are_taken() -> None:
    values = {"clock_us": 2**53 - 1, "listeners": 0, "position_s": 1e15 - 1, "title": "é" * 80}
    assert GOLDEN[5].read(**values) == {**STATUS_FIELDS, **values}
    values = {"session": "A" * 32, "speed": 0.001, "burst_s": 0.0, "title": "\u2028\u00a0~"}
    assert GOLDEN[2].read(**values) == {**ACCEPT_FIELDS, **values}


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_numbers_that_json_does_not_have_are_not_written(value: float) -> None:
    with pytest.raises(ValueError, match="JSON"):
        Report(
            session="s", clock_us=1, expected=0, received=0, intact=0, played_s=value
        ).to_message()


def ranges(text: str) -> list[range]:
    """What a REQUEST for `text` asks for, when it has been on the wire."""
    written = Request(session="s", missing=text).to_message()
    return Request.from_message(written).ranges()


def test_what_a_request_names_is_read_in_order() -> None:
    assert ranges("0") == [range(1)]
    assert ranges("17-19,25,27-27") == [range(17, 20), range(25, 26), range(27, 28)]
    assert ranges("3,4-5,6") == [range(3, 4), range(4, 6), range(6, 7)]
    assert ranges("9" * 16) == [range(10**16 - 1, 10**16)]


@pytest.mark.parametrize("text", ["2-1", "0-5,5", "5,5", "1-9,3-4", "7,3", "1-2,4-3"])
def test_a_request_with_reversed_or_overlapping_ranges_is_refused(text: str) -> None:
    with pytest.raises(MessageError):
        ranges(text)


def test_a_repeat_is_the_audio_message_in_another_type() -> None:
    repeated = Message.unpack(repeat_of(AUDIO_BYTES))
    assert repeated == AUDIO._replace(type=Type.REPEAT)
    assert repeat_of(AUDIO_BYTES)[3] == 12


# CLOCK and TIME.

CLOCK = Clock("session-1", 0x0102030405060708)
CLOCK_DATA = b"session-1" + bytes(23) + bytes.fromhex("0102030405060708") + bytes(8)
TIME = Time(0x8102030405060708, 1, 2, 3, 4, 5)
TIME_DATA = bytes.fromhex(
    "8102030405060708 0000000000000001 0000000000000002"
    "0000000000000003 0000000000000004 00000005 00000000"
)


def test_clock_and_time_have_the_golden_data_and_type() -> None:
    assert CLOCK.to_message(7, stream=8) == Message(7, 14, CLOCK_DATA, 8)
    assert TIME.to_message(7, stream=8) == Message(7, 15, TIME_DATA, 8)
    assert Clock.from_message(Message(0, 14, CLOCK_DATA)) == CLOCK
    assert Time.from_message(Message(0, 15, TIME_DATA)) == TIME
    assert CLOCK_DATA.startswith(session_at_start(CLOCK.session))


def test_an_answer_is_as_long_as_its_question() -> None:
    assert len(TIME.to_message().pack()) == len(CLOCK.to_message().pack())


def test_what_a_later_version_puts_in_place_of_the_zeros_is_ignored() -> None:
    assert Clock.from_message(Message(0, 14, CLOCK_DATA[:40] + b"\xff" * 8)) == CLOCK
    assert Time.from_message(Message(0, 15, TIME_DATA[:44] + b"\xff" * 4)) == TIME


def test_an_origin_that_is_not_known_yet_is_read_as_it_was_written() -> None:
    none = TIME._replace(origin_us=None)
    assert none.to_message().data[24:32] == b"\xff" * 8
    assert Time.from_message(none.to_message()) == none


@pytest.mark.parametrize("content", [CLOCK, TIME], ids=["CLOCK", "TIME"])
def test_clock_and_time_of_another_length_are_refused(content: Clock | Time) -> None:
    message = content.to_message()
    for data in (message.data[:-1], message.data + b"\0", b""):
        with pytest.raises(MessageError):
            content.from_message(message._replace(data=data))


@pytest.mark.parametrize(
    "wrong",
    [
        TIME._replace(received_us=3),
        TIME._replace(sent_us=1 << 53),
        TIME._replace(origin_us=1 << 53),
        TIME._replace(origin_us=(1 << 64) - 2),
        TIME._replace(origin_sequence=1 << 53),
        TIME._replace(pause_ms=MOST_PAUSE_MS + 1),
    ],
)
def test_a_time_that_cannot_be_is_refused(wrong: Time) -> None:
    with pytest.raises(MessageError):
        Time.from_message(wrong.to_message())


@pytest.mark.parametrize("session", [b"a b", b"a\0b", b"\xff", b"\0a"])
def test_a_clock_whose_session_is_no_token_is_refused(session: bytes) -> None:
    data = session.ljust(32, b"\0") + CLOCK_DATA[32:]
    with pytest.raises(MessageError):
        Clock.from_message(Message(0, 14, data))


def test_half_a_surrogate_pair_in_a_title_is_written_as_a_question_mark() -> None:
    written = make(Status, {**STATUS_FIELDS, "title": "a\ud800b"}).to_message()
    assert Status.from_message(written).title == "a?b"


# Sizes.

LONGEST_TOKEN = "z" * 32
LARGEST_INTEGER = 2**53 - 1
LONGEST_NUMBER = 1.2345678901234567e-100
LONGEST_POSITIVE = 0.0012345678901234567


def longest(golden: Golden, text: str) -> Control:
    """The message of this class that takes most bytes, with `text` in its texts."""
    values: dict[str, object] = dict.fromkeys(golden.fields, LARGEST_INTEGER)
    for names, value in (
        (TOKENS, LONGEST_TOKEN),
        (TEXTS, text),
        (RANGES, "1," * (MAX_RANGES_TEXT // 2 - 1) + "12"),
        (POSITIVES, LONGEST_POSITIVE),
        (NUMBERS, LONGEST_NUMBER),
        (BOOLEANS, False),
    ):
        values.update(dict.fromkeys(names & set(golden.fields), value))
    return make(golden.control, values)


@each_control
@pytest.mark.parametrize("character", ["😀", '"', "\\"], ids=["four bytes", "quote", "backslash"])
def test_the_longest_control_message_fits_the_smallest_path(golden: Golden, character: str) -> None:
    content = longest(golden, character * MAX_TEXT)
    if isinstance(content, Accept):
        content = content.fitted()
        assert len(content.title) > MAX_TEXT * 3 / 4
    written = content.to_message()
    assert len(written.data) <= MAX_CONTROL_BYTES
    assert len(written.pack()) <= MAX_CONTROL_BYTES + HEADER_BYTES == CONNECT_BYTES == 1200
    assert golden.control.from_message(written) == content


def test_accept_keeps_the_texts_that_fit_it() -> None:
    accept = Accept(**{**ACCEPT_FIELDS, "title": "😀" * MAX_TEXT, "artist": None})  # type: ignore[arg-type]
    assert accept.fitted() == accept


def test_challenge_and_reject_are_never_longer_than_what_they_answer() -> None:
    connect, challenge, _, reject, report, *_ = (
        len(longest(golden, "").to_message().pack()) for golden in GOLDEN
    )
    assert connect < CONNECT_BYTES
    assert max(challenge, reject) < CONNECT_BYTES
    least = Report(session=LONGEST_TOKEN, clock_us=0, expected=0, received=0, intact=0)
    assert reject < len(least.to_message().pack()) < report


# Anything at all.

# The same examples each time, and no fault if the machine is busy with something else.
ANYTHING = settings(
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)

headers = st.tuples(
    st.integers(0, 2**64 - 1),
    st.integers(0, 255),
    st.binary(max_size=200),
    st.integers(0, 2**32 - 1),
    st.integers(0, 2**64 - 1),
    st.integers(0, 2**16 - 1),
    st.integers(0, 2**16 - 1),
    st.integers(0, 2**16 - 1),
).map(Message._make)

any_text = st.text(st.characters(codec=None), max_size=100)
any_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | any_text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(any_text, inner, max_size=3),
    max_leaves=5,
)
any_fields = st.dictionaries(
    st.sampled_from(sorted({field for golden in GOLDEN for field in golden.fields})), any_json
)


@ANYTHING
@given(headers, st.binary(max_size=50))
def test_every_message_is_unpacked_as_it_was_packed(whole: Message, padding: bytes) -> None:
    assert Message.unpack(whole.pack() + padding) == whole
    assert Message.unpack(whole.pack(300)) == whole


@ANYTHING
@given(st.binary() | st.binary().map(lambda rest: b"\xb5\x3a\x01" + rest))
def test_unpacking_any_bytes_raises_nothing_but_message_error(datagram: bytes) -> None:
    try:
        unpacked = Message.unpack(datagram)
    except MessageError:
        return
    assert datagram.startswith(unpacked.pack())


def read_if_taken(golden: Golden, data: bytes) -> None:
    """Reading raises nothing but MessageError, and what is read can be written again."""
    try:
        content = golden.control.from_message(Message(0, golden.number, data))
    except MessageError:
        return
    assert golden.control.from_message(content.to_message()) == content


@ANYTHING
@given(st.binary(max_size=200) | any_json.map(lambda value: json.dumps(value).encode()))
def test_reading_any_data_raises_nothing_but_message_error(data: bytes) -> None:
    for golden in GOLDEN:
        read_if_taken(golden, data)


@ANYTHING
@given(any_fields)
def test_reading_any_values_raises_nothing_and_what_is_taken_can_be_written(
    values: dict[str, object],
) -> None:
    for golden in GOLDEN:
        content = {**golden.fields, **values}
        read_if_taken(golden, json.dumps(content).encode())
        raw = json.dumps(content, ensure_ascii=False)
        read_if_taken(golden, raw.encode("utf-8", "surrogatepass"))


VALUE_TEXTS = ["0", "1", "7.25", "00", "-1", "1.", ".5", "1e3", "1e999", "NaN", "1.0e0", "-0"]
VALUE_TEXTS += ["9007199254740991", "9007199254740992", "99999999999999.99999999999999999999"]
VALUE_TEXTS += ["999999999999999.99999", "true", "null", '"s"', '"é"', '""', "[]", "{}"]
REPORT_TEXTS = st.lists(
    st.tuples(st.sampled_from(list(REPORT_FIELDS)), st.sampled_from(VALUE_TEXTS)), max_size=3
)


@ANYTHING
@given(REPORT_TEXTS, st.sampled_from([b"", b" ", b"}", b",", b"\n", b"\x00"]), st.booleans())
def test_the_head_of_a_report_is_read_only_if_all_of_it_can_be(
    changes: list[tuple[str, str]], end: bytes, whole: bool
) -> None:
    texts = {name: json.dumps(value) for name, value in REPORT_FIELDS.items()} if whole else {}
    texts.update(changes)
    data = "{" + ",".join(f'"{name}":{text}' for name, text in texts.items()) + "}"
    message = Message(0, Type.REPORT, data.encode() + end)
    try:
        content = Report.from_message(message)
    except MessageError:
        with pytest.raises(MessageError):
            ReportHead.of(message)
    else:
        assert ReportHead.of(message) == (content.session, content.clock_us)


# Texts and numbers on their way in.


@ANYTHING
@given(any_text)
@example("\ud800" * 100)
@example("\x1b[2J\n\0\x7f\x85\u2028\u202e")
def test_any_text_is_cut_to_one_that_a_message_carries_unchanged(text: str) -> None:
    cut = cut_text(text)
    assert len(cut) <= min(len(text), MAX_TEXT)
    written = make(Status, {**STATUS_FIELDS, "title": cut}).to_message()
    assert Status.from_message(written).title == cut
    assert len(cut.splitlines()) <= 1


def test_a_text_is_cut_only_if_it_is_too_long_and_shows_it() -> None:
    assert cut_text("Größe ж 😀" + "x" * (MAX_TEXT - 9)) == "Größe ж 😀" + "x" * (MAX_TEXT - 9)
    assert cut_text("x" * (MAX_TEXT + 1)) == "x" * (MAX_TEXT - 1) + "…"
    assert cut_text("a\nb\x1b[2J") == "a b [2J"


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(None, None), (math.nan, None), (math.inf, None), (0.0, 0.0), (0.0123456, 12.346)],
)
def test_milliseconds_has_three_decimals_and_keeps_what_is_unknown(
    seconds: float | None, expected: float | None
) -> None:
    assert milliseconds(seconds) == expected
