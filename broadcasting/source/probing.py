"""Names -> inputs that can be played, and how long they are: looked at before the start."""

from __future__ import annotations

import dataclasses
import os
import stat
import time
from collections.abc import Sequence
from pathlib import Path

from broadcasting.source.live_source import LiveSource
from broadcasting.source.pipe import Piped, special_file, standard_input
from broadcasting.source.playlist import is_address
from broadcasting.source.tracks import SourceError, probe

LOOK_AT_S = 2.0
"""Time limit for opening inputs before the start; of the rest only names are checked, as a thousand
files take ten seconds. What cannot be played is skipped when its turn comes, too."""


@dataclasses.dataclass(frozen=True, slots=True)
class LookedAt:
    """Result of `look_at`."""

    inputs: list[str | LiveSource]
    """In the order in which they were named."""
    duration_s: float | None
    """Duration of all of them together; None if that of one is not known."""
    faults: list[SourceError]
    """Why others cannot be played, one for each name."""


def look_at(names: Sequence[str]) -> LookedAt:
    """Open what `names` name, as far as `LOOK_AT_S` allows."""
    until = time.monotonic() + LOOK_AT_S
    inputs: list[str | LiveSource] = []
    durations: list[float | None] = []
    faults: list[SourceError] = []
    seen: dict[str, tuple[str | LiveSource, float | None] | None] = {}
    for typed in names:
        name = "-" if _is_standard_input(typed) else typed
        if name not in seen:
            seen[name] = None
            try:
                one = _input_at(name)
                seen[name] = one, probe(one).duration_s if _may_look_at(one, until) else None
            except SourceError as error:
                faults.append(error)
            except OSError as error:
                called = "standard input" if name == "-" else name
                faults.append(SourceError(called, error.strerror or "cannot be used"))
        if (playable := seen[name]) is not None:
            inputs.append(playable[0])
            durations.append(playable[1])
    known = [duration_s for duration_s in durations if duration_s is not None]
    duration_s = sum(known) if len(known) == len(durations) else None
    return LookedAt(inputs, duration_s, faults)


def _may_look_at(one: str | LiveSource, until: float) -> bool:
    """Whether to open it now: not a FIFO that nobody writes to, nor one of too many files."""
    if isinstance(one, str):
        return time.monotonic() < until or not Path(one).exists()
    return not (isinstance(one, Piped) and one.is_awaited)


def _input_at(name: str) -> str | LiveSource:
    """What `name` names: a live source, or a file, which is `name` itself; raises OSError."""
    if is_address(name):
        return source_at(name)
    return special_file(name) if _is_special(name) else name


def source_at(address: str) -> LiveSource:
    """The live source at `address`; raises OSError if it cannot be used."""
    if address == "-":
        return standard_input()
    # Playing files does not wait for these imports.
    if address.lower().startswith(("http:", "https:")):
        from broadcasting.source.web_source import WebSource

        return WebSource(address)
    from broadcasting.source.capture import CaptureDevice

    return CaptureDevice(address)


def _is_special(name: str) -> bool:
    """Whether it is a FIFO, a device or a socket, and not a file, a folder or nothing."""
    try:
        mode = Path(name).stat().st_mode
    except (OSError, ValueError):
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def _is_standard_input(name: str) -> bool:
    """Whether it is another name of what is piped in, such as /dev/stdin."""
    try:
        given, piped = Path(name).stat(), os.fstat(0)
    except (OSError, ValueError):
        return False
    can_be_read_once = stat.S_ISFIFO(given.st_mode) or stat.S_ISSOCK(given.st_mode)
    return can_be_read_once and os.path.samestat(given, piped)
