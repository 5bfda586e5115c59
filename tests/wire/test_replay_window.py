"""What has come before is known, in whatever order it came, as far as the window reaches."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from wire.replay_window import WINDOW, ReplayWindow

LARGEST = (1 << 64) - 1
SEQUENCES = st.one_of(
    st.integers(0, 3 * WINDOW),
    st.integers(WINDOW - 2, WINDOW + 2),
    st.integers(LARGEST - 2 * WINDOW, LARGEST),
)


@given(st.lists(SEQUENCES, max_size=60))
def test_each_counts_once_and_none_that_is_older_than_the_window(sequences: list[int]) -> None:
    window = ReplayWindow()
    came: set[int] = set()
    for sequence in sequences:
        newest = max(came, default=-1)
        assert window.newest == newest
        new = sequence not in came and sequence > newest - WINDOW
        assert window.is_new(sequence) is new
        assert window.is_new(sequence) is new, "asking changes nothing"
        if new:
            window.add(sequence)
            came.add(sequence)


def test_the_window_ends_exactly_where_it_says() -> None:
    window = ReplayWindow()
    window.add(WINDOW)
    assert window.is_new(1)
    assert not window.is_new(0)


def test_what_is_told_twice_or_too_late_changes_nothing() -> None:
    window = ReplayWindow()
    for sequence in (5 * WINDOW, 5 * WINDOW, 3):
        window.add(sequence)
    assert window.newest == 5 * WINDOW
    assert not window.is_new(5 * WINDOW)
    assert window.is_new(5 * WINDOW - 1)
