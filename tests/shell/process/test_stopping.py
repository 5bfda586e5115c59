"""Requests to end are counted, whatever the main thread does."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable

import pytest

from shell.process import stopping
from shell.process.stopping import Signals, Stopped
from tests.rig.programs import ROOT

WAIT_S = 20


def send(number: int) -> None:
    os.kill(os.getpid(), number)


def wait_until(signals: Signals, seen: Callable[[], bool]) -> None:
    while not seen():
        signals.wait(WAIT_S)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_each_request_is_counted(number: signal.Signals) -> None:
    with Signals() as signals:
        for count in (1, 2, 3):
            send(number)
            wait_until(signals, lambda count=count: signals.stops == count)  # type: ignore[misc]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_third_signal_has_its_default_action(number: signal.Signals) -> None:
    """In a process of its own, which hangs."""
    script = (
        "import os, time\n"
        "from shell.process import stopping\n"
        f"stopping.BOUNCE_S, stopping.HURRY_S = 0, {WAIT_S}\n"
        "with stopping.Signals() as signals:\n"
        "    signals.stop(); signals.stop()\n"
        "    while signals._hurries_at is None: time.sleep(0.001)\n"
        f"    time.sleep(0.001); os.kill(os.getpid(), {number:d}); time.sleep({WAIT_S})\n"
    )
    assert subprocess.run([sys.executable, "-c", script], cwd=ROOT).returncode == -number


@pytest.mark.parametrize("plays", [True, False])
def test_what_plays_is_not_torn_down_with_python_and_what_was_printed_is_kept(plays: bool) -> None:
    """A thread of simpleaudio that outlives Python is a segmentation fault."""
    script = (
        "import atexit\n"
        "from shell.process.stopping import run_program\n"
        "atexit.register(print, 'torn down')\n"
        f"run_program(lambda: print('printed') or 3, plays={plays})\n"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 3
    assert done.stdout.split("\n")[:-1] == ["printed", *(["torn down"] if not plays else [])]


def test_a_second_request_that_is_not_obeyed_ends_the_process(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ended: list[int] = []
    over = threading.Event()

    def end_at_once(status: int) -> None:
        ended.append(status)
        over.set()

    monkeypatch.setattr(stopping, "HURRY_S", 0.01)
    monkeypatch.setattr(stopping, "end_at_once", end_at_once)
    with Signals() as signals:
        signals.stop()
        signals.stop()
        # The main thread hangs here.
        assert over.wait(WAIT_S)
    assert ended[0] == 1


def test_what_hangs_is_left_behind_when_a_request_comes() -> None:
    goes_on = threading.Event()
    with Signals() as signals:
        signals.stop()
        with pytest.raises(Stopped):
            signals.result_of(lambda: goes_on.wait(WAIT_S))
        goes_on.set()
        for one in threading.enumerate():
            if one.name == "opening":
                one.join(WAIT_S)


def test_what_work_returns_or_raises_comes_to_who_asked_for_it() -> None:
    def fails() -> None:
        raise LookupError("of a test")

    with Signals() as signals:
        assert signals.result_of(lambda: 7) == 7
        with pytest.raises(LookupError, match="of a test"):
            signals.result_of(fails)


@pytest.mark.parametrize("has_terminal", [True, False])
def test_sighup_is_a_request_only_if_there_is_a_terminal(
    has_terminal: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stopping, "_has_terminal", lambda: has_terminal)
    reopened: list[bool] = []
    with Signals() as signals:
        signals.on_hang_up(lambda: reopened.append(True))
        send(signal.SIGHUP)
        wait_until(signals, lambda: bool(signals.stops or reopened))
        assert (signals.stops, len(reopened)) == ((1, 0) if has_terminal else (0, 1))


def test_a_program_that_was_started_by_nohup_stays_deaf_to_sighup() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with Signals() as signals:
        signals.on_hang_up(signals.stop)
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
