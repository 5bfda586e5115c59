"""Write the man pages, docs/man/mp3cast-server.1 and mp3cast-client.1, as the parsers have it.

    python -m tools.man_pages

(The language is that of man(7): a line that begins with a full stop is a macro.)
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

from broadcasting.arguments import parser as server_parser
from listening.arguments import parser as client_parser
from shell.command_line.arguments import VERSION
from tools.cli_document import STATUSES, help_text

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "man"

SERVER, CLIENT = "mp3cast-server", "mp3cast-client"


def pages() -> dict[str, str]:
    """Content of each file, by its name."""
    return {
        f"{SERVER}.1": "\n".join(_page(SERVER, server_parser(), CLIENT)) + "\n",
        f"{CLIENT}.1": "\n".join(_page(CLIENT, client_parser(), SERVER)) + "\n",
    }


def _page(name: str, parser: argparse.ArgumentParser, other: str) -> Iterator[str]:
    description = parser.description or ""
    yield f'.TH {name.upper()} 1 "" "mp3cast {VERSION}"'
    yield ".SH NAME"
    yield f"{_escaped(name)} \\- {_escaped(description[0].lower() + description[1:].rstrip('.'))}"
    yield ".SH SYNOPSIS"
    yield f".B {_escaped(name)}"
    yield _escaped((parser.usage or "").removeprefix("%(prog)s "))
    yield ".SH OPTIONS"
    for group in parser._action_groups:
        if group._group_actions:
            yield f".SS {_escaped((group.title or '').capitalize())}"
        for action in group._group_actions:
            yield from (".TP", _name(action), _escaped(help_text(parser, action)))
    examples, *remarks = (parser.epilog or "").replace(parser.prog, name).strip().split("\n\n")
    yield ".SH EXAMPLES"
    yield from (".nf", *map(_escaped, examples.splitlines()[1:]), ".fi")
    yield from (line for one in remarks for line in (".PP", _escaped(one)))
    yield ".SH EXIT STATUS"
    for status, meaning in enumerate(STATUSES):
        yield from (".TP", str(status), _escaped(meaning))
    yield ".SH SEE ALSO"
    yield f".BR {_escaped(other)} (1)"


def _name(action: argparse.Action) -> str:
    """An option as it is typed, bold, and what it takes, in italics."""
    taken = action.metavar if isinstance(action.metavar, str) else action.dest.upper()
    italic = "" if action.nargs == 0 else f"\\fI{_escaped(taken)}\\fR"
    bold = ", ".join(f"\\fB{_escaped(option)}\\fR" for option in action.option_strings)
    return f"{bold} {italic}".strip()


def _escaped(text: str) -> str:
    """Plain text in that language."""
    escaped = text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq")
    return f"\\&{escaped}" if escaped.startswith(".") else escaped


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for file, content in pages().items():
        (FOLDER / file).write_text(content, encoding="utf-8")
