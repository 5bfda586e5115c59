"""Words for people, on a stream that may go away.

A screen that goes away (`| head`, a closed window) stops nothing: nobody is told any more.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import TextIO


def print_line(text: str, stream: TextIO) -> None:
    """Print `text` at once."""
    with may_go_away(stream):
        print(text, file=stream, flush=True)


@contextlib.contextmanager
def may_go_away(stream: TextIO) -> Iterator[None]:
    """What is written to `stream` goes there as long as it is there."""
    try:
        yield
    except OSError:
        # What is still in its buffer, and whatever comes, goes nowhere.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
