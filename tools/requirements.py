"""Print what pip is to install for the programs, and for the extras that are named.

    python tools/requirements.py [EXTRA ...]

As pyproject.toml has it, but without this project itself: it is run from its folder.
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def requirements(extras: Sequence[str]) -> Iterator[str]:
    """Those of the project and of `extras`, and of the extras that these name; raises KeyError."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    yield from project["dependencies"]
    for extra in extras:
        yield from _of_extra(extra, project["optional-dependencies"])


def _of_extra(extra: str, known: dict[str, list[str]]) -> Iterator[str]:
    for requirement in known[extra]:
        if ours := re.fullmatch(r"mp3cast\[(.*)\]", requirement):
            for other in ours[1].split(","):
                yield from _of_extra(other, known)
        else:
            yield requirement


if __name__ == "__main__":
    try:
        print(*requirements(sys.argv[1:]), sep="\n")
    except KeyError as unknown:
        sys.exit(f"requirements.py: pyproject.toml has no extra {unknown}")
