"""What a real shell offers when TAB is pressed."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from shell.command_line.completion import WORDS
from tests.rig.programs import ROOT
from tests.rig.terminals import Terminal, terminal, watch

BASH = ("bash", "--norc", "--noprofile", "-i", "-s")
SWITCH_ON = ". project/tools/completion.bash"
PYTHON = Path("python") / Path(sys.executable).relative_to(sys.prefix)


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Terminal]:
    """A shell in which completion has been switched on as the README says."""
    (tmp_path / "song.mp3").touch()
    # Names without spaces, wherever the project is.
    (tmp_path / "project").symlink_to(ROOT)
    (tmp_path / "python").symlink_to(sys.prefix)
    with terminal(tmp_path, "server.py", shell=BASH, size=(24, 300)) as bash:
        bash.press(b"PS1='ready> '; bind 'set bell-style none'\r")
        bash.press(f"{SWITCH_ON}; echo on\r".encode())
        watch(lambda: "\non\n" in bash.screen, bash)
        yield bash
        bash.press(b"\x15exit\r")
        bash.process.wait()


@pytest.mark.parametrize(
    ("typed", "then"),
    [
        ("server.py --max-clients-", "--max-clients-per-address "),
        ("server.py so", "song.mp3 "),
        ("server.py --json so", "song.mp3 "),
        ("server.py --fec 20", "20+4 "),
        ("client.py --list-", "--list-outputs "),
        ("client.py --output sp", "speaker "),
        ("client.py --output so", "song.mp3 "),
    ],
)
def test_tab_completes_an_option_and_what_it_takes(shell: Terminal, typed: str, then: str) -> None:
    shell.press(f"{PYTHON} project/{typed}\t#".encode())
    *before, _ = typed.split(" ")
    watch(lambda: " ".join([*before, then]) + "#" in shell.screen.replace(" #", " #"), shell)


def test_every_option_with_suggestions_exists() -> None:
    from broadcasting.arguments import parser as server_parser
    from listening.arguments import parser as client_parser

    options = {
        option
        for one in (server_parser(), client_parser())
        for action in one._actions
        for option in action.option_strings
    }
    assert set(WORDS) <= options
