"""Both READMEs stay short, equal and true; links between the documents lead somewhere."""

from __future__ import annotations

import importlib.util
import re
import shlex
from pathlib import Path

import pytest

from broadcasting.arguments import parse as parse_server
from listening.arguments import parse as parse_client
from tests.rig.programs import ROOT

READMES = ["README.md", "README.pt-BR.md"]
DOCUMENTS = [*READMES, "CHANGELOG.md", *(f"docs/{one.name}" for one in ROOT.glob("docs/*.md"))]

MOST_LINES = 150
MOST_WORDS = 1_500

LINK = re.compile(r"\]\(([^()\s]+)\)")
HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)
FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)

PARSERS = {"server.py": parse_server, "client.py": parse_client}


def text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def commands(name: str) -> list[str]:
    """The lines that are there to be typed, without their comments."""
    shown = re.findall(r"^    (\S.*)$", text(name), re.MULTILINE)
    return [line.partition("  # ")[0].rstrip() for line in shown]


def anchors(name: str) -> set[str]:
    """What a link can name in a document, as GitHub makes it from the headings."""
    headings = HEADING.findall(FENCED.sub("", text(name)))
    return {re.sub(r"[^\w\- ]", "", one.lower()).replace(" ", "-") for one in headings}


def runs() -> list[list[str]]:
    """Each call of one of the programs in the documents, as words from the program's name on."""
    found = []
    for name in (*READMES, "docs/usage.md"):
        for line in commands(name):
            words = shlex.shlex(line, posix=True, punctuation_chars="|><")
            words.whitespace_split = True
            one = list(words)
            for program in PARSERS:
                if program in one:
                    rest = one[one.index(program) :]
                    end = next((i for i, word in enumerate(rest) if word in "|>"), len(rest))
                    found.append(rest[:end])
    return found


def is_taken(program: str, *words: str) -> bool:
    try:
        PARSERS[program](words)
    except SystemExit as left:
        return not left.code
    return True


@pytest.mark.parametrize("name", READMES)
def test_a_readme_is_read_to_its_end(name: str) -> None:
    assert len(text(name).splitlines()) <= MOST_LINES
    assert len(text(name).split()) <= MOST_WORDS


def test_both_readmes_show_the_same_commands_in_the_same_order() -> None:
    english, portuguese = map(commands, READMES)
    assert english == portuguese
    assert len(english) > 10


def test_both_readmes_have_the_same_order() -> None:
    levels = [re.findall(r"^#+(?= )|^\*\*|^- \*\*|^\|", text(one), re.MULTILINE) for one in READMES]
    assert levels[0] == levels[1]


@pytest.mark.parametrize("name", DOCUMENTS)
def test_links_lead_somewhere(name: str) -> None:
    for link in LINK.findall(text(name)):
        if link.startswith(("http://", "https://")):
            continue
        path, _, anchor = link.partition("#")
        target = ((ROOT / name).parent / path if path else ROOT / name).resolve()
        assert target.exists(), link
        if anchor:
            assert anchor in anchors(str(target.relative_to(ROOT))), link


def test_the_parsers_take_what_the_documents_show(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # --make-key writes
    calls = list({tuple(one): one for one in runs()}.values())
    assert {program for program, *_ in calls} == set(PARSERS)
    assert [one for one in calls if not is_taken(*one)] == []


def test_make_knows_what_the_documents_make() -> None:
    shown = re.findall(r"(?:^    |`)make ([a-z-]+)", "".join(map(text, DOCUMENTS)), re.MULTILINE)
    assert set(shown) <= set(re.findall(r"^([a-z-]+):", text("Makefile"), re.MULTILINE))
    assert shown


def test_modules_and_files_that_the_documents_run_exist() -> None:
    shown = "\n".join(line for name in DOCUMENTS for line in commands(name))
    modules = set(re.findall(r"python -m ((?:bench|tests|tools|fuzz)[\w.]*)", shown))
    assert {one for one in modules if importlib.util.find_spec(one) is None} == set()
    files = set(re.findall(r"\b((?:tests|samples|tools)/\S+)", shown))
    assert {one for one in files if not (ROOT / one).exists()} == set()
    assert modules
    assert files


def test_the_architecture_names_every_folder_and_no_other() -> None:
    table = text("docs/architecture.md").partition("## The folders")[2]
    cells = "".join(re.findall(r"^\|([^|]*)\|", table, re.MULTILINE))
    named = {Path(one) for one in re.findall(r"`(\w+(?:/\w+)*)/`", cells)}
    assert {one for one in named if not (ROOT / one).is_dir()} == set()
    divided = {one.parent for one in named}  # what lies deeper is in one of their parts
    modules = {path.relative_to(ROOT) for path in ROOT.glob("[a-z]*/**/*.py")}
    modules = {one for one in modules if one.parts[0] != "build"}  # what pip leaves
    found = {
        path
        for path in modules
        for home in named
        if path.parent == home or (home in path.parents and home not in divided)
    }
    assert {one for one in modules - found if one.name != "__init__.py"} == set()
