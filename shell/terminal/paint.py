"""Styled text -> lines exactly as wide as the terminal. Pure.

Width is counted in cells: a Japanese letter takes two. Lines are filled up with blanks, so that
each can be written over an older one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from shell.terminal.text import clock, one_line, track_text

PLAIN = ""
BOLD, DIM = "\x1b[1m", "\x1b[2m"
GREEN, YELLOW, CYAN = "\x1b[32m", "\x1b[33m", "\x1b[36m"
ALARM = "\x1b[1;31m"
_RESET = "\x1b[0m"

Part = tuple[str, str]
"""Text and its style."""

_ONE_CELL_EACH = re.compile("[ -~¡-¬®-ʯ–…←-↓─-▟]*")
"""Latin letters and the signs of our own screens. wcwidth, for all others, takes 40 ms to import:
that would delay the first sound."""

_LEVELS = "▁▂▃▄▅▆▇█"
_EIGHTHS = " ▏▎▍▌▋▊▉"


def painted(parts: Iterable[Part], columns: int) -> str:
    """Line of exactly `columns` cells; an ellipsis ends what does not fit."""
    line, left = [], columns
    for text, style in parts:
        cells = width(text)
        if cells > left:
            text, cells = cut(text, left), left
        line.append(dyed(text, style))
        left -= cells
    line.append(" " * left)
    return "".join(line)


def dyed(text: str, style: str) -> str:
    """`text` in `style`, followed by a reset."""
    return f"{style}{text}{_RESET}" if style and text else text


def width(text: str) -> int:
    """Cells that printable `text` takes on a terminal."""
    if _ONE_CELL_EACH.fullmatch(text):
        return len(text)
    from wcwidth import wcswidth

    return max(0, wcswidth(text))  # -1: it holds control characters


def cut(text: str, cells: int) -> str:
    """Beginning of `text`, which is too long, and an ellipsis: `cells` cells together."""
    if cells <= 0:
        return ""
    if _ONE_CELL_EACH.fullmatch(text):
        return text[: cells - 1] + "…"
    from wcwidth import clip

    return clip(text, 0, cells - 1) + "…"


def joined(figures: Sequence[str], columns: int) -> str:
    """The first figures that fit whole into `columns`, at least one: half a number misleads."""
    text = figures[0]
    for figure in figures[1:]:
        longer = f"{text} · {figure}"
        if width(longer) > columns:
            break
        text = longer
    return text


def bar(share: float, cells: int) -> tuple[str, str]:
    """Progress bar of `cells` cells: its part up to `share`, and the rest."""
    full = min(cells, max(0, round(share * cells)))
    return "━" * full, "─" * (cells - full)


def gauge(share: float, cells: int) -> str:
    """Solid bar of `cells` cells, filled up to `share` in steps of an eighth of a cell."""
    eighths = min(8 * cells, max(0, round(8 * share * cells)))
    full, rest = divmod(eighths, 8)
    return ("█" * full + (_EIGHTHS[rest] if rest else "")).ljust(cells)


def sparkline(values: Sequence[float | None], top: float) -> str:
    """One cell for each value, of a height from 0 to `top`; None is blank."""
    last = len(_LEVELS) - 1
    return "".join(
        " " if value is None else _LEVELS[min(last, max(0, round(value / top * last)))]
        for value in values
    )


def heading(state: str, title: str, artist: str | None, *, is_usual: bool) -> list[Part]:
    """First line of a screen: the state, in yellow if it is unusual, and the track."""
    name = one_line(track_text(title, artist))
    return [(state, CYAN if is_usual else YELLOW), ("  ", PLAIN), (name, BOLD)]


def progress(position_s: float, duration_s: float | None, columns: int) -> list[Part]:
    """Progress bar `columns` wide with the times played and left, if the duration is known."""
    if duration_s is None:
        return [(f"{clock(position_s)} played", PLAIN)]
    # In whole seconds, so that the times shown add up.
    left_s = max(0, int(duration_s) - int(position_s))
    times = f"  {clock(position_s)} of {clock(duration_s)}, {clock(left_s)} left"
    share = position_s / duration_s if duration_s else 1.0
    done, rest = bar(share, max(0, columns - len(times)))
    return [(done, CYAN), (rest, DIM), (times if done or rest else times.strip(), PLAIN)]
