"""The real programs on a real (pseudo) terminal: its screen can be read, and its keys pressed.

    with terminal(tmp_path, "client.py", "127.0.0.1", port, "--output", "null") as one:
        watch(lambda: "playing" in one.screen, one)
        one.press(b"q")

`text` is all that was ever written; what is on the screen now is read by a terminal emulator,
pyte. Somebody must `watch`, or the program waits until its words are taken.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import select
import signal
import subprocess
import termios
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pyte

from tests.rig.programs import WAIT_S, Argument, command, usual_environment

ROWS, COLUMNS = 24, 80

HIDE_CURSOR, SHOW_CURSOR = "\x1b[?25l", "\x1b[?25h"
TO_ITS_SCREEN, BACK = "\x1b[?1049h", "\x1b[?1049l"

AT_A_PLACE = re.compile(r"\x1b\[[0-9;]*H")
CONTROL_SEQUENCE = re.compile(r"\x1b(?:\[[0-9;?]*[A-Za-z]|[78])")


IN_BACKGROUND = ("sh", "-c", 'set -m; "$@" & read line; fg >/dev/null', "sh")
IN_SHELL = (
    "sh",
    "-c",
    'set -m; "$@"; s=$?; while [ $s -gt 128 ]; do read line; fg >/dev/null; s=$?; done; exit $s',
    "sh",
)
"""Shells with job control. Only what was started by one can be stopped by Ctrl-Z; another line,
and it goes on."""


class Terminal:
    """A terminal in which one program runs in the foreground."""

    def __init__(
        self,
        folder: Path,
        script: str,
        *arguments: Argument,
        stdin: int | None = None,
        stdout: int | None = None,
        size: tuple[int, int] = (ROWS, COLUMNS),
        environment: Mapping[str, str] | None = None,
        shell: tuple[str, ...] = (),
    ) -> None:
        """`stdin` and `stdout` are file descriptors, if they are not this terminal.

        `shell`: what runs it, if that is not the test itself.
        """
        self.text = ""
        self._open_ends = [*os.openpty()]
        self._ours, self._theirs = self._open_ends
        termios.tcsetwinsize(self._theirs, size)
        self._screen = pyte.Screen(size[1], size[0])
        self._emulator = pyte.ByteStream(self._screen)
        self._rows: list[str] | None = None
        self.modes_before = termios.tcgetattr(self._theirs)
        self.process = subprocess.Popen(
            [*shell, *command(script, arguments)],
            cwd=folder,
            env={**usual_environment(), "TERM": "xterm-256color", **(environment or {})},
            stdin=self._theirs if stdin is None else stdin,
            stdout=self._theirs if stdout is None else stdout,
            stderr=self._theirs,
            start_new_session=True,
            # Standard error is this terminal in any case.
            preexec_fn=lambda: fcntl.ioctl(2, termios.TIOCSCTTY, 0),
        )

    def press(self, keys: bytes) -> None:
        os.write(self._ours, keys)

    def resize(self, rows: int, columns: int) -> None:
        """As a window does: the program gets SIGWINCH."""
        termios.tcsetwinsize(self._ours, (rows, columns))
        self._screen.resize(rows, columns)
        self._rows = None

    def spoil(self) -> None:
        """Set it up as it was, as a shell may while the program is stopped."""
        termios.tcsetattr(self._theirs, termios.TCSANOW, self.modes_before)

    def look(self) -> None:
        """Take in what has been written to the screen."""
        while select.select([self._ours], [], [], 0)[0]:
            try:
                data = os.read(self._ours, 65_536)
            except OSError:  # Linux: nobody has it any more
                return
            self.text += data.decode()
            self._emulator.feed(data)
            self._rows = None

    @property
    def screen(self) -> str:
        """What can be seen now."""
        return "\n".join(self.rows)

    @property
    def rows(self) -> list[str]:
        """What can be seen now, row by row."""
        if self._rows is None:
            # pyte puts them together from their cells, which takes a millisecond.
            self._rows = [row.rstrip() for row in self._screen.display]
        return self._rows

    @property
    def modes(self) -> list[Any]:
        """As termios has them; `modes_before` is how they were."""
        return termios.tcgetattr(self._theirs)

    @property
    def pid(self) -> int:
        """Process number of the program that the shell runs."""
        shell = self.process.pid
        return int(Path(f"/proc/{shell}/task/{shell}/children").read_text())

    @property
    def state(self) -> str:
        """State of the process: R and S as it works, T when it is stopped."""
        stat = Path(f"/proc/{self.pid}/stat").read_text()
        return stat.rpartition(")")[2].split()[0]

    def lines(self) -> list[str]:
        """Everything that was ever written as a line, without colours and echoed keys."""
        text = AT_A_PLACE.sub("\n", self.text.replace("^C", ""))
        return re.split(r"[\r\n]+", CONTROL_SEQUENCE.sub("", text))

    def has_ended(self) -> bool:
        return self.process.poll() is not None

    def is_tidy(self) -> bool:
        """Whether the user has the terminal back as it was."""
        return (
            self.modes == self.modes_before
            and self.text.rfind(SHOW_CURSOR) >= self.text.rfind(HIDE_CURSOR)
            and self.text.rfind(BACK) >= self.text.rfind(TO_ITS_SCREEN)
        )

    def hang_up(self) -> None:
        """Close it, as a window is closed: the program gets SIGHUP."""
        for end in self._open_ends:
            os.close(end)
        self._open_ends.clear()

    def close(self) -> None:
        if not self.has_ended():
            self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.hang_up()


@contextlib.contextmanager
def terminal(
    folder: Path,
    script: str,
    *arguments: Argument,
    stdin: int | None = None,
    stdout: int | None = None,
    size: tuple[int, int] = (ROWS, COLUMNS),
    environment: Mapping[str, str] | None = None,
    shell: tuple[str, ...] = (),
) -> Iterator[Terminal]:
    one = Terminal(
        folder,
        script,
        *arguments,
        stdin=stdin,
        stdout=stdout,
        size=size,
        environment=environment,
        shell=shell,
    )
    try:
        yield one
    finally:
        one.close()


def watch(seen: Callable[[], object], *terminals: Terminal) -> None:
    """Look at all `terminals` until it is `seen`."""
    deadline = time.monotonic() + WAIT_S
    while not seen():
        if time.monotonic() > deadline:
            shown = [f"{one.screen}\n--- {one.text[-2000:]!r}" for one in terminals]
            raise AssertionError("waited in vain: " + "\n".join(shown))
        select.select([one._ours for one in terminals], [], [], 0.02)
        for one in terminals:
            one.look()
    for one in terminals:
        one.look()


def port_of(sends: Terminal) -> str:
    """Port of a server in a terminal, as soon as it listens."""
    watch(lambda: re.search(r"listening on .*:(\d+)\r", sends.text), sends)
    found: str = re.findall(r"listening on .*:(\d+)\r", sends.text)[0]
    return found
