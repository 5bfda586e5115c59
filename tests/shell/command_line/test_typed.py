"""What people type is taken where it can be understood."""

from __future__ import annotations

import argparse
import math
from pathlib import Path

import pytest

from broadcasting.arguments import parse as parse_server
from listening.arguments import parse as parse_client
from shell.command_line.typed import decibels, endpoint, seconds


@pytest.mark.parametrize(
    ("typed", "meant_s"),
    [
        ("1", 1.0),
        ("1s", 1.0),
        ("1.5 sec", 1.5),
        ("0,5", 0.5),
        (".5", 0.5),
        ("500ms", 0.5),
        ("26 ms", 0.026),
        (" 2 seconds ", 2.0),
        ("1e-1", 0.1),
    ],
)
def test_seconds_may_have_a_unit_and_a_comma(typed: str, meant_s: float) -> None:
    assert seconds(0, 10)(typed) == meant_s


@pytest.mark.parametrize("typed", ["", "s", "1 m", "1.2.3", "nan", "inf", "11", "-1", "1 0"])
def test_what_are_no_seconds_is_refused(typed: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="is not seconds from 0 to 10"):
        seconds(0, 10)(typed)


@pytest.mark.parametrize(("typed", "meant_db"), [("-6", -6), ("-6dB", -6), ("+4,5 db", 4.5)])
def test_decibels_may_have_their_unit(typed: str, meant_db: float) -> None:
    assert decibels(-10, 10)(typed) == meant_db


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("8080", ("127.0.0.1", 8080)),
        ("localhost:8080", ("localhost", 8080)),
        ("[::1]:8080", ("::1", 8080)),
        ("http://radio:8080/", ("radio", 8080)),
    ],
)
def test_an_address_of_a_page_may_be_a_url(typed: str, meant: tuple[str, int]) -> None:
    assert endpoint(typed) == meant


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        ("radio 4501", ("radio", 4501)),
        ("radio:4501", ("radio", 4501)),
        ("radio:4501 4501", ("radio", 4501)),
        ("[::1]:4501", ("::1", 4501)),
        ("[::1] 4501", ("::1", 4501)),
        ("::1 4501", ("::1", 4501)),
        ("[fe80::1%eth0]:4501", ("fe80::1%eth0", 4501)),
        ("http://radio:4501", ("radio", 4501)),
        ("mp3cast://[::1]:4501/", ("::1", 4501)),
        ("", (None, None)),
    ],
)
def test_a_server_may_be_typed_in_every_usual_way(
    words: str, meant: tuple[str | None, int | None]
) -> None:
    options = parse_client(words.split())
    assert (options.host, options.port) == meant


def test_options_of_both_programs_take_units() -> None:
    options = parse_client(
        ["radio:4501", "--volume", "-6dB", "--buffer", "500ms", "--timeout", "0"]
    )
    assert (options.volume_db, options.buffer_s, options.timeout_s) == (-6, 0.5, math.inf)
    assert parse_client(["--buffer", "AUTO"]).buffer_s is None
    server = parse_server(["x.mp3", "0", "--interval", "26 ms", "--host", "[::1]", "--speed", "2x"])
    assert (server.interval_s, server.host, server.speed) == (0.026, "::1", 2)


def test_a_name_with_a_space_that_was_not_quoted_is_recognised(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "my song.mp3").touch()
    with pytest.raises(SystemExit) as told:
        parse_server([*f"{tmp_path}/my song.mp3".split(), "4501"])
    assert told.value.code == 2
    assert f"did you mean '{tmp_path}/my song.mp3'?" in capsys.readouterr().err
