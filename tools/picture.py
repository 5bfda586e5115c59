"""Draw docs/server.svg and docs/client.svg: what both programs show over a bad network.

    python -m tools.picture

The programs run in terminals for half a minute, as in the tests, and their last screens are drawn.
So the figures are true, and others the next time.
"""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
from pathlib import Path

from rich.console import Console
from rich.text import Text

from tests.programs import ROOT, SAMPLE
from tests.terminals import Terminal, port_of, terminal, watch

ROWS, COLUMNS = 13, 80
NETWORKS = (
    "loss=8%,burst=3,delay=20ms,jitter=8ms,seed=4",
    "loss=2%,delay=5ms,jitter=2ms,seed=1",
    "delay=40ms,jitter=15ms,seed=2",
)
"""Of the listeners; the first is drawn."""

PLAYED = "0:24"

LINE = re.compile(r"\x1b\[(\d+);1H((?:[^\x1b]|\x1b\[[0-9;]*m)*)")
FONT_FACE = re.compile(r"\s*@font-face \{.*?\}", re.DOTALL)
"""Fonts that a reader would have to fetch."""


def main() -> None:
    """Play, and draw."""
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        screens = [_started(stack, folder, "server.py", SAMPLE, "--wait-for", len(NETWORKS), 0)]
        port = port_of(screens[0])
        for conditions in NETWORKS:
            words = ("127.0.0.1", port, "--output", "null", "--simulate", conditions)
            screens.append(_started(stack, folder, "client.py", *words))
        server, client, *_ = screens
        watch(lambda: f"{PLAYED} of" in client.screen, *screens)
        for one, script in ((server, "server.py"), (client, "client.py")):
            _draw(one, script)


def _started(
    stack: contextlib.ExitStack, folder: Path, script: str, *words: str | Path | int
) -> Terminal:
    where = Path(tempfile.mkdtemp(dir=folder))
    return stack.enter_context(terminal(where, script, *words, size=(ROWS, COLUMNS)))


def _draw(one: Terminal, script: str) -> None:
    lines = {int(row): line for row, line in LINE.findall(one.text)}
    with Path(os.devnull).open("w") as nowhere:
        console = Console(record=True, width=COLUMNS, file=nowhere, force_terminal=True)
        for row in sorted(lines):
            console.print(Text.from_ansi(lines[row].rstrip()), no_wrap=True, crop=True)
    name = Path(script).stem
    svg = console.export_svg(title=script, unique_id=name)
    path = ROOT / "docs" / f"{name}.svg"
    path.write_text(FONT_FACE.sub("", svg).replace("Fira Code, monospace", "monospace"))


if __name__ == "__main__":
    main()
