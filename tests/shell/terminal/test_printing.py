"""What is printed blocks nobody longer than it may."""

from __future__ import annotations

import contextlib
import os
import termios
from collections.abc import Iterator

import pytest

from shell.terminal.printing import at_once, print_text, write, write_some


@contextlib.contextmanager
def pipe() -> Iterator[tuple[int, int]]:
    ends = os.pipe()
    try:
        yield ends
    finally:
        for end in ends:
            os.close(end)


def test_a_pipe_takes_what_it_has_room_for_and_the_rest_is_told() -> None:
    data = bytes(range(256)) * 4096
    with pipe() as (reading, writing):
        taken = write_some(writing, data, at_once)
        assert 0 < taken < len(data)
        assert write_some(writing, data, at_once) == 0
        with pytest.raises(TimeoutError, match="nobody reads it"):
            write(writing, data, at_once)
        assert os.get_blocking(writing), "others have it, too"
        assert os.read(reading, len(data)) == data[:taken]


def test_a_terminal_that_is_held_blocks_nobody() -> None:
    ours, theirs = os.openpty()
    try:
        termios.tcflow(theirs, termios.TCOOFF)
        with os.fdopen(os.dup(theirs), "w") as screen:
            assert not print_text("a screen\n", screen, at_once)
            termios.tcflow(theirs, termios.TCOON)
            assert print_text("a screen\n", screen, at_once)
        assert os.read(ours, 100) == b"a screen\r\n"
    finally:
        os.close(ours)
        os.close(theirs)
