"""What `make test` does with several Pythons. Those here are scripts that pretend to be one."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.rig.programs import POLL_S, ROOT, WAIT_S
from tools.test import PARTS

PYTHON = """#!/bin/sh
name=$(basename "$0")
if [ "$1" = --version ]; then echo "Python $name"; exit; fi
cd "$(dirname "$0")"
trap 'echo "$name cleans up"; exit 2' INT
echo "$name runs $*"
part=${{4%/*}}
: >"$name.$part.runs"
for turn in $(seq 1000); do
    if [ -e "{waits_for}.1.runs" ] && [ -e "{waits_for}.2.runs" ]; then
        [ "$part" = 1 ] && exit {first} || exit {second}
    fi
    sleep 0.02
done
echo "$name has waited in vain"
"""

NO_TESTS = 5
"""How pytest says that there were none of those it was asked for."""


def python(path: Path, *, waits_for: str, first: int = 0, second: int = 0) -> Path:
    """A Python whose tests end when those of the one named `waits_for` have begun.

    `first` is the exit status of its first part, and `second` that of each other.
    """
    path.write_text(PYTHON.format(waits_for=waits_for, first=first, second=second))
    path.chmod(0o755)
    return path


def run_on(*pythons: Path) -> subprocess.Popen[str]:
    """The tests with two arguments, on these."""
    command = [
        sys.executable,
        str(ROOT / "tools" / "test.py"),
        *map(str, pythons),
        "--",
        "-k",
        "a or b",
    ]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_they_run_at_the_same_time_and_are_told_one_after_the_other(tmp_path: Path) -> None:
    first = python(tmp_path / "first", waits_for="second")
    second = python(tmp_path / "second", waits_for="first")
    with run_on(first, second) as tests:
        told, complaint = tests.communicate(timeout=WAIT_S)
    assert told.splitlines() == [
        line
        for name in ("first", "second")
        for part in range(1, PARTS + 1)
        for line in (
            f"== Python {name}, part {part} of {PARTS}",
            f"{name} runs -m pytest --part {part}/{PARTS} -k a or b",
        )
    ]
    assert (tests.returncode, complaint) == (0, "")


def test_a_failure_of_any_is_told_and_the_others_are_heard_out(tmp_path: Path) -> None:
    first = python(tmp_path / "first", waits_for="second", second=1)
    second = python(tmp_path / "second", waits_for="first")
    with run_on(first, second) as tests:
        told, complaint = tests.communicate(timeout=WAIT_S)
    assert "second runs" in told
    assert complaint == f"make test: failed with {first}\n"
    assert tests.returncode == 1


def test_a_part_without_tests_is_no_failure_but_no_tests_at_all_are(tmp_path: Path) -> None:
    first = python(tmp_path / "first", waits_for="second", second=NO_TESTS)
    second = python(tmp_path / "second", waits_for="first", first=NO_TESTS, second=NO_TESTS)
    with run_on(first, second) as tests:
        _, complaint = tests.communicate(timeout=WAIT_S)
    assert complaint == f"make test: failed with {second}\n"
    assert tests.returncode == 1


def test_asked_to_end_they_clean_up_and_that_is_a_failure(tmp_path: Path) -> None:
    pythons = [python(tmp_path / name, waits_for="never") for name in ("first", "second")]
    with run_on(*pythons) as tests:
        deadline = time.monotonic() + WAIT_S
        while len(list(tmp_path.glob("*.runs"))) < 2 * PARTS:
            assert time.monotonic() < deadline
            time.sleep(POLL_S)
        tests.send_signal(signal.SIGTERM)
        told, _ = tests.communicate(timeout=WAIT_S)
    assert [line for line in told.splitlines() if "cleans up" in line] == [
        *["first cleans up"] * PARTS,
        *["second cleans up"] * PARTS,
    ]
    assert tests.returncode == 1
