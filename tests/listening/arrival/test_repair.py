"""What is missing, when it is asked for, and when no more: alone, in virtual time.

A message is 1/16 s, and the buffer is one second: at first half of that is waited for a message
that is missing alone, and a quarter for several. The round trip is 1/16 s, and does not vary.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from listening.arrival import repair
from listening.arrival.absence import IMPATIENCE, LEAST_WAIT_S, LONGEST_GUESS, MARGIN
from listening.arrival.audio_message import AudioMessage
from listening.arrival.reception_window import REMEMBERED, ReceptionWindow, State
from listening.arrival.repair import (
    BURST_S,
    ENOUGH_REQUESTS,
    HASTE,
    HURRY,
    KEPT_S,
    LEISURE_S,
    MAX_MISSING,
    MAX_OVERDUE,
    NEVER,
    SLOW_REQUESTS,
    SPACING_S,
    Repair,
)
from listening.arrival.statistics import Statistics
from message import Accept, Message, Type
from wire.round_trip import RoundTrip

STEP_S = 1 / 16
STEP_US = 62_500
BUFFER_S = 1.0
RTT_S = 1 / 16
REPEATABLE = settings(deadline=None, derandomize=True, database=None, max_examples=50)


def accept(**changes: float) -> Accept:
    fields = {
        "first_sequence": 0, "first_time_us": 0, "live_time_us": 0, "burst_s": 1.0,
        "timeout_s": 5.0, "speed": 1.0, "duration_s": None, "frame_rate_hz": 44_100,
        "channels": 2, "bit_rate_bps": None, **changes,
    }  # fmt: skip
    return Accept(nonce="", session="", title="", artist=None, **fields)  # type: ignore[arg-type]


def steady(rtt_s: float = RTT_S) -> RoundTrip:
    """One that was measured so often that it is known."""
    round_trip = RoundTrip()
    for _ in range(50):
        round_trip.measure(rtt_s)
    return round_trip


class Ear:
    """A repair, and an owner that looks when it is due. Message n should come n steps from 0."""

    def __init__(self, buffer_s: float = BUFFER_S, **changes: float) -> None:
        self.count = Statistics()
        self.buffer_s = buffer_s
        self.window = ReceptionWindow(0, 0, buffer_s)
        self.round_trip = steady()
        self.repair = Repair(
            accept(**changes),
            self.window,
            self.round_trip,
            self.count,
            # A play-out delay, counted from the moment at which a message should come.
            needed_at=lambda media_time_us: media_time_us / 1e6 + self.buffer_s,
            time_s=min(buffer_s, BUFFER_S),
            now=0.0,
        )
        self.asked: list[tuple[float, list[int]]] = []
        self._now = 0.0

    def hear(self, *sequences: int, at: float | None = None, kind: Type = Type.AUDIO) -> None:
        """Messages come at `at` steps, or each when it should."""
        for sequence in sequences:
            self.wait(sequence if at is None else at)
            message = Message(sequence, kind, b"", 1, sequence * STEP_US)
            self.repair.arrived(AudioMessage(message, STEP_US), self._now)

    def wait(self, at: float) -> None:
        """Let time pass until `at` steps."""
        end = max(self._now, at * STEP_S)
        while (due := self.repair.next_due()) <= end:
            assert due > self._now or self._take(), "it asks to be called, and nothing comes of it"
            self._now = max(self._now, due)
            self._take()
        self._now = end

    def _take(self) -> bool:
        sequences = self.repair.take_due(self._now)
        if sequences:
            self.asked.append((self._now / STEP_S, sequences))
        return bool(sequences) or self.repair.next_due() > self._now

    def pass_over(self, until: int) -> None:
        """The jitter buffer gives up all before `until`."""
        while self.window.next < until:
            self.window.give_up()

    def times(self, sequence: int) -> list[float]:
        """When it was asked for, in steps."""
        return [at for at, sequences in self.asked if sequence in sequences]


def started(**changes: float) -> Ear:
    """The first four messages have come, on time."""
    ear = Ear(**changes)
    ear.hear(*range(4))
    return ear


def near(ear: Ear) -> Ear:
    """`ear` on a path so short that there is time for many requests after any wait."""
    ear.round_trip = ear.repair._round_trip = steady(0.001)
    return ear


def hasty() -> Ear:
    """Listener that has repaired so many losses that it waits for nothing any more."""
    ear = started()
    for sequence in range(4, 84, 2):
        ear.hear(sequence + 1)
        ear.hear(sequence, kind=Type.REPEAT, at=sequence + 1)
    ear.asked.clear()
    ear.count.requested = 0
    ear.round_trip = ear.repair._round_trip = steady()
    return ear


@pytest.fixture
def unshared(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing waits in order to share a request."""
    monkeypatch.setattr(repair, "SPACING_S", 0.0)


