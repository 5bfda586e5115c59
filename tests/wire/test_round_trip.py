"""The round trip, against the formulas of RFC 6298, section 2."""

from __future__ import annotations

import pytest

from wire.round_trip import CLOCK_S, LONGEST_S, UNKNOWN_S, RoundTrip


def measured(*samples_s: float) -> RoundTrip:
    round_trip = RoundTrip()
    for sample_s in samples_s:
        round_trip.measure(sample_s)
    return round_trip


def test_before_a_measurement_nothing_is_known() -> None:
    round_trip = measured()
    assert round_trip.smoothed_s is None
    assert (round_trip.least_s, round_trip.timeout_s) == (0, UNKNOWN_S)


def test_the_first_measurement_is_taken_with_half_of_it_as_variation() -> None:
    round_trip = measured(0.1)
    assert round_trip.smoothed_s == 0.1
    assert round_trip.timeout_s == pytest.approx(0.1 + 4 * 0.05)


def test_later_ones_are_smoothed() -> None:
    round_trip = measured(0.1, 0.2)
    assert round_trip.smoothed_s == pytest.approx(7 / 8 * 0.1 + 1 / 8 * 0.2)
    assert round_trip.timeout_s == pytest.approx(0.1125 + 4 * (3 / 4 * 0.05 + 1 / 4 * 0.1))


def test_a_path_that_never_varies_is_given_the_time_to_wake_up() -> None:
    assert measured(*[0.05] * 100).timeout_s == pytest.approx(0.05 + CLOCK_S)


def test_no_answer_is_waited_for_longer_than_it_can_be_of_use() -> None:
    assert measured(30.0).timeout_s == LONGEST_S


def test_the_shortest_is_remembered() -> None:
    assert measured(0.3, 0.1, 0.2).least_s == 0.1


@pytest.mark.parametrize("impossible_s", [-0.001, 60.0, float("inf"), float("nan")])
def test_nonsense_is_not_measured(impossible_s: float) -> None:
    round_trip = measured(0.1)
    round_trip.measure(impossible_s)
    assert (round_trip.smoothed_s, round_trip.least_s) == (0.1, 0.1)
