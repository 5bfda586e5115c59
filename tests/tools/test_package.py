"""What pyproject.toml says of the package is what the files say."""

from __future__ import annotations

import fnmatch
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from shell.command_line.arguments import VERSION
from tests.rig.programs import ROOT
from tools.requirements import requirements

CONTENT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PROJECT = CONTENT["project"]
SETUPTOOLS = CONTENT["tool"]["setuptools"]

NOT_IN_IT = {"bench", "docs", "fuzz", "logs", "samples", "tests", "tools"}


def test_requirements_txt_names_the_dependencies() -> None:
    text = (ROOT / "requirements.txt").read_text(encoding="utf-8")
    named = re.findall(r"^([^#\n]+?) *(?:#.*)?$", text, re.MULTILINE)
    assert [one.replace('"', "'") for one in named] == PROJECT["dependencies"]


def test_an_extra_brings_what_it_needs_of_others_too() -> None:
    alone = list(requirements([]))
    assert alone == PROJECT["dependencies"]
    device, report = PROJECT["optional-dependencies"]["device"], list(requirements(["bench"]))
    assert {*alone, *device, *report} < {*requirements(["dev"])}
    assert len(report) == len(alone) + 1


def test_every_folder_of_the_programs_and_all_its_files_are_in_the_wheel() -> None:
    patterns = SETUPTOOLS["packages"]["find"]["include"]
    folders = {path.parts[0] for path in tracked() if len(path.parts) > 1}
    ours = {one for one in folders if not one.startswith(".")} - NOT_IN_IT
    assert {one for one in ours if any(fnmatch.fnmatch(one, to) for to in patterns)} == ours
    modules = [f"{name}.py" for name in SETUPTOOLS["py-modules"]]
    wanted = ["*.py", *SETUPTOOLS["package-data"]["*"]]
    for path in tracked():
        if path.parts[0] in ours:
            assert any(path.match(pattern) for pattern in wanted), path
        elif len(path.parts) == 1 and path.suffix == ".py":
            assert path.name in modules


def test_a_folder_of_a_package_is_a_package() -> None:
    modules = {path for path in tracked() if path.suffix == ".py" and len(path.parts) > 1}
    folders = {path.parent for path in modules if path.parts[0] not in NOT_IN_IT}
    assert {one for one in folders if one / "__init__.py" not in modules} == set()


def tracked() -> list[Path]:
    """The project's files, relative to its folder; a clone without git has no others either."""
    left_out = ("__pycache__", ".venv", ".git", "_cache", "build", ".egg-info")
    found = []
    for folder, folders, files in os.walk(ROOT):
        folders[:] = [one for one in folders if not any(part in one for part in left_out)]
        found += [Path(folder, one).relative_to(ROOT) for one in files]
    return found


@pytest.mark.parametrize("program", ["server", "client"])
def test_a_script_can_be_run_and_installed_it_calls_itself_by_its_name(program: str) -> None:
    script = ROOT / f"{program}.py"
    assert os.access(script, os.X_OK)
    assert script.read_text(encoding="utf-8").startswith("#!/usr/bin/env python3\n")
    module, _, function = PROJECT["scripts"][f"mp3cast-{program}"].partition(":")
    start = f"import sys, {module}; sys.argv[0] = '/bin/mp3cast-{program}'; {module}.{function}()"
    for argument, says in (("--version", f"mp3cast-{program} {VERSION}\n"), ("--unknown", "")):
        run = [sys.executable, "-c", start, argument]
        done = subprocess.run(run, cwd=ROOT, capture_output=True, text=True)
        assert done.stdout == says
        assert done.returncode == 2 * (argument == "--unknown")
        assert not done.stderr or done.stderr.startswith(f"mp3cast-{program}: ")


def test_setup_takes_the_pythons_that_the_package_supports() -> None:
    text = (ROOT / "tools" / "setup.sh").read_text(encoding="utf-8")
    supported = re.findall(r"^supported=\((.*)\)$", text, re.MULTILINE)[0].split()
    prefix = "Programming Language :: Python :: "
    classified = [one for one in PROJECT["classifiers"] if one.startswith(prefix)]
    assert sorted(classified) == sorted(prefix + version for version in supported)
    assert PROJECT["requires-python"] == f">={min(supported)}"
