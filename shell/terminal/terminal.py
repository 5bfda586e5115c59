"""The terminal while the program has it: a screen of its own, and every key at once.

It is given back as it was, however the program ends, and for as long as it is stopped (Ctrl-Z) or
somebody else is in the foreground. One thread, the main thread, may use it.

Only lines that have changed are written, all of them together: so nothing flickers, and to draw
costs as much as what is new. The screen is the terminal's alternate one: afterwards what was there
before is there again. Where no keys are read, the terminal shows what is typed in rows of its own
at the bottom, which nobody draws on.

Control sequences are those of ECMA-48 and of xterm ("XTerm Control Sequences").
"""

from __future__ import annotations

import os
import select
import signal
import sys
import threading
from collections.abc import Sequence
from typing import Any, TextIO

from shell.keys import Keyboard
from shell.printing import may_go_away
from shell.stopping import Signals

if sys.platform != "win32":
    import termios

USUAL_SIZE = os.terminal_size((80, 24))
"""Where the terminal does not say how large it is."""

TYPED_ROWS = 2
"""The least that a terminal scrolls by itself (DECSTBM)."""
ROOM_FOR_TYPED_ROWS = 10
"""A screen with fewer rows than this has none to spare."""

_ENTER = "\x1b[?1049h\x1b[?25l\x1b[?7l"
"""The alternate screen, no cursor, and nothing that is too long runs into the next row."""
_LEAVE = "\x1b[0m\x1b[r\x1b[H\x1b[J\x1b[?7h\x1b[?25h\x1b[?1049l"
"""Emptied first: a terminal without an alternate screen has only this one."""
_CLEAR = "\x1b[r\x1b[H\x1b[J"
_SAVE_CURSOR, _RESTORE_CURSOR = "\x1b7", "\x1b8"

_MOST_TYPED_BYTES = 1024
_LOCAL_MODES, _CHARACTERS = 3, 6
"""Where termios has them."""


def can_show_screen(stream: TextIO) -> bool:
    """Whether `stream` is a terminal on which lines can be drawn, and may be (no-color.org)."""
    if sys.platform == "win32" or not stream.isatty() or os.environ.get("NO_COLOR"):
        return False
    knows_letters = (stream.encoding or "").lower().replace("-", "") == "utf8"
    return knows_letters and os.environ.get("TERM", "") not in ("", "dumb", "unknown")


