"""The man pages say what the parsers say."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from tools.man_pages import FOLDER, pages


@pytest.mark.parametrize("file", sorted(pages()))
def test_a_page_is_what_the_parsers_make(file: str) -> None:
    hint = "run: python -m tools.man_pages"
    assert (FOLDER / file).read_text(encoding="utf-8") == pages()[file], hint


@pytest.mark.skipif(shutil.which("man") is None, reason="man is not installed")
@pytest.mark.parametrize("file", sorted(pages()))
def test_man_has_nothing_to_say_against_it(file: str) -> None:
    shown = subprocess.run(
        ["man", "--warnings", "--local-file", str(FOLDER / file)],
        env={"PATH": "/usr/bin:/bin", "MANWIDTH": "80", "LC_ALL": "C.UTF-8"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert shown.stderr == ""
    assert file.removesuffix(".1") in shown.stdout
