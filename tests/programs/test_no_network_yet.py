"""A client that starts before its network, its name server, or its server."""

from __future__ import annotations

import math
import socket
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from listening import choosing, lookup
from listening.arguments import parse
from shell.network import mdns
from shell.network.udp import AddressError
from tests.rig.island import by_its_own_root, on_an_island
from tests.rig.luck import once
from tests.rig.programs import SAMPLE, Program, end, run, server
from wire.announcement import Announcement

pytestmark = once

FAILED = 1

DOWN = socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
UNKNOWN = socket.gaierror(socket.EAI_NONAME, "Name or service not known")
FOUND = [(socket.AF_INET, socket.SOCK_DGRAM, 17, "", ("127.0.0.1", 4501))]


@pytest.fixture
def name_server(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Its answers one after the other, of which the last is given for ever."""
    answers: list[Any] = []

    def answer(*question: object, **more: object) -> list[Any]:
        one = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(one, Exception):
            raise one
        assert isinstance(one, list)
        return one

    monkeypatch.setattr(socket, "getaddrinfo", answer)
    monkeypatch.setattr(lookup, "PAUSE_S", 0.01)
    monkeypatch.setattr(lookup, "STARTING_S", 0.1)
    return answers


def test_a_name_server_that_is_down_is_asked_again(name_server: list[Any]) -> None:
    name_server += [DOWN, DOWN, FOUND]
    options = parse(["radio.example", "4501", "--timeout", "5"])
    assert lookup.look_up(options, time.monotonic()).addresses == [("127.0.0.1", 4501)]


def test_a_name_that_nobody_knows_yet_is_waited_for_where_that_is_asked_for(
    name_server: list[Any],
) -> None:
    name_server += [UNKNOWN, UNKNOWN, FOUND]
    options = parse(["radio.example", "4501", "--timeout", "0"])
    assert lookup.look_up(options, time.monotonic()).addresses == [("127.0.0.1", 4501)]


def test_a_name_of_the_local_network_is_waited_for_as_long_as_a_server_is(
    name_server: list[Any],
) -> None:
    name_server += [UNKNOWN, UNKNOWN, FOUND]
    # It is found, and then the server is not there.
    with pytest.raises(AddressError, match=r"nothing listens on .* port 4501:"):
        lookup.look_up(parse(["radio.local", "4501"]), time.monotonic())


def test_a_name_server_that_stays_down_ends_with_status_1(name_server: list[Any]) -> None:
    name_server += [DOWN]
    options = parse(["radio.example", "4501", "--timeout", "100ms"])
    with pytest.raises(AddressError, match="unknown host") as told:
        lookup.look_up(options, time.monotonic())
    assert told.value.status == FAILED


def test_a_name_server_that_says_nothing_ends_with_status_1(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hangs = socket.socketpair()
    with hangs[0], hangs[1]:
        monkeypatch.setattr(socket, "getaddrinfo", lambda *question, **more: hangs[0].recv(1))
        monkeypatch.setattr(lookup, "LEAST_S", 0.1)
        options = parse(["radio.example", "4501", "--timeout", "100ms"])
        with pytest.raises(AddressError, match="no answer from the name server") as told:
            lookup.look_up(options, time.monotonic())
        assert told.value.status == FAILED
        # The thread that asked it ends.
        hangs[1].send(b".")
        for thread in threading.enumerate():
            if thread.name == "lookup":
                thread.join()


@pytest.fixture
def nearby(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two servers, told of as late as the search allows."""

    def find(least_s: float, most_s: float) -> list[mdns.Found]:
        time.sleep(least_s)
        return [
            mdns.Found(Announcement(name), ("127.0.0.1",), port)
            for port, name in ((4501, "Kitchen"), (4502, "Cellar"))
        ]

    monkeypatch.setattr(mdns, "find", find)
    monkeypatch.setattr(lookup, "LEAST_S", 0.1)
    monkeypatch.setattr(lookup, "CLOSING_S", 0.2)


@pytest.mark.usefixtures("nearby")
def test_a_server_nearby_is_found_however_short_the_time_to_look() -> None:
    options = parse(["--name", "cellar", "--timeout", "100ms"])
    assert lookup.look_up(options, time.monotonic()).addresses == [("127.0.0.1", 4502)]


@pytest.mark.usefixtures("nearby")
def test_somebody_who_chooses_may_think_for_longer_than_is_looked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    thinks_s = 0.5

    class Person:
        def readline(self) -> str:
            time.sleep(thinks_s)
            return "2\n"

    monkeypatch.setattr(choosing, "can_ask", lambda stream: True)
    monkeypatch.setattr("sys.stdin", Person())
    found = lookup.look_up(parse(["--timeout", "100ms"]), time.monotonic())
    assert found.addresses == [("127.0.0.1", 4502)]
    assert found.took_s < thinks_s


def test_for_ever_is_for_ever() -> None:
    assert parse(["--timeout", "0"]).timeout_s == math.inf


def test_a_port_of_this_machine_that_is_refused_is_told_at_once(tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    told = run(tmp_path, "client.py", "127.0.0.1", port, "--output", "null")
    assert told.status == FAILED
    assert told.stderr == (
        f"client.py: nothing listens on 127.0.0.1 port {port} yet: looking for 2 s\n"
        f"client.py: nothing listens on 127.0.0.1 port {port}: start the server first,"
        " or say with --timeout how long to wait for it\n"
    )


@by_its_own_root
def test_a_listener_that_starts_before_its_network_and_its_server_plays(tmp_path: Path) -> None:
    def body() -> None:
        where = ("192.0.2.10", 4501, "--output", "null", "--timeout", 0)
        with Program(tmp_path, "client.py", where) as listener:
            for command in (
                "link add net type veth peer name far",
                "link set far up",
                "addr add 192.0.2.10/24 dev net",
                "link set net up",
            ):
                subprocess.run(["ip", *command.split()], check=True)
            listener.wait_for_log("sent CONNECT 1,")
            with server(tmp_path, SAMPLE, "--speed", 50, port=4501) as broadcast:
                end(listener, broadcast)
            assert listener.result["lost"] == 0

    on_an_island(body)
