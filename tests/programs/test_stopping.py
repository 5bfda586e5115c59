"""How the real programs end when something hangs, is full or closed, or their main thread fails.

The first request ends a program in order, the second within a second, and what was promised is
written whatever way the end comes.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import sys
import time
import wave
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

import client as client_program
import server as server_program
from reporting.record import Record
from shell.process.stopping import run_program
from tests.programs.test_ending import changed
from tests.rig.programs import SAMPLE, Program, Server, balances, client, end, server
from tests.rig.terminals import terminal, watch
from tests.rig.zoo import zoo_file

SOON_S = 1.0
"""Longest time from a second request to the end of a program."""

SLACK_S = 4.0
"""What a busy machine may add."""

WAV_HEADER_BYTES = 44

TWO = (signal.SIGINT, signal.SIGTERM)

NOTHING_IS_HEARD = ("--output", "null")


@pytest.fixture(scope="module")
def broadcast(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with server(tmp_path_factory.mktemp("broadcast"), SAMPLE, "--loop") as program:
        yield program
        program.send(signal.SIGINT)
        end(program)
        # Nothing went to it by way of a socket that has the number of a closed stream.
        assert program.result["malformed"] == 0


@contextlib.contextmanager
def full_pipe() -> Iterator[int]:
    """The writing end of a pipe that nobody reads."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    for size in (65_536, 1):
        with contextlib.suppress(BlockingIOError):
            while True:
                os.write(writing, bytes(size))
    os.set_blocking(writing, True)
    try:
        yield writing
    finally:
        os.close(writing)
        os.close(reading)


def stop(program: Program, *signals: signal.Signals) -> int:
    """Its exit status after these signals, of which the last must end it soon.

    They differ, since the system may deliver two of one number as one.
    """
    for number in signals:
        program.send(number)
    sent_at = time.monotonic()
    status = program.wait()
    assert time.monotonic() - sent_at < SOON_S + SLACK_S, program
    return status


# What hangs.


@pytest.mark.parametrize(("program", "times"), [("server", 1), ("client", 1), ("client", 2)])
def test_a_full_pipe_at_standard_output_delays_no_end(
    program: str, times: int, broadcast: Server, tmp_path: Path
) -> None:
    how = ("--report-every", "0.01")
    with full_pipe() as full:
        running = (
            server(tmp_path, SAMPLE, *how, stdout=full)
            if program == "server"
            else client(tmp_path, broadcast, *NOTHING_IS_HEARD, *how, stdout=full)
        )
        with running as one:
            one.wait_for_log("listening on|first sound")
            assert stop(one, *TWO[:times]) == 0
            assert "played_s" in one.result or "position_s" in one.result
            assert one.stderr == ""


def test_json_for_a_full_pipe_is_a_failure(tmp_path: Path) -> None:
    with full_pipe() as full, server(tmp_path, SAMPLE, "--json", "-", stdout=full) as one:
        assert stop(one, *TWO) == 1
        assert one.stderr.endswith("server.py: cannot write -: nobody reads it\n")


STUBBORN = """#!/bin/sh
trap '' TERM INT HUP
echo $$ >{pid}
head -c 1764000 /dev/zero
while :; do sleep 0.1; done
"""


def test_a_recorder_that_ignores_sigterm_is_ended_with_the_server(tmp_path: Path) -> None:
    recorder, pid = tmp_path / "arecord", tmp_path / "pid"
    recorder.write_text(STUBBORN.format(pid=pid))
    recorder.chmod(0o755)
    path = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    with server(tmp_path, "alsa:default", "--wait-for", 0, environment=path) as one:
        one.wait_for_log("sent AUDIO")
        assert stop(one, signal.SIGTERM) == 0
        assert one.result["messages"] > 0
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text()), 0)


def test_a_fifo_that_brings_nothing_delays_no_end(tmp_path: Path) -> None:
    fifo = tmp_path / "song.mp3"
    os.mkfifo(fifo)
    with Server(tmp_path, "server.py", (fifo, 0, "--wait-for", 0)) as one, fifo.open("wb"):
        assert stop(one, *TWO) == 0
        assert one.stderr.count("\n") <= 1, "no more than that it waits"


