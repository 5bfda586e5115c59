"""Bytes of a keyboard -> keys. Pure; one object for one keyboard."""

from __future__ import annotations

import re

UP, DOWN, SPACE = "up", "down", "space"

_ARROWS = {b"A": UP, b"B": DOWN}

# CSI with its parameters (ECMA-48, 5.4), SS3 of a keyboard in application mode, or one byte.
_KEY = re.compile(rb"\x1b\[[0-?]*[ -/]*([@-~])|\x1bO(.)|.", re.DOTALL)
_UNFINISHED = re.compile(rb"\x1b(\[[0-?]{0,16}[ -/]{0,4}|O)?")


class Keyboard:
    """What was typed, as `up`, `down`, `space` and small letters; what is none of these is left."""

    def __init__(self) -> None:
        self._rest = b""

    def keys(self, data: bytes) -> list[str]:
        """The keys in `data`; the beginning of a sequence waits for its end."""
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
