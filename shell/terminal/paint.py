"""Words in styles -> lines of a terminal, as wide as it is. Pure.

Width is counted in cells, for a Japanese letter takes two; rich knows them. A line is built of
parts, text and style, and is always filled up: so it can be written over another one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from shell.text import clock

PLAIN = ""
BOLD, DIM = "\x1b[1m", "\x1b[2m"
GREEN, YELLOW, CYAN = "\x1b[32m", "\x1b[33m", "\x1b[36m"
ALARM = "\x1b[1;31m"
_RESET = "\x1b[0m"

Part = tuple[str, str]

_LEVELS = "▁▂▃▄▅▆▇█"
_EIGHTHS = " ▏▎▍▌▋▊▉"


def painted(parts: Iterable[Part], columns: int) -> str:
    """One line of `columns` cells, with an ellipsis if it cannot hold all."""
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
    """`text` in `style`, and what follows it plain."""
    return f"{style}{text}{_RESET}" if style and text else text


def width(text: str) -> int:
    """Cells that `text` takes."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


def cut(text: str, cells: int) -> str:
    """As much of the beginning of `text`, which has more, as `cells` can show, and an ellipsis."""
    from rich.cells import set_cell_size

    return set_cell_size(text, cells - 1) + "…" if cells > 0 else ""


def joined(figures: Sequence[str], columns: int) -> str:
    """As many of `figures`, from the first on, as `columns` can show whole; the first in any case.

    Half a number would be another number.
    """
    text = figures[0]
    for figure in figures[1:]:
        longer = f"{text} · {figure}"
        if width(longer) > columns:
            break
        text = longer
    return text


def bar(share: float, cells: int) -> tuple[str, str]:
    """A line that is full to `share`, in two parts: so much, and the rest."""
    full = min(cells, max(0, round(share * cells)))
    return "━" * full, "─" * (cells - full)


def gauge(share: float, cells: int) -> str:
    """A block that is full to `share`, to an eighth of a cell."""
    eighths = min(8 * cells, max(0, round(8 * share * cells)))
    full, rest = divmod(eighths, 8)
    return ("█" * full + (_EIGHTHS[rest] if rest else "")).ljust(cells)


def sparkline(values: Sequence[float | None], top: float) -> str:
    """A cell for each value, the higher the nearer to `top`; what is not known is left free."""
    last = len(_LEVELS) - 1
    return "".join(
        " " if value is None else _LEVELS[min(last, max(0, round(value / top * last)))]
        for value in values
    )


def progress(position_s: float, duration_s: float | None, columns: int) -> list[Part]:
    """A bar as wide as there is room, with the time played and left."""
    if duration_s is None:
        return [(f"{clock(position_s)} played", PLAIN)]
    # Of whole seconds, as they are shown: what is played and left is all there is.
    left_s = max(0, int(duration_s) - int(position_s))
    times = f"  {clock(position_s)} of {clock(duration_s)}, {clock(left_s)} left"
    share = position_s / duration_s if duration_s else 1.0
    done, rest = bar(share, max(0, columns - len(times)))
    return [(done, CYAN), (rest, DIM), (times if done or rest else times.strip(), PLAIN)]
