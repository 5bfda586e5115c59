"""`docs/wire.md` and the code say the same: its tables, cell by cell, but for the last column."""

import dataclasses
import importlib
import json
import re
import struct
import types
import typing
from pathlib import Path
from random import Random

import pytest

import listening.session.session
import message
from broadcasting.broadcast import Broadcast
from broadcasting.settings import Settings
from listening.listen import Listen
from listening.session.connecting import REFUSALS
from message import (
    CONNECT_BYTES,
    HEADER_BYTES,
    MAGIC,
    MAX_CONTROL_BYTES,
    MAX_RANGES_TEXT,
    VERSION,
    Accept,
    Challenge,
    Clock,
    Connect,
    Control,
    End,
    Goodbye,
    Message,
    MessageError,
    Positive,
    Ranges,
    Reject,
    Report,
    Request,
    Status,
    Text,
    Time,
    Timeline,
    Token,
    TrackChange,
    Type,
)
from wire.address import Address
from wire.parity import Parity, encode

Row = dict[str, str]

DOCUMENT = (Path(__file__).parent.parent / "docs" / "wire.md").read_text("utf-8")

SERVER: Address = ("192.0.2.1", 4501)
CLIENT: Address = ("198.51.100.1", 10_000)

CONTENTS: dict[str, type[Control]] = {
    "CONNECT": Connect,
    "CHALLENGE": Challenge,
    "ACCEPT": Accept,
    "REJECT": Reject,
    "REPORT": Report,
    "STATUS": Status,
    "END": End,
    "GOODBYE": Goodbye,
    "REQUEST": Request,
    "TRACK": TrackChange,
    "TIMELINE": Timeline,
}

LAYOUTS: dict[str, Clock | Time] = {
    "CLOCK": Clock("s" * 32, (1 << 64) - 1),
    "TIME": Time((1 << 64) - 1, 2, 3, 4, 5, 6),
}
"""The messages of numbers, with something in every field."""

UNITS = {"us": "µs", "ms": "ms", "s": "s", "hz": "Hz", "bps": "bit/s", "samples": "samples"}

KINDS = {
    Token: "token",
    Text: "text",
    Ranges: "ranges",
    int: "integer",
    float: "number",
    Positive: "positive",
    bool: "boolean",
}


def tables(heading: str) -> list[list[Row]]:
    """The tables under `heading`, each as its rows, each row as cells by their column."""
    (section,) = re.findall(rf"^#+ {heading}\n(.*?)(?=^#|\Z)", DOCUMENT, re.MULTILINE | re.DOTALL)
    found = []
    for table in re.findall(r"(?:^\|.*\|\n)+", section, re.MULTILINE):
        columns, rule, *rows = ([cell.strip(" `") for cell in cells(line)] for line in lines(table))
        assert set(rule) == {"---"}
        found.append([dict(zip(columns, row, strict=True)) for row in rows])
    return found


def table(heading: str) -> list[Row]:
    """The first table under `heading`."""
    return tables(heading)[0]


def lines(text: str) -> list[str]:
    return text.strip().split("\n")


def cells(line: str) -> list[str]:
    return line.strip("|").split("|")


def unit(name: str) -> str:
    """What the end of a field's name says."""
    return UNITS.get(name.rpartition("_")[2], "") if "_" in name else ""


def place(field: str) -> tuple[int, int]:
    """Offset and size of a field of Message in the header: the bytes that it changes."""
    size = next(n for n in (8, 4, 2, 1) if can_pack(field, 256**n - 1))
    empty, full = packed(field, 0), packed(field, 256**size - 1)
    changed = [i for i in range(HEADER_BYTES) if empty[i] != full[i]]
    assert changed == list(range(changed[0], changed[0] + len(changed)))
    # The last byte is the least significant one.
    assert packed(field, 1)[changed[-1]] == 1
    return changed[0], len(changed)


def packed(field: str, value: int) -> bytes:
    """A message with `value` in this field and zeros in all others."""
    empty = zip(Message._fields, Message(0, 0), strict=True)
    return Message._make(value if name == field else zero for name, zero in empty).pack()


def can_pack(field: str, value: int) -> bool:
    try:
        packed(field, value)
    except struct.error:
        return False
    return True


def numbers(module: types.ModuleType) -> set[str]:
    """The public constants of a module that are numbers."""
    return {
        name
        for name, value in vars(module).items()
        if name.isupper() and name[0] != "_" and type(value) in (int, float)
    }


def kind_of(hint: object) -> str:
    """The name that the document has for a type hint."""
    if isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union:
        some, none = typing.get_args(hint)
        assert none is type(None)
        return f"{kind_of(some)} or null"
    return KINDS[hint]  # type: ignore[index]


