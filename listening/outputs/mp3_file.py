"""MP3 as it was sent: to a file, or to standard output for another program.

Whole MP3 frames are written; nothing is decoded. Silent frames stand in holes (frame_splicer.py).
"""

from __future__ import annotations

import errno
import os
import select
import sys
import threading
from pathlib import Path

from listening.outputs import Output, OutputEnded, OutputError
from listening.outputs.target_file import TargetFile
from listening.sound.pcm import PcmFormat

STANDARD_OUTPUT = 1
PIECE_BYTES = getattr(select, "PIPE_BUF", 512)
"""Bytes that a pipe takes without blocking once select() reports it writable (POSIX: ≥ 512)."""
READER_IS_GONE = (errno.EPIPE, errno.EINVAL)
"""Errors of a pipe without a reader; EINVAL is that of Windows."""
LOOK_UP_S = 0.1
"""Pause between two looks for cancel() while a pipe is full."""


class _Mp3Output(Output):
    """Takes frames as they come, and needs no time in advance."""

    takes_frames = True
    waits = True
    any_speed = True


class Mp3File(_Mp3Output):
    """Writes the frames to a file. Raises OutputError when `path` cannot be written."""

    def __init__(self, path: Path) -> None:
        self._file = TargetFile(path)

    def prepare(self) -> None:
        """Check again that the file can be written; raises OutputError."""
        self._file.check()

    def open(self, pcm: PcmFormat, duration_s: float | None) -> PcmFormat:
        """Create or empty the file; raises OutputError. Any format is taken."""
        self._file.open()
        return pcm

    def write_frames(self, frames: bytes) -> None:
        """Append; raises OutputError."""
        self._file.write(frames)

    def close(self) -> None:
        """Close the file; raises OutputError."""
        self._file.close()


class StandardOutput(_Mp3Output):
    """Writes the frames to standard output, or to another descriptor, which it does not close.

    A reader that does not read blocks the playback thread, as in every pipe, until `cancel`.
    Raises OutputError on a terminal.
    """

    def __init__(self, descriptor: int = STANDARD_OUTPUT) -> None:
        if os.isatty(descriptor):
            raise OutputError(
                "--output - writes MP3 to standard output: send it to a program or a file,"
                " not to the terminal"
            )
        self._descriptor = descriptor
        self._cancelled = threading.Event()

    def write_frames(self, frames: bytes) -> None:
        """Write all of them; raises OutputEnded when the reader has ended, else OutputError."""
        rest = memoryview(frames)
        try:
            while rest and self._wait_until_writable():
                rest = rest[os.write(self._descriptor, rest[:PIECE_BYTES]) :]
        except OSError as error:
            if error.errno in READER_IS_GONE:
                raise OutputEnded("the program that reads standard output has ended") from error
            is_closed = error.errno == errno.EBADF
            reason = "it is closed" if is_closed else error.strerror or str(error)
            raise OutputError(f"cannot write to standard output: {reason}") from error

    def cancel(self) -> None:
        """Let a write that waits for the reader give up."""
        self._cancelled.set()

    def _wait_until_writable(self) -> bool:
        """Wait for room in the pipe; False: cancelled."""
        while not self._cancelled.is_set():
            if sys.platform == "win32":  # select() there knows only sockets: os.write() waits
                return True
            if select.select([], [self._descriptor], [], LOOK_UP_S)[1]:
                return True
        return False
