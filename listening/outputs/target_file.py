"""The file that an output writes: checked early, created late, every failure one plain line.

It is unbuffered: other programs see what was written at once, and it survives a crash.
"""

from __future__ import annotations

import os
from io import FileIO
from pathlib import Path

from listening.outputs import OutputError


class TargetFile:
    """A file to be created by `open`. Raises OutputError when `path` cannot be written."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: FileIO | None = None
        self.check()

    def check(self) -> None:
        """Raise OutputError when `open` is sure to fail. Nothing is created or changed."""
        folder = self.path.parent
        if self.path.is_dir():
            raise OutputError(f"cannot write {self.path}: it is a folder; name a file in it")
        if not folder.is_dir():
            raise OutputError(
                f"cannot write {self.path}: there is no folder {folder}; make it first"
            )
        if not os.access(self.path if self.path.exists() else folder, os.W_OK):
            raise OutputError(f"cannot write {self.path}: permission denied; choose another place")

    def open(self) -> None:
        """Create the file, or empty an existing one; raises OutputError."""
        try:
            self._file = FileIO(self.path, "wb")
        except OSError as error:
            raise self._error(error) from error

    def write(self, data: bytes) -> None:
        """Append all of `data`; raises OutputError."""
        assert self._file is not None, "open() comes first"
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[self._file.write(rest) :]
        except OSError as error:
            raise self._error(error) from error

    def rewrite_start(self, data: bytes) -> None:
        """Overwrite the first bytes with `data`, then return to the end; raises OutputError."""
        if self._file is None:
            return
        try:
            self._file.seek(0)
            self.write(data)
            self._file.seek(0, os.SEEK_END)
        except OSError as error:
            raise self._error(error) from error

    def close(self) -> None:
        """Close the file if it is open; raises OutputError."""
        file, self._file = self._file, None
        if file is not None:
            try:
                file.close()
            except OSError as error:  # a network file system may report a failed write only now
                raise self._error(error) from error

    def _error(self, error: OSError) -> OutputError:
        reason = error.strerror or str(error)
        return OutputError(f"cannot write {self.path}: {reason}; choose another place")
