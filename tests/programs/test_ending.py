"""How the real programs end when a thread of theirs fails, and when a user does not want to wait.

The programs are changed before they start: a fault of ours cannot be asked for from outside.
"""

from __future__ import annotations

import re
import signal
from pathlib import Path

import pytest

from tests.rig.luck import once
from tests.rig.programs import ROOT, SAMPLE, Server, balances, client, end, server

pytestmark = once

FAULT = """
from itertools import count
real, calls = {where}, count()
def failing(*given):
    if next(calls) == {after}:
        raise RuntimeError("of a test")
    return real(*given)
{where} = failing
"""
"""One call fails, after some that did not."""


def changed(folder: Path, program: str, change: str) -> Path:
    """A script that is `program` with `change` made to it."""
    script = folder / "changed" / f"{program}.py"
    script.parent.mkdir()
    run = (
        f"import sys\nsys.path[0] = {str(ROOT)!r}\nimport {program}\n{change}\n{program}.start()\n"
    )
    script.write_text(run)
    return script


@pytest.mark.parametrize(
    ("method", "after"), [("_take", 3), ("_send_to_part", 20)], ids=["receiver", "broadcaster"]
)
def test_a_fault_in_a_thread_ends_the_server_with_its_statistics(
    method: str, after: int, tmp_path: Path
) -> None:
    fault = FAULT.format(where=f"server.Server.{method}", after=after)
    script = str(changed(tmp_path, "server", fault))
    with (
        Server(tmp_path, script, (SAMPLE, 0, "--loop", "--no-announce")) as broadcast,
        client(tmp_path, broadcast, "--output", "null"),
    ):
        assert broadcast.wait() == 1
        assert broadcast.stderr == "server.py: stopped by a fault, see the log: of a test\n"
        assert "datagrams sent" in broadcast.stdout
        assert broadcast.result["accepted"] == 1
        assert re.search(r" - ERROR - the \w+ failed\nTraceback", broadcast.events)
        assert " - INFO - final: " in broadcast.events


@pytest.mark.parametrize(
    ("method", "after"), [("_take_from", 30), ("_due_items", 30)], ids=["receiver", "playback"]
)
def test_a_fault_in_a_thread_ends_the_client_with_its_statistics(
    method: str, after: int, tmp_path: Path
) -> None:
    script = changed(tmp_path, "client", FAULT.format(where=f"client.Client.{method}", after=after))
    with (
        server(tmp_path, SAMPLE, "--loop") as broadcast,
        client(tmp_path, broadcast, "--output", "null", script=str(script)) as listener,
    ):
        assert listener.wait() == 1
        assert listener.stderr == "client.py: stopped by a fault, see the log: of a test\n"
        assert "messages expected" in listener.stdout
        assert balances(listener.result)
        assert re.search(r" - ERROR - the \w+ failed\nTraceback", listener.events)
        assert " - INFO - final: " in listener.events


def test_a_second_signal_does_not_wait_for_a_listener_that_hangs(tmp_path: Path) -> None:
    with (
        server(tmp_path, SAMPLE, "--timeout", 3600) as broadcast,
        client(tmp_path, broadcast, "--output", "null") as hangs,
    ):
        hangs.wait_for_log("received AUDIO")
        hangs.send(signal.SIGSTOP)
        broadcast.send(signal.SIGINT)
        broadcast.wait_for_log("the stream ends")
        broadcast.send(signal.SIGINT)
        end(broadcast)
        assert "datagrams sent" in broadcast.stdout


def test_a_second_signal_does_not_wait_for_a_server_that_hangs(tmp_path: Path) -> None:
    for_ever = "import listening.session.session\nlistening.session.session.GOODBYES = 10**9"
    script = changed(tmp_path, "client", for_ever)
    with (
        server(tmp_path, SAMPLE) as hangs,
        client(tmp_path, hangs, "--output", "null", script=str(script)) as listener,
    ):
        listener.wait_for_log("first sound")
        hangs.send(signal.SIGSTOP)
        listener.send(signal.SIGINT)
        listener.wait_for_log("(?s)sent GOODBYE.*sent GOODBYE")
        listener.send(signal.SIGINT)
        end(listener)
        assert "messages expected" in listener.stdout
        assert balances(listener.result)
