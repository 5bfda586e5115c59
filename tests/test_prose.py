"""How the code is written: the wording of docstrings, and how large files and classes may be.

That everything public has a docstring is ruff's to say.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from tests.rig.luck import once
from tests.test_layout import PRODUCT, ROOT

pytestmark = once

BAD_BEGINNING = re.compile(r"(Of|The same|So|Who|What it)\b")
BAD_ANYWHERE = re.compile(r"\b(whoever has not|be they)\b")
"""Words that make a reader read twice: a docstring names a thing first."""

MOST_LINES = 400
MOST_ATTRIBUTES = 20

OTHERS = ("bench", "fuzz", "samples", "tools", "tests")


def files(*folders: str) -> list[str]:
    """Paths of the Python files at the top and in `folders`, from the project's folder on."""
    found = [*ROOT.glob("*.py"), *(p for name in folders for p in (ROOT / name).rglob("*.py"))]
    return sorted(path.relative_to(ROOT).as_posix() for path in found)


def tree_of(path: str) -> ast.Module:
    return ast.parse((ROOT / path).read_text(encoding="utf-8"))


def test_docstrings_are_plain() -> None:
    wrong = [
        (path, text)
        for path in files(*PRODUCT, *OTHERS)
        for text in docstrings(tree_of(path))
        if BAD_BEGINNING.match(text) or BAD_ANYWHERE.search(text)
    ]
    assert not wrong


def docstrings(tree: ast.Module) -> Iterator[str]:
    """Each string that stands alone, below a constant or field as well, in one line."""
    for node in ast.walk(tree):
        match node:
            case ast.Expr(value=ast.Constant(value=str(text))):
                yield " ".join(text.split())


def test_files_are_short() -> None:
    lines = {
        path: (ROOT / path).read_text(encoding="utf-8").count("\n") for path in files(*PRODUCT)
    }
    long = {path for path in lines if lines[path] > MOST_LINES}
    assert not long - {"message.py"}


def test_classes_keep_little() -> None:
    """Counts what methods assign to on `self`. A dataclass is a record: its fields do not count."""
    counts = {
        (path, node.name): len(attributes(node))
        for path in files(*PRODUCT)
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.ClassDef)
    }
    assert not {name: count for name, count in counts.items() if count > MOST_ATTRIBUTES}


def attributes(of: ast.ClassDef) -> set[str]:
    names = set()
    for node in ast.walk(of):
        match node:
            case ast.Attribute(value=ast.Name(id="self"), attr=name, ctx=ast.Store()):
                names.add(name)
    return names
