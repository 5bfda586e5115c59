"""MP3 as it was sent: to a file, or to standard output and on to the next program.

In go whole MP3 frames, out they come unchanged; nothing is decoded. What is missing is simply not
there: MP3 players find the next frame by themselves.
"""

from __future__ import annotations

import errno
import os
import select
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from listening.outputs import OutputEnded, OutputError
from listening.outputs.target_file import TargetFile
from listening.pcm import PcmFormat

if TYPE_CHECKING:
    from pydub import AudioSegment

STANDARD_OUTPUT = 1
PIECE_BYTES = getattr(select, "PIPE_BUF", 512)
"""What a pipe takes without blocking once select() calls it writable (POSIX: 512 or more)."""
READER_IS_GONE = (errno.EPIPE, errno.EINVAL)
"""Windows says EINVAL."""
LOOK_UP_S = 0.1
"""While a pipe is full: how often to look whether the user has stopped waiting for it."""


class _Mp3Output:
    """What both have in common: they take frames as they come, and need no time in advance."""

    takes_frames = True
    lead_s = 0.0
    waits = True
    any_speed = True
    underruns = 0
    trouble = None
    unheard_s = 0.0
    changeable_frames = 0

    def prepare(self) -> None:
        """Nothing to do."""

    def open(self, pcm: PcmFormat, duration_s: float | None) -> PcmFormat:
        """Takes any format."""
        return pcm

    def write(self, audio: AudioSegment) -> None:
        """Never called: takes_frames is True."""
        raise NotImplementedError

    def take_back(self, most_frames: int) -> int:
        """Nothing can be changed any more."""
        return 0

    def resync(self) -> None:
        """Nothing to do: it follows on what was written before."""

    def flush(self) -> None:
        """Nothing is held back."""

    def close(self) -> None:
        """Nothing to wait for."""

    def cancel(self) -> None:
        """Nobody waits."""


class Mp3File(_Mp3Output):
    """Writes the frames to `path`."""

    def __init__(self, path: Path) -> None:
        self._file = TargetFile(path)

    def prepare(self) -> None:
        """Look once more whether the file can be written."""
        self._file.check()

    def open(self, pcm: PcmFormat, duration_s: float | None) -> PcmFormat:
        """Make the file. Takes any format."""
        self._file.open()
        return pcm

    def write_frames(self, frames: bytes) -> None:
        """Append."""
        self._file.write(frames)

    def close(self) -> None:
        """The file is whole."""
        self._file.close()


class StandardOutput(_Mp3Output):
    """Writes the frames to standard output (or another descriptor, which stays its owner's).

    A reader that goes away is an end, not a failure: OutputEnded. A reader that does not read
    holds up the playback thread, as in every pipe, until cancel().
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
        """Pass them on."""
        rest = memoryview(frames)
        try:
            while rest and self._wait_until_writable():
                rest = rest[os.write(self._descriptor, rest[:PIECE_BYTES]) :]
        except OSError as error:
            if error.errno in READER_IS_GONE:
                raise OutputEnded("the program that reads standard output has ended") from error
            reason = error.strerror or str(error)
            raise OutputError(f"cannot write to standard output: {reason}") from error

    def cancel(self) -> None:
        """A write that waits for the reader gives up."""
        self._cancelled.set()

    def _wait_until_writable(self) -> bool:
        """False: cancelled, and nothing more is to be written."""
        while not self._cancelled.is_set():
            if sys.platform == "win32":  # select() there knows only sockets: os.write() waits
                return True
            if select.select([], [self._descriptor], [], LOOK_UP_S)[1]:
                return True
        return False
