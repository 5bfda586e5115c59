"""What a keyboard sends, as keys: whole, in pieces, and what is none."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from shell.terminal.keys import DOWN, SPACE, UP, Keyboard


def test_keys_are_told_apart() -> None:
    assert Keyboard().keys(b" \x1b[A\x1b[B\x1bOA\x1bOBmSq") == [
        SPACE, UP, DOWN, UP, DOWN, "m", "s", "q",
    ]  # fmt: skip


def test_an_arrow_with_shift_is_an_arrow_and_other_sequences_are_nothing() -> None:
    assert Keyboard().keys(b"\x1b[1;2A\x1b[5~\x1b[1;5H\x1bOP\x1b[200~\xe3\x81\x82\r\x7f\x001") == [
        UP
    ]


def test_a_key_may_come_in_pieces() -> None:
    whole = b"q\x1b[A \x1bOBm\x1b[1;5Bs"
    keyboard = Keyboard()
    one_by_one = [key for byte in whole for key in keyboard.keys(bytes([byte]))]
    assert one_by_one == Keyboard().keys(whole) == ["q", UP, SPACE, DOWN, "m", DOWN, "s"]


def test_after_an_escape_alone_keys_go_on() -> None:
    keyboard = Keyboard()
    assert keyboard.keys(b"\x1b") == []
    assert keyboard.keys(b"q") == ["q"]


@given(st.lists(st.binary(max_size=40)))
def test_nothing_that_is_typed_is_kept_for_ever(pieces: list[bytes]) -> None:
    keyboard = Keyboard()
    for piece in pieces:
        keyboard.keys(piece)
        assert len(keyboard._rest) <= 24
