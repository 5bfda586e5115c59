"""Setting a machine up: what is asked of pip where there is no make, and shells that are old."""

from __future__ import annotations

import re
import subprocess
import sys
import venv
from typing import Any

import pytest

from tests.rig.programs import ROOT
from tools import setup
from tools.requirements import requirements


def test_setup_without_make_installs_what_make_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[list[str]] = []

    def run(words: list[Any], *, check: bool) -> subprocess.CompletedProcess[str]:
        asked.append([str(word) for word in words])
        return subprocess.CompletedProcess(words, 0)

    monkeypatch.setattr(setup, "PYTHON", ROOT / ".venv" / "bin" / "python")
    monkeypatch.setattr(venv, "create", lambda folder, *, with_pip: None)
    monkeypatch.setattr(subprocess, "run", run)
    assert setup.main(["device"]) == 0
    assert asked[0][-len(list(requirements(["device"]))) :] == list(requirements(["device"]))


def test_setup_without_make_says_that_there_is_no_such_extra() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "tools" / "setup.py", "gold"], capture_output=True, text=True
    )
    assert done.returncode == 2
    assert done.stderr == "setup: no extra 'gold' in pyproject.toml\n"


LATER_THAN_BASH_3_2 = (
    r"\b(mapfile|readarray|coproc)\b",
    r"\b(declare|local|typeset) -\w*[Ang]",
    r"\$\{\w+(\[\w+\])?(,,?|\^\^?|@[QEPAa])\}",
    r"\|&|&>>|;;?&",
    r"\[\[ -v ",
    r"printf '%\(",
)
"""What bash 3.2, that of macOS, does not know."""


@pytest.mark.parametrize("name", ["setup.sh", "try_wheel.sh"])
def test_shell_scripts_for_every_system_use_what_bash_3_2_knows(name: str) -> None:
    """fresh_machine.sh is for Debian."""
    script = (ROOT / "tools" / name).read_text(encoding="utf-8")
    for pattern in LATER_THAN_BASH_3_2:
        assert not re.search(pattern, script), pattern
    # With set -u an array that may be empty is an error before 4.4, unless it is guarded.
    assert not re.search(r'(?<!\+)"\$\{sudo\[@\]\}"', script)
