"""Final statistics as JSON, to a file or to standard output."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any


def write_json(where: str, content: dict[str, Any]) -> None:
    """Write `content` to the path `where` (`-` is standard output); raises OSError."""
    text = json.dumps(content, ensure_ascii=False, indent=2) + "\n"
    to = sys.stdout.fileno() if where == "-" else where
    # JSON is UTF-8 wherever it goes (RFC 8259, 8.1). What UTF-8 cannot hold, half of a surrogate
    # pair, is replaced by what JSON escapes it with. And what a closed pipe does not take must not
    # stay in the buffer of sys.stdout, for Python to complain of when it ends.
    with open(to, "w", encoding="utf-8", errors="backslashreplace", closefd=where != "-") as file:
        file.write(text)


def check_writable(where: str) -> None:
    """Find out now, not at the end, whether `where` can be written; raises OSError."""
    if where != "-":
        with Path(where).open("a", encoding="utf-8"):
            pass
