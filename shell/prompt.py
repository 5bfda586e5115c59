"""Lines typed at a terminal while a live line is on it.

The terminal must not show what is typed by itself, for that would be written into the live line: so
its echo is off, and whoever draws that line shows `text`. The terminal is as it was when the block
ends. Where standard input is no terminal, or is another program's at the moment (the server runs in
the background), nothing is read.
"""

from __future__ import annotations

import codecs
import contextlib
import os
import sys
import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Any

from shell.udp import Bell

LONGEST_LINE = 200
"""Nobody types more; a file that is pasted is not kept."""

LOOK_AGAIN_MS = 500
"""Whether the terminal is ours, when it is not."""

ERASE, ERASE_LINE = "\x08\x7f", "\x15"
HUNG_UP = "quit"
"""What a terminal says that is closed."""


class Prompt:
    """Context manager; `take` gives the lines that were typed."""

    def __init__(self, told: Callable[[], None], *, wanted: bool = True) -> None:
        """`told` is called, in a thread, when something was typed; `wanted`: whether to read."""
        self.text = ""
        """What is typed of a line so far, to be shown before all else."""
        self._line = ""
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
        import termios

        poll = select.poll()
        bell = self._bell.readable.fileno()
        poll.register(bell, select.POLLIN)
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        before: list[Any] | None = None
        try:
            while True:
                if not _is_ours(terminal):
                    before = None
                    if poll.poll(LOOK_AGAIN_MS):
                        return
                    continue
                if before is None:
                    before = _without_echo(terminal)
                    poll.register(terminal, select.POLLIN)
                if any(one == bell for one, _ in poll.poll()):
                    return
                if not _is_ours(terminal):
                    poll.unregister(terminal)
                    before = None
                    continue
                data = os.read(terminal, 1024)
                if not data:
                    break
                self._type(decoder.decode(data))
        except (OSError, termios.error):
            before = None
        finally:
            if before is not None:
                with contextlib.suppress(OSError, termios.error):
                    termios.tcsetattr(terminal, termios.TCSADRAIN, before)
        # The terminal is gone, and with it whoever could end the program.
        self._lines.put(HUNG_UP)
        self._told()

    def _type(self, typed: str) -> None:
        line = self._line
        for character in typed:
            if character in "\r\n":
                if line.strip():
                    self._lines.put(line.strip())
                line = ""
            elif character in ERASE:
                line = line[:-1]
            elif character == ERASE_LINE:
                line = ""
            elif character.isprintable() and len(line) < LONGEST_LINE:
                line += character
        self._line = line
        self.text = f"> {line} · " if line else ""
        self._told()


def _is_ours(terminal: int) -> bool:
    """Whether we are in its foreground: whoever reads from the background is stopped."""
    return os.tcgetpgrp(terminal) == os.getpgrp()


def _without_echo(terminal: int) -> list[Any]:
    """Let what is typed come key by key and unseen; how it was before."""
    import termios

    before = termios.tcgetattr(terminal)
    changed = termios.tcgetattr(terminal)
    changed[3] &= ~(termios.ECHO | termios.ICANON)
    changed[6][termios.VMIN], changed[6][termios.VTIME] = 1, 0
    termios.tcsetattr(terminal, termios.TCSADRAIN, changed)
    return before
