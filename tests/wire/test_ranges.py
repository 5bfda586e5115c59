"""Ranges of numbers as text: what is written is read, in few words, and nothing else is."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.rig.luck import examples
from wire.ranges import ranges_in, ranges_of, texts_of

REPEATABLE = settings(deadline=None, derandomize=True, database=None, max_examples=examples(200))


def numbers_in(text: str) -> list[int]:
    return [*itertools.chain(*ranges_in(text))]


@pytest.mark.parametrize(
    ("numbers", "text"),
    [
        ([5], "5"),
        ([5, 6], "5-6"),
        ([17, 18, 19, 25], "17-19,25"),
        ([0, 2, 3, 5], "0,2-3,5"),
    ],
)
def test_neighbours_share_a_range(numbers: list[int], text: str) -> None:
    assert [*texts_of(numbers, 100)] == [text]
    assert numbers_in(text) == numbers


def test_of_nothing_there_is_no_range_and_no_text() -> None:
    assert [*ranges_of([])] == []
    assert [*texts_of([], 100)] == []


@REPEATABLE
@given(st.sets(st.integers(0, 2**53)), st.integers(33, 200))
def test_all_numbers_come_back_from_pieces_of_bounded_length(
    wanted: set[int], most_characters: int
) -> None:
    texts = [*texts_of(sorted(wanted), most_characters)]
    assert all(0 < len(text) <= most_characters for text in texts)
    assert [number for text in texts for number in numbers_in(text)] == sorted(wanted)


@REPEATABLE
@given(st.text(st.sampled_from("0123456789,-"), max_size=30))
def test_whatever_is_read_is_ascending_and_apart(text: str) -> None:
    try:
        ranges = ranges_in(text)
    except ValueError:
        return
    ends = [end for one in ranges for end in (one.start, one.stop)]
    assert ends == sorted(ends)
    assert all(ranges)
