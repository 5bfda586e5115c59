"""Programs that die or stand still, and what the other side makes of it: on real sockets."""

from __future__ import annotations

import re
import signal
from datetime import datetime
from pathlib import Path

import pytest

from tests.programs import SAMPLE, Program, balances, client, end, server
from tests.zoo import zoo_file

TIMEOUT_S = 1.0
"""A listener that reported as seldom as by default would lose its slot all the time."""


def logged_at_s(program: Program, pattern: str) -> float:
    """When the last line that looks so was logged."""
    times = re.findall(rf"^(\S+ \S+) - \w+ - .*{pattern}", program.log, re.MULTILINE)
    return datetime.strptime(times[-1], "%Y-%m-%d %H:%M:%S,%f").timestamp()


def test_a_listener_that_is_killed_loses_its_slot_and_the_others_hear_on(tmp_path: Path) -> None:
    with (
        server(tmp_path, SAMPLE, "--timeout", TIMEOUT_S) as broadcast,
        client(tmp_path, broadcast, "--output", "null") as killed,
    ):
        port = broadcast.wait_for_log(r"registered \S+:(\d+), 1 of 64")[1]
        with client(tmp_path, broadcast, "--output", "null") as stays:
            stays.wait_for_log("received AUDIO")
            killed.send(signal.SIGKILL)
            broadcast.wait_for_log(rf":{port} left \(silent\), 1 remain")
            heard_s = logged_at_s(broadcast, rf"received REPORT .*:{port}$")
            silent_s = logged_at_s(broadcast, rf":{port} is silent") - heard_s
            assert TIMEOUT_S - 0.01 < silent_s < TIMEOUT_S + 1
            assert broadcast.log.count("registered") == 2
            broadcast.send(signal.SIGINT)
            end(stays, broadcast)
        assert broadcast.result["expired"] == 1
        assert [one["how"] for one in broadcast.result["listeners"]] == ["silent", "goodbye"]
        assert stays.result["reconnections"] == 0
        assert balances(stays.result)


@pytest.mark.parametrize("noticed", [False, True], ids=["at once", "when it was missed"])
def test_a_server_that_is_killed_and_started_again_is_found_and_heard_to_its_end(
    noticed: bool, tmp_path: Path
) -> None:
    song = zoo_file("mono.mp3")
    with (
        server(tmp_path, SAMPLE, "--timeout", TIMEOUT_S) as first,
        client(tmp_path, first, "--output", "heard.mp3") as copies,
        client(tmp_path, first, "--output", "null") as listens,
    ):
        for listener in (copies, listens):
            listener.wait_for_log("received AUDIO")
        first.send(signal.SIGKILL)
        first.process.wait()
        if noticed:
            for listener in (copies, listens):
                listener.wait_for_log(r"(?s)nothing heard for.*sent CONNECT")
        with server(tmp_path, song.path, "--wait-for", 2, "--speed", 10, port=first.port) as second:
            end(copies, listens, second)
            assert second.result["accepted"] == 2
        heard = (copies.folder / "heard.mp3").read_bytes()
        assert heard.endswith(b"".join(song.frames))
        for listener in (copies, listens):
            result = listener.result
            assert result["reconnections"] == 1
            assert result["failure"] is None
            assert balances(result)
        assert copies.result["received_bytes"] == len(heard)


def test_a_listener_that_stood_still_is_let_in_again_and_goes_on(tmp_path: Path) -> None:
    with (
        server(tmp_path, SAMPLE, "--timeout", TIMEOUT_S) as broadcast,
        client(tmp_path, broadcast, "--output", "null") as listener,
    ):
        listener.wait_for_log("received AUDIO")
        listener.send(signal.SIGSTOP)
        broadcast.wait_for_log(r"left \(silent\), 0 remain")
        sent = int(re.findall(r"sent AUDIO (\d+)", broadcast.log)[-1])
        listener.send(signal.SIGCONT)
        listener.wait_for_log(rf"received AUDIO {sent + 10},")
        broadcast.send(signal.SIGINT)
        end(listener, broadcast)
        assert listener.result["reconnections"] == 1
        assert balances(listener.result)
        last = int(re.findall(r"the stream ends with message (\d+)", broadcast.log)[0])
        assert listener.result["expected"] == last + 1
