"""Draw docs/server.svg and docs/client.svg: what both programs show over a bad network.

    python -m tools.picture

The programs run in terminals for half a minute, as in the tests, and their last screens are drawn.
So the figures are true, and others the next time.
"""

from __future__ import annotations

import contextlib
import re
import tempfile
from html import escape
from pathlib import Path

from wcwidth import wcswidth

from shell.terminal.paint import ALARM, BOLD, CYAN, DIM, GREEN, YELLOW
from tests.rig.programs import ROOT, SAMPLE
from tests.rig.terminals import Terminal, port_of, terminal, watch

ROWS, COLUMNS = 13, 80
NETWORKS = (
    "loss=8%,burst=3,delay=20ms,jitter=8ms,seed=4",
    "loss=2%,delay=5ms,jitter=2ms,seed=1",
    "delay=40ms,jitter=15ms,seed=2",
)
"""Networks of the listeners; the first one is drawn."""

PLAYED = "0:20"

LINE = re.compile(r"\x1b\[(\d+);1H((?:[^\x1b]|\x1b\[[0-9;]*m)*)")
STYLED = re.compile(r"(\x1b\[[0-9;]+m)?([^\x1b]+)(?:\x1b\[0m)?")

CELL_WIDTH, LINE_HEIGHT, TITLE_HEIGHT = 12.2, 24.4, 44
FILLS = {
    BOLD: '#ffffff" font-weight="bold',
    DIM: "#868887",
    GREEN: "#98a84b",
    YELLOW: "#d0b344",
    CYAN: "#68a0b3",
    ALARM: '#e8705c" font-weight="bold',
}
PLAIN_FILL = "#c5c8c6"


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
    texts = "".join(_texts(row, line) for row, line in sorted(lines.items()))
    width, height = round(COLUMNS * CELL_WIDTH) + 20, round(ROWS * LINE_HEIGHT) + TITLE_HEIGHT
    svg = (
        f'<svg viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg"'
        ' font-family="monospace" font-size="20">\n'
        f'<rect width="{width}" height="{height}" rx="8" fill="#292929"/>\n'
        f'<text x="{width / 2}" y="27" fill="{PLAIN_FILL}" text-anchor="middle">{script}</text>\n'
        f"{texts}</svg>\n"
    )
    (ROOT / "docs" / script).with_suffix(".svg").write_text(svg)


def _texts(row: int, line: str) -> str:
    """SVG of one row of a screen, counted from 1: a text for each style in it."""
    texts, column = "", 0
    for style, text in STYLED.findall(line.rstrip()):
        cells = wcswidth(text)
        x, y = 10 + column * CELL_WIDTH, TITLE_HEIGHT + row * LINE_HEIGHT - 5
        texts += (
            f'<text x="{x:.1f}" y="{y:.1f}" textLength="{cells * CELL_WIDTH:.1f}"'
            f' lengthAdjust="spacingAndGlyphs"'
            f' fill="{FILLS.get(style, PLAIN_FILL)}">{escape(text).replace(" ", "&#160;")}</text>\n'
        )
        column += cells
    return texts


if __name__ == "__main__":
    main()
