"""Bytes typed at a terminal -> names of keys. Pure; one `Keyboard` for one terminal."""

from __future__ import annotations

import re

UP, DOWN, SPACE = "up", "down", "space"

_ARROWS = {b"A": UP, b"B": DOWN}

# A CSI sequence (ECMA-48, 5.4), SS3 as sent in application mode, or a single byte.
_KEY = re.compile(rb"\x1b\[[0-?]*[ -/]*([@-~])|\x1bO(.)|.", re.DOTALL)
_UNFINISHED = re.compile(rb"\x1b(\[[0-?]{0,16}[ -/]{0,4}|O)?")


class Keyboard:
    """Parser of `up`, `down`, `space` and lower-case letters; other keys are dropped."""

    def __init__(self) -> None:
        self._rest = b""

    def keys(self, data: bytes) -> list[str]:
        """Keys in `data`; an unfinished sequence is kept until the next call."""
        data, self._rest = self._rest + data, b""
        keys = []
        position = 0
        while position < len(data):
            if _UNFINISHED.fullmatch(data, position):
                self._rest = data[position:]
                break
            found = _KEY.match(data, position)
            assert found is not None, "any byte is a key"
            position = found.end()
            if (key := _name(found)) is not None:
                keys.append(key)
        return keys


def _name(found: re.Match[bytes]) -> str | None:
    last = found[1] or found[2]
    if last is not None:
        return _ARROWS.get(last)
    if found[0] == b" ":
        return SPACE
    return found[0].decode().lower() if found[0].isalpha() else None
