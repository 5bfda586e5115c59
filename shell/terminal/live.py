"""Output while a program runs: a screen on a terminal, plain lines elsewhere, tables at the end."""

from __future__ import annotations

import io
import shutil
import sys
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Protocol, Self, TextIO

from shell.process.stopping import Signals
from shell.terminal.paint import DIM, cut, dyed, width
from shell.terminal.printing import MayWait, at_once, briefly, print_line
from shell.terminal.terminal import Terminal, can_show_screen
from shell.terminal.text import Fact, one_line, program_name

LINE_COLUMNS = 79
"""Longest title where there is no terminal."""


class Showable(Protocol):
    """A screen and a plain line with one content."""

    def lines(self, columns: int, rows: int) -> Sequence[str]:
        """Screen: at most `rows` painted lines, each of `columns` cells."""

    def text(self) -> str:
        """Plain line for grep."""


class Live:
    """Context manager of the main thread: call `show` when `is_due`, at the latest after `pause_s`.

    A screen is drawn every `refresh_s`, and on every signal and key. Plain lines are printed every
    `report_every_s` (0: never), the first one after that time: a program that fails at once says
    only why.
    """

    def __init__(
        self,
        stream: TextIO,
        signals: Signals,
        *,
        quiet: bool,
        report_every_s: float,
        refresh_s: float,
        wants_keys: bool = False,
        is_alone: bool = True,
    ) -> None:
        """`quiet`: no screen, and nothing from `say`.

        `is_alone`: no other program uses the terminal at the same time.
        """
        self._stream = stream
        self._quiet = quiet
        self._report_every_s = report_every_s
        self._refresh_s = refresh_s
        self._due_at = time.monotonic() + report_every_s
        self.is_screen = is_alone and not quiet and can_show_screen(stream)
        may_read = wants_keys and is_alone and sys.platform != "win32" and stream.isatty()
        keyboard = sys.stdin if may_read and _is_terminal(sys.stdin) else None
        self.has_keys = keyboard is not None
        self._terminal: Terminal | None = None
        if self.is_screen or keyboard is not None:
            self._terminal = Terminal(stream, signals, draws=self.is_screen, keyboard=keyboard)

    def __enter__(self) -> Self:
        if self._terminal is not None:
            self._terminal.open()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._terminal is not None:
            self._terminal.close()

    def is_due(self) -> bool:
        """Whether it is time to call `show`."""
        is_ours = self._terminal is not None and self._terminal.take()
        if self.is_screen:
            return is_ours
        return self._report_every_s > 0 and time.monotonic() >= self._due_at

    @property
    def pause_s(self) -> float | None:
        """Time until the next `show`; None: there will be none."""
        if self.is_screen:
            return self._refresh_s
        if not self._report_every_s:
            return None
        return max(0.0, self._due_at - time.monotonic())

    def show(self, view: Showable) -> None:
        """Draw `view` on the screen, or print its line."""
        if self.is_screen:
            assert self._terminal is not None, "a screen is drawn on it"
            self._terminal.draw(view.lines(*self._terminal.size()))
            return
        # The next line says more than one that waits until somebody reads.
        print_line(view.text(), self._stream, at_once)
        # Counted from when it was due, so that delays do not add up.
        behind = int((time.monotonic() - self._due_at) // self._report_every_s)
        self._due_at += (1 + behind) * self._report_every_s

    def rows(self) -> int:
        """Rows of the screen; 0 without one."""
        return self._terminal.size()[1] if self.is_screen and self._terminal is not None else 0

    def typed(self) -> Sequence[str]:
        """Keys typed since the last call, if they are wanted."""
        return self._terminal.typed() if self._terminal is not None else ()

    def print_table(self, title: str, facts: Sequence[Fact]) -> None:
        """Print a table in between; only where there is no screen."""
        print_table(self._stream, title, facts)

    def say(self, text: str) -> None:
        """Print a line that stays; while there is a screen, in its rows for typing."""
        if not self._quiet:
            print_line(text, self._stream)


def print_table(
    stream: TextIO, title: str, facts: Sequence[Fact], may_wait: MayWait = briefly
) -> None:
    """Print `facts` in columns under `title`."""
    name_columns = max(len(name) for name, _, _ in facts)
    value_columns = max(len(value) for _, value, _ in facts)
    style = DIM if can_show_screen(stream) else ""
    lines = [_heading(stream, title), ""]
    for name, value, remark in facts:
        cells = f"  {name:{name_columns}}   {value:>{value_columns}}"
        lines.append(f"{cells}   {dyed(remark, style)}" if remark else cells.rstrip())
    print_line("\n".join([*lines, ""]), stream, may_wait)


def _heading(stream: TextIO, title: str) -> str:
    """`title` cut to one line of the terminal."""
    columns = shutil.get_terminal_size().columns - 1 if stream.isatty() else LINE_COLUMNS
    encoding = stream.encoding or "ascii"
    # As it will be written: a letter that the encoding lacks is escaped, and takes more room.
    title = one_line(title).encode(encoding, "backslashreplace").decode(encoding)
    try:
        "…".encode(encoding)
        return title if width(title) <= columns else cut(title, columns)
    except (OSError, UnicodeError):
        # With no file descriptor left wcwidth cannot be imported; the figures still matter.
        return title[:columns]


def complain(program: str, text: str) -> None:
    """Print one line about an error on standard error."""
    print_line(f"{program_name(program)}: {one_line(text)}", sys.stderr)


def human_stream(*taken: str | None) -> TextIO:
    """Stream for people: standard output, or standard error if an option in `taken` is `-`."""
    stream = sys.stderr if "-" in taken else sys.stdout
    if isinstance(stream, io.TextIOWrapper):
        # A title may have letters that the terminal's encoding lacks.
        stream.reconfigure(errors="backslashreplace")
    return stream


def _is_terminal(stream: TextIO | None) -> bool:
    return stream is not None and not stream.closed and stream.isatty()
