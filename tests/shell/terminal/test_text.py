"""How numbers look to people: shares that add up, and times."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shell.terminal.text import clock, milliseconds_text, percentages

COUNTS = st.one_of(
    st.lists(st.integers(0, 10**12), min_size=1, max_size=12),
    st.lists(st.floats(0, 1e9), min_size=1, max_size=12),
)


@given(COUNTS, st.integers(0, 3))
@settings(deadline=None, derandomize=True, database=None)
def test_shares_add_up_to_exactly_100_and_each_is_right_to_the_last_decimal(
    counts: list[float], decimals: int
) -> None:
    shares = percentages(counts, decimals)
    total = sum(map(Fraction, counts))
    if not total:
        assert shares is None
        return
    assert shares is not None
    shown = [Fraction(f"{share:.{decimals}f}") for share in shares]
    assert sum(shown) == 100
    for count, share in zip(counts, shown, strict=True):
        exact = 100 * Fraction(count) / total
        assert abs(share - exact) < Fraction(1, 10**decimals) + Fraction(1, 10**9)
        assert 0 <= share <= 100


@pytest.mark.parametrize(
    ("counts", "shares"),
    [
        ([1, 1, 1], [33.34, 33.33, 33.33]),
        ([2, 1], [66.67, 33.33]),
        ([0, 7, 0], [0, 100, 0]),
        ([99_999_999, 1], [100, 0]),
        ([0.1, 0.2], [33.33, 66.67]),
    ],
)
def test_what_is_missing_goes_to_those_that_were_cut_most(
    counts: list[float], shares: list[float]
) -> None:
    assert percentages(counts) == shares


@pytest.mark.parametrize("nothing", [[], [0], [0, 0.0]])
def test_shares_of_nothing_are_not_known(nothing: list[float]) -> None:
    assert percentages(nothing) is None


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "-:--"),
        (0, "0:00"),
        (0.999, "0:00"),
        (7, "0:07"),
        (59.999, "0:59"),
        (60, "1:00"),
        (187.4, "3:07"),
        (3599.9, "59:59"),
        (3600, "1:00:00"),
        (3723, "1:02:03"),
        (360_000, "100:00:00"),
    ],
)
def test_a_clock_shows_whole_seconds_that_have_passed(seconds: float | None, text: str) -> None:
    assert clock(seconds) == text


@pytest.mark.parametrize(
    ("value_ms", "text"), [(None, "-"), (0.0, "0.0 ms"), (1.26, "1.3 ms"), (1234.0, "1234.0 ms")]
)
def test_milliseconds_have_one_decimal_or_are_not_known(value_ms: float | None, text: str) -> None:
    assert milliseconds_text(value_ms) == text
