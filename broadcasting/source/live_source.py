"""Sources that are not files: what they have in common, and how FFmpeg reads them.

Each gives bytes as they come, which FFmpeg takes apart as it does a file's. Reading blocks, so it
has a thread of its own (`reader`); `interrupt` ends a wait, from any thread. Finding out what a
source holds takes `PROBE_S` at most. Faults are an OSError with a plain word.
"""

from __future__ import annotations

from typing import Any, Protocol

import av
from av.container import InputContainer

from broadcasting.source.skimming import Skimmed

PROBE_S = 10.0
"""Time from opening a source until FFmpeg knows what it is: Icecast sends a burst, and MP3 of
8 kbit/s that comes no faster than it sounds has 10 kB by then."""

_OPTIONS = {
    # What comes is data, and names no other place to read from.
    "protocol_whitelist": "none",
    # FFmpeg would wait for 5 s of a stream to estimate a bit rate that nobody asks for.
    "analyzeduration": "500000",
    "probesize": "262144",
}


class LiveSource(Protocol):
    """One source that is no file, which may be opened, closed and opened again."""

    name: str
    """As the user typed it."""
    title: str
    """Title where nothing else is known of it."""
    returns: bool
    """Whether it is worth while to open it again when it has ended early."""

    @property
    def fault(self) -> OSError | None:
        """Why it ended, if it should have gone on."""
        return None

    def open(self) -> InputContainer:
        """The container that FFmpeg finds, within `PROBE_S`; raises OSError or FFmpegError."""

    def close(self) -> None:
        """Release what `open` has taken."""

    def interrupt(self) -> None:
        """End a wait in `open` or in reading. Any thread may call."""

    def title_at(self, position_bytes: int | None) -> str | None:
        """Title at a byte position of what was read; None: the source carries no titles."""
        return None


def open_stream(file: object, **how: Any) -> InputContainer:
    """The container that FFmpeg finds in an object with `read`; raises OSError or FFmpegError."""
    options = {**_OPTIONS, **how.pop("options", {})}
    container: InputContainer = av.open(file, metadata_errors="replace", options=options, **how)
    if isinstance(file, Skimmed):
        file.skims = container.format.name == "mp3"
    return container
