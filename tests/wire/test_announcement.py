"""What a server says of itself, what a listener makes of it, and which server it takes."""

from __future__ import annotations

import io
import re
import sys

import pytest

from listening.choosing import NotChosen, NothingFound, choose
from message import MAX_TEXT, VERSION
from shell.network.mdns import Found, own_addresses
from wire.announcement import MOST_NAME_BYTES, SERVICE, Announcement, why_no_name

KITCHEN = Found(Announcement("Kitchen", "Song"), ("192.0.2.7", "2001:db8::7"), 4501)
CELLAR = Found(Announcement("Cellar", needs_key=True, version="9"), ("192.0.2.8",), 4502)


def test_the_service_is_named_as_rfc_6335_and_rfc_6763_ask() -> None:
    matched = re.fullmatch(r"_([a-z0-9-]{1,15})\._udp\.local\.", SERVICE)
    assert matched is not None
    name = matched[1]
    assert re.search("[a-z]", name)
    assert "--" not in name
    assert name.strip("-") == name


def test_what_is_said_is_read_again() -> None:
    for said in (
        Announcement("Kitchen", "Song", needs_key=True),
        Announcement("Küche", "部屋"),
        Announcement("Next door", version=str(VERSION + 1)),
    ):
        assert Announcement.read(said.name, said.texts()) == said


def test_each_text_fits_its_length_byte() -> None:
    texts = Announcement("Kitchen", "\N{MUSICAL SYMBOL G CLEF}" * 5000).texts()
    for key, value in texts.items():
        assert re.fullmatch("[a-z]{1,9}", key)
        assert len(f"{key}={value}".encode()) <= 255 * 2
    assert next(iter(texts)) == "txtvers"


@pytest.mark.parametrize(
    "texts",
    [{}, {"title": None, "key": None, "version": None}, {"title": "", "key": "0", "x": "y"}],
)
def test_who_says_nothing_is_nothing_unusual(texts: dict[str, str | None]) -> None:
    assert Announcement.read("Kitchen", texts) == Announcement("Kitchen")


def test_what_others_say_is_cut_to_a_line() -> None:
    said = Announcement.read("a\x1b[31m\n" * 99, {"title": "b\r\n" * 9999, "version": "9" * 9999})
    assert said.name.isprintable()
    assert said.remark().isprintable()
    assert len(said.name) <= MAX_TEXT
    assert len(said.remark()) < 3 * MAX_TEXT


@pytest.mark.parametrize("name", ["Kitchen", "Küche 2", "部屋", "a" * MOST_NAME_BYTES])
def test_a_server_can_be_called(name: str) -> None:
    assert why_no_name(name) is None


@pytest.mark.parametrize("name", ["", "J. S. Bach", "a\nb", "\x1b[31m", "部" * 21])
def test_a_server_cannot_be_called(name: str) -> None:
    assert why_no_name(name) is not None


def test_the_only_server_is_taken_and_one_by_its_name() -> None:
    screen = io.StringIO()
    assert choose([KITCHEN], None, screen, asks=False) is KITCHEN
    assert choose([CELLAR, KITCHEN], "Kitchen", screen, asks=False) is KITCHEN
    assert screen.getvalue() == ""


def test_where_there_is_none_it_is_said_what_to_do() -> None:
    with pytest.raises(NothingFound, match=r"no server announces itself .* give HOST and PORT"):
        choose([], None, io.StringIO(), asks=True)
    with pytest.raises(NothingFound, match="no server named 'Attic'"):
        choose([KITCHEN, CELLAR], "Attic", io.StringIO(), asks=True)


def test_a_script_is_told_what_there_is_in_lines_that_begin_with_host_and_port() -> None:
    screen = io.StringIO()
    with pytest.raises(NotChosen, match="2 servers found: give HOST and PORT of one, or --name"):
        choose([CELLAR, KITCHEN], None, screen, asks=False)
    assert NotChosen.status == 2
    assert screen.getvalue().splitlines() == [
        f"192.0.2.8 4502  Cellar (needs a key, speaks version 9 of the protocol, not {VERSION})",
        "192.0.2.7 4501  Kitchen (Song)",
    ]


def test_a_person_is_asked_until_the_answer_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = io.StringIO()
    monkeypatch.setattr(sys, "stdin", io.StringIO("0\nkitchen\n\n3\n²\n2\n"))
    assert choose([CELLAR, KITCHEN], None, screen, asks=True) is KITCHEN
    assert "  2  Kitchen (Song)\n" in screen.getvalue()
    assert screen.getvalue().count("Which one? [1-2] ") == 6


def test_a_person_who_goes_away_has_chosen_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    with pytest.raises(NotChosen, match="none chosen"):
        choose([CELLAR, KITCHEN], None, io.StringIO(), asks=True)


def test_a_server_of_one_address_is_announced_with_that() -> None:
    assert own_addresses(["127.0.0.1"]) == ["127.0.0.1"]
    assert own_addresses(["2001:db8::1"]) == ["2001:db8::1"]
