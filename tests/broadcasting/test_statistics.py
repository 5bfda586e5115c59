"""Lateness as a histogram, against the same numbers in a sorted list."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broadcasting.statistics import Lateness

STEP_S = 0.0001


def lateness(values_s: list[float]) -> Lateness:
    lateness = Lateness()
    for value_s in values_s:
        lateness.add(value_s)
    return lateness


def test_without_sends_nothing_is_known() -> None:
    assert Lateness().percentile_s(50) is None
    assert Lateness().max_s is None


@given(
    st.lists(st.floats(0, 1.5), min_size=1, max_size=200),
    st.sampled_from([1, 50, 99, 99.9, 100]),
)
@settings(deadline=None, derandomize=True, database=None)
def test_percentiles_are_those_of_the_sorted_list_to_a_tenth_of_a_millisecond(
    values_s: list[float], percent: float
) -> None:
    found_s = lateness(values_s).percentile_s(percent)
    # The nearest-rank definition.
    exact_s = sorted(values_s)[max(1, math.ceil(len(values_s) * percent / 100)) - 1]
    assert found_s is not None
    if exact_s < 1:
        assert exact_s - 1e-9 <= found_s <= exact_s + STEP_S + 1e-9
    else:
        # Beyond a second only the worst is known.
        assert found_s == max(values_s)
    assert found_s <= max(values_s)


@pytest.mark.parametrize("value_s", [0.0, -0.001])
def test_a_send_that_was_not_late_at_all_counts(value_s: float) -> None:
    one = lateness([value_s, 0.5])
    assert one.percentile_s(50) == pytest.approx(0, abs=STEP_S)
    assert one.max_s == 0.5


def test_reading_changes_nothing() -> None:
    one = lateness([0.00105, 0.00205, 0.00305])
    assert [one.percentile_s(50) for _ in range(3)] == [one.percentile_s(50)] * 3
    assert one.percentile_s(50) == pytest.approx(0.00205, abs=STEP_S)


def test_an_hour_of_sends_weighs_as_much_as_one() -> None:
    one = lateness([0.00045] * 99_000 + [0.20005] * 1_000)
    assert one.percentile_s(50) == pytest.approx(0.00045, abs=STEP_S)
    assert one.percentile_s(99) == pytest.approx(0.00045, abs=STEP_S)
    assert one.percentile_s(99.5) == pytest.approx(0.20005, abs=STEP_S)
