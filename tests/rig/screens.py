"""Screens as tests read them: painted lines without their colours."""

from __future__ import annotations

import re
from collections.abc import Sequence

from wcwidth import wcswidth

EVIL_TITLE = "A\x1b[2Jb\nc\u202ed"
TITLES = ["", "In Every Room", "日本語" * 99, EVIL_TITLE, "e\u0301" * 99]
SIZES = [(columns, rows) for columns in (1, 2, 20, 79, 80, 200) for rows in (1, 2, 5, 24, 60)]

_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


def plain(lines: Sequence[str]) -> list[str]:
    return [_COLOURS.sub("", line) for line in lines]


def check_screen(screen: list[str], columns: int, rows: int) -> None:
    """Assert that each line is as wide as the screen, and that no line is too many."""
    assert 1 <= len(screen) <= rows
    assert {wcswidth(line) for line in screen} == {columns}
    assert all(line.isprintable() for line in screen)


def check_plain_line(text: str) -> None:
    """Assert that the line of a view with EVIL_TITLE is for grep, the title last."""
    assert text.isprintable()
    named, title = text.split(" title=")
    assert title == "A?[2Jb?c?d"
    assert all(re.fullmatch(r"[a-z0-9_]+=\S+", word) for word in named.split())
