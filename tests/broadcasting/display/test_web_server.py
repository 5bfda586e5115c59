"""The web server: who asks nicely is answered, and nobody else can cost much."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPResponse

import pytest

from broadcasting.arguments import parse
from broadcasting.display.web.pages import Page
from broadcasting.display.web_server import (
    MOST_CONNECTIONS,
    MOST_REQUEST_BYTES,
    WebServer,
    is_own,
    open_web_socket,
)
from shell.network.udp import AddressError, UnknownHost

NAMES = frozenset(("kitchen", "kitchen.local", "localhost"))

WAIT_S = 10.0


@contextlib.contextmanager
def web_server(patience_s: float = WAIT_S) -> Iterator[int]:
    """A server of two pages, one of which is a fault of ours; its port."""

    def page_at(path: str) -> Page | None:
        if path == "/fault":
            raise ZeroDivisionError
        return Page(200, "text/plain", b"here\n") if path == "/here" else None

    listening = open_web_socket("127.0.0.1", 0, "--status")
    names = ["radio.school.example"]
    with WebServer(listening, page_at, names=names, patience_s=patience_s):
        yield listening.getsockname()[1]


def ask(port: int, method: str, path: str, **headers: str) -> tuple[HTTPResponse, bytes]:
    connection = HTTPConnection("127.0.0.1", port, timeout=WAIT_S)
    try:
        connection.request(method, path, headers=headers)
        response = connection.getresponse()
        return response, response.read()
    finally:
        connection.close()


def say(port: int, request: bytes) -> bytes:
    """What comes back until the server has closed the connection."""
    with socket.create_connection(("127.0.0.1", port), WAIT_S) as connection:
        connection.sendall(request)
        return b"".join(iter(lambda: connection.recv(4096), b""))


def test_a_page_is_given_and_nothing_else_may_be_loaded_with_it() -> None:
    with web_server() as port:
        response, body = ask(port, "GET", "/here?now=1")
        assert (response.status, body) == (200, b"here\n")
        assert response.headers["Content-Type"] == "text/plain"
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        policy = response.headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'none';")
        assert "unsafe" not in policy
        assert "http" not in policy
        assert response.headers["Access-Control-Allow-Origin"] is None


def test_head_is_the_same_without_the_content() -> None:
    with web_server() as port:
        response, body = ask(port, "HEAD", "/here")
        assert (response.status, response.headers["Content-Length"], body) == (200, "5", b"")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "BREW"])
def test_nothing_can_be_changed(method: str) -> None:
    with web_server() as port:
        response, _ = ask(port, method, "/here")
        assert response.status == 405
        assert response.headers["Allow"] == "GET, HEAD"


def test_who_sends_more_than_a_request_is_heard_out() -> None:
    head = b"POST / HTTP/1.1\r\nHost: [::1]\r\nContent-Length: 99999\r\n\r\n"
    with web_server() as port, socket.create_connection(("127.0.0.1", port), WAIT_S) as sender:
        sender.sendall(head)
        assert sender.recv(13, socket.MSG_WAITALL) == b"HTTP/1.1 405 "
        assert ask(port, "GET", "/here")[0].status == 200
        # If the connection were closed by now the second of these could not be sent.
        for _ in range(5):
            sender.sendall(b"x" * 100)


def test_what_is_not_there_and_a_fault_of_ours_are_told_apart() -> None:
    with web_server() as port:
        assert ask(port, "GET", "/elsewhere")[0].status == 404
        assert ask(port, "GET", "/fault")[0].status == 500
        assert ask(port, "GET", "/here")[0].status == 200


@pytest.mark.parametrize(
    ("status", "request_"),
    [
        (400, b"\r\n\r\n\0\0\0\r\n\r\n"),
        (400, b"GET /here\r\n\r\n"),
        (400, b"GET /here HTTP/1.1\r\n\r\n"),
        (400, b"GET /here HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"),
        (431, b"GET /" + b"a" * MOST_REQUEST_BYTES),
        (431, b"GET /here HTTP/1.1\r\nHost: localhost\r\nA: " + b"a" * MOST_REQUEST_BYTES),
        (421, b"GET /here HTTP/1.1\r\nHost: attacker.example\r\n\r\n"),
        (200, b"GET /here HTTP/1.0\r\n\r\n"),
        # What a proxy is asked, RFC 9112 section 3.2.2: the host of the target counts.
        (200, b"GET http://localhost/here HTTP/1.1\r\nHost: localhost\r\n\r\n"),
        (200, b"GET HTTP://127.0.0.1:80/here?now HTTP/1.1\r\nHost: attacker.example\r\n\r\n"),
        (404, b"GET http://localhost HTTP/1.1\r\nHost: localhost\r\n\r\n"),
        (421, b"GET http://attacker.example/here HTTP/1.1\r\nHost: localhost\r\n\r\n"),
        (421, b"GET http://localhost@attacker.example/here HTTP/1.1\r\nHost: localhost\r\n\r\n"),
        (421, b"GET http:///here HTTP/1.1\r\nHost: localhost\r\n\r\n"),
        (200, b"GET /here HTTP/1.1\r\nHost: radio.school.example:8080\r\n\r\n"),
        (421, b"GET /here HTTP/1.1\r\nHost: school.example\r\n\r\n"),
    ],
)
def test_what_comes_is_checked(status: int, request_: bytes) -> None:
    with web_server() as port:
        assert say(port, request_).startswith(b"HTTP/1.1 %d " % status)


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "192.0.2.1:8080", "[::1]", "[2001:db8::1]:80", "Kitchen", "kitchen.local:80",
     "localhost", "localhost.:80"],
)  # fmt: skip
def test_this_machine_may_be_called(host: str) -> None:
    assert is_own(host, NAMES)


@pytest.mark.parametrize(
    "host",
    ["attacker.example", "kitchen.example", "127.0.0.1.example", "", "[kitchen]", "::1:80", "[::1",
     "localhost:80:80", "kitchen@localhost"],
)  # fmt: skip
def test_another_name_may_lead_here_for_no_good(host: str) -> None:
    assert not is_own(host, NAMES)


def test_who_says_nothing_or_little_is_not_waited_for_and_keeps_nobody_out() -> None:
    with web_server(patience_s=0.5) as port, contextlib.ExitStack() as silent:
        for number in range(MOST_CONNECTIONS + 4):
            one = silent.enter_context(socket.create_connection(("127.0.0.1", port), WAIT_S))
            one.sendall(b"GET" if number % 2 else b"GET /here HTTP/1.1\r\nA: b\r\n")
        assert ask(port, "GET", "/here")[0].status == 200


def test_requests_are_taken_at_a_pace_that_costs_little() -> None:
    with web_server() as port:
        began = time.monotonic()
        for _ in range(30):
            assert ask(port, "GET", "/here")[0].status == 200
        assert time.monotonic() - began > 0.2


def test_a_port_in_use_and_an_address_of_another_machine_are_told() -> None:
    with open_web_socket("127.0.0.1", 0, "--status") as taken:
        port = taken.getsockname()[1]
        with pytest.raises(AddressError, match=f"--status: port {port} is in use"):
            open_web_socket("127.0.0.1", port, "--status")
    with pytest.raises(AddressError, match="not an address of this machine: check --status"):
        open_web_socket("192.0.2.1", 0, "--status")
    with pytest.raises(UnknownHost, match="check --status"):
        open_web_socket("no.such.host.invalid", 0, "--status")


@pytest.mark.parametrize(
    ("typed", "names"),
    [
        (["radio.example"], ["radio.example"]),
        (["Radio.Example.", "http://studio.example:8080/"], ["radio.example", "studio.example"]),
        (["müsik.example"], ["xn--msik-0ra.example"]),
    ],
)
def test_names_of_the_page_are_taken_as_people_type_them(
    typed: list[str], names: list[str]
) -> None:
    words = [word for name in typed for word in ("--status-host", name)]
    assert parse([*words, "--status", "0", "song.mp3", "0"]).status_hosts == names
