"""Full-screen use of the terminal: drawing lines, and reading each key as it is typed.

Main thread only. The terminal's modes are restored however the program ends, while it is stopped
(Ctrl-Z), and while another program is in the foreground.

Only lines that have changed are written, in one write, so that nothing flickers. The alternate
screen is used, so that the previous content comes back at the end. Where no keys are read, two
rows at the bottom are left for the terminal to echo what the user types.

Control sequences: ECMA-48 and "XTerm Control Sequences".
"""

from __future__ import annotations

import os
import select
import signal
import sys
import threading
from collections.abc import Sequence
from typing import Any, TextIO

from shell.process.stopping import Signals
from shell.terminal.keys import Keyboard
from shell.terminal.printing import print_text

if sys.platform != "win32":
    import termios

USUAL_SIZE = os.terminal_size((80, 24))
"""Size of a terminal that does not tell its size."""

PATIENCE_S = 0.1
"""Longest wait for a terminal that takes nothing: the next screen is drawn in full."""

TYPED_ROWS = 2
"""Rows for typing; a scrolling region (DECSTBM) has at least two."""
ROOM_FOR_TYPED_ROWS = 10
"""Fewest rows of a terminal that gets rows for typing."""

_ENTER = "\x1b[?1049h\x1b[?25l\x1b[?7l"
"""Alternate screen, cursor off, line wrap off."""
_LEAVE = "\x1b[0m\x1b[r\x1b[H\x1b[J\x1b[?7h\x1b[?25h\x1b[?1049l"
"""Clear first: a terminal without an alternate screen keeps what was drawn."""
_CLEAR = "\x1b[r\x1b[H\x1b[J"
_SAVE_CURSOR, _RESTORE_CURSOR = "\x1b7", "\x1b8"

_MOST_TYPED_BYTES = 1024
_LOCAL_MODES, _CHARACTERS = 3, 6
"""Indices of the local modes and control characters in what `termios.tcgetattr` returns."""


def can_show_screen(stream: TextIO) -> bool:
    """Whether `stream` is a UTF-8 terminal that can be drawn on, and NO_COLOR is not set."""
    if sys.platform == "win32" or not stream.isatty() or os.environ.get("NO_COLOR"):
        return False
    knows_letters = (stream.encoding or "").lower().replace("-", "") == "utf8"
    return knows_letters and os.environ.get("TERM", "") not in ("", "dumb", "unknown")


class Terminal:
    """The terminal from `open` to `close`; unused while another program is in the foreground."""

    def __init__(
        self, screen: TextIO, signals: Signals, *, draws: bool, keyboard: TextIO | None
    ) -> None:
        """`draws`: whether `draw` is used; `keyboard`: where keys are read, None for no keys."""
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
        """Handle the signals of a terminal; `take` does the rest."""
        for number in (signal.SIGTSTP, signal.SIGQUIT):
            self._signals.on(number, self._obey)
        self._signals.on(signal.SIGCONT, self._go_on)
        self._signals.on(signal.SIGWINCH, None)

    def close(self) -> None:
        """Restore the terminal."""
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
        """Columns and rows to draw on."""
        try:
            size = os.get_terminal_size(self._screen.fileno())
        except OSError:  # gone
            size = self._size
        self._size = size if all(size) else USUAL_SIZE
        return self._size.columns, self._size.lines - self._typed_rows

    def draw(self, lines: Sequence[str]) -> None:
        """Show `lines`, as wide and at most as many as `size` says."""
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
        # The user may be typing at the cursor.
        if changes and not self._write(_SAVE_CURSOR + "".join(changes) + _RESTORE_CURSOR):
            self._shown_size = None

    def typed(self) -> list[str]:
        """Keys typed since the last call, as `Keyboard` names them."""
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
        """Take the terminal if the program is in the foreground; return whether it is taken."""
        if not self._is_taken and self._is_in_foreground:
            self._is_taken = True
            self._set_up()
        return self._is_taken

    @property
    def _is_in_foreground(self) -> bool:
        try:
            return os.tcgetpgrp(self._screen.fileno()) == os.getpgrp()
        except OSError:
            # Not the terminal that controls this program: it has no foreground.
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
        """Restore the terminal, then stop or end as the signal's default action does."""
        self.close()
        signal.signal(number, signal.SIG_DFL)
        # Sent to this thread, which is stopped until SIGCONT.
        signal.pthread_kill(threading.get_ident(), number)
        self._signals.on(number, self._obey)

    def _go_on(self, number: int) -> None:
        """Set the terminal up again after a stop, in which it may have been changed."""
        if not self._is_taken:
            self.take()
        elif self._is_in_foreground:
            self._set_up()
        else:
            self._is_taken = False
            if self._keyboard is not None:
                self._signals.unwatch(self._keyboard)

    def _write(self, text: str) -> bool:
        """Whether the terminal took all of it; it may be held."""
        return print_text(text, self._screen, lambda since_s: since_s < PATIENCE_S)


def _modes_of(keyboard: TextIO) -> list[Any] | None:
    try:
        return termios.tcgetattr(keyboard)
    except termios.error:
        return None


def _set_modes(keyboard: TextIO, modes: list[Any]) -> None:
    # TCSANOW: a terminal that is held (Ctrl-S) is not waited for. An error: it is gone.
    try:
        termios.tcsetattr(keyboard, termios.TCSANOW, modes)
    except termios.error:
        return


def _each_key(modes: list[Any]) -> list[Any]:
    """`modes` without line editing and echo; Ctrl-C and Ctrl-Z remain signals."""
    changed = [*modes[:_CHARACTERS], [*modes[_CHARACTERS]]]
    changed[_LOCAL_MODES] &= ~(termios.ICANON | termios.ECHO)
    changed[_CHARACTERS][termios.VMIN], changed[_CHARACTERS][termios.VTIME] = 1, 0
    return changed
