"""The fuzzer's bytes, read as choices. After their end, every choice is the first.

So any bytes mean something, a small change changes little, and inputs can be written down by anyone
who knows the order of the choices, as `make_corpus` does.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

One = TypeVar("One")


class Cursor:
    """A place in some bytes."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def has_more(self) -> bool:
        """Whether any byte is left."""
        return self._at < len(self._data)

    def byte(self) -> int:
        """A number from 0 to 255."""
        if self._at >= len(self._data):
            return 0
        self._at += 1
        return self._data[self._at - 1]

    def word(self) -> int:
        """A number from 0 to 65,535."""
        return self.byte() << 8 | self.byte()

    def pick(self, choices: Sequence[One]) -> One:
        """One of up to 256 choices."""
        return choices[self.byte() % len(choices)]

    def take(self, size: int) -> bytes:
        """The next bytes, as many as there are of `size`."""
        taken = self._data[self._at : self._at + size]
        self._at += len(taken)
        return taken
