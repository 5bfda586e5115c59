"""Rate limits whose state is one timestamp, in virtual time."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broadcasting.audience.rate import IDLE, Budget, Rate


def admitted(rate: Rate, times: list[float]) -> list[bool]:
    """Which of those that come at `times` are let through."""
    reserved, through = IDLE, []
    for now in times:
        until = rate.reserve(reserved, now)
        through.append(until is not None)
        reserved = reserved if until is None else until
    return through


@pytest.mark.parametrize("now", [0.0, 0.1, 1e6, -5.0])
@pytest.mark.parametrize(("per_s", "at_once"), [(1, 1), (3, 7), (1000, 1000), (0.1, 2)])
def test_so_many_come_at_once_and_no_more(per_s: float, at_once: int, now: float) -> None:
    assert admitted(Rate(per_s, at_once), [now] * 3000).count(True) == at_once


def test_who_comes_at_the_pace_is_always_let_through() -> None:
    assert all(admitted(Rate(10, 1), [n * 0.1 for n in range(1000)]))


def test_who_comes_twice_as_often_is_let_through_every_other_time() -> None:
    assert admitted(Rate(10, 1), [n * 0.05 for n in range(1000)]).count(True) == 500


def test_after_a_pause_so_many_come_at_once_again_and_no_more() -> None:
    times = [0.0] * 10 + [0.25] * 10 + [100.0] * 10
    through = admitted(Rate(8, 5), times)
    assert [through[at : at + 10].count(True) for at in (0, 10, 20)] == [5, 2, 5]


@given(st.lists(st.floats(0, 2), max_size=200), st.floats(0.5, 100), st.integers(1, 50))
@settings(deadline=None, derandomize=True, database=None)
def test_in_no_time_come_more_than_at_once_and_those_of_the_pace(
    pauses: list[float], per_s: float, at_once: int
) -> None:
    times = [sum(pauses[:n]) for n in range(len(pauses))]
    through = list(itertools.compress(times, admitted(Rate(per_s, at_once), times)))
    for first in range(len(through)):
        for last in range(first, len(through)):
            passed_s = through[last] - through[first]
            assert last - first + 1 <= at_once + passed_s * per_s + 0.011


# The budget of bytes.


def test_a_budget_is_full_at_first_and_never_holds_more_than_its_burst() -> None:
    budget = Budget(per_s=10, burst=5)
    assert budget.left(100.0) == 5
    budget.spend(1, 100.0)
    assert budget.left(200.0) == 5


def test_what_was_spent_comes_back_at_the_rate() -> None:
    budget = Budget(per_s=10, burst=5)
    budget.spend(4, 100.0)
    assert budget.left(100.25) == pytest.approx(3.5)


def test_what_was_spent_on_credit_is_paid_back_first() -> None:
    budget = Budget(per_s=10, burst=5)
    budget.spend(15, 100.0)
    assert budget.left(100.0) == -10
    assert budget.left(101.0) == 0
    assert budget.left(101.125) == 1.25


def test_a_budget_says_when_it_will_hold_so_many() -> None:
    budget = Budget(per_s=8, burst=16)
    assert budget.holds_at(5) < 0
    budget.spend(16, 100.0)
    assert budget.holds_at(4) == 100.5
    assert budget.left(100.5) == 4
