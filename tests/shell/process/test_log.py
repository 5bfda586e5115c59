"""The two logs: what is logged stands in them, and what goes wrong with them delays nobody."""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from shell.process import log as shell_log
from shell.process.log import Logs

NAME = "of a test"
log = logging.getLogger(NAME)
message_log = logging.getLogger(f"{NAME}.messages")


def opened(path: Path | str, *, messages: bool = False, verbose: bool = False) -> Logs:
    return Logs(NAME, str(path), messages=messages, verbose=verbose)


@contextmanager
def log_file(path: Path | str, *, messages: bool = False, verbose: bool = False) -> Iterator[None]:
    made = opened(path, messages=messages, verbose=verbose)
    assert made.fault is None
    try:
        yield
    finally:
        assert made.close() is None


def lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines()


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_every_line_is_in_the_file_in_order_when_it_is_closed(tmp_path: Path) -> None:
    with log_file(tmp_path / "logs" / "x.log"):
        for number in range(1000):
            log.info("line %d", number)
    written = lines(tmp_path / "logs" / "x.log")
    assert [line.partition(" - INFO - ")[2] for line in written] == [
        f"line {number}" for number in range(1000)
    ]


def test_what_is_for_verbose_is_written_only_then(tmp_path: Path) -> None:
    for verbose in (False, True):
        with log_file(tmp_path / f"{verbose}.log", verbose=verbose):
            log.debug("a detail")
    assert lines(tmp_path / "False.log") == []
    assert len(lines(tmp_path / "True.log")) == 1


def test_a_message_with_line_breaks_and_escapes_stays_on_its_line(tmp_path: Path) -> None:
    with log_file(tmp_path / "x.log"):
        log.info("skipped %s", "a\nb\x1b[2J")
    (line,) = lines(tmp_path / "x.log")
    assert line.endswith("skipped a?b?[2J")


def test_a_file_that_is_full_is_set_aside_and_only_so_many_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shell_log, "ROTATE_BYTES", 1000)
    for _ in range(10):
        with log_file(tmp_path / "x.log"):
            log.info("x" * 600)
    assert len(list(tmp_path.iterdir())) == 1 + shell_log.ROTATIONS
    assert all(path.stat().st_size <= 1000 for path in tmp_path.iterdir())


def test_a_folder_that_goes_away_while_it_is_written_to_stops_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shell_log, "ROTATE_BYTES", 1)
    monkeypatch.setattr(shell_log, "WRITE_EVERY_S", 0.001)
    folder = tmp_path / "logs"
    made = opened(folder / "x.log")
    shutil.rmtree(folder)
    for number in range(100):
        log.info("line %d", number)
    made.close()


def test_after_it_was_moved_away_and_reopened_a_new_file_goes_on(tmp_path: Path) -> None:
    path, old = tmp_path / "x.log", tmp_path / "old.log"
    made = opened(path)
    log.info("before")
    made.close()
    made = opened(path)
    path.rename(old)
    made.reopen()
    log.info("after")
    assert made.close() is None
    assert lines(old)[0].endswith("before")
    assert [line[-5:] for line in lines(path)] == ["after"]


def test_whoever_takes_no_line_holds_up_no_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shell_log, "STOP_S", 0.1)
    path = tmp_path / "pipe"
    os.mkfifo(path)
    reading = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    made = opened(path)
    for _ in range(1000):
        log.info("x" * 200)
    assert made.close() == f"lines are missing in the log: {path} takes nothing"
    while made._writer.is_alive():
        with suppress(BlockingIOError):
            os.read(reading, 1 << 20)
    for _, file in made._files:
        file.close()
    os.close(reading)


def test_a_disk_that_is_full_is_told_when_the_log_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "x.log"
    path.symlink_to("/dev/full")
    made = opened(path)
    log.info("lost")
    assert made.close() == (
        f"lines are missing in the log: cannot write {path}: No space left on device"
    )


def test_a_log_that_cannot_be_written_is_told_in_one_line(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "file").touch()
    for path, why in (
        (folder / "file" / "x.log", "File exists"),
        (folder, "Is a directory"),
        (Path("/proc/x.log"), "No such file or directory"),
    ):
        made = opened(path, messages=True)
        message_log.info("lost")
        assert made.close() is None
        assert made.fault == f"no log: cannot write {path}: {why}"
    assert names(folder) == {"file"}
    assert names(tmp_path) == {"folder"}


def test_lines_beyond_what_may_wait_are_dropped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shell_log, "FIRST_WRITE_S", 60)
    monkeypatch.setattr(shell_log, "QUEUE_LINES", 10)
    with log_file(tmp_path / "x.log"):
        for number in range(100):
            log.info("line %d", number)
    assert len(lines(tmp_path / "x.log")) == 10


