"""Shared by the measurements: effort, a folder, a sound server."""

from __future__ import annotations

import contextlib
import itertools
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.processes import ROOT, Client, Failed, Server
from tests.rig import pulse

SAMPLE = ROOT / "samples" / "sample.mp3"
SAMPLE_RATE_HZ = 44_100
CHANNELS = 2
BIT_RATE_BPS = 128_000

IMPORTED = "import client, server, av, pydub, wcwidth"


@dataclass(frozen=True, slots=True)
class Effort:
    """Durations and rounds of the measurements."""

    rounds: int = 5
    """Rounds of a measurement that takes about a second."""
    steady_s: float = 18.0
    """Real time of a measurement in steady state."""
    windows: int = 3
    """Parts of that time, each of which gives a value."""
    long_media_s: float = 3600.0
    short_media_s: float = 600.0
    speed: float = 100.0
    """Speed of the hour of media."""


QUICK = Effort(rounds=2, steady_s=6.0, long_media_s=600.0, short_media_s=200.0)
"""Effort of a short run, to try the measurements."""


class Workshop:
    """One run of the benchmark; `stack` closes what is opened for all of it."""

    def __init__(self, folder: Path, effort: Effort, stack: contextlib.ExitStack) -> None:
        self.effort = effort
        self._folder = folder
        self._stack = stack
        self._count = itertools.count(1)
        self._sound: pulse.SoundServer | None = None
        self._compile()

    @property
    def environment(self) -> dict[str, str]:
        """Environment of a program that needs no sound."""
        return self._prepared(dict(os.environ))

    def new_path(self, name: str) -> Path:
        """Unused path in the folder."""
        return self._folder / f"{next(self._count)}-{name}"

    def python(self, code: str) -> None:
        """Run `code` in Python, from the folder of the programs."""
        # pydub warns of programs that it does not find; none is used.
        command = [sys.executable, "-W", "ignore", "-c", code]
        run = subprocess.run(
            command, cwd=ROOT, env=self.environment, check=False, stderr=subprocess.PIPE, text=True
        )
        if run.returncode != 0:
            raise Failed(f"python -c {code!r}: {run.stderr.strip().splitlines()[-1]}")

    def server(self, *arguments: str, by: Sequence[str] = ()) -> Server:
        """Run of server.py, ready for listeners; `by`: script that becomes it."""
        folder = self.new_path("server")
        return Server(*arguments, folder=folder, environment=self.environment, by=by)

    def client(self, port: int, output: str, *more: str, by: Sequence[str] = ()) -> Client:
        """Run of client.py with `output`: speaker, null or wav; `by`: script that becomes it.

        Raises Failed without a speaker.
        """
        environment = self._environment_for(output)
        where = str(self.new_path("song.wav")) if output == "wav" else output
        folder = self.new_path("client")
        return Client(port, "--output", where, *more, folder=folder, environment=environment, by=by)

    def _environment_for(self, output: str) -> dict[str, str]:
        if output != "speaker":
            return self.environment
        if self._sound is None:
            folder = self.new_path("sound")
            folder.mkdir()
            try:
                server = pulse.server(folder, SAMPLE_RATE_HZ, CHANNELS)
                self._sound = self._stack.enter_context(server)
            except RuntimeError as error:
                raise Failed(str(error).splitlines()[0]) from None
        return self._prepared(self._sound.environment)

    def _prepared(self, environment: dict[str, str]) -> dict[str, str]:
        """Environment without settings of Python, with bytecode in a folder of its own."""
        kept = {n: v for n, v in environment.items() if not n.startswith("PYTHON")}
        return {**kept, "PYTHONPYCACHEPREFIX": str(self._folder / "bytecode"), "TERM": "xterm"}

    def _compile(self) -> None:
        """Write the bytecode, so that no measured start does it."""
        self.python(IMPORTED)
        with contextlib.suppress(Failed):
            self.python("import simpleaudio")
