"""docs/cli.md says what the parsers say."""

from __future__ import annotations

from pathlib import Path

import pytest

from broadcasting.arguments import parser as server_parser
from listening.arguments import parser as client_parser
from tests.programs import ROOT
from tools.cli_document import document

PAGE = Path(ROOT) / "docs" / "cli.md"


def test_the_page_is_what_the_parsers_make() -> None:
    hint = "run: python -m tools.cli_document > docs/cli.md"
    assert PAGE.read_text(encoding="utf-8") == document(), hint


@pytest.mark.parametrize("name", ["README.md", "README.pt-BR.md"])
def test_the_readme_names_every_option(name: str) -> None:
    readme = (Path(ROOT) / name).read_text(encoding="utf-8")
    options = {
        option
        for one in (*server_parser()._actions, *client_parser()._actions)
        for option in one.option_strings
        if option.startswith("--")
    }
    options -= {"--quiet", "--verbose"}  # by their short names
    assert not {option for option in options if f"`{option}" not in readme}
