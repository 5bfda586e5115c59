"""Ranges of numbers as text, `17-19,25`: the missing sequences of a REQUEST.

Pure. Text from the network is checked: its ranges ascend and are apart, so no number counts twice,
and the number of ranges is bounded by the length of the text.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator


def ranges_of(numbers: Iterable[int]) -> Iterator[range]:
    """Ascending `numbers` in as few ranges as possible."""
    first = last = None
    for number in numbers:
        if first is None or last is None:
            first = number
        elif number != last + 1:
            yield range(first, last + 1)
            first = number
        last = number
    if first is not None and last is not None:
        yield range(first, last + 1)


def text_of(one: range) -> str:
    """Text of one range that is not empty: `17-19` or `25`."""
    last = one.stop - 1
    return f"{last}" if last == one.start else f"{one.start}-{last}"


def texts_of(numbers: Iterable[int], most_characters: int) -> Iterator[str]:
    """Ascending `numbers` as text, in pieces of at most `most_characters` (33 or more)."""
    text = ""
    for one in ranges_of(numbers):
        word = text_of(one)
        if text and len(text) + 1 + len(word) > most_characters:
            yield text
            text = ""
        text = f"{text},{word}" if text else word
    if text:
        yield text


def ranges_in(text: str) -> list[range]:
    """The ranges in `text`; raises ValueError unless they ascend and are apart."""
    ranges = []
    after = 0
    for word in text.split(","):
        first, _, last = word.partition("-")
        one = range(int(first), int(last or first) + 1)
        if not one or one.start < after:
            raise ValueError(f"{word} is reversed, or not after what comes before it")
        ranges.append(one)
        after = one.stop
    return ranges