# When it is seen.


def test_what_comes_in_order_is_never_asked_for() -> None:
    ear = Ear()
    ear.hear(*range(1000))
    assert ear.asked == []


def test_a_message_that_is_missing_alone_is_asked_for_when_it_has_been_waited_for() -> None:
    ear = near(started())
    ear.hear(*range(5, 20))
    assert ear.times(4)[0] == 5 + BUFFER_S / 2 / STEP_S


def test_several_in_a_row_are_asked_for_sooner_and_together() -> None:
    ear = near(started())
    ear.hear(*range(7, 20))
    assert ear.asked[0] == (7 + BUFFER_S / 4 / STEP_S, [4, 5, 6])


def test_on_a_path_that_loses_much_nothing_is_waited_for() -> None:
    ear = hasty()
    ear.hear(85)
    ear.wait(86)
    assert ear.times(84)[0] == pytest.approx(84 + LEAST_WAIT_S / STEP_S)


def test_what_is_late_for_its_time_is_asked_for_though_nothing_came_after_it() -> None:
    ear = started()
    ear.wait(12)
    assert ear.times(4)[0] == 4 + BUFFER_S / 4 / STEP_S
    assert ear.times(6)[0] == pytest.approx(6 + BUFFER_S / 4 / STEP_S, abs=0.5)


def test_before_anything_came_nothing_is_late() -> None:
    ear = Ear()
    ear.wait(1000)
    assert ear.asked == []


def test_a_server_that_sends_together_is_given_the_time_for_it() -> None:
    ear = Ear(interval_s=0.5)
    for group in range(0, 80, 8):
        ear.hear(*range(group, group + 8), at=group)
    assert ear.asked == []
    ear.wait(100)
    assert ear.times(80)[0] == 72 + 1 + (0.5 + BUFFER_S / 4) / STEP_S


def test_in_a_long_silence_no_more_is_thought_missing_than_the_bound() -> None:
    ear = Ear(buffer_s=1000.0)
    ear.hear(*range(4))
    ear.wait(500)
    assert max(sequence for _, asked in ear.asked for sequence in asked) == 3 + MAX_OVERDUE


def test_after_the_end_all_up_to_the_last_is_missing_and_nothing_is_late() -> None:
    ear = started()
    ear.repair.ended(6, 7 * STEP_US, 4 * STEP_S)
    ear.wait(100)
    assert ear.asked[0] == (4 + BUFFER_S / 4 / STEP_S, [4, 5, 6])
    assert {sequence for _, asked in ear.asked for sequence in asked} == {4, 5, 6}


def test_what_was_thought_missing_beyond_the_end_is_not_asked_for_any_more() -> None:
    ear = started()
    ear.wait(12)
    assert ear.count.requested == 4
    ear.repair.ended(5, 6 * STEP_US, 12 * STEP_S)
    assert ear.count.requested == 2
    ear.asked.clear()
    ear.wait(100)
    assert {sequence for _, asked in ear.asked for sequence in asked} == {4, 5}


def test_the_end_of_nothing_is_the_end() -> None:
    ear = started()
    ear.repair.ended(None, 0, 4 * STEP_S)
    ear.wait(100)
    assert ear.asked == []


def test_a_burst_that_was_overtaken_by_what_is_live_is_not_asked_for() -> None:
    ear = Ear(live_time_us=16 * STEP_US, buffer_s=3.0)
    for live in range(16, 24):
        ear.hear(live, at=live - 16)
    ear.hear(*range(16), at=7.5)
    for live in range(24, 50):
        ear.hear(live, at=live - 16)
    assert ear.asked == []


