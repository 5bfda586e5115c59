"""What is read as its bytes come, and cannot be read again: standard input, FIFOs, devices."""

from __future__ import annotations

import contextlib
import logging
import os
import select
import stat
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import av

from broadcasting.source.live_source import PROBE_S, LiveSource, open_stream
from broadcasting.source.skimming import Skimmed
from shell.network.udp import Bell, BlockingPoll

if TYPE_CHECKING:
    from av.container import InputContainer


AWAITED = "waits until something is written to it"
"""What is said of a FIFO that nobody has opened for writing."""

_TERMINAL = "is a terminal: pipe audio into it, such as `cat song.mp3 |`"

log = logging.getLogger("server")


class Pipe:
    """Reads a descriptor until that ends, or until it is interrupted."""

    def __init__(self, descriptor: int, *, endless: bool = False, owned: bool = False) -> None:
        """`endless`: an end is a fault. `owned`: `close` closes the descriptor, too."""
        self._endless = endless
        self._owned = owned
        self.deadline: float | None = None
        """Monotonic time by which bytes must come; None: wait for ever."""
        self.fault: OSError | None = None
        """Why it ended, if it is endless."""
        self.has_read = False
        """Whether any bytes came."""
        self._descriptor = descriptor
        self._head = b""
        self._bell = Bell()
        self._poll = select.poll() if hasattr(select, "poll") else BlockingPoll()
        for one in (descriptor, self._bell.readable.fileno()):
            self._poll.register(one, select.POLLIN)
        self._interrupted = False

    def read(self, size: int) -> bytes:
        """Up to `size` bytes; none at the end. Raises OSError, TimeoutError at the deadline."""
        if self._head:
            head, self._head = self._head[:size], self._head[size:]
            return head
        while not self._interrupted:
            left_s = None if self.deadline is None else self.deadline - time.monotonic()
            if left_s is not None and left_s <= 0:
                raise TimeoutError(0, f"sends nothing that can be played within {PROBE_S:g} s")
            ready = self._poll.poll(None if left_s is None else left_s * 1e3)
            if any(descriptor == self._descriptor for descriptor, _ in ready):
                try:
                    data = os.read(self._descriptor, size)
                except BlockingIOError:
                    continue
                self.has_read = self.has_read or bool(data)
                if not data and self._endless:
                    self.fault = ConnectionError(0, "nothing more comes")
                return data
        return b""

    def wait(self) -> None:
        """Wait for the first bytes, which `read` gives later; raises OSError."""
        self._head = self.read(4096)

    def has_writer(self) -> bool:
        """Whether there is somebody to write, if the descriptor does not block; raises OSError."""
        try:
            self._head = os.read(self._descriptor, 4096)
        except BlockingIOError:
            return True
        self.has_read = bool(self._head)
        return self.has_read

    def interrupt(self) -> None:
        """End `read`, now and from now on. Any thread may call."""
        self._interrupted = True
        with contextlib.suppress(OSError):  # It may have been closed.
            self._bell.ring()

    def close(self) -> None:
        """Close what is ours."""
        self._bell.close()
        if self._owned:
            self._owned = False
            os.close(self._descriptor)


class Piped(LiveSource):
    """A stream that is piped in. It is opened once, and what the probe has read is kept."""

    returns = False

    def __init__(self, name: str, title: str, pipe: Pipe) -> None:
        """`title` is its title if it brings none."""
        self.name = name
        self.title = title
        self.is_awaited = False
        """Whether nobody has written to it yet: then there is nothing to probe."""
        self._pipe = pipe
        self._container: InputContainer | None = None
        self._played = False

    def open(self) -> InputContainer:
        """What is piped in: probed at the first call, played at the second; raises OSError.

        One that is awaited is played at the first call, when somebody writes to it.
        """
        if self._played:
            raise OSError(0, "has been played, and cannot be played again")
        self._played = self._container is not None or self.is_awaited
        if self._container is None:
            self._container = self._found()
        return self._container

    def close(self) -> None:
        """Close what was played; between probe and playing nothing is lost."""
        if self._container is None:
            self._pipe.close()
        elif self._played:
            self._container.close()
            self._pipe.close()

    def interrupt(self) -> None:
        """Read nothing more: there is no way back into the middle of a pipe."""
        self._pipe.interrupt()

    def _found(self) -> InputContainer:
        if self.is_awaited:
            log.info("%s: %s", self.name, AWAITED)
            self._pipe.wait()
        self._pipe.deadline = time.monotonic() + PROBE_S
        try:
            container = open_stream(Skimmed(self._pipe))
        except (av.InvalidDataError, av.EOFError):
            said = "sends nothing that can be played" if self._pipe.has_read else "ended at once"
            raise OSError(0, said) from None
        self._pipe.deadline = None
        return container


def standard_input() -> Piped:
    """What is piped into the program; raises OSError if there is nothing to be read there."""
    if sys.stdin is None or sys.stdin.closed:
        raise OSError(0, "is closed: pipe audio into it")
    if sys.stdin.isatty():
        raise OSError(0, _TERMINAL)
    return Piped("standard input", "standard input", Pipe(sys.stdin.fileno()))


def special_file(name: str) -> Piped:
    """A FIFO, a device or a pipe of the shell with a name in the file system; raises OSError.

    Nobody needs to write to it yet.
    """
    if Path(name).is_socket():
        raise OSError(0, "is a socket, which only programs can open")
    # Without O_NONBLOCK a FIFO is not open before somebody writes to it.
    descriptor = os.open(name, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    try:
        if os.isatty(descriptor):
            raise OSError(0, _TERMINAL)
        pipe = Pipe(descriptor, owned=True)
    except OSError:
        os.close(descriptor)
        raise
    # The shell gives <(…) a number as its name.
    made = Piped(name, "a pipe" if Path(name).name.isdecimal() else Path(name).stem, pipe)
    made.is_awaited = stat.S_ISFIFO(os.fstat(descriptor).st_mode) and not pipe.has_writer()
    return made
