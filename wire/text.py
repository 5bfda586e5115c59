"""Which characters of other people's texts are not passed on. Pure.

Joiners (Persian, Hindi, families of emoji), soft hyphens and all letters stay. Not
`str.isprintable`: it leaves joiners out, and knows only the letters of its own Python.
"""

from __future__ import annotations

import re

_UNWANTED = re.compile(
    "["
    r"\x00-\x1f\x7f-\x9f"  # a terminal obeys them
    r"\u2028\u2029"  # ends of lines
    r"\u061c\u200e\u200f\u202a-\u202e\u2066-\u206f"  # turn the direction of the text around them
    r"\ud800-\udfff"  # halves of surrogate pairs, which UTF-8 cannot carry
    "]"
)


def harmless(text: str, instead: str) -> str:
    """`text` with `instead` for each unwanted character."""
    if text.isprintable():  # the usual case, at a tenth of the cost
        return text
    return _UNWANTED.sub(instead, text)