def test_a_burst_that_does_not_come_is_asked_for_after_a_while() -> None:
    ear = Ear(live_time_us=16 * STEP_US, buffer_s=3.0)
    for live in range(16, 50):
        ear.hear(live, at=live - 16)
    at, asked = ear.asked[0]
    assert at == pytest.approx((BURST_S + BUFFER_S / 4) / STEP_S)
    assert asked == [*range(16)]


def test_a_hole_within_a_burst_is_a_hole() -> None:
    ear = Ear(live_time_us=16 * STEP_US, buffer_s=3.0)
    ear.hear(0, 1, 4, 5, at=0)
    ear.wait(30)
    assert ear.asked[0] == (BUFFER_S / 4 / STEP_S, [2, 3])


# How long it is waited for.


def test_a_message_that_comes_after_all_makes_the_wait_longer() -> None:
    ear = started()
    ear.hear(*range(5, 11))
    ear.hear(4, at=5 + 5)
    assert ear.asked == []
    ear.hear(*range(12, 40))
    assert ear.times(11)[0] == pytest.approx(12 + 5 * MARGIN)


def test_a_loss_makes_the_wait_shorter() -> None:
    ear = near(started())
    ear.hear(*range(5, 14))
    ear.hear(4, kind=Type.REPEAT, at=13.5)
    ear.hear(*range(15, 30))
    assert ear.times(14)[0] == pytest.approx(15 + 8 * IMPATIENCE)


def test_a_message_that_was_overtaken_by_its_own_repeat_makes_the_wait_longer() -> None:
    ear = hasty()
    ear.hear(85)
    ear.hear(84, kind=Type.REPEAT, at=85.5)
    ear.hear(*range(86, 90))
    assert ear.count.spurious == 0
    ear.hear(84, at=89.5)
    assert ear.count.spurious == 1
    asked = len(ear.asked)
    ear.hear(90, *range(92, 101))
    ear.hear(91, at=92 + 5.5 * MARGIN - 0.1)
    ear.hear(*range(101, 120))
    assert len(ear.asked) == asked
    assert ear.repair._waits.gap.wait_s(NEVER, NEVER) > 5.5 * STEP_S * MARGIN


def test_a_message_that_was_asked_for_in_vain_is_counted_once() -> None:
    ear = hasty()
    ear.hear(85)
    ear.hear(84, at=85.5)
    ear.hear(84, kind=Type.REPEAT, at=85.6)
    ear.hear(84, at=85.7)
    assert (ear.count.requested, ear.count.spurious) == (1, 1)


def test_what_comes_twice_teaches_nothing() -> None:
    ear = hasty()
    for sequence in range(84, 120):
        ear.hear(sequence)
        ear.hear(sequence, sequence - 1, at=sequence + 0.5)
    ear.wait(121)
    assert ear.times(120)[0] == pytest.approx(120 + LEAST_WAIT_S / STEP_S)


def test_the_wait_leaves_time_to_ask_however_long_messages_took_before() -> None:
    ear = started()
    ear.hear(*range(5, 18))
    ear.hear(4, at=18)
    ear.hear(*range(20, 60))
    # There would be 16 steps; one is over when the gap is seen.
    assert ear.times(19)[0] <= 20 + 15 * 3 / 4


def test_on_a_long_path_a_guess_takes_a_quarter_of_the_time_and_leaves_it_for_requests() -> None:
    ear = started()
    ear.buffer_s = 0.7
    ear.round_trip = ear.repair._round_trip = steady(0.15)
    ear.hear(*range(5, 20))
    left = 0.7 / STEP_S - 1
    assert ear.times(4)[0] == pytest.approx(5 + left * LONGEST_GUESS)
    assert len(ear.times(4)) >= 4


def test_on_a_long_path_that_reorders_what_was_learned_is_waited_for() -> None:
    ear = started()
    ear.buffer_s = 0.7
    ear.round_trip = ear.repair._round_trip = steady(0.15)
    ear.hear(*range(5, 7))
    ear.hear(4, at=5 + 2.2)
    ear.hear(*range(8, 11))
    ear.hear(7, at=8 + 4)
    ear.hear(*range(12, 16))
    ear.hear(11, at=12 + 6)
    assert ear.asked == []


