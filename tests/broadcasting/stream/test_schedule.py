"""When segments are due: absolute deadlines, so that nothing adds up."""

from __future__ import annotations

import itertools
from fractions import Fraction

import pytest

from broadcasting.stream.schedule import Schedule

START = 12_345.678


def schedule(burst_s: float = 0.0, interval_s: float | None = None, speed: float = 1.0) -> Schedule:
    made = Schedule(burst_s=burst_s, interval_s=interval_s, speed=speed)
    made.start(START)
    return made


@pytest.mark.parametrize(("samples", "rate_hz"), [(1152, 44_100), (576, 22_050), (576, 11_025)])
def test_there_is_no_drift_after_an_hour_of_frames_that_last_no_whole_microseconds(
    samples: int, rate_hz: int
) -> None:
    frames = 3600 * rate_hz // samples
    exact_s = Fraction(frames * samples, rate_hz)
    due = schedule().due(int(exact_s * 10**6))
    assert due == pytest.approx(START + float(exact_s), abs=2e-6)


def test_without_an_interval_each_segment_is_due_at_its_own_time() -> None:
    one = schedule()
    assert [one.due(t) - START for t in (0, 26_122, 52_244)] == pytest.approx(
        [0, 0.026122, 0.052244], abs=1e-9
    )


def test_the_burst_is_due_at_once_and_the_rest_so_much_earlier() -> None:
    one = schedule(burst_s=1.5)
    assert one.due(0) == one.due(1_500_000) == START
    assert one.due(1_750_000) == START + 0.25


@pytest.mark.parametrize("speed", [0.5, 2.0, 1000.0])
def test_speed_divides_time_and_the_burst_is_in_media_time(speed: float) -> None:
    one = schedule(burst_s=2.0, speed=speed)
    assert one.due(2_000_000) == START
    assert one.due(62_000_000) == pytest.approx(START + 60 / speed)


@pytest.mark.parametrize("interval_s", [0.5, 0.1, 0.04, 7.0])
@pytest.mark.parametrize("speed", [1.0, 3.0])
def test_with_an_interval_segments_are_due_together_and_never_after_their_own_time(
    interval_s: float, speed: float
) -> None:
    one, plain = schedule(1.0, interval_s, speed), schedule(1.0, None, speed)
    times_us = range(0, 30_000_000, 26_122)
    due = [one.due(t) for t in times_us]
    for t, at in zip(times_us, due, strict=True):
        assert -1e-9 <= plain.due(t) - at < interval_s + 1e-9
    for at in due:
        wakes = (at - START) / interval_s
        assert wakes == pytest.approx(round(wakes), abs=1e-6)
    assert due == sorted(due)


def test_intervals_do_not_drift_either() -> None:
    one = schedule(interval_s=0.1)
    due = sorted({one.due(t) for t in range(3_600_000_000, 3_605_000_000, 26_122)})
    assert all(b - a == pytest.approx(0.1, abs=1e-9) for a, b in itertools.pairwise(due))
    assert due[0] == pytest.approx(START + 3600, abs=0.1)


def test_the_position_is_what_a_listener_with_a_full_buffer_hears() -> None:
    one = schedule(burst_s=1.0, speed=2.0)
    assert one.position_s(START - 1) == 0
    assert one.position_s(START + 10) == pytest.approx(20)
