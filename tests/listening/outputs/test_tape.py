"""The arithmetic of the tape, in virtual time."""

import math

import pytest

from listening.outputs import tape
from listening.outputs.tape import Tape

RATE_HZ = 1000
LEAD_S = 0.3


def started_tape() -> Tape:
    one = Tape(RATE_HZ, LEAD_S)
    assert one.place(300, now=50.0) == 0
    assert one.start(now=50.0) == 0
    return one


def test_audio_may_come_in_pieces_before_the_start() -> None:
    one = Tape(RATE_HZ, LEAD_S)

    assert one.place(299, now=10.0) == 0
    assert not one.may_start
    assert one.place(1, now=20.0) == 299
    assert one.may_start
    assert one.heard_frames(now=30.0) == 0
    assert one.underruns == 0


def test_the_clock_says_what_is_heard() -> None:
    one = started_tape()

    assert one.heard_frames(now=50.0) == 0
    assert one.heard_frames(now=52.5) == 2500
    assert one.heard_at(2500) == 52.5


def test_audio_in_time_follows_on_the_last() -> None:
    one = started_tape()

    assert one.place(100, now=50.1) == 300
    assert one.place(1000, now=50.1) == 400
    assert one.place(100, now=51.1) == 1400
    assert one.underruns == 0


def test_late_audio_keeps_its_place_and_is_counted() -> None:
    one = started_tape()

    assert one.place(2000, now=51.0) == 300
    assert one.place(100, now=51.1) == 2300
    assert one.underruns == 1


def test_audio_counts_as_late_as_soon_as_the_device_reads_where_it_belongs() -> None:
    in_time, late = started_tape(), started_tape()

    in_time.place(1000, now=50.3 - tape.READ_AHEAD_S)
    late.place(1000, now=50.3 - tape.READ_AHEAD_S + 0.002)

    assert (in_time.underruns, late.underruns) == (0, 1)


def test_a_writer_that_stays_late_is_given_a_new_place() -> None:
    one = started_tape()

    assert one.place(100, now=52.0) == 300
    assert one.place(100, now=52.9) == 400
    assert one.place(100, now=53.0) == 3000 + 300
    assert one.place(100, now=53.1) == 3400
    assert one.underruns == 3


def test_a_writer_that_catches_up_keeps_its_place() -> None:
    one = started_tape()

    assert one.place(100, now=52.0) == 300
    assert one.place(3000, now=52.1) == 400
    assert one.place(100, now=59.0) == 3400
    assert one.place(100, now=59.9) == 3500


def test_a_new_timeline_begins_soon_but_not_before_the_end_of_the_last() -> None:
    early, late = started_tape(), started_tape()

    early.resync(now=50.1)
    early.place(1000, now=50.1)
    early.resync(now=50.1)
    late.resync(now=55.0)

    assert early.place(100, now=50.1) == 400 + 1000
    assert late.place(100, now=55.0) == 5300
    assert (early.underruns, late.underruns) == (0, 0)


def test_a_new_timeline_before_the_start_changes_nothing() -> None:
    one = Tape(RATE_HZ, LEAD_S)
    one.place(10, now=1.0)
    one.resync(now=9.0)

    assert one.place(10, now=9.0) == 10


def test_tape_is_kept_for_a_device_that_lags() -> None:
    one = started_tape()

    assert one.disposable_frames(now=55.0) == 0
    assert one.disposable_frames(now=50.0 + tape.KEPT_BEHIND_S + 2) == 2000


LOOK_S = 4 * 0.0784


def read_steadily(one: Tape, from_s: float, to_s: float, drift: float) -> None:
    """A device that reads 80 ms ahead, in bursts of 75 ms, seen in steps of 370 frames.

    It is looked at as often as the player wakes up: after every fourth message of 78 ms.
    """
    for look in range(math.ceil(from_s / LOOK_S), math.ceil(to_s / LOOK_S)):
        now = look * LOOK_S
        read_frames = (now * (1 + drift) // 0.075) * 75 + 80
        one.observe(round(read_frames // 370) * 370, 50.0 + now)


def test_a_device_without_drift_is_left_alone() -> None:
    one = started_tape()
    for minute in range(10):
        read_steadily(one, 60 * minute, 60 * minute + 60, drift=0)
        assert one.stretch_frames() == 0
        assert abs(one.heard_frames(now=50 + 60 * minute) - 60_000 * minute) < 20


@pytest.mark.parametrize("drift", [0.0004, -0.0004])
def test_a_device_that_drifts_is_followed(drift: float) -> None:
    one = started_tape()
    stretched = 0
    for tenth in range(6000):
        read_steadily(one, tenth / 10, tenth / 10 + 0.1, drift)
        stretched += one.stretch_frames()

    drifted_frames = 600_000 * drift
    assert one.heard_frames(now=650) == pytest.approx(600_000 + drifted_frames, abs=30)
    tolerated_frames = tape.DRIFT_TOLERATED_S * RATE_HZ
    assert abs(stretched) == pytest.approx(abs(drifted_frames) - tolerated_frames, abs=30)
    assert stretched * drift > 0


def test_the_first_mouthful_is_not_taken_for_drift() -> None:
    one = started_tape()
    one.observe(0, 50.0)
    one.observe(200, 50.1)
    one.observe(5000, 50.2)

    assert one.heard_frames(now=51.0) == 1000


def test_a_device_that_stood_still_is_found_out() -> None:
    one = started_tape()
    read_steadily(one, 0, 100, drift=0)
    assert not one.device_stood_still
    one.observe(100_000, 150.0)
    one.observe(100_000, 151.0)
    one.observe(100_200, 151.2)

    assert one.device_stood_still
    assert one.heard_frames(now=151.0) == pytest.approx(101_000, abs=20)


def test_a_device_that_is_slow_from_the_start_is_left_alone() -> None:
    one = started_tape()
    for look in range(1000):
        now = 52.0 + look * LOOK_S
        one.observe(round((now - 51.5) * RATE_HZ), now)
        assert not one.device_stood_still
        assert one.stretch_frames() == 0


def test_another_device_begins_where_the_clock_says_and_has_a_drift_of_its_own() -> None:
    one = started_tape()
    read_steadily(one, 0, 600, drift=0.0004)
    heard = one.heard_frames(now=650)
    assert heard > 600_200

    assert one.restart(now=650) == heard
    assert one.heard_frames(now=650) == heard
    assert one.heard_frames(now=660) == heard + 10_000
    assert one.heard_at(heard + 1000) == 651
    assert one.stretch_frames() == 0