@pytest.mark.parametrize("shuffled", [False, True])
def test_a_stall_makes_no_wait_longer(shuffled: bool) -> None:
    def lone_and_last(ear: Ear) -> tuple[float, float]:
        """When a message that is missing alone is asked for, and one with nothing after it."""
        ear.hear(*range(20, 40), *range(41, 60))
        ear.wait(70)
        return ear.times(40)[0], ear.times(60)[0]

    steady_ear = started()
    steady_ear.hear(*range(4, 20))
    stalled = started()
    held_up = [*range(4, 16)]
    if shuffled:
        held_up = [5, 4, 7, 6, 9, 8, 11, 10, 13, 12, 15, 14]
    for index, sequence in enumerate(held_up):
        stalled.hear(sequence, at=15 + index / 100)
    stalled.hear(*range(16, 20))
    assert lone_and_last(stalled) == pytest.approx(lone_and_last(steady_ear), abs=0.01)


def test_messages_that_are_held_up_in_order_teach_how_late_one_may_be() -> None:
    ear = started()
    ear.hear(4, at=4 + 3.5)
    ear.hear(*range(5, 9), at=8)
    ear.hear(*range(9, 30))
    ear.hear(30, at=30 + 6.5)
    assert ear.asked == []


def test_how_slowly_a_burst_comes_teaches_nothing() -> None:
    ear = Ear(live_time_us=8 * STEP_US, buffer_s=3.0)
    for sequence in range(8):
        ear.hear(sequence, at=sequence * 4.5)
    ear.wait(45)
    assert ear.times(8)[0] == 7 * 4.5 + 1 + BUFFER_S / 4 / STEP_S


def test_the_wait_leaves_the_server_the_time_to_have_it_still() -> None:
    ear = Ear(buffer_s=1000.0)
    ear.hear(0, 1, 2, 3, *range(5, 12))
    ear.hear(4, at=800)
    ear.hear(*range(12, 800), at=800)
    ear.hear(801, 802, *range(803, 1000))
    assert ear.times(800)[0] <= 801 + KEPT_S / STEP_S


# How often.


@pytest.mark.usefixtures("unshared")
def test_it_is_asked_again_after_a_round_trip_and_then_more_often() -> None:
    ear = hasty()
    ear.hear(*range(85, 101))
    times = ear.times(84)
    pauses = [b - a for a, b in itertools.pairwise(times)]
    timeout = ear.round_trip.timeout_s / STEP_S
    assert pauses[: SLOW_REQUESTS - 1] == pytest.approx([timeout] * (SLOW_REQUESTS - 1), abs=0.1)
    assert pauses[SLOW_REQUESTS] == pytest.approx(timeout / HURRY, abs=0.1)
    assert max(pauses) <= timeout + 0.1
    assert len(times) > 20


def test_where_there_is_time_for_few_requests_they_are_closer_together() -> None:
    ear = hasty()
    ear.buffer_s = 6 * STEP_S
    ear.hear(*range(85, 95))
    pauses = [b - a for a, b in itertools.pairwise(ear.times(84))]
    timeout = ear.round_trip.timeout_s / STEP_S
    assert pauses[:2] == pytest.approx([timeout / HASTE] * 2, abs=0.1)


def test_it_is_not_asked_when_the_answer_would_come_too_late() -> None:
    ear = hasty()
    ear.hear(*range(85, 120))
    last = 84 + (BUFFER_S - RTT_S) / STEP_S
    assert last - 1 < ear.times(84)[-1] < last


def test_what_cannot_come_in_time_is_never_asked_for() -> None:
    ear = Ear(buffer_s=RTT_S)
    ear.hear(0, 1, 4, 5, 6)
    assert ear.asked == []


def test_it_is_not_asked_when_it_was_given_up() -> None:
    ear = hasty()
    ear.hear(85)
    ear.wait(86)
    ear.pass_over(85)
    ear.asked.clear()
    ear.hear(86, 87)
    assert ear.asked == []


