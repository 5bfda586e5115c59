"""Completion in bash, after `. tools/completion.bash`.

On TAB, bash starts the program with `_ARGCOMPLETE` set and reads what could follow. So this runs
before anything else is done with the command line, and costs nothing otherwise.
"""

from __future__ import annotations

import argparse
import os

FILES = ("FILE", "PATH", "WHERE")
"""Metavars of arguments that can be a file."""

WORDS = {
    "--output": ("speaker", "device:", "null", "-"),
    "--buffer": ("auto", "0.2", "1.0"),
    "--fec": ("20+4", "auto"),
    "--simulate": ("loss=10%", "burst=5", "delay=50ms", "jitter=20ms", "reorder=2%"),
    "--interval": ("0.5",),
}
"""Words offered after an option, beside files; examples where there is no full list."""


def complete(parser: argparse.ArgumentParser) -> None:
    """Answer the shell and exit, if it asks."""
    if "_ARGCOMPLETE" not in os.environ:
        return
    import argcomplete
    from argcomplete.completers import BaseCompleter, FilesCompleter

    class Offered(BaseCompleter):
        def __call__(self, *, prefix: str, action: argparse.Action, **more: object) -> list[str]:
            words = [word for option in action.option_strings for word in WORDS.get(option, ())]
            files = FilesCompleter()(prefix) if action.metavar in FILES else []
            return [*words, *files]

    argcomplete.autocomplete(parser, default_completer=Offered())
