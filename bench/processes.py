"""The two programs, run as people run them and watched from outside.

Each runs on a terminal of its own (a pseudo-terminal), so that what it draws there is measured
as well, and with its modules compiled before, as on every start but the first. Linux
only: memory comes from /proc, processor time from the process's own clock.
"""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import signal
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

ROOT = Path(__file__).resolve().parent.parent

HOST = "127.0.0.1"

TERMINAL_SIZE = (24, 100)

PATIENCE_S = 20.0
"""Time-out of what takes less than a second."""

STAMP_CHARACTERS = len("2026-01-31 23:59:59,999")
LOOK_S = 0.02

CPU_CLOCK_OF_PROCESS = 2
"""CPUCLOCK_SCHED, low bits of a process's clock (include/linux/posix-timers_types.h)."""


class Failed(Exception):
    """A program did not do what a measurement needs."""


class Program:
    """Run of `script`, which ends with the `with` block at the latest."""

    def __init__(
        self,
        script: str,
        *arguments: str,
        folder: Path,
        environment: dict[str, str],
        within: Sequence[str] = (),
        by: Sequence[str] = (),
    ) -> None:
        """`within`: command that runs the program elsewhere; `by`: script that becomes it here."""
        folder.mkdir()
        self._json = folder / "result.json"
        self._log = folder / "program.log"
        self._messages_log = folder / "program-messages.log"
        self._shown = b""
        self._terminal, child_side = pty.openpty()
        termios.tcsetwinsize(child_side, TERMINAL_SIZE)
        files = ["--json", str(self._json), "--log-file", str(self._log)]
        self.started_at = time.monotonic()
        self._process = subprocess.Popen(
            [*within, sys.executable, *by, script, *arguments, *files],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=child_side,
            stderr=child_side,
        )
        os.close(child_side)
        self._reader = threading.Thread(target=self._read_terminal, name="terminal")
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        self._reader.join()
        os.close(self._terminal)

    @property
    def is_running(self) -> bool:
        return self._process.poll() is None

    @property
    def log(self) -> str:
        """Both logs so far, in the order of time."""
        paths = (path for path in (self._log, self._messages_log) if path.exists())
        texts = (path.read_text(encoding="utf-8") for path in paths)
        lines = (line for text in texts for line in text.splitlines(keepends=True))
        return "".join(sorted(lines, key=lambda line: line[:STAMP_CHARACTERS]))

    def wait_for(self, pattern: str) -> re.Match[str]:
        """Wait until `pattern` is in the log; raises Failed."""
        give_up_at = time.monotonic() + PATIENCE_S
        while True:
            ended = not self.is_running
            found = re.search(pattern, self.log)
            if found:
                return found
            if ended or time.monotonic() > give_up_at:
                raise Failed(f"no {pattern!r} in the log; on the terminal: {self._on_terminal()}")
            time.sleep(LOOK_S)

    def cpu_s(self) -> float:
        """Processor time used so far, by all threads."""
        return time.clock_gettime(~self._process.pid << 3 | CPU_CLOCK_OF_PROCESS)

    def main_thread_cpu_s(self) -> float:
        """Processor time used so far, by the main thread."""
        pid = self._process.pid
        # In nanoseconds (Documentation/scheduler/sched-stats.rst of the Linux kernel).
        return int(Path(f"/proc/{pid}/task/{pid}/schedstat").read_text().split()[0]) / 1e9

    def cpu_percent(self, seconds: float, windows: int) -> list[float]:
        """Processor time in each of `windows` parts of the next `seconds`, in % of one core."""
        percent = []
        for _ in range(windows):
            began, used_s = time.monotonic(), self.cpu_s()
            time.sleep(seconds / windows)
            used_s = self.cpu_s() - used_s
            percent.append(used_s / (time.monotonic() - began) * 100)
        return percent

    def memory_bytes(self) -> int:
        """Resident memory, in bytes."""
        return self._status("VmRSS")

    def peak_memory_bytes(self) -> int:
        """Peak of resident memory, in bytes."""
        return self._status("VmHWM")

    def descriptors(self) -> int:
        """Open files and sockets."""
        return sum(1 for _ in Path(f"/proc/{self._process.pid}/fd").iterdir())

    def stop(self) -> dict[str, Any]:
        """Interrupt the program as with Ctrl-C; return its final statistics."""
        self._process.send_signal(signal.SIGINT)
        return self.result(PATIENCE_S)

    def result(self, within_s: float) -> dict[str, Any]:
        """Wait until the program ends by itself; return its final statistics."""
        try:
            status = self._process.wait(within_s)
        except subprocess.TimeoutExpired:
            raise Failed(f"does not end; on the terminal: {self._on_terminal()}") from None
        self._reader.join()
        if status != 0:
            raise Failed(f"ended with status {status}: {self._on_terminal()}")
        content: dict[str, Any] = json.loads(self._json.read_text(encoding="utf-8"))
        return content

    def _status(self, field: str) -> int:
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        found = re.search(rf"^{field}:\s+(\d+) kB$", status, re.MULTILINE)
        if found is None:
            raise Failed("has ended")
        return int(found[1]) * 1024

    def _read_terminal(self) -> None:
        # When the last writer is gone, Linux says EIO.
        with contextlib.suppress(OSError):
            while shown := os.read(self._terminal, 65_536):
                self._shown = (self._shown + shown)[-4096:]

    def _on_terminal(self) -> str:
        """Last output of the program, without control sequences."""
        text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\r", "\n", self._shown.decode(errors="replace"))
        return " / ".join(text.split("\n")[-6:]).strip()


class Server(Program):
    """Run of server.py on a free port, ready for listeners."""

    def __init__(
        self,
        *arguments: str,
        folder: Path,
        environment: dict[str, str],
        host: str = HOST,
        within: Sequence[str] = (),
        by: Sequence[str] = (),
    ) -> None:
        super().__init__(
            "server.py",
            *arguments,
            "0",
            "--host",
            host,
            "--no-announce",
            folder=folder,
            environment=environment,
            within=within,
            by=by,
        )
        try:
            self.port = int(self.wait_for(r"listening on \S+:(\d+) ")[1])
        except BaseException:
            self.__exit__(None, None, None)
            raise


class Client(Program):
    """Run of client.py, listening to the server on `port`."""

    def __init__(
        self,
        port: int,
        *arguments: str,
        folder: Path,
        environment: dict[str, str],
        host: str = HOST,
        within: Sequence[str] = (),
        by: Sequence[str] = (),
    ) -> None:
        super().__init__(
            "client.py",
            host,
            str(port),
            *arguments,
            folder=folder,
            environment=environment,
            within=within,
            by=by,
        )
