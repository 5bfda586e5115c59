"""The clock filter finds the other clock over every path, and again after all that befalls it."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clock.filter import MOST_SAMPLES, SHORTEST_WINDOW_S, ClockFilter
from tests.rig.clocks import (
    FAR,
    FAR_AND_LOSSY,
    LAN,
    UPTIME_S,
    Clocks,
    Path,
    Reading,
    busy_wifi,
    even,
    largest_ms,
    link,
    slewed,
    steady,
    suspended,
    wandering,
    warming,
    wifi,
)
from tests.rig.luck import examples, once

SEEDS = range(12)


def run(
    path: Path, seed: int, ahead: Callable[[float], float] = even, until: float = 400
) -> list[Reading]:
    return list(Clocks(path, seed, ahead).readings(until))


@once
@pytest.mark.parametrize(
    ("path", "after_20_s_ms", "after_a_minute_ms", "worst_ms"),
    [
        pytest.param(LAN, 0.1, 0.05, 0.05, id="LAN"),
        pytest.param(wifi, 1, 0.3, 0.5, id="Wi-Fi"),
        pytest.param(busy_wifi, 1, 0.6, 1.5, id="Wi-Fi, busy in turn"),
        pytest.param(FAR, 5, 2, 5, id="20 ms of jitter"),
        pytest.param(FAR_AND_LOSSY, 5, 4, 8, id="20 ms of jitter, loss of 30 %"),
    ],
)
def test_largest_error_of_most_runs_and_of_the_worst(
    path: Path, after_20_s_ms: float, after_a_minute_ms: float, worst_ms: float
) -> None:
    runs = [run(path, seed) for seed in SEEDS]
    assert statistics.median(largest_ms(one, 20) for one in runs) < after_20_s_ms
    from_a_minute_on = [largest_ms(one, 60) for one in runs]
    assert statistics.median(from_a_minute_on) < after_a_minute_ms
    assert max(from_a_minute_on) < worst_ms


@once
@pytest.mark.parametrize(
    ("path", "most_ms"),
    [pytest.param(LAN, 0.05, id="LAN"), pytest.param(FAR, 3.0, id="20 ms of jitter")],
)
def test_after_minutes_a_clock_that_is_off_by_300_ppm_is_known_as_well(
    path: Path, most_ms: float
) -> None:
    for seed in SEEDS[:4]:
        for drift in (-3e-4, 3e-4):
            assert largest_ms(run(path, seed, steady(drift), 600), 300) < most_ms


@once
@pytest.mark.parametrize("ahead", [warming, wandering])
def test_a_drift_that_changes_is_followed(ahead: Callable[[float], float]) -> None:
    for seed in SEEDS[:4]:
        assert largest_ms(run(LAN, seed, ahead, 1300), 20) < 0.1
        assert largest_ms(run(wifi, seed, ahead, 1300), 60) < 0.5


@once
def test_the_estimate_is_as_wrong_as_it_says() -> None:
    for path in (LAN, wifi, busy_wifi, FAR, FAR_AND_LOSSY):
        readings = [one for seed in SEEDS for one in run(path, seed)]
        within = sum(abs(one.error_s) <= one.estimate.spread_s for one in readings)
        assert within > 0.85 * len(readings)
        spread_s = statistics.median(one.estimate.spread_s for one in readings)
        assert spread_s < 15 * statistics.median(abs(one.error_s) for one in readings)


@once
def test_drift_is_known_to_a_fraction_of_a_ppm() -> None:
    for seed in SEEDS:
        clocks = Clocks(LAN, seed, drift=1e-4)
        *_, last = clocks.readings(600)
        assert last.estimate.drift == pytest.approx(clocks.drift, abs=5e-7)


@once
def test_a_slew_of_20_s_is_over_within_a_minute() -> None:
    for seed in SEEDS:
        readings = run(LAN, seed, slewed, 900)
        assert largest_ms(readings, 600, 680) < 3
        assert largest_ms(readings, 680) < 0.1
        *_, last = readings
        assert last.estimate.spread_s < 1e-4


@once
def test_what_is_left_after_a_slew_is_never_one_late_answer_alone() -> None:
    for seed in SEEDS:
        assert largest_ms(run(wifi, seed, slewed, 700), 600) < 10


@once
@pytest.mark.parametrize("ppm", [-400, 100])
def test_another_drift_for_good_is_found_within_two_minutes(ppm: float) -> None:
    for seed in SEEDS[:6]:
        readings = run(LAN, seed, lambda now: ppm * 1e-6 * max(0, now - 600), 1000)
        assert largest_ms(readings, 720) < 0.1


@once
@pytest.mark.parametrize("for_s", [0.1, 20, 3600, -15, -3600])
@pytest.mark.parametrize(
    ("path", "at_once_ms", "in_a_minute_ms"),
    [
        pytest.param(LAN, 0.05, 0.05, id="LAN"),
        pytest.param(wifi, 40, 0.5, id="Wi-Fi"),
        pytest.param(FAR, 20, 10, id="20 ms of jitter"),
    ],
)
def test_the_first_exchange_after_a_suspend_tells_of_it(
    path: Path, at_once_ms: float, in_a_minute_ms: float, for_s: float
) -> None:
    for seed in SEEDS[:4]:
        readings = run(path, seed, suspended(for_s), 900)
        before = next(one for one in readings if one.at > 590)
        first, *later = (one for one in readings if one.at > 600)
        assert abs(first.error_s) > 0.9 * abs(for_s)
        assert largest_ms(later) < at_once_ms
        assert largest_ms(later, 660) < in_a_minute_ms
        assert later[0].estimate.drift == pytest.approx(before.estimate.drift, abs=3e-6)


@once
def test_an_asymmetric_path_errs_by_half_the_difference_and_says_so() -> None:
    there, back = link("delay=1ms"), link("delay=7ms")
    clocks = Clocks(lambda seed, which: (there if which == "there" else back)(seed, which))
    *_, last = clocks.readings(300)
    assert last.error_s == pytest.approx(-0.003, abs=5e-5)
    assert last.estimate.path_s == pytest.approx(0.004, abs=5e-5)
    assert last.estimate.spread_s < 1e-4


@once
@pytest.mark.parametrize("path", [LAN, wifi, FAR], ids=["LAN", "Wi-Fi", "20 ms of jitter"])
def test_on_another_path_offset_and_drift_stay_and_its_floor_is_found(path: Path) -> None:
    for seed in SEEDS[:4]:
        clocks = Clocks(path, seed)
        *_, before = clocks.readings(600)
        clocks.take(link("delay=80ms,jitter=1ms"))
        clocks.filter.move()
        after = list(clocks.readings(900))
        assert largest_ms(after) < max(1.0, 3 * before.estimate.spread_s * 1e3)
        soon, late = after[2], after[-1]
        assert soon.estimate.drift == pytest.approx(before.estimate.drift, abs=5e-6)
        assert soon.estimate.path_s < 0.02
        assert late.estimate.path_s == pytest.approx(0.08, abs=0.001)


@once
def test_what_a_faster_path_tells_counts_at_once() -> None:
    clocks = Clocks(FAR)
    for _ in clocks.readings(300):
        pass
    clocks.take(LAN)
    clocks.filter.move()
    _, *after = clocks.readings(400)
    assert largest_ms(after) < 0.1


def test_after_a_restart_nothing_is_left() -> None:
    clocks = Clocks(LAN)
    for _ in clocks.readings(60):
        pass
    clocks.filter.restart()
    assert clocks.filter.estimate(UPTIME_S) is None
    clocks.filter.add(5.0, 1.0, 1.0, 5.25)
    estimate = clocks.filter.estimate(5.25)
    assert estimate is not None
    assert estimate.offset_s == pytest.approx(-4.125)
    assert estimate.drift == pytest.approx(0)


def test_there_is_no_estimate_before_the_first_exchange_and_one_from_then_on() -> None:
    clock_filter = ClockFilter()
    assert clock_filter.estimate(0.0) is None
    clock_filter.add(10.0, 110.5, 110.5, 11.0)
    estimate = clock_filter.estimate(11.0)
    assert estimate is not None
    assert estimate.theirs(10.5) == pytest.approx(110.5)
    assert estimate.path_s == pytest.approx(0.5)


def test_the_spread_grows_while_nothing_comes() -> None:
    clocks = Clocks(LAN)
    *_, last = clocks.readings(300)
    later = clocks.filter.estimate(UPTIME_S + 4000)
    assert later is not None
    assert later.spread_s > 5 * last.estimate.spread_s
    assert later._replace(spread_s=0) == last.estimate._replace(spread_s=0)


@pytest.mark.parametrize(
    "times",
    [
        pytest.param((0.0, 5.0, 4.0, 1.0), id="answered before it was received"),
        pytest.param((0.0, 5.0, 7.0, 1.0), id="answered for longer than it took"),
    ],
)
def test_an_exchange_that_cannot_be_changes_nothing(
    times: tuple[float, float, float, float],
) -> None:
    clock_filter = ClockFilter()
    clock_filter.add(0.0, 100.0, 100.0, 0.1)
    before = clock_filter.estimate(1.0)
    clock_filter.add(*times)
    assert clock_filter.estimate(1.0) == before


def test_what_is_kept_is_bounded_in_number_and_time() -> None:
    clock_filter = ClockFilter()
    for count in range(2 * MOST_SAMPLES):
        at = count * 0.01
        clock_filter.add(at, at + 3, at + 3, at + 0.001 * (1 + count % 7))
    assert len(clock_filter._samples) == MOST_SAMPLES
    at += SHORTEST_WINDOW_S * 10
    clock_filter.add(at, at + 3, at + 3, at + 0.001)
    assert len(clock_filter._samples) == 1


_TIMES = st.floats(0, 2**53 / 1e6)
_PAUSES = st.sampled_from([0.0, 1e-9, 1e-6, 0.1, 4.0, 4e4])


@given(
    st.lists(st.tuples(_PAUSES, st.sampled_from([0.0, 1e-6, 0.05, 2.0]), _TIMES, _PAUSES)),
    st.sampled_from([0.0, 3.5e7, 1e9]),
)
@settings(max_examples=examples(200), deadline=None)
def test_whatever_a_server_says_the_estimate_is_a_number(
    said: list[tuple[float, float, float, float]], at: float
) -> None:
    clock_filter = ClockFilter()
    for pause, took, received, answering in said:
        at += pause
        clock_filter.add(at, received, received + answering, at + took)
        estimate = clock_filter.estimate(at + took)
        if estimate is not None:
            assert all(map(math.isfinite, estimate))
            assert estimate.spread_s > 0
            assert abs(estimate.drift) < 1e-2
            assert math.isfinite(estimate.ours(received))


def test_a_server_that_tells_another_time_is_followed_at_once() -> None:
    clocks = Clocks(LAN)
    *_, last = clocks.readings(60)
    now = last.at + UPTIME_S + 1
    year_3000 = 32_503_680_000.0
    clocks.filter.add(now, year_3000, year_3000, now + 0.001)
    estimate = clocks.filter.estimate(now)
    assert estimate is not None
    assert estimate.theirs(now) == pytest.approx(year_3000, abs=0.01)
