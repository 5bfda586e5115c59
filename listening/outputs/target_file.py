"""The file that an output writes: checked early, made late, and every failure a plain line.

It is unbuffered: what was written is seen by others at once, and survives the program.
"""

from __future__ import annotations

import os
from io import FileIO
from pathlib import Path

from listening.outputs import OutputError


class TargetFile:
    """Raises OutputError at once when the path cannot be written; changes nothing until open()."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: FileIO | None = None
        self.check()

    def check(self) -> None:
        """Raises OutputError when open() is sure to fail. Makes and changes nothing."""
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
        """Make the file, or empty the one that is there."""
        try:
            self._file = FileIO(self.path, "wb")
        except OSError as error:
            raise self._error(error) from error

    def write(self, data: bytes) -> None:
        """Write all of `data` at the end."""
        assert self._file is not None, "open() comes first"
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[self._file.write(rest) :]
        except OSError as error:
            raise self._error(error) from error

    def rewrite_start(self, data: bytes) -> None:
        """Write `data` over the first bytes, and go on at the end."""
        if self._file is None:
            return
        try:
            self._file.seek(0)
            self.write(data)
            self._file.seek(0, os.SEEK_END)
        except OSError as error:
            raise self._error(error) from error

    def close(self) -> None:
        """Close the file, if it is open."""
        file, self._file = self._file, None
        if file is not None:
            try:
                file.close()
            except OSError as error:  # a network file system may say only now what went wrong
                raise self._error(error) from error

    def _error(self, error: OSError) -> OutputError:
        reason = error.strerror or str(error)
        return OutputError(f"cannot write {self.path}: {reason}; choose another place")
