"""How numbers look to people, and the words of others."""

from __future__ import annotations

from collections.abc import Sequence


def clock(seconds: float | None) -> str:
    """`3:07`, `1:02:03`; an unknown time is `-:--`."""
    if seconds is None:
        return "-:--"
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def milliseconds(value_ms: float | None) -> str:
    """`1.2 ms`, or `-` if it is not known."""
    return "-" if value_ms is None else f"{value_ms:.1f} ms"


def listeners_text(count: int) -> str:
    """`1 listener`, `2 listeners`."""
    return f"{count} listener{'' if count == 1 else 's'}"


def figure(value: float | None, decimals: int) -> str:
    """A number for machines, `-` if it is not known."""
    return "-" if value is None else f"{value:.{decimals}f}"


def named_values(**values: str) -> str:
    """`name=value name=value`, for grep. The last value may have spaces in it."""
    return one_line(" ".join(f"{name}={value}" for name, value in values.items()))


def one_line(text: str) -> str:
    """`text` with a ? for whatever a terminal would obey and a file could not hold.

    Names of files may have line breaks in them, escape sequences and bytes that are no text.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else "?" for c in text)


def sealing_rows(forged: int, replayed: int) -> list[tuple[str, str, str]]:
    """What the key kept out, for the final statistics; nothing if it was nothing."""
    if not (forged or replayed):
        return []
    return [("kept out", str(forged), f"not sealed with our key; {replayed} replayed")]


def percentages(counts: Sequence[float], decimals: int = 2) -> list[float] | None:
    """The share of each count in per cent; they add up to exactly 100. None if all are 0.

    Largest remainder: every share is cut off, and what is missing goes to those cut most.
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