def test_what_is_due_at_nearly_the_same_time_is_asked_together() -> None:
    ear = hasty()
    ear.hear(87, at=84)
    ear.wait(84.2)
    ((at, asked),) = ear.asked
    assert at == pytest.approx(84 + LEAST_WAIT_S / STEP_S)
    assert asked == [84, 85, 86]


@pytest.mark.usefixtures("unshared")
def test_what_is_due_a_moment_later_is_asked_together() -> None:
    ear = hasty()
    ear.hear(85)
    ear.hear(87, at=85.1)
    ear.wait(86)
    assert next(asked for at, asked in ear.asked if at > 84.5) == [84, 86]


def test_while_there_is_time_requests_keep_a_distance_and_gaps_share_one() -> None:
    ear = hasty()
    ear.hear(85, 87, 89)
    asked_at = ear.times(84)[0]
    ear.wait(90)
    assert ear.asked[:2] == [
        (asked_at, [84]),
        (pytest.approx(asked_at + SPACING_S / STEP_S), [84, 86]),
    ]


def test_when_little_time_is_left_nothing_waits_to_share_a_request() -> None:
    ear = hasty()
    ear.round_trip = ear.repair._round_trip = steady(0.001)
    assert ENOUGH_REQUESTS * ear.round_trip.timeout_s < LEISURE_S
    ear.buffer_s = LEISURE_S
    ear.hear(85, 87, 89)
    for sequence in (84, 86, 88):
        assert ear.times(sequence)[0] == pytest.approx(sequence, abs=0.2)


def test_where_nothing_comes_any_more_nothing_waits_to_share_a_request() -> None:
    ear = hasty()
    ear.round_trip = ear.repair._round_trip = steady(0.001)
    ear.buffer_s = 10.0
    ear.wait(95)
    pauses = [b - a for a, b in itertools.pairwise(ear.times(84)[:5])]
    assert pauses[0] == pytest.approx(SPACING_S / STEP_S)
    assert max(pauses[2:]) < SPACING_S / STEP_S / 2


def test_what_was_asked_for_in_vain_waits_for_no_other_request() -> None:
    ear = hasty()
    ear.buffer_s = 10.0
    ear.hear(*range(85, 110))
    pauses = [b - a for a, b in itertools.pairwise(ear.times(84)[:9])]
    timeout = ear.round_trip.timeout_s / STEP_S
    assert pauses[0] == pytest.approx(SPACING_S / STEP_S)
    assert pauses[-1] == pytest.approx(timeout / HURRY, abs=0.1)


def test_where_there_is_not_the_time_for_many_requests_nothing_waits_to_share_one() -> None:
    ear = hasty()
    ear.buffer_s = ENOUGH_REQUESTS * ear.round_trip.timeout_s
    assert ear.buffer_s > LEISURE_S
    ear.hear(85, 87, 89)
    for sequence in (84, 86, 88):
        assert ear.times(sequence)[0] == pytest.approx(sequence, abs=0.1)


def test_an_answer_does_not_make_the_others_missing_anew() -> None:
    ear = hasty()
    ear.wait(87.5)
    ear.hear(84, kind=Type.REPEAT, at=87.5)
    ear.wait(90)
    assert ear.count.requested == len({n for _, asked in ear.asked for n in asked}) == 6


def test_registered_anew_the_pace_and_the_burst_are_those_of_the_new_registration() -> None:
    ear = started()
    ear.wait(5)
    ear.repair.resume(accept(live_time_us=500 * STEP_US), 499 * STEP_S)
    ear.wait(499)
    assert ear.asked == []
    ear.pass_over(480)
    ear.hear(*range(500, 506))
    ear.hear(*range(480, 500), at=506)
    ear.hear(*range(507, 512))
    assert ear.asked == []


def test_where_the_round_trip_is_hardly_known_a_request_waits_for_one_of_them_at_most() -> None:
    ear = hasty()
    ear.buffer_s = 12 * STEP_S
    ear.round_trip = ear.repair._round_trip = RoundTrip()
    ear.round_trip.measure(3 * STEP_S)
    assert ear.round_trip.timeout_s / HASTE > 3 * STEP_S
    ear.hear(*range(85, 100))
    pauses = [b - a for a, b in itertools.pairwise(ear.times(84))]
    assert pauses == pytest.approx([3] * len(pauses), abs=0.1)
    assert len(pauses) >= 2


