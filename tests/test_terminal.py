"""The two programs on a real (pseudo) terminal of 80 columns, and elsewhere."""

from __future__ import annotations

import contextlib
import fcntl
import io
import os
import re
import select
import subprocess
import termios
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from shell import live
from shell.live import LiveLine
from tests.programs import (
    WAIT_S,
    Argument,
    client,
    command,
    end,
    server,
    usual_environment,
)
from tests.zoo import encode, frames_in

CTRL_C = b"\x03"
HIDE_CURSOR, SHOW_CURSOR = "\x1b[?25l", "\x1b[?25h"
ROWS, COLUMNS = 24, 80

CONTROL_SEQUENCE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")

LONG_TITLE = (
    "In Every Room \x1b[31mof the House, and in the Garden as Well as on the Street Before It"
)


class Terminal:
    """A terminal in which one program runs; somebody must `look`, or the program waits."""

    def __init__(
        self, folder: Path, script: str, *arguments: Argument, stdout: int | None = None
    ) -> None:
        """`stdout` is a file descriptor, if standard output goes elsewhere."""
        self.text = ""
        self._screen, theirs = os.openpty()
        termios.tcsetwinsize(theirs, (ROWS, COLUMNS))
        self.process = subprocess.Popen(
            command(script, arguments),
            cwd=folder,
            env={**usual_environment(), "TERM": "xterm-256color"},
            stdin=theirs,
            stdout=theirs if stdout is None else stdout,
            stderr=theirs,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        os.close(theirs)

    def press(self, key: bytes) -> None:
        os.write(self._screen, key)

    def look(self) -> None:
        """Take in what has been written to the screen."""
        while select.select([self._screen], [], [], 0)[0]:
            try:
                self.text += os.read(self._screen, 65_536).decode()
            except OSError:  # Linux: the program has closed it
                return

    def lines(self) -> list[str]:
        """Everything that was ever a line on the screen, without colours and echoed keys."""
        return re.split(r"[\r\n]+", CONTROL_SEQUENCE.sub("", self.text.replace("^C", "")))

    def live_lines(self, pattern: str) -> list[str]:
        """The different lines that look so."""
        return list(dict.fromkeys(line for line in self.lines() if re.fullmatch(pattern, line)))

    def has_ended(self) -> bool:
        return self.process.poll() is not None

    def close(self) -> None:
        if not self.has_ended():
            self.process.kill()
        self.process.wait()
        os.close(self._screen)


@contextlib.contextmanager
def terminal(
    folder: Path, script: str, *arguments: Argument, stdout: int | None = None
) -> Iterator[Terminal]:
    one = Terminal(folder, script, *arguments, stdout=stdout)
    try:
        yield one
    finally:
        one.close()


def watch(seen: Callable[[], object], *terminals: Terminal) -> None:
    """Look at all `terminals` until it is `seen`."""
    deadline = time.monotonic() + WAIT_S
    while not seen():
        assert time.monotonic() < deadline, [one.text for one in terminals]
        select.select([one._screen for one in terminals], [], [], 0.05)
        for one in terminals:
            one.look()
    for one in terminals:
        one.look()


@pytest.fixture(scope="module")
def song(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Half a minute, under a name that is longer than the line."""
    path = tmp_path_factory.mktemp("song") / "song.mp3"
    encode(path, sample_rate_hz=8000, channels=1, kbps=8, duration_s=30, tags={"title": LONG_TITLE})
    return path


def test_both_show_a_live_line_and_leave_a_tidy_screen_when_ctrl_c_is_typed(
    song: Path, tmp_path: Path
) -> None:
    server_line = r"0:\d\d of 0:30 · 1 listener · 0 lost · jitter (-|[\d.]+ ms) · In Every Room .*"
    client_line = (
        r"0:\d\d of 0:30 · buffer \d\.\d s · \d+ lost · jitter (-|[\d.]+ ms) · In Every .*"
    )
    with terminal(tmp_path, "server.py", song, 0) as sends:
        watch(lambda: re.search(r"listening on .*:(\d+)\r", sends.text), sends)
        port = re.findall(r":(\d+)\r", sends.text)[0]
        with terminal(tmp_path, "client.py", "127.0.0.1", port, "--output", "null") as hears:
            watch(lambda: len(hears.live_lines(client_line)) > 2, sends, hears)
            watch(lambda: len(sends.live_lines(server_line)) > 1, sends, hears)
            for one in (hears, sends):
                one.press(CTRL_C)
                watch(one.has_ended, sends, hears)
                assert one.process.returncode == 0
    for one, figures in ((sends, "datagrams sent"), (hears, "messages expected")):
        assert HIDE_CURSOR in one.text
        assert one.text.rfind(SHOW_CURSOR) > one.text.rfind(HIDE_CURSOR)
        assert figures in one.text[one.text.rfind(SHOW_CURSOR) :]
        assert max(map(len, one.lines())) <= COLUMNS
        assert "\x1b[31m" not in one.text
        assert "Traceback" not in one.text


def test_an_error_on_a_terminal_is_one_line_and_leaves_the_cursor(tmp_path: Path) -> None:
    with terminal(
        tmp_path, "client.py", "127.0.0.1", 9, "--output", "null", "--timeout", 0.4
    ) as one:
        watch(one.has_ended, one)
        assert one.process.returncode == 1
        assert "looking for the server" in one.text
        assert one.text.rfind(SHOW_CURSOR) > one.text.rfind(HIDE_CURSOR)
        assert one.lines()[-2].startswith("client.py: no answer from 127.0.0.1:9")


def test_with_mp3_on_standard_output_the_live_line_is_on_the_other(
    song: Path, tmp_path: Path
) -> None:
    with (
        (tmp_path / "heard.mp3").open("wb") as heard,
        server(tmp_path, song, "--speed", 30) as broadcast,
        terminal(
            tmp_path, "client.py", "127.0.0.1", broadcast.port, "--output", "-",
            stdout=heard.fileno(),
        ) as one,
    ):  # fmt: skip
        watch(one.has_ended, one)
        end(broadcast)
    assert one.process.returncode == 0
    assert one.live_lines(r"0:\d\d of 0:30 · .*")
    assert "messages expected" in one.text
    assert (tmp_path / "heard.mp3").read_bytes() == b"".join(frames_in(song))


def test_quiet_on_a_terminal_shows_no_live_line(song: Path, tmp_path: Path) -> None:
    with (
        server(tmp_path, song, "--speed", 100) as broadcast,
        terminal(
            tmp_path, "client.py", "127.0.0.1", broadcast.port, "-q", "--output", "null"
        ) as one,
    ):
        watch(one.has_ended, one)
        end(broadcast)
    assert HIDE_CURSOR not in one.text
    assert "messages expected" in one.text


def test_without_a_terminal_there_are_no_control_codes(song: Path, tmp_path: Path) -> None:
    with (
        server(tmp_path, song, "--speed", 100) as broadcast,
        client(tmp_path, broadcast, "--output", "null") as listener,
    ):
        end(listener, broadcast)
        for program in (listener, broadcast):
            assert "\x1b" not in program.stdout + program.stderr
        assert broadcast.stdout.startswith("listening on ")
        assert listener.stdout.startswith("In Every Room")


def test_without_a_terminal_a_line_is_printed_now_and_then(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 0.0
    monkeypatch.setattr(live, "time", SimpleNamespace(monotonic=lambda: now))
    paper = io.StringIO()
    with LiveLine(paper, quiet=False) as line:
        for quarter in range(4 * 12):
            now = quarter / 4
            if line.is_due():
                line.show(f"after {now:g} s")
    assert paper.getvalue() == "after 5 s\nafter 10 s\n"