def default(field: dataclasses.Field[object]) -> str:
    return "" if field.default is dataclasses.MISSING else json.dumps(field.default)


def test_header_table_is_in_the_order_of_the_bytes_and_leaves_no_hole() -> None:
    end = 0
    for row in table("Header"):
        assert int(row["offset"]) == end, row["field"]
        end += int(row["bytes"])
    assert end == HEADER_BYTES
    assert f"The header is {HEADER_BYTES} bytes long." in DOCUMENT


def test_header_table_has_the_offset_size_and_unit_of_every_field_of_a_message() -> None:
    rows = {row["field"]: row for row in table("Header")}
    own = {"magic", "version", "length"}
    assert set(rows) == own | set(Message._fields) - {"data"}
    for name in set(rows) - own:
        documented = int(rows[name]["offset"]), int(rows[name]["bytes"]), rows[name]["unit"]
        assert documented == (*place(name), unit(name)), name


def test_header_table_has_magic_version_and_length_where_they_are_packed() -> None:
    rows = {row["field"]: row for row in table("Header")}
    data = bytes(0x1234)
    datagram = Message(0, 0, data).pack()
    packed = {
        name: datagram[int(rows[name]["offset"]) :][: int(rows[name]["bytes"])]
        for name in ("magic", "version", "length")
    }
    assert packed == {"magic": MAGIC, "version": bytes([VERSION]), "length": b"\x12\x34"}
    assert rows["magic"]["meaning"].startswith(MAGIC.hex(" "))
    assert rows["version"]["meaning"] == f"{VERSION}."
    assert [rows[name]["unit"] for name in packed] == ["", "", "bytes"]


def test_types_table_has_the_numbers_and_names_of_all_types() -> None:
    assert [(int(row["number"]), row["name"]) for row in table("Types")] == [
        (member.value, member.name) for member in Type
    ]


def test_types_table_says_json_where_the_code_has_fields_and_links_to_them() -> None:
    assert {content.TYPE.name: content for content in CONTENTS.values()} == CONTENTS
    subclasses = {*Control.__subclasses__(), *Report.__subclasses__()}
    # By name: of a class with slots the one that was made without them may still be there.
    assert {one.__name__ for one in subclasses} == {one.__name__ for one in CONTENTS.values()}
    for row in table("Types"):
        name = row["name"]
        special = {
            "PARITY": "[a shard](#parity)",
            "CLOCK": "[numbers](#clock)",
            "TIME": "[numbers](#time)",
        }.get(name, "whole MP3 frames")
        wanted = f"[JSON](#{name.lower()})" if name in CONTENTS else special
        assert row["data"] == wanted


def test_types_table_answers_with_types_that_there_are() -> None:
    for row in table("Types"):
        assert row["answer"]
        assert set(re.findall(r"\b[A-Z]{3,}\b", row["answer"])) <= set(Type.__members__)


@pytest.mark.parametrize("row", table("Types"), ids=lambda row: row["name"])
def test_types_table_has_the_direction_in_which_a_type_is_taken(row: Row) -> None:
    datagram = Message(0, int(row["number"])).pack()
    server = Broadcast(Settings(), stream_id=1, secret=b"secret", token=lambda: "token")
    server.receive_datagram(datagram, CLIENT, 0.0)
    client = Listen(
        [SERVER],
        nonce="nonce",
        timeout_s=10.0,
        buffer_s=1.0,
        lead_s=0.0,
        waits=False,
        random=Random(1),
        now=0.0,
    )
    client.receive_datagram(datagram, SERVER, 0.0)
    taken = [
        direction
        for direction, ignored in (
            ("client to server", server.statistics.ignored),
            ("server to client", client.statistics.ignored),
        )
        if not ignored
    ]
    assert row["direction"] == ("client to server, and back" if len(taken) == 2 else taken[0])


@pytest.mark.parametrize("row", table("Sizes and times"), ids=lambda row: row["name"])
def test_sizes_and_times_table_has_the_values_of_the_code(row: Row) -> None:
    module, _, name = row["name"].rpartition(".")
    assert float(row["value"]) == getattr(importlib.import_module(module), name)
    known_unit = {"S": "s", "MS": "ms", "BYTES": "bytes", "TEXT": "characters"}
    assert row["unit"] == known_unit.get(name.rpartition("_")[2], "")


def test_sizes_and_times_table_has_every_number_of_the_codec_and_of_the_session() -> None:
    codec, session = numbers(message), numbers(listening.session.session)
    wanted = {f"message.{name}" for name in codec - {"VERSION"}}
    wanted |= {f"listening.session.session.{name}" for name in session - codec}
    assert wanted <= {row["name"] for row in table("Sizes and times")}


