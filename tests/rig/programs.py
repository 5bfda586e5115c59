"""The real programs as processes, for tests with real sockets, signals and files.

    with server(tmp_path, song, "--speed", 20) as broadcast:
        with client(tmp_path, broadcast, "--output", wav) as listener:
            assert listener.wait() == 0
            assert listener.result["lost"] == 0

Each program has a folder of its own to work in, so its log is where the user finds it by default.
Nothing sleeps and hopes: every wait ends when what it waits for is seen, or fails with all that
the program said. A program that still runs at the end of its block is killed, by its own id.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import wave
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Self, TypeVar

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = ROOT / "samples" / "sample.mp3"

WAIT_S = 25.0
"""Far longer than anything here takes on a busy machine, and less than the time-out of a test."""

POLL_S = 0.005

STAMP_CHARACTERS = len("2026-01-31 23:59:59,999")
_STAMP = re.compile(r"^(?=\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} - )", re.MULTILINE)
"""Where a record of a log begins; a traceback is part of the one before."""

Argument = str | Path | int | float
Found = TypeVar("Found")


class Program:
    """One run of `server.py` or `client.py`."""

    def __init__(
        self,
        folder: Path,
        script: str,
        arguments: tuple[Argument, ...],
        *,
        environment: Mapping[str, str] | None = None,
        stdout: int | None = None,
        stdin: int = subprocess.DEVNULL,
        within: Sequence[str] = (),
    ) -> None:
        """`stdout` is a file descriptor, instead of the file that `stdout` can read.

        `within` comes before the command: what runs it elsewhere, or otherwise.
        """
        name = Path(script).stem
        self.folder = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=folder))
        logs = self.folder / "logs"
        self._logs = (logs / f"{name}.log", logs / f"{name}-messages.log")
        with self._said("stdout").open("wb") as out, self._said("stderr").open("wb") as err:
            self.process = subprocess.Popen(
                [*within, *command(script, arguments)],
                cwd=self.folder,
                env=usual_environment() if environment is None else dict(environment),
                stdin=stdin,
                stdout=out if stdout is None else stdout,
                stderr=err,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()

    def __repr__(self) -> str:
        parts = [f"{self.process.args!r} has ended with {self.process.poll()}"]
        for title, text in (("out", self.stdout), ("err", self.stderr), ("log", self.log[-4000:])):
            parts.append(f"--- {title}:\n{text}")
        return "\n".join(parts)

    @property
    def stdout(self) -> str:
        """Standard output so far."""
        return self.stdout_bytes.decode(errors="replace")

    @property
    def stdout_bytes(self) -> bytes:
        return self._said("stdout").read_bytes()

    @property
    def stderr(self) -> str:
        return self._said("stderr").read_text(errors="replace")

    @property
    def log(self) -> str:
        """Both logs so far, in the order of time."""
        texts = (path.read_text() for path in self._logs if path.exists())
        records = (record for text in texts for record in _STAMP.split(text))
        return "".join(sorted(records, key=lambda record: record[:STAMP_CHARACTERS]))

    @property
    def events(self) -> str:
        """Event log so far."""
        return self._logs[0].read_text() if self._logs[0].exists() else ""

    @property
    def _log_bytes(self) -> int:
        return sum(path.stat().st_size for path in self._logs if path.exists())

    @property
    def result(self) -> dict[str, Any]:
        """Its final statistics."""
        content = json.loads((self.folder / "result.json").read_text())
        assert isinstance(content, dict)
        return content

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self.process.send_signal(number)

    def wait(self) -> int:
        """Its exit status, when it has ended by itself."""
        try:
            return self.process.wait(WAIT_S)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"it does not end: {self!r}") from None

    def wait_for_log(self, pattern: str) -> re.Match[str]:
        """The first place in its log that looks so, as soon as it is there."""
        searched_bytes = -1

        def search() -> re.Match[str] | None:
            nonlocal searched_bytes
            before, searched_bytes = searched_bytes, self._log_bytes
            return None if before == searched_bytes else re.search(pattern, self.log, re.MULTILINE)

        return self.wait_until(search, pattern)

    def wait_until(self, ready: Callable[[], Found | None], what: str) -> Found:
        """What `ready` finds, as soon as that is something."""
        deadline = time.monotonic() + WAIT_S
        while True:
            ended = self.process.poll() is not None
            found = ready()
            if found:
                return found
            if ended or time.monotonic() > deadline:
                raise AssertionError(f"waited in vain for {what!r}: {self!r}")
            time.sleep(POLL_S)

    def _said(self, where: str) -> Path:
        return self.folder / where


class Server(Program):
    """A server that listens already."""

    @property
    def port(self) -> int:
        return int(self.wait_until(self._listening, "listening on")[1])

    def _listening(self) -> re.Match[str] | None:
        # Where the log cannot be written it says so on the screen, with -q only in the log.
        return re.search(r"listening on .*:(\d+)(?: for .*)?\n", self.stdout + self.log)


@contextlib.contextmanager
def server(folder: Path, *arguments: Argument, port: int = 0, **how: Any) -> Iterator[Server]:
    """A server with these files and options; port 0 is a free one. `how` is for Program."""
    with Server(folder, "server.py", (*arguments, port), **how) as program:
        assert program.port
        yield program


@contextlib.contextmanager
def client(
    folder: Path,
    of: Server | int,
    *arguments: Argument,
    host: str = "127.0.0.1",
    script: str = "client.py",
    **how: Any,
) -> Iterator[Program]:
    """A client of this server, or of whoever has this port; `how` is for Program."""
    port = of if isinstance(of, int) else of.port
    with Program(folder, script, (host, port, *arguments), **how) as program:
        yield program


def end(*programs: Program) -> None:
    """All of them end by themselves, and well."""
    for program in programs:
        assert program.wait() == 0, program
        assert "Traceback" not in program.stderr + program.log, program


def balances(result: dict[str, Any]) -> bool:
    """Whether the identities of the statistics hold in what a client says of itself."""
    came_of = sum(result[name] for name in ("intact", "retransmitted", "rebuilt", "lost"))
    came_as = sum(result[name] for name in ("intact", "retransmitted", "duplicates", "late"))
    played_s = sum(result[name] for name in ("intact_s", "repaired_s", "concealed_s"))
    return (
        bool(result["expected"] == came_of and result["received"] == came_as)
        and abs(result["played_s"] - played_s) < 1e-5
    )


def pcm_in(path: Path) -> bytes:
    """The samples in a WAV file."""
    with wave.open(str(path)) as wav:
        content: bytes = wav.readframes(wav.getnframes())
        return content


class Finished(NamedTuple):
    """A program that has run to its end."""

    status: int
    stdout: str
    stderr: str


def run(folder: Path, script: str, *arguments: Argument, **how: Any) -> Finished:
    """Run a program that ends by itself; `how` is for Program."""
    with Program(folder, script, arguments, **how) as program:
        return Finished(program.wait(), program.stdout, program.stderr)


def usual_environment() -> dict[str, str]:
    """As a user has it: nothing that was set for the Python that runs the tests."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}


def command(script: str, arguments: tuple[Argument, ...]) -> list[str]:
    """What starts `script`, with its final statistics in `result.json` if nothing else is asked.

    A server announces itself only if it has a `--name`.
    """
    words = [str(argument) for argument in arguments]
    if "--json" not in words:
        words += ["--json", "result.json"]
    if script == "server.py" and "--name" not in words:
        # Nobody else shall find it.
        words.append("--no-announce")
    return [sys.executable, str(ROOT / script), *words]