def test_lines_are_written_at_once_when_many_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shell_log, "FIRST_WRITE_S", 3600)
    monkeypatch.setattr(shell_log, "MANY_LINES", 20)
    with log_file(tmp_path / "x.log"):
        for number in range(21):
            log.info("line %d", number)
        until(lambda: len(lines(tmp_path / "x.log")) == 21)


def test_messages_go_to_a_file_beside_the_log_and_nowhere_else(tmp_path: Path) -> None:
    with log_file(tmp_path / "x.log", messages=True):
        log.info("registered")
        message_log.info("received CONNECT")
        message_log.debug("a detail")
    (event,), (message,) = lines(tmp_path / "x.log"), lines(tmp_path / "x-messages.log")
    assert event.endswith(f" - {os.getpid()} - INFO - registered")
    assert message.endswith(f" - {os.getpid()} - INFO - received CONNECT")


def test_messages_that_are_not_wanted_are_not_even_made(tmp_path: Path) -> None:
    with log_file(tmp_path / "x.log", verbose=True):
        assert log.isEnabledFor(logging.DEBUG)
        assert not message_log.isEnabledFor(logging.ERROR)
    assert names(tmp_path) == {"x.log"}


def test_either_log_is_bounded_by_twenty_megabytes(tmp_path: Path) -> None:
    text = "x" * 9_000
    with log_file(tmp_path / "x.log", messages=True):
        for _ in range(3_000):
            log.info(text)
            message_log.info(text)
    for pattern in ("x.log*", "x-messages.log*"):
        size = sum(path.stat().st_size for path in tmp_path.glob(pattern))
        # Lines written together stay together: two files in a row have more than one may have.
        assert 10_000_000 < size <= 20_000_000


def test_a_second_process_in_the_folder_has_logs_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "x.log"
    says = (
        "import logging, sys, shell.process.log as shell_log;"
        f"logs = shell_log.Logs({NAME!r}, {str(path)!r}, messages=True, verbose=False);"
        f"logging.getLogger({NAME!r}).info('second'); sys.stdin.read(); assert not logs.close()"
    )
    with log_file(path, messages=True):
        second = subprocess.Popen([sys.executable, "-c", says], stdin=subprocess.PIPE)
        with second:
            until(lambda: (tmp_path / "x-2-messages.log").exists())
            with log_file(path):
                log.info("first and third")
    assert [line.split(" - ")[1] for line in lines(tmp_path / "x-2.log")] == [str(second.pid)]
    assert len(lines(path)) == len(lines(tmp_path / "x-3.log")) == 1
    with log_file(path):
        log.info("free again")
    assert len(lines(path)) == 2
    written = {"x.log", "x-messages.log", "x-2.log", "x-2-messages.log", "x-3.log"}
    assert names(tmp_path) == written, "no lock is left behind"


def test_the_logs_of_a_process_that_was_killed_are_free(tmp_path: Path) -> None:
    (tmp_path / ".x.log.lock").touch()
    with log_file(tmp_path / "x.log"):
        log.info("mine")
    assert names(tmp_path) == {"x.log"}


def test_standard_error_has_what_happens_and_the_usual_file_the_messages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "stderr", sys.__stderr__)
    with log_file("-", messages=True):
        log.info("registered")
        message_log.info("received CONNECT")
    assert capfd.readouterr().err.endswith(f" - {os.getpid()} - INFO - registered\n")
    (message,) = lines(tmp_path / "logs" / f"{NAME}-messages.log")
    assert message.endswith("received CONNECT")
    assert len(names(tmp_path / "logs")) == 1


def test_a_device_takes_both(tmp_path: Path) -> None:
    with log_file("/dev/null", messages=True):
        log.info("nowhere")
        message_log.info("nowhere")
        assert not list(Path("/dev").glob("*null[-.]*"))


def until(ready: Callable[[], bool]) -> None:
    give_up_at = time.monotonic() + 20
    while not ready():
        assert time.monotonic() < give_up_at
        time.sleep(0.01)


def test_a_fault_is_written_with_its_traceback(tmp_path: Path) -> None:
    with log_file(tmp_path / "x.log"):
        try:
            raise ValueError("of a test")
        except ValueError:
            log.exception("the %s failed", "receiver")
    first, *others = lines(tmp_path / "x.log")
    assert first.endswith("ERROR - the receiver failed")
    assert others[0].startswith("Traceback")
    assert others[-1] == "ValueError: of a test"


@pytest.mark.parametrize("name", ["broadcasting", "listening"])
def test_what_nobody_writes_down_is_not_shown_elsewhere(name: str) -> None:
    program = {"broadcasting": "server", "listening": "client"}[name]
    says = f"import logging, {name}; logging.getLogger({program!r}).error('lost')"
    ran = subprocess.run([sys.executable, "-c", says], capture_output=True, check=True)
    assert (ran.stdout, ran.stderr) == (b"", b"")
