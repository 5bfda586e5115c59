"""What of all that was named can be played, and how long it is: looked at before the start. I/O."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence
from pathlib import Path

from broadcasting.live_source import RECORDERS, CaptureDevice, LiveSource, StandardInput
from broadcasting.playlist import is_address
from broadcasting.source import SourceError, probe

LOOK_AT_S = 2.0
"""So long what was named is opened before the start; of the rest only names are looked at, as a
thousand files take ten seconds. What cannot be played is skipped when its turn comes, too."""


@dataclasses.dataclass(frozen=True, slots=True)
class LookedAt:
    """What was found."""

    inputs: list[str | LiveSource]
    """In the order in which they were named."""
    duration_s: float | None
    """Of all of them together; None if that of one is not known."""
    faults: list[SourceError]
    """Why others cannot be played, one for each name."""


def look_at(names: Sequence[str]) -> LookedAt:
    """Open what `names` name, as far as there is time."""
    until = time.monotonic() + LOOK_AT_S
    inputs: list[str | LiveSource] = []
    durations: list[float | None] = []
    faults: list[SourceError] = []
    seen: dict[str, tuple[str | LiveSource, float | None] | None] = {}
    for name in names:
        if name not in seen:
            seen[name] = None
            try:
                one = source_at(name) if is_address(name) else name
                looked_at = is_address(name) or time.monotonic() < until or not Path(name).exists()
                seen[name] = one, probe(one).duration_s if looked_at else None
            except SourceError as error:
                faults.append(error)
            except OSError as error:
                called = "standard input" if name == "-" else name
                faults.append(SourceError(called, error.strerror or "cannot be used"))
        if (playable := seen[name]) is not None:
            inputs.append(playable[0])
            durations.append(playable[1])
    known = [duration_s for duration_s in durations if duration_s is not None]
    return LookedAt(inputs, sum(known) if len(known) == len(durations) else None, faults)


def source_at(address: str) -> LiveSource:
    """The source that `address` means; raises OSError if it cannot be."""
    if address == "-":
        return StandardInput()
    scheme, _, rest = address.partition(":")
    if scheme.lower() in RECORDERS:
        return CaptureDevice(address, RECORDERS[scheme.lower()], rest)
    # Who plays files need not wait for the import.
    from broadcasting.web_source import WebSource

    return WebSource(address)
