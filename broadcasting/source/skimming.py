"""Bytes of a file without long stretches that hold no MP3 frame.

FFmpeg gathers all that lies between two frames into one packet: half a gigabyte of zeros, as a
broken download leaves behind, would take seconds and a gigabyte of memory.
"""

from __future__ import annotations

from io import SEEK_SET, FileIO
from typing import Protocol

_SYNC = b"\xff"
"""First byte of every frame."""

MOST_FRAME_BYTES = 4096
"""Longer than any frame: when so much came without a sync byte, the last frame is over."""

_ZEROS = bytes(1 << 16)
"""Start of a file that is passed over, again and again."""


class Readable(Protocol):
    """What `Skimmed` reads from."""

    def read(self, size: int, /) -> bytes | None:
        """Up to `size` bytes; none at the end."""


class Skimmed:
    """Reads like a file; once told to, it passes over what can be no part of a frame."""

    def __init__(self, file: Readable) -> None:
        self.skims = False
        """Whether to pass over anything: only MP3 may be skimmed, zeros in PCM are silence."""
        self.passed_bytes = 0
        """Bytes that were passed over."""
        self._file = file
        self._since_sync_bytes = 0

    def read(self, size: int) -> bytes:
        """Up to `size` bytes; none at the end."""
        data = self._file.read(size) or b""
        while self.skims and data and _SYNC not in data:
            if self._since_sync_bytes < MOST_FRAME_BYTES:
                self._since_sync_bytes += len(data)
                return data
            self.passed_bytes += len(data)
            data = self._file.read(size) or b""
        self._since_sync_bytes = 0
        return data


class SkimmedFile(Skimmed):
    """A file that can be sought in. Seeking is for the start, before anything is passed over."""

    def __init__(self, name: str) -> None:
        """Raises OSError."""
        self.name = name
        self._raw = FileIO(name)
        super().__init__(self._raw)
        self.close = self._raw.close
        # FFmpeg looks for the first frame before it says what it has found, too late for `skims`.
        # Nothing that it can play begins with so many zeros.
        while self._raw.read(len(_ZEROS)) == _ZEROS:
            pass
        self._begin = max(0, self._raw.tell() - 2 * len(_ZEROS))
        self.seek(0)

    def seek(self, offset: int, whence: int = SEEK_SET) -> int:
        """Go to a position, and return it, as the method of a file does."""
        begin = self._begin if whence == SEEK_SET else 0
        return self._raw.seek(offset + begin, whence) - self._begin

    def tell(self) -> int:
        """The position, counted from where anything begins."""
        return self._raw.tell() - self._begin
