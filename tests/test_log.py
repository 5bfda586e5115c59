"""The log file: what is logged stands in it, and what goes wrong with it delays nobody."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from shell import log as shell_log
from shell.log import LogError, LogFile
from wire.log import get_logger

NAME = "of a test"
log = get_logger(NAME)


@contextmanager
def log_file(path: Path, *, verbose: bool = False) -> Iterator[None]:
    made = LogFile(NAME, path, verbose=verbose)
    try:
        yield
    finally:
        assert made.close() is None


def lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines()


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
    made = LogFile(NAME, folder / "x.log", verbose=False)
    shutil.rmtree(folder)
    for number in range(100):
        log.info("line %d", number)
    made.close()


def test_a_disk_that_is_full_is_told_when_the_log_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "x.log"
    path.symlink_to("/dev/full")
    made = LogFile(NAME, path, verbose=False)
    log.info("lost")
    assert made.close() == (
        f"lines are missing in the log: cannot write {path}: No space left on device"
    )


def test_a_log_that_cannot_be_written_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(LogError, match="no log: cannot write"):
        LogFile(NAME, tmp_path / "file" / "x.log", verbose=False)


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
        give_up_at = time.monotonic() + 10
        while not lines(tmp_path / "x.log") and time.monotonic() < give_up_at:
            time.sleep(0.01)
        assert len(lines(tmp_path / "x.log")) == 21


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


def test_what_nobody_writes_down_is_not_shown_elsewhere(
    capsys: pytest.CaptureFixture[str],
) -> None:
    get_logger("of nobody").error("lost")
    assert capsys.readouterr() == ("", "")
