"""One live line on a terminal; plain lines now and then elsewhere; tables at the end.

A screen that goes away (`| head`, a closed window) stops nothing: nobody is told any more. rich is
imported when it is first needed: its import takes longer than connecting does.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
import time
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, TextIO

from shell.text import one_line

if TYPE_CHECKING:
    from rich.live import Live

PLAIN_EVERY_S = 5.0
"""Before each line where there is no terminal: what fails at once says only why."""


class LiveLine:
    """Context manager; `show` is called whenever `is_due`."""

    def __init__(self, stream: TextIO, *, quiet: bool) -> None:
        self._stream = stream
        self._quiet = quiet
        self._terminal = stream.isatty()
        self._live: Live | None = None
        self._shown_at = time.monotonic()

    def __enter__(self) -> LiveLine:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._live is not None:
            with _may_go_away(self._stream):
                self._live.stop()

    def is_due(self) -> bool:
        """Whether a line would be shown now: where there is no terminal, only now and then."""
        if self._quiet:
            return False
        return self._terminal or time.monotonic() - self._shown_at >= PLAIN_EVERY_S

    def show(self, text: str) -> None:
        """Replace the line by `text`; where there is no terminal, print it."""
        self._shown_at = time.monotonic()
        if self._terminal:
            with _may_go_away(self._stream):
                self._show_live(text)
        else:
            _print(text, self._stream)

    def say(self, text: str) -> None:
        """Print a line that stays, above the live one if that is there."""
        if self._quiet:
            return
        if self._live is None:
            _print(text, self._stream)
        else:
            from rich.text import Text

            with _may_go_away(self._stream):
                self._live.console.print(Text(text), soft_wrap=True)

    def _show_live(self, text: str) -> None:
        from rich.console import Console
        from rich.live import Live
        from rich.text import Text

        line = Text(text, no_wrap=True, overflow="ellipsis")
        if self._live is None:
            console = Console(file=self._stream)
            self._live = Live(line, console=console, auto_refresh=False, transient=True)
            self._live.start()
        self._live.update(line, refresh=True)


def print_table(stream: TextIO, title: str, rows: Sequence[tuple[str, str, str]]) -> None:
    """Print rows of name, value and remark under `title`."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title=Text(title), title_justify="left", box=SIMPLE_HEAD, show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(justify="right", no_wrap=True)
    table.add_column(style="dim")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    console = Console(file=stream)
    # Printed by ourselves: a pipe that nobody reads makes rich leave the program.
    with console.capture() as printed:
        console.print(table)
    _print(printed.get().removesuffix("\n"), stream)


def complain(program: str, text: str) -> None:
    """Say in one line on standard error what is wrong."""
    _print(f"{program}: {one_line(text)}", sys.stderr)


def human_stream(*taken: str | None) -> TextIO:
    """Standard output, unless one of the options `taken` claims it with `-`."""
    stream = sys.stderr if "-" in taken else sys.stdout
    if isinstance(stream, io.TextIOWrapper):
        # A title in letters that the terminal's encoding does not have is no reason to stop.
        stream.reconfigure(errors="backslashreplace")
    return stream


def _print(text: str, stream: TextIO) -> None:
    with _may_go_away(stream):
        print(text, file=stream, flush=True)


@contextlib.contextmanager
def _may_go_away(stream: TextIO) -> Iterator[None]:
    try:
        yield
    except OSError:
        # What is still in its buffer, and whatever comes, goes nowhere.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
