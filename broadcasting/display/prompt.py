"""Lines typed at the terminal while the live view is shown, read in a thread.

The terminal echoes and edits the line, in rows that the live view leaves free. Nothing is read if
standard input is not a terminal, or while the program runs in the background.
"""

from __future__ import annotations

import contextlib
import functools
import os
import sys
from collections.abc import Callable
from queue import Empty, SimpleQueue
from types import TracebackType

from shell.network.udp import Bell
from shell.process.threads import Worker

LONGEST_LINE = 200
"""Characters kept of a line."""
MOST_BYTES = 4096
"""Longest line of a terminal on Linux."""

LOOK_AGAIN_MS = 500
"""Pause between looks whether the program is in the foreground again."""

JOIN_S = 0.1
"""Longest wait for the thread at the end: a terminal may hang while it is asked."""

HUNG_UP = "quit"
"""Line that stands for a closed terminal and Ctrl-D."""


class Prompt:
    """Context manager; `take` returns the lines that were typed."""

    def __init__(self, told: Callable[[], None], *, wanted: bool = True) -> None:
        """`told` is called in the thread after something was typed; `wanted`: whether to read."""
        self._told = told
        self._lines: SimpleQueue[str] = SimpleQueue()
        self._thread: Worker | None = None
        self._bell = Bell()
        self._terminal: int | None = None
        # ImportError: Windows. OSError: a terminal that does not control this program.
        with contextlib.suppress(ImportError, ValueError, AttributeError, OSError):
            import termios  # noqa: F401

            if wanted and sys.stdin.isatty():
                os.tcgetpgrp(sys.stdin.fileno())
                self._terminal = sys.stdin.fileno()

    def __enter__(self) -> Prompt:
        if self._terminal is not None:
            self._thread = Worker("prompt", functools.partial(self._read, self._terminal))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._thread is not None:
            self._bell.ring()
            self._thread.join(JOIN_S)
        self._bell.close()

    def take(self) -> list[str]:
        """Lines typed since the last call, stripped."""
        lines = []
        with contextlib.suppress(Empty):
            while True:
                lines.append(self._lines.get_nowait())
        return lines

    def _read(self, terminal: int) -> None:
        import select

        poll = select.poll()
        bell = self._bell.readable.fileno()
        poll.register(bell, select.POLLIN)
        listens = False
        with contextlib.suppress(OSError):
            while True:
                if listens and not _is_ours(terminal):
                    poll.unregister(terminal)
                    listens = False
                elif not listens and _is_ours(terminal):
                    poll.register(terminal, select.POLLIN)
                    listens = True
                ready = [one for one, _ in poll.poll(None if listens else LOOK_AGAIN_MS)]
                if bell in ready:
                    return
                # Reading in the background would stop the program (SIGTTIN).
                if terminal in ready and _is_ours(terminal):
                    data = os.read(terminal, MOST_BYTES)
                    if not data:
                        break
                    self._type(data.decode(errors="replace"))
        # The terminal is gone: end the program, since no one can do so any more.
        self._lines.put(HUNG_UP)
        self._told()

    def _type(self, typed: str) -> None:
        """Queue the words in `typed`: whole lines, as a terminal delivers them."""
        for line in typed.splitlines():
            word = "".join(filter(str.isprintable, line)).strip()
            if word:
                self._lines.put(word[:LONGEST_LINE])
        self._told()


def _is_ours(terminal: int) -> bool:
    """Whether the program is in the foreground of `terminal`."""
    return os.tcgetpgrp(terminal) == os.getpgrp()