@pytest.mark.parametrize("name", [name for name in CONTENTS if name != "GOODBYE"])
def test_fields_tables_have_name_kind_unit_and_default_of_every_field(name: str) -> None:
    content = CONTENTS[name]
    hints = typing.get_type_hints(content, include_extras=True)
    documented = [(row["field"], row["kind"], row["unit"], row["default"]) for row in table(name)]
    assert documented == [
        (field.name, kind_of(hints[field.name]), unit(field.name), default(field))
        for field in dataclasses.fields(content)
    ]


@pytest.mark.parametrize("name", LAYOUTS)
def test_tables_of_numbers_have_the_fields_and_offsets_of_the_code(name: str) -> None:
    content = LAYOUTS[name]
    *rows, zeros = table(name)
    assert [row["field"] for row in rows] == list(content._fields)
    data = content.to_message().data
    end = 0
    for row in rows:
        at, size = int(row["offset"]), int(row["bytes"])
        assert at == end, row["field"]
        end = at + size
        value = getattr(content, row["field"])
        expected = value.encode() if isinstance(value, str) else value.to_bytes(size)
        assert data[at:end] == expected, row["field"]
        assert row["unit"] == unit(row["field"])
    assert (int(zeros["offset"]), int(zeros["bytes"])) == (end, len(data) - end)
    assert not any(data[end:])
    assert f"Both have data of {len(data)} bytes" in DOCUMENT


def test_goodbye_has_the_fields_of_report_as_the_document_says() -> None:
    assert "The fields of [REPORT](#report)" in DOCUMENT
    assert tables("GOODBYE") == []
    assert typing.get_type_hints(Goodbye, include_extras=True) == typing.get_type_hints(
        Report, include_extras=True
    )
    assert [(f.name, f.default) for f in dataclasses.fields(Goodbye)] == [
        (f.name, f.default) for f in dataclasses.fields(Report)
    ]


def test_kinds_table_has_every_kind_that_a_field_takes() -> None:
    assert [row["kind"] for row in table("Control messages")] == list(KINDS.values())
    assert [row["JSON"] for row in table("Control messages")] == [
        *["string"] * 3,
        *["number"] * 3,
        "true` or `false",
    ]


def takes(kind: str, value: object) -> bool:
    """Whether a field of this kind takes `value`."""
    content, field = FIELD_OF[kind]
    data = json.loads(content.to_message().data) | {field: value}
    try:
        type(content).from_message(Message(0, 0, json.dumps(data).encode()))
    except MessageError:
        return False
    return True


# A field of each kind that has bounds, in a message.
FIELD_OF: dict[str, tuple[Control, str]] = {
    "token": (Reject(reason=""), "reason"),
    "text": (
        Status(
            clock_us=0,
            server_clock_us=0,
            listeners=0,
            report_s=1.0,
            position_s=0.0,
            track=0,
            title="",
            artist=None,
        ),
        "title",
    ),
    "ranges": (Request(session="", missing="0"), "missing"),
    "integer": (End(last_sequence=0, reason=""), "last_sequence"),
    "number": (Report(session="", clock_us=0, expected=0, received=0, intact=0), "played_s"),
    "positive": (
        Accept(
            nonce="",
            session="",
            first_sequence=0,
            first_time_us=0,
            live_time_us=0,
            burst_s=0.0,
            timeout_s=1.0,
            speed=1.0,
            title="",
            artist=None,
            duration_s=None,
            frame_rate_hz=0,
            channels=0,
            bit_rate_bps=None,
        ),
        "speed",
    ),
}


def values(kind: str) -> str:
    (row,) = (row for row in table("Control messages") if row["kind"] == kind)
    return row["values"]


@pytest.mark.parametrize("kind", ["token", "text"])
def test_kinds_table_has_the_length_and_the_characters_of_strings(kind: str) -> None:
    longest = int(re.match(r"At most (\d+)", values(kind))[1])  # type: ignore[index]
    assert takes(kind, "x" * longest)
    assert not takes(kind, "x" * (longest + 1))
    characters = [*range(0x200), 0x2028, *range(0xD7F0, 0xE010), 0xFFFD, 0x1F600]
    if kind == "token":
        ranges = re.findall(r"`(.)`(?:–`(.)`)?", f"`{values(kind).partition('`')[2]}`")
        named = {chr(c) for a, b in ranges for c in range(ord(a), ord(b or a) + 1)}
    else:
        refused = re.findall(r"U\+([0-9A-F]{4}) to U\+([0-9A-F]{4})", values(kind))
        spans = [range(int(a, 16), int(b, 16) + 1) for a, b in refused]
        named = {chr(c) for c in characters if not any(c in span for span in spans)}
    assert {chr(c) for c in characters if takes(kind, chr(c))} == named


