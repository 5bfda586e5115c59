"""A pace that remembers one time, in virtual time."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broadcasting.pace import IDLE, Pace


def admitted(pace: Pace, times: list[float]) -> list[bool]:
    """Which of those that come at `times` are let through."""
    reserved, through = IDLE, []
    for now in times:
        until = pace.reserve(reserved, now)
        through.append(until is not None)
        reserved = reserved if until is None else until
    return through


@pytest.mark.parametrize("now", [0.0, 0.1, 1e6, -5.0])
@pytest.mark.parametrize(("per_s", "at_once"), [(1, 1), (3, 7), (1000, 1000), (0.1, 2)])
def test_so_many_come_at_once_and_no_more(per_s: float, at_once: int, now: float) -> None:
    assert admitted(Pace(per_s, at_once), [now] * 3000).count(True) == at_once


def test_who_comes_at_the_pace_is_always_let_through() -> None:
    assert all(admitted(Pace(10, 1), [n * 0.1 for n in range(1000)]))


def test_who_comes_twice_as_often_is_let_through_every_other_time() -> None:
    assert admitted(Pace(10, 1), [n * 0.05 for n in range(1000)]).count(True) == 500


def test_after_a_pause_so_many_come_at_once_again_and_no_more() -> None:
    times = [0.0] * 10 + [0.25] * 10 + [100.0] * 10
    through = admitted(Pace(8, 5), times)
    assert [through[at : at + 10].count(True) for at in (0, 10, 20)] == [5, 2, 5]


@given(st.lists(st.floats(0, 2), max_size=200), st.floats(0.5, 100), st.integers(1, 50))
@settings(deadline=None, derandomize=True, database=None)
def test_in_no_time_come_more_than_at_once_and_those_of_the_pace(
    pauses: list[float], per_s: float, at_once: int
) -> None:
    times = [sum(pauses[:n]) for n in range(len(pauses))]
    through = list(itertools.compress(times, admitted(Pace(per_s, at_once), times)))
    for first in range(len(through)):
        for last in range(first, len(through)):
            passed_s = through[last] - through[first]
            assert last - first + 1 <= at_once + passed_s * per_s + 0.011