@pytest.mark.usefixtures("unshared")
def test_a_silent_server_is_asked_less_and_less_often() -> None:
    ear = Ear(buffer_s=1000.0)
    ear.hear(*range(4))
    ear.wait(4 + 5 / STEP_S)
    assert len(ear.asked) < 60
    times = [at for at, _ in ear.asked]
    assert times[-1] - times[-2] > 4 * (times[9] - times[8])


def test_what_the_server_cannot_have_any_more_is_not_asked_for() -> None:
    ear = Ear(buffer_s=1000.0)
    ear.hear(0, 1, 2, 3, *range(5, 400))
    assert ear.times(4)[-1] <= 5 + KEPT_S / STEP_S
    assert len(ear.times(4)) < 200


def test_of_a_very_long_gap_the_newest_are_asked_for() -> None:
    ear = Ear(buffer_s=1000.0)
    ear.hear(0, 1)
    ear.hear(5000, at=2)
    ear.wait(20)
    assert ear.asked[0][1] == [*range(5000 - MAX_MISSING, 5000)]


@pytest.mark.parametrize("passed", [REMEMBERED - 1, REMEMBERED])
def test_a_repaired_message_is_remembered_as_long_as_the_window_does(passed: int) -> None:
    ear = started()
    ear.hear(*range(5, 20))
    ear.hear(4, kind=Type.REPEAT)
    ear.window.put(AudioMessage(Message(4, Type.REPEAT), STEP_US), State.READY)
    ear.pass_over(4)
    ear.window.give_out()
    ear.pass_over(4 + passed)
    ear.hear(4)
    assert ear.count.requested == 1
    assert ear.count.spurious == (passed < REMEMBERED)


# What is learned of the round trip.


def test_an_answer_to_one_request_measures_the_round_trip() -> None:
    ear = hasty()
    ear.hear(85)
    asked_at = ear.times(84)[0]
    ear.hear(84, kind=Type.REPEAT, at=asked_at + 1.1)
    assert ear.round_trip.smoothed_s == pytest.approx(RTT_S * 7 / 8 + 1.1 * STEP_S / 8)


@pytest.mark.usefixtures("unshared")
def test_an_answer_to_one_of_two_requests_does_not() -> None:
    ear = hasty()
    ear.hear(85)
    ear.hear(84, kind=Type.REPEAT, at=86)
    assert len(ear.times(84)) == 2
    assert ear.round_trip.smoothed_s == pytest.approx(RTT_S)


# Anything at all.

EVENTS = st.tuples(
    st.integers(0, 40),
    st.sampled_from([Type.AUDIO, Type.AUDIO, Type.REPEAT]),
    st.integers(0, 80) | st.sampled_from([700, 2**64 - 1]),
)


@REPEATABLE
@given(
    st.lists(EVENTS, max_size=60),
    st.integers(0, 60),
    st.none() | st.integers(0, 80),
    st.sampled_from([0.0, 0.25, 1.0, 5.0]),
)
def test_whatever_comes_only_what_is_missing_is_asked_for_and_the_owner_never_spins(
    events: Iterable[tuple[int, Type, int]], end_at: int, last: int | None, buffer_s: float
) -> None:
    ear = Ear(buffer_s=buffer_s, live_time_us=10 * STEP_US)
    come: set[int] = set()
    at = 0.0
    for index, (pause, kind, sequence) in enumerate(events):
        at += pause / 8
        if index == end_at:
            ear.wait(at)
            ear.repair.ended(last, 0 if last is None else (last + 1) * STEP_US, at * STEP_S)
        ear.hear(sequence, kind=kind, at=at)
        come.add(sequence)
        ear.asked.clear()
        ear.wait(at + pause / 8)
        for _, asked in ear.asked:
            assert asked == sorted(set(asked))
            assert not come & set(asked)
    count = ear.count
    assert count.spurious <= count.requested
    assert len(ear.window.missing) <= MAX_MISSING
    assert ear.repair.next_due() > ear._now
