"""What is typed is read only from a terminal that is the program's own, and in its foreground."""

from __future__ import annotations

import os

import pytest

from broadcasting.display.prompt import LONGEST_LINE, Prompt


def fail() -> None:
    raise AssertionError("nothing was typed")


def test_a_terminal_of_others_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = os.openpty()
    with os.fdopen(theirs) as stdin:
        monkeypatch.setattr("sys.stdin", stdin)
        with Prompt(fail) as prompt:
            os.write(ours, b"quit\n")
        assert prompt.take() == []
    os.close(ours)


def test_a_line_is_bounded_and_holds_nothing_that_a_terminal_would_obey() -> None:
    told: list[bool] = []
    prompt = Prompt(lambda: told.append(True), wanted=False)
    prompt._type("\x1b[31mne\x07xt" + "e" * 1000 + "\n")
    prompt._type(" next \n\r\nquit\n")
    assert prompt.take() == ["[31mnext" + "e" * (LONGEST_LINE - 8), "next", "quit"]
    assert len(told) == 2
    prompt._bell.close()
