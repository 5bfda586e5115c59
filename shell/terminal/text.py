"""Numbers and other people's words as text for a terminal."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from wire.text import harmless

Fact = tuple[str, str, str]
"""Row of a table of figures: name, value, remark."""


def clock(seconds: float | None) -> str:
    """Time as `3:07` or `1:02:03`; None is `-:--`."""
    if seconds is None:
        return "-:--"
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def milliseconds_text(value_ms: float | None) -> str:
    """Milliseconds as `1.2 ms`; None is `-`."""
    return "-" if value_ms is None else f"{value_ms:.1f} ms"


def listeners_text(count: int) -> str:
    """Count of listeners: `1 listener`, `2 listeners`."""
    return f"{count} listener{'' if count == 1 else 's'}"


def track_text(title: str, artist: str | None) -> str:
    """Title and artist in one text."""
    return f"{title} · {artist}" if artist else title


def figure(value: float | None, decimals: int) -> str:
    """Number for machines; None is `-`."""
    return "-" if value is None else f"{value:.{decimals}f}"


def named_values(**values: str) -> str:
    """Line for grep: `name=value name=value`. The last value may contain spaces."""
    return one_line(" ".join(f"{name}={value}" for name, value in values.items()))


def one_line(text: str) -> str:
    """`text` with `?` for what a terminal obeys, or what turns the direction of text.

    File names may contain line breaks, escape sequences and bytes that are not text.
    """
    return harmless(text, "?")


def sealing_facts(forged: int, replayed: int) -> list[Fact]:
    """Datagrams that the key kept out; empty if there were none."""
    if not (forged or replayed):
        return []
    return [("kept out", str(forged), f"not sealed with our key; {replayed} replayed")]


def percentages(counts: Sequence[float], decimals: int = 2) -> list[float] | None:
    """Shares of the counts in per cent, adding up to exactly 100; None if all counts are 0.

    Largest remainder method: round every share down, then round up those that lost most.
    """
    total = sum(counts)
    if not total:
        return None
    unit = 10**decimals
    exact = [count * 100 * unit / total for count in counts]
    cut = [int(share) for share in exact]
    by_rest = sorted(range(len(cut)), key=lambda i: cut[i] - exact[i])
    for i in by_rest[: 100 * unit - sum(cut)]:
        cut[i] += 1
    return [share / unit for share in cut]


def program_name(script: str) -> str:
    """Name by which the user started `script`: where it is installed, "mp3cast-server"."""
    name = Path(sys.argv[0]).stem
    return name if name.startswith("mp3cast-") else script
