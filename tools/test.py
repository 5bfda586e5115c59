"""The tests on several Pythons side by side, and what each says of them, one after the other.

    python tools/test.py PYTHON [PYTHON ...] -- [ARGUMENT OF PYTEST ...]

Each runs them in parts, which are side by side, too: while some wait, others compute. The first has
the terminal. What the others say is shown when those before them have ended. Ctrl-C
is for the tests: the terminal sends it to each of them. SIGTERM is passed on as if it were that,
so that they end what they have started.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

ROOT = Path(__file__).resolve().parent.parent

PARTS = 3
ENVIRONMENT = {
    name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"
}
"""The tests start the programs hundreds of times: they are to be compiled once, even where the
machine says that nothing compiled be kept."""

NO_TESTS = 5
"""Exit status of pytest: none of those that were asked for are in this part."""


class Run:
    """A part of the tests on one Python, from now on; what they say goes to a file unless `aloud`.

    Parts are counted from 1. `thorough`: what depends on luck is tried often (tests/rig/luck.py).
    """

    def __init__(
        self, python: str, part: int, arguments: Sequence[str], *, aloud: bool, thorough: bool
    ) -> None:
        self.python = python
        self._part = part
        self._said = None if aloud else tempfile.TemporaryFile()  # noqa: SIM115 - until the end
        if aloud:
            self._announce()
        self.process = subprocess.Popen(
            [python, "-m", "pytest", "--part", f"{part}/{PARTS}", *arguments],
            cwd=ROOT,
            env=ENVIRONMENT if thorough else {**ENVIRONMENT, "LITTLE_LUCK": "1"},
            stdin=None if aloud else subprocess.DEVNULL,
            stdout=self._said,
            stderr=self._said,
        )

    def wait(self) -> int:
        """The exit status of pytest, at its end; shows what has not been shown."""
        status = self.process.wait()
        if self._said is not None:
            self._announce()
            self._said.seek(0)
            shutil.copyfileobj(self._said, sys.stdout.buffer)
            sys.stdout.flush()
            self._said.close()
        return status

    def _announce(self) -> None:
        version = subprocess.run(
            [self.python, "--version"], check=True, capture_output=True, text=True
        )
        print(f"== {version.stdout.strip()}, part {self._part} of {PARTS}", flush=True)


def main() -> int:
    """Run the tests on all at the same time; 1 if any of them failed."""
    divider = sys.argv.index("--")
    pythons, arguments = sys.argv[1:divider], sys.argv[divider + 1 :]
    runs: list[Run] = []

    def end(number: int, frame: FrameType | None) -> None:
        for run in runs:
            run.process.send_signal(signal.SIGINT)

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, lambda number, frame: None)
    for python in pythons:
        for part in range(1, PARTS + 1):
            is_first = python == pythons[0]
            runs.append(Run(python, part, arguments, aloud=not runs, thorough=is_first))
    ended: dict[str, set[int]] = {python: set() for python in pythons}
    for run in runs:
        ended[run.python].add(run.wait())
    failed = [python for python, statuses in ended.items() if statuses - {NO_TESTS} != {0}]
    if failed:
        print("make test: failed with", *failed, file=sys.stderr)
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
