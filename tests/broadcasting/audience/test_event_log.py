"""The log of the server says what happened to each listener; messages go to a log of their own."""

from __future__ import annotations

import dataclasses
import re
from typing import Any

import pytest

from message import Report
from tests.broadcasting.audience.test_one_listener import move
from tests.broadcasting.test_broadcast import HERE, THERE, TIMEOUT_S, Server, goodbye, missing
from tests.broadcasting.test_broadcast import report as empty_report

HERE_TEXT = r"198\.51\.100\.1:10000"

PREFIX_BYTES = 60
"""Time, process and level before each line."""

SCHOOL_JOINS = 30 * 8 * 200
"""Joins in a year: 30 rooms, eight lessons a day, 200 days."""

LOG_BYTES = 20_000_000


def events(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [one.getMessage() for one in caplog.records if one.name == "server"]


def messages(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [one.getMessage() for one in caplog.records if one.name == "server.messages"]


def figures() -> dict[str, Any]:
    return {
        "expected": 10_413, "intact": 10_400, "retransmitted": 8, "rebuilt": 3, "lost": 2,
        "late": 1, "underruns": 1, "jitter_ms": 3.25, "rtt_ms": 12.0, "buffer_s": 0.0,
    }  # fmt: skip


def full_report(session: str) -> Report:
    return dataclasses.replace(empty_report(session), **figures())


def test_the_line_of_a_listener_that_fell_out_tells_its_last_figures(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    server = Server()
    session = server.join(HERE).session
    server.wait(1)
    server.say(full_report(session))
    server.wait(TIMEOUT_S + 1)
    (line,) = (line for line in events(caplog) if "left" in line)
    assert re.fullmatch(
        HERE_TEXT + r" left \(silent\), 0 remain: after 6 s, expected 10413, intact 10400,"
        r" retransmitted 8, rebuilt 3, lost 2, late 1, underruns 1, jitter 3\.2 ms, RTT 12\.0 ms,"
        r" buffer 0\.0 s",
        line,
    )


def test_a_listener_that_left_before_it_reported_says_so(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    server = Server()
    server.join(HERE)
    server.connect(HERE, "another")
    (line,) = (line for line in events(caplog) if "left" in line)
    assert re.fullmatch(HERE_TEXT + r" left \(replaced\), 0 remain: after 0 s, no report", line)


def test_events_are_in_one_log_and_messages_in_the_other(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    server = Server()
    session = server.join(HERE).session
    server.wait(3)
    server.join(THERE)
    server.say(missing(session, "3-5"))
    server.wait(2)
    move(server, session)
    words = ("registered", "starts", "in one second: 3 repeated, listeners: 1", "goes on from")
    for word in words:
        assert any(word in line for line in events(caplog)), word
    assert not any(re.match("sent|received", line) for line in events(caplog))
    for word in ("CONNECT", "CHALLENGE", "ACCEPT", "REPORT", "REQUEST", "REPEAT", "at once"):
        assert any(word in line for line in messages(caplog)), word


def test_a_year_of_a_school_fits_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    server = Server()
    server.join(THERE)
    server.wait(1)
    caplog.clear()
    session = server.join(HERE).session
    for second in range(60):
        server.wait(1)
        server.say(dataclasses.replace(full_report(session), received=20 * second))
    server.say(dataclasses.replace(goodbye(session), **figures()))
    of_one = [line for line in events(caplog) if re.search(HERE_TEXT, line)]
    written = sum(len(line) + PREFIX_BYTES for line in of_one)
    assert SCHOOL_JOINS * written < LOG_BYTES
