"""Final statistics as JSON, to a file or to standard output."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any


def write_json(where: str, content: dict[str, Any]) -> None:
    """Write `content` to the path `where` (`-` is standard output); raises OSError."""
    text = json.dumps(content, ensure_ascii=False, indent=2) + "\n"
    if where == "-":
        sys.stdout.write(text)
        sys.stdout.flush()
    else:
        Path(where).write_text(text, encoding="utf-8")


def check_writable(where: str) -> None:
    """Find out now, not at the end, whether `where` can be written; raises OSError."""
    if where != "-":
        with Path(where).open("a", encoding="utf-8"):
            pass
