"""What a program shows while it runs: a screen on a terminal, plain lines now and then elsewhere.

And tables at the end.
"""

from __future__ import annotations

import io
import shutil
import sys
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Protocol, Self, TextIO

from shell.paint import DIM, cut, dyed, width
from shell.printing import print_line
from shell.stopping import Signals
from shell.terminal import Terminal, can_show_screen
from shell.text import one_line

LINE_COLUMNS = 79
"""Of a title, where there is no terminal."""


class View(Protocol):
    """What there is to be seen."""

    def lines(self, columns: int, rows: int) -> Sequence[str]:
        """A screen: at most `rows` lines, painted, each of `columns` cells."""

    def text(self) -> str:
        """The same in one plain line, made for grep."""


class Live:
    """Context manager; `show` is called whenever `is_due`, and `pause_s` may pass until then.

    A screen is drawn every `refresh_s`, and whenever a signal or a key comes. Plain lines are
    printed every `report_every_s` (0: never), the first of them not before that: what fails at once
    says only why.
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
        """`quiet`: plain lines in any case, and no others.

        `is_alone`: nobody else writes to the terminal, or reads its keys, at the same time.
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
        """Whether something would be shown now."""
        is_ours = self._terminal is not None and self._terminal.take()
        if self.is_screen:
            return is_ours
        return self._report_every_s > 0 and time.monotonic() >= self._due_at

    @property
    def pause_s(self) -> float | None:
        """How long until something is to be shown; None: nothing will be."""
        if self.is_screen:
            return self._refresh_s
        if not self._report_every_s:
            return None
        return max(0.0, self._due_at - time.monotonic())

    def show(self, view: View) -> None:
        """Draw `view`, or print it."""
        if self.is_screen:
            assert self._terminal is not None, "a screen is drawn on it"
            self._terminal.draw(view.lines(*self._terminal.size()))
            return
        print_line(view.text(), self._stream)
        # Not from now: intervals do not add up to more.
        behind = int((time.monotonic() - self._due_at) // self._report_every_s)
        self._due_at += (1 + behind) * self._report_every_s

    def rows(self) -> int:
        """As many as a screen has; 0 without one."""
        return self._terminal.size()[1] if self.is_screen and self._terminal is not None else 0

    def typed(self) -> Sequence[str]:
        """The keys that were typed since the last call, if they are wanted."""
        return self._terminal.typed() if self._terminal is not None else ()

    def print_table(self, title: str, rows: Sequence[tuple[str, str, str]]) -> None:
        """Where there is no screen: print a table now."""
        print_table(self._stream, title, rows)

    def say(self, text: str) -> None:
        """Print a line that stays; while there is a screen, in the rows for what is typed."""
        if not self._quiet:
            print_line(text, self._stream)


def print_table(stream: TextIO, title: str, rows: Sequence[tuple[str, str, str]]) -> None:
    """Print rows of name, value and remark under `title`."""
    name_columns = max(len(name) for name, _, _ in rows)
    value_columns = max(len(value) for _, value, _ in rows)
    style = DIM if can_show_screen(stream) else ""
    lines = [_heading(stream, title), ""]
    for name, value, remark in rows:
        cells = f"  {name:{name_columns}}   {value:>{value_columns}}"
        lines.append(f"{cells}   {dyed(remark, style)}" if remark else cells.rstrip())
    print_line("\n".join([*lines, ""]), stream)


def _heading(stream: TextIO, title: str) -> str:
    """`title` in one line: a name may be longer than a screen."""
    columns = shutil.get_terminal_size().columns - 1 if stream.isatty() else LINE_COLUMNS
    encoding = stream.encoding or "ascii"
    # As it will be written: what the encoding has not takes more room.
    title = one_line(title).encode(encoding, "backslashreplace").decode(encoding)
    try:
        "…".encode(encoding)
        return title if width(title) <= columns else cut(title, columns)
    except (OSError, UnicodeError):
        # Out of file descriptors nothing can be imported, and the figures still count.
        return title[:columns]


def complain(program: str, text: str) -> None:
    """Say in one line on standard error what is wrong."""
    print_line(f"{program}: {one_line(text)}", sys.stderr)


def human_stream(*taken: str | None) -> TextIO:
    """Standard output, unless one of the options `taken` claims it with `-`."""
    stream = sys.stderr if "-" in taken else sys.stdout
    if isinstance(stream, io.TextIOWrapper):
        # A title in letters that the terminal's encoding does not have is no reason to stop.
        stream.reconfigure(errors="backslashreplace")
    return stream


def _is_terminal(stream: TextIO | None) -> bool:
    return stream is not None and not stream.closed and stream.isatty()
