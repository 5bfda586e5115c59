"""Write docs/cli.md, what both programs take, as their parsers tell it.

python -m tools.cli_document > docs/cli.md
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from broadcasting.arguments import parser as server_parser
from listening.arguments import parser as client_parser

_HEAD = """# The command line

Made from the parsers by `python -m tools.cli_document`; a test keeps it equal to them. What the
options are good for, with examples, is in [usage.md](usage.md).
"""

STATUSES = (
    "the stream ended, or the user stopped it; the statistics are printed either way",
    "refused, no answer, lost for good, no sound device at the start, port in use",
    "wrong usage, or input that cannot be used",
)
"""Meaning of the exit statuses 0, 1 and 2."""

_FOOT = f"""
## Exit status

| status | meaning |
|---|---|
{"".join(f"| {status} | {meaning} |{chr(10)}" for status, meaning in enumerate(STATUSES))}
An error is one line on standard error that says what to do.
"""


def document() -> str:
    """The whole page."""
    return _HEAD + "".join(_program(one) for one in (server_parser(), client_parser())) + _FOOT


def _program(parser: argparse.ArgumentParser) -> str:
    groups = "".join(
        f"\n### {group.title.capitalize()}\n\n| | |\n|---|---|\n{rows}"
        for group in parser._action_groups
        if group.title and (rows := _rows(parser, group._group_actions))
    )
    examples = f"\n```\n{parser.epilog.strip()}\n```\n" if parser.epilog else ""
    return f"\n## {parser.prog}\n\n{parser.description}\n{examples}{groups}"


def _rows(parser: argparse.ArgumentParser, actions: Sequence[argparse.Action]) -> str:
    texts = [(_name(one), help_text(parser, one).replace("|", "\\|")) for one in actions]
    return "".join(f"| `{name}` | {text} |\n" for name, text in texts)


def _name(action: argparse.Action) -> str:
    """As it is typed: every spelling of an option, with what it takes."""
    taken = action.metavar if isinstance(action.metavar, str) else action.dest.upper()
    if not action.option_strings:
        return f"{taken} [{taken} ...]" if action.nargs == "+" else taken
    names = ", ".join(action.option_strings)
    return names if action.nargs == 0 else f"{names} {taken}"


def help_text(parser: argparse.ArgumentParser, action: argparse.Action) -> str:
    """Help of one option, in one line."""
    return " ".join(((action.help or "") % {**vars(action), "prog": parser.prog}).split())


if __name__ == "__main__":
    sys.stdout.write(document())
