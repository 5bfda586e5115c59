"""Lines typed at a terminal while the program shows how it goes.

The terminal itself shows and edits what is typed: a live view leaves it rows for that. Where
standard input is no terminal, or is another program's at the moment (the server runs in the
background), nothing is read.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue
from types import TracebackType

from shell.udp import Bell

LONGEST_LINE = 200
"""Nobody types more; a file that is pasted is not kept."""
MOST_BYTES = 4096
"""Of one line on Linux."""

LOOK_AGAIN_MS = 500
"""Whether the terminal is ours, when it is not."""

HUNG_UP = "quit"
"""What a terminal says that is closed, and Ctrl-D."""


class Prompt:
    """Context manager; `take` gives the lines that were typed."""

    def __init__(self, told: Callable[[], None], *, wanted: bool = True) -> None:
        """`told` is called, in a thread, when something was typed; `wanted`: whether to read."""
        self._told = told
        self._lines: SimpleQueue[str] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._bell = Bell()
        self._terminal: int | None = None
        # ImportError: on Windows. OSError: a terminal, but not the one that controls this program.
        with contextlib.suppress(ImportError, ValueError, AttributeError, OSError):
            import termios  # noqa: F401

            if wanted and sys.stdin.isatty():
                os.tcgetpgrp(sys.stdin.fileno())
                self._terminal = sys.stdin.fileno()

    def __enter__(self) -> Prompt:
        if self._terminal is not None:
            self._thread = threading.Thread(target=self._read, args=(self._terminal,))
            self._thread.name = "prompt"
            self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._thread is not None:
            self._bell.ring()
            self._thread.join()
        self._bell.close()

    def take(self) -> list[str]:
        """The lines since the last call, without space around them."""
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
                # Whoever reads from the background is stopped.
                if terminal in ready and _is_ours(terminal):
                    data = os.read(terminal, MOST_BYTES)
                    if not data:
                        break
                    self._type(data.decode(errors="replace"))
        # The terminal is gone, and with it whoever could end the program.
        self._lines.put(HUNG_UP)
        self._told()

    def _type(self, typed: str) -> None:
        """Whole lines, as a terminal gives them."""
        for line in typed.splitlines():
            word = "".join(filter(str.isprintable, line)).strip()
            if word:
                self._lines.put(word[:LONGEST_LINE])
        self._told()


def _is_ours(terminal: int) -> bool:
    """Whether we are in its foreground."""
    return os.tcgetpgrp(terminal) == os.getpgrp()
