"""docs/cli.md says what the parsers say, and docs/usage.md what each option is good for."""

from __future__ import annotations

from pathlib import Path

from broadcasting.arguments import parser as server_parser
from listening.arguments import parser as client_parser
from tests.rig.programs import ROOT
from tools.cli_document import document

DOCS = Path(ROOT) / "docs"


def test_the_page_is_what_the_parsers_make() -> None:
    hint = "run: python -m tools.cli_document > docs/cli.md"
    assert (DOCS / "cli.md").read_text(encoding="utf-8") == document(), hint


def test_the_usage_names_every_option() -> None:
    usage = (DOCS / "usage.md").read_text(encoding="utf-8")
    options = {
        option
        for one in (*server_parser()._actions, *client_parser()._actions)
        for option in one.option_strings
        if option.startswith("--")
    }
    options -= {"--quiet", "--verbose"}  # by their short names
    assert not {option for option in options if f"`{option}" not in usage}
