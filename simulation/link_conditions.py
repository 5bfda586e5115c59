"""Conditions of a simulated network, as typed: `loss=10%,burst=5,delay=50ms,jitter=20ms`.

Words and meanings are those of Linux's netem (tc-netem(8)), each for one direction:

    loss=10%       datagrams that do not arrive: each by itself, or in bursts
    burst=5        mean length of a burst of losses, in datagrams (Gilbert–Elliott)
    delay=50ms     delay of every datagram
    jitter=20ms    the delay is uniform from 20 ms less to 20 ms more, but never below 0; so
                   datagrams close together may overtake each other
    reorder=2%     datagrams without delay, which overtake the others
    duplicate=1%   datagrams that are doubled; each copy is lost and delayed for itself
    seed=7         repeats the same choices

Pure. A fault in the text is a ValueError, whose message is one line for the user.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

MAX_DELAY_S = 10.0
"""Upper bound of the delay: to the Moon and back three times. Datagrams under way are kept."""

MAX_BURST = 10_000.0
"""Upper bound of `burst`, in datagrams: more than ten minutes of 128 kbit/s."""

MAX_SEED = 2**32 - 1

_NUMBER = r"([0-9]{1,12}(?:\.[0-9]{1,12})?)"
_PERCENTAGE = re.compile(_NUMBER + "( ?%)?")
_TIME = re.compile(_NUMBER + " ?(ms|s)")
_PLAIN = re.compile(_NUMBER)
_WHOLE = re.compile("[0-9]{1,12}")


@dataclass(frozen=True, slots=True)
class LinkConditions:
    """Conditions of one direction. Shares are fractions of 1."""

    loss: float = 0.0
    burst: float | None = None
    """Mean length of a burst of losses, in datagrams; None: each is lost by itself."""
    delay_s: float = 0.0
    jitter_s: float = 0.0
    reorder: float = 0.0
    duplicate: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        """Raises ValueError for contradictory values."""
        if self.burst is not None and not 0 < self.loss < 1:
            raise ValueError("burst needs a loss above 0% and below 100%")
        if self.burst is not None and self.loss > (1 - self.loss) * self.burst:
            # Even with a single datagram between two bursts.
            least = self.loss / (1 - self.loss)
            raise ValueError(
                f"a loss of {_percent(self.loss)} needs a burst of {least:.3g} or more"
            )
        if self.reorder and not self.delay_s:
            raise ValueError("reorder needs a delay, for others to be overtaken")

    @classmethod
    def parse(cls, text: str, *, seed: int) -> LinkConditions:
        """The conditions in `text`, with `seed` unless it names one; raises ValueError."""
        values: dict[str, float] = {}
        for part in text.split(","):
            word, equals, value = (one.strip() for one in part.partition("="))
            word = word.lower()
            if word not in _WORDS or not equals:
                words = ", ".join(f"{word}={one.example}" for word, one in _WORDS.items())
                raise ValueError(f"{part!r} is none of {words}")
            kind = _WORDS[word]
            if kind.field in values:
                raise ValueError(f"{word} stands there twice")
            read = kind.read(value)
            if read is None or not kind.least <= read <= kind.most:
                raise ValueError(f"{word} is {kind.takes}, as in {kind.example}, not {value!r}")
            values[kind.field] = read
        return cls(**{"seed": seed, **values})  # type: ignore[arg-type]

    def __str__(self) -> str:
        """The text from which `parse` gives the same conditions."""
        parts = [
            f"{word}={kind.write(value)}".replace(" ", "")
            for word, kind in _WORDS.items()
            if (value := getattr(self, kind.field)) or word == "seed"
        ]
        return ",".join(parts)

    def as_text(self) -> str:
        """Text for people, without the seed."""
        parts = []
        if self.loss:
            bursts = f" in bursts of {self.burst:.12g}" if self.burst else ""
            parts.append(f"loss {_percent(self.loss)}{bursts}")
        if self.delay_s or self.jitter_s:
            jitter = f" ± {_milliseconds(self.jitter_s)}" if self.jitter_s else ""
            parts.append(f"delay {_milliseconds(self.delay_s)}{jitter}")
        if self.reorder:
            parts.append(f"{_percent(self.reorder)} overtaking")
        if self.duplicate:
            parts.append(f"{_percent(self.duplicate)} doubled")
        return ", ".join(parts) or "perfect"


@dataclass(frozen=True, slots=True)
class _Word:
    """One word of the text: its field, bounds and form."""

    field: str
    example: str
    takes: str
    least: float
    most: float
    read: Callable[[str], float | None]
    write: Callable[[float], str]


def _read_percentage(text: str) -> float | None:
    found = _PERCENTAGE.fullmatch(text)
    # Without a sign 10 is 10 %, but 0.1 may be 10 %, too.
    is_clear = found is not None and (found[2] or not 0 < float(found[1]) < 1)
    return float(found[1]) / 100 if found and is_clear else None


def _read_time(text: str) -> float | None:
    found = _TIME.fullmatch(text)
    return float(found[1]) / (1000 if found[2] == "ms" else 1) if found else None


def _read_number(text: str) -> float | None:
    return float(text) if _PLAIN.fullmatch(text) else None


def _read_whole(text: str) -> int | None:
    return int(text) if _WHOLE.fullmatch(text) else None


def _percent(share: float) -> str:
    return f"{share * 100:.12g} %"


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1e3:.12g} ms"


def _share(field: str, example: str) -> _Word:
    takes = "a share from 0% to 100%"
    return _Word(field, example, takes, 0, 1, _read_percentage, _percent)


def _time(field: str, example: str) -> _Word:
    takes = f"a time from 0ms to {MAX_DELAY_S:g}s"
    return _Word(field, example, takes, 0, MAX_DELAY_S, _read_time, _milliseconds)


_WORDS = {
    "loss": _share("loss", "10%"),
    "burst": _Word(
        "burst",
        "5",
        f"a number of datagrams from 1 to {MAX_BURST:g}",
        1,
        MAX_BURST,
        _read_number,
        "{:.12g}".format,
    ),
    "delay": _time("delay_s", "50ms"),
    "jitter": _time("jitter_s", "20ms"),
    "reorder": _share("reorder", "2%"),
    "duplicate": _share("duplicate", "1%"),
    "seed": _Word(
        "seed",
        "7",
        f"a whole number from 0 to {MAX_SEED}",
        0,
        MAX_SEED,
        _read_whole,
        "{:d}".format,
    ),
}