def test_an_address_that_sends_nothing_delays_no_end(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/song.mp3"
        with Server(tmp_path, "server.py", (url, 0)) as one:
            silent.settimeout(20)
            connection, _ = silent.accept()
            with connection:
                assert stop(one, signal.SIGINT) == 0
            assert one.stderr == ""


LOOKS_UP_FOR_EVER = """
import ctypes, socket
def hangs(*given, **how):
    print("looks up", flush=True)
    while True:  # no signal ends it, as in the C library
        ctypes.CDLL(None).pause()
socket.getaddrinfo = hangs
"""


@pytest.mark.parametrize(("program", "times"), [("server", 1), ("client", 2)])
def test_a_name_that_does_not_resolve_delays_no_end(
    program: str, times: int, tmp_path: Path
) -> None:
    script = str(changed(tmp_path, program, LOOKS_UP_FOR_EVER))
    words = (SAMPLE, 0, "--host", "nowhere") if program == "server" else ("nowhere", 4501)
    with Program(tmp_path, script, (*words, "--json", "result.json")) as one:
        one.wait_until(lambda: "looks up" in one.stdout, "looks up")
        assert stop(one, *TWO[:times]) == 0
        assert one.stderr == ""
        assert not (one.folder / "result.json").exists(), "nothing is promised yet"


HOLDS_THE_LOCK = """
import threading
def hangs(self):
    self._meeting.acquire()
    print("hangs", flush=True)
    threading.Event().wait()
client.Client._play = hangs
"""


def test_a_second_signal_ends_even_a_program_whose_main_thread_hangs(
    broadcast: Server, tmp_path: Path
) -> None:
    script = str(changed(tmp_path, "client", HOLDS_THE_LOCK))
    with client(tmp_path, broadcast, *NOTHING_IS_HEARD, script=script) as one:
        one.wait_until(lambda: "hangs" in one.stdout, "hangs")
        assert stop(one, *TWO) == 1
        assert one.stderr == "client.py: ended at once, for something hangs\n"


# A fault of ours in the main thread.

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Iterator[Run]:
    """Runs a program in this process; its exit status, standard error and log."""
    monkeypatch.chdir(tmp_path)
    usual_s = sys.getswitchinterval()

    def run(program: str, *words: str) -> tuple[int, str, str]:
        main = {"server": server_program.main, "client": client_program.main}[program]
        promised = ["--json", "r.json", "--csv", "r.csv", "--report", "r.html"]
        with pytest.raises(SystemExit) as ending:
            run_program(lambda: main([*words, *promised]))
        assert isinstance(ending.value.code, int)
        log = tmp_path / "logs" / f"{program}.log"
        return ending.value.code, capfd.readouterr().err, log.read_text() if log.exists() else ""

    yield run
    sys.setswitchinterval(usual_s)


def fails(*given: object, **how: object) -> None:
    raise RuntimeError("of a test")


WORDS = {
    "server": (str(SAMPLE), "0", "--no-announce", "--wait-for", "0"),
    "client": ("127.0.0.1", "9", *NOTHING_IS_HEARD, "--timeout", "20"),
}
MODULES = {"server": server_program, "client": client_program}


@pytest.mark.parametrize("program", ["server", "client"])
@pytest.mark.parametrize("part", ["view", "recorder"])
def test_a_fault_while_it_runs_leaves_all_that_was_promised(
    part: str, program: str, run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    where = {"view": (MODULES[program].Live, "show"), "recorder": (Record, "tell")}[part]
    monkeypatch.setattr(*where, fails)
    status, said, log = run(program, *WORDS[program], "--report-every", "0.05")
    assert (status, said) == (1, f"{program}.py: stopped by a fault, see the log: of a test\n")
    assert re.search(r" - ERROR - .* failed\nTraceback", log)
    assert json.loads(Path("r.json").read_text())["failure"].endswith("see the log: of a test")
    assert Path("r.csv").read_text().startswith("time_s,")
    assert Path("r.html").read_text().endswith("</html>\n")


@pytest.mark.parametrize("program", ["server", "client"])
@pytest.mark.parametrize("part", ["open_all", "assemble"])
def test_a_fault_at_the_start_ends_it_in_a_line(
    part: str, program: str, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(MODULES[program], part, fails)
    status, said, log = run(program, *WORDS[program])
    assert (status, said) == (1, f"{program}.py: stopped by a fault, see the log: of a test\n")
    assert re.search(r" - ERROR - .* failed\nTraceback", log)
    if part == "assemble":
        assert json.loads(Path("r.json").read_text())["failure"].endswith("of a test")


# A closed terminal.


def test_a_closed_terminal_leaves_all_that_a_listener_has_promised(
    broadcast: Server, tmp_path: Path
) -> None:
    words = ("--output", "heard.wav", "--report", "r.html", "--csv", "r.csv")
    with terminal(tmp_path, "client.py", "127.0.0.1", broadcast.port, *words) as one:
        copy = tmp_path / "heard.wav"
        watch(lambda: copy.exists() and copy.stat().st_size > WAV_HEADER_BYTES, one)
        one.hang_up()
        assert one.process.wait(20) == 0
    told = json.loads((tmp_path / "result.json").read_text())
    assert balances(told)
    assert told["played_s"] > 0
    assert (tmp_path / "r.html").read_text().endswith("</html>\n")
    assert (tmp_path / "r.csv").read_text().count("\n") >= 2
    with wave.open(str(copy)) as heard:
        assert heard.getnframes() == pytest.approx(told["played_s"] * heard.getframerate(), abs=2)


def test_without_a_terminal_sighup_reopens_the_log(tmp_path: Path) -> None:
    with server(tmp_path, SAMPLE, "--wait-for", 0, within=("setsid", "-w")) as one:
        one.wait_for_log("sent AUDIO")
        log = one.folder / "logs" / "server.log"
        log.rename(tmp_path / "old.log")
        child = Path(f"/proc/{one.process.pid}/task/{one.process.pid}/children").read_text()
        os.kill(int(child or one.process.pid), signal.SIGHUP)
        os.kill(int(child or one.process.pid), signal.SIGUSR1)
        end(one)
        assert "final:" in log.read_text()
        assert "listening on" in (tmp_path / "old.log").read_text()


# Closed and full standard streams.


def closing(streams: str) -> Sequence[str]:
    """What runs a program with these streams closed."""
    return ("sh", "-c", f'exec "$@" {streams}', "sh")


SHORT = (zoo_file("mono.mp3").path, "--wait-for", 0, "--speed", 100)
ALL = "<&- >&- 2>&-"


@pytest.mark.parametrize("streams", [">&-", ALL])
def test_a_server_whose_streams_are_closed_does_its_work(streams: str, tmp_path: Path) -> None:
    with Server(tmp_path, "server.py", (*SHORT, 0), within=closing(streams)) as one:
        assert one.wait() == 0, one
        assert one.result["messages"] > 0
        assert "Traceback" not in one.stderr + one.stdout + one.log
        assert "listening on [::]" in one.log


@pytest.mark.parametrize(
    ("streams", "words", "status", "said"),
    [
        (">&-", ("--output", "-"), 1, "cannot write to standard output: it is closed"),
        (">&-", ("--output", "null", "--json", "-"), 1, "cannot write -: it is closed"),
        (">/dev/full", ("--output", "null", "--json", "-"), 1, "cannot write -: No space left"),
        (">/dev/full", NOTHING_IS_HEARD, 1, "cannot write standard output: No space left"),
        (ALL, ("--output", "heard.wav"), 0, ""),
    ],
)
def test_a_client_whose_streams_are_closed_or_full_tells_the_truth(
    streams: str,
    words: tuple[str, ...],
    status: int,
    said: str,
    broadcast: Server,
    tmp_path: Path,
) -> None:
    with client(tmp_path, broadcast, *words, within=closing(streams)) as one:
        one.wait_for_log("first sound|cannot write")
        one.send(signal.SIGINT)
        assert one.wait() == status, one
        assert one.stderr.rpartition("client.py: ")[2].startswith(said)
        assert "Traceback" not in one.stderr + one.log