def test_kinds_table_has_the_length_the_characters_and_an_example_of_ranges() -> None:
    described = re.match(
        r"At most ([\d,]+) of (.*): .* as in `(.*?)`. Ascending, no number twice\.",
        values("ranges"),
    )
    assert described is not None
    longest, characters, example = described.groups()
    assert longest == f"{MAX_RANGES_TEXT:,}"
    assert set(re.findall("`(.)`", characters)) == {"0", "9", "-", ","}
    assert [*Request(session="", missing=example).ranges()] == [range(17, 20), range(25, 26)]
    text = ",".join(str(number) for number in range(10, 1000, 2))
    assert takes("ranges", text[:MAX_RANGES_TEXT])
    assert not takes("ranges", text[: MAX_RANGES_TEXT + 1] + "1")
    assert not takes("ranges", "1 ,2")
    for twice in ("1,1", "2,1", "2-1", "1-3,3"):
        with pytest.raises(MessageError):
            Request(session="", missing=twice).ranges()


@pytest.mark.parametrize("kind", ["integer", "number", "positive"])
def test_kinds_table_has_the_bounds_of_numbers(kind: str) -> None:
    bounds = re.match(r"From ([\d.]+) to (less than )?(\d+)\^(\d+)( - 1)?", values(kind))
    assert bounds is not None
    least, exclusive, base, power, minus_1 = bounds.groups()
    end = int(base) ** int(power)
    assert bool(exclusive) != bool(minus_1)
    assert takes(kind, json.loads(least))
    assert not takes(kind, json.loads(least) - (1 if kind == "integer" else 1e-9))
    assert takes(kind, end - 1)
    assert not takes(kind, end)
    assert takes(kind, 1.5) is (kind != "integer")


def test_reasons_table_has_every_reason_that_the_client_knows() -> None:
    reasons = tables("REJECT")[1]
    assert sorted(row["reason"] for row in reasons) == sorted([*REFUSALS, "session"])
    assert [row["refuses"] for row in reasons] == [
        "REPORT" if row["reason"] == "session" else "CONNECT" for row in reasons
    ]


def test_parity_tables_have_the_fields_and_offsets_of_the_code() -> None:
    head, shard = tables("PARITY")
    block = [
        Message(7, Type.AUDIO, b"data", 1, 0x0102030405060708, 0x1112, 0x2122, 0x3132),
        Message(8, Type.AUDIO, bytes(9)),
    ]
    parity = encode(block, 3)[2]
    fields = [row["field"] for row in head[:-1]]
    assert parity.data[: len(fields)] == bytes((2, 3, 2))
    content = Parity.from_message(parity)
    assert [getattr(content, field) for field in fields] == [2, 3, 2]
    assert [int(row["offset"]) for row in head] == [0, 1, 2, 3]
    # The parity of a block of one is its shard.
    alone = Parity.from_message(encode(block[:1], 1)[0]).shard
    assert [row["field"] for row in (head[-1], shard[-1])] == ["shard", "data"]
    for row in shard[:-1]:
        at = int(row["offset"])
        value = int.from_bytes(alone[at : at + int(row["bytes"])])
        name = row["field"]
        assert value == (4 if name == "length" else getattr(block[0], name)), name
        assert row["unit"] == ("bytes" if name == "length" else unit(name))
    assert alone[int(shard[-1]["offset"]) :] == b"data"


def test_parity_is_the_code_that_the_document_names() -> None:
    assert "polynomial x^8 + x^4 + x^3 + x^2 + 1" in DOCUMENT
    # 1 and 2 in one message, 1 in the other: the first parity of 2+1 is a line through both.
    power = [1]
    for _ in range(254):
        power.append(power[-1] << 1 ^ (0x11D if power[-1] & 0x80 else 0))
    one, two, three = (
        Parity.from_message(encode([Message(0, 0, a), Message(1, 0, b)], 1)[0]).shard[16:]
        for a, b in ((b"\1\2", b"\0\0"), (b"\0\0", b"\1\2"), (b"\1\2", b"\1\2"))
    )
    log = {value: exponent for exponent, value in enumerate(power)}
    for line in (one, two):
        assert line[1] == power[(log[line[0]] + 1) % 255]
    assert bytes(a ^ b for a, b in zip(one, two, strict=True)) == three


def test_large_sizes_in_the_text_are_those_of_the_code() -> None:
    sizes = re.findall(r"\b(\d,\d{3})\b(?!,)", DOCUMENT)
    wanted = (CONNECT_BYTES, MAX_CONTROL_BYTES, MAX_RANGES_TEXT)
    assert set(sizes) == {f"{size:,}" for size in wanted}