class Terminal:
    """From `open` to `close`. Nothing is drawn and no key read while somebody else has it."""

    def __init__(
        self, screen: TextIO, signals: Signals, *, draws: bool, keyboard: TextIO | None
    ) -> None:
        """`draws`: whether there will be a screen; `keyboard`: the terminal to read keys from."""
        self._screen = screen
        self._signals = signals
        self._draws = draws
        self._keyboard = keyboard
        self._is_typed_on = keyboard is None and sys.stdin is not None and sys.stdin.isatty()
        self._parser = Keyboard()
        self._is_taken = False
        self._modes: list[Any] | None = None
        self._shown: list[str] = []
        self._shown_size: os.terminal_size | None = None
        self._size = USUAL_SIZE

    def open(self) -> None:
        """From now on the program has it, if it can."""
        for number in (signal.SIGTSTP, signal.SIGQUIT):
            self._signals.on(number, self._obey)
        self._signals.on(signal.SIGCONT, self._go_on)
        self._signals.on(signal.SIGWINCH, None)

    def close(self) -> None:
        """Give it back as it was."""
        if not self._is_taken:
            return
        self._is_taken = False
        if self._draws:
            self._write(_LEAVE)
        if self._keyboard is not None and self._modes is not None:
            self._signals.unwatch(self._keyboard)
            _set_modes(self._keyboard, self._modes)
            self._modes = None

    def size(self) -> tuple[int, int]:
        """Columns, and rows to draw on."""
        try:
            size = os.get_terminal_size(self._screen.fileno())
        except OSError:  # gone
            size = self._size
        self._size = size if all(size) else USUAL_SIZE
        return self._size.columns, self._size.lines - self._typed_rows

    def draw(self, lines: Sequence[str]) -> None:
        """Show `lines`, each as wide as `size` said, and not more than that."""
        if not (self.take() and self._draws):
            return
        changes = []
        if self._shown_size != self._size:
            changes.append(_CLEAR + self._place_for_typing())
            self._shown, self._shown_size = [], self._size
        gone = len(self._shown) - len(lines)
        new = [*lines, *[" " * self._size.columns] * gone]
        for row, line in enumerate(new):
            if row >= len(self._shown) or self._shown[row] != line:
                changes.append(f"\x1b[{row + 1};1H{line}")
        self._shown = new
        if changes:
            # Where the cursor stands somebody may be typing.
            self._write(_SAVE_CURSOR + "".join(changes) + _RESTORE_CURSOR)

    def typed(self) -> list[str]:
        """The keys that were typed since the last call (`keys`)."""
        keyboard = self._keyboard
        if keyboard is None or not self._is_taken or not select.select([keyboard], [], [], 0)[0]:
            return []
        try:
            typed = os.read(keyboard.fileno(), _MOST_TYPED_BYTES)
        except OSError:
            typed = b""
        if not typed:  # gone
            self._signals.unwatch(keyboard)
            self._keyboard = None
        return self._parser.keys(typed)

    def take(self) -> bool:
        """Whether the terminal is the program's: it takes it if it can."""
        if not self._is_taken and self._is_in_foreground:
            self._is_taken = True
            self._set_up()
        return self._is_taken

    @property
    def _is_in_foreground(self) -> bool:
        try:
            return os.tcgetpgrp(self._screen.fileno()) == os.getpgrp()
        except OSError:
            # Not the terminal that the program was started from: nobody else controls it.
            return True

    @property
    def _typed_rows(self) -> int:
        has_room = self._size.lines >= ROOM_FOR_TYPED_ROWS
        return TYPED_ROWS if self._is_typed_on and has_room else 0

    def _place_for_typing(self) -> str:
        if not self._typed_rows:
            return ""
        last = self._size.lines
        return f"\x1b[{last - TYPED_ROWS + 1};{last}r\x1b[{last};1H{_SAVE_CURSOR}"

    def _set_up(self) -> None:
        if self._keyboard is not None:
            self._modes = self._modes or _modes_of(self._keyboard)
            if self._modes is not None:
                _set_modes(self._keyboard, _each_key(self._modes))
                self._signals.watch(self._keyboard)
        if self._draws:
            self._shown_size = None
            self._write(_ENTER)

    def _obey(self, number: int) -> None:
        """Stop, or end, as if nobody had asked for the signal; but give the terminal back."""
        self.close()
        signal.signal(number, signal.SIG_DFL)
        # To this thread, which then does nothing more until it may go on.
        signal.pthread_kill(threading.get_ident(), number)
        self._signals.on(number, self._obey)

    def _go_on(self, number: int) -> None:
        """The program was stopped, and who knows what became of the terminal."""
        if not self._is_taken:
            self.take()
        elif self._is_in_foreground:
            self._set_up()
        else:
            self._is_taken = False
            if self._keyboard is not None:
                self._signals.unwatch(self._keyboard)

    def _write(self, text: str) -> None:
        with may_go_away(self._screen):
            self._screen.write(text)
            self._screen.flush()


def _modes_of(keyboard: TextIO) -> list[Any] | None:
    try:
        return termios.tcgetattr(keyboard)
    except termios.error:
        return None


def _set_modes(keyboard: TextIO, modes: list[Any]) -> None:
    # Gone: there is nothing to be set. And nothing waits for a terminal that is held (Ctrl-S).
    try:
        termios.tcsetattr(keyboard, termios.TCSANOW, modes)
    except termios.error:
        return


def _each_key(modes: list[Any]) -> list[Any]:
    """`modes`, but every key comes at once and unseen; Ctrl-C and Ctrl-Z are signals as before."""
    changed = [*modes[:_CHARACTERS], [*modes[_CHARACTERS]]]
    changed[_LOCAL_MODES] &= ~(termios.ICANON | termios.ECHO)
    changed[_CHARACTERS][termios.VMIN], changed[_CHARACTERS][termios.VTIME] = 1, 0
    return changed
