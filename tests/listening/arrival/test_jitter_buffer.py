"""The jitter buffer, alone on a timeline of its own.

A message is 1/64 s, and so are most times, so that every sum of times is exact.
"""

from __future__ import annotations

import dataclasses
import itertools
import logging
from collections.abc import Sequence
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from listening.arrival.audio_message import Arrival, AudioMessage
from listening.arrival.jitter_buffer import HAND_OUT_S, RESTART_S, JitterBuffer
from listening.arrival.playable import EndOfStream, Item, Ready
from listening.arrival.reception_window import (
    MAX_CAPACITY,
    MAX_MESSAGE_US,
    MIN_CAPACITY,
    REMEMBERED,
    ReceptionWindow,
    State,
)
from listening.arrival.statistics import Statistics
from message import Message, Type
from tests.rig.luck import examples

STEP_US = 15_625
STEP_S = 1 / 64
BUFFER_S = 8 * STEP_S
LEAD_S = 0.25

IN_TIME, DUPLICATE, LATE, OVERFLOW = Arrival

REPEATABLE = settings(deadline=None, derandomize=True, database=None, max_examples=examples(200))


def audio(sequence: int, time_us: int | None = None) -> Message:
    """AUDIO of one step at its place, or at another one."""
    return Message(
        sequence, Type.AUDIO, b"data", 1, sequence * STEP_US if time_us is None else time_us
    )


def repeat(sequence: int) -> Message:
    """REPEAT of that AUDIO."""
    return audio(sequence)._replace(type=Type.REPEAT)


class Player:
    """A jitter buffer and an owner that looks when `next_due` says so, and at every arrival."""

    def __init__(
        self,
        *,
        first: int = 0,
        buffer_s: float = BUFFER_S,
        speed: float = 1.0,
        lead_s: float = 0.0,
        strict: bool = True,
    ) -> None:
        self.count = Statistics()
        self.window = ReceptionWindow(first, first * STEP_US, buffer_s * speed)
        self.buffer = JitterBuffer(
            self.window,
            self.count,
            buffer_s=buffer_s,
            speed=speed,
            lead_s=lead_s,
            strict=strict,
        )
        self.items: list[Item] = []
        self.times: list[float] = []
        self._now = 0.0

    def arrive(self, sequences: int | Sequence[int], at: float) -> list[Arrival]:
        """Messages come, each at its place in the stream, at `at` steps."""
        if isinstance(sequences, int):
            sequences = [sequences]
        return [self.insert(audio(sequence), at) for sequence in sequences]

    def insert(self, message: Message, at: float, duration_us: int = STEP_US) -> Arrival:
        self.wait(at)
        arrival = self.buffer.insert(AudioMessage(message, duration_us), self._now)
        self._take()
        return arrival

    def rebuild(self, sequence: int, at: float) -> bool:
        """AUDIO is computed from parity at `at` steps."""
        self.wait(at)
        message = audio(sequence)._replace(type=Type.PARITY)
        taken = self.buffer.insert_rebuilt(AudioMessage(message, STEP_US), self._now)
        self._take()
        return taken

    def end(self, last: int | None, at: float, end_us: int | None = None) -> None:
        self.wait(at)
        if end_us is None:
            end_us = 0 if last is None else (last + 1) * STEP_US
        self.buffer.end(last, end_us, self._now)
        self._take()

    def close(self) -> None:
        self.buffer.close()
        self._take()

    def wait(self, at: float) -> None:
        """Let time pass until `at` steps; the buffer may not ask for more than it needs."""
        idle = 0
        while (due := self.buffer.next_due()) is not None and due <= at * STEP_S:
            self._now = max(self._now, due)
            items = len(self.items)
            self._take()
            idle = 0 if len(self.items) > items or self.buffer.next_due() != due else idle + 1
            assert idle == 0, f"nothing happened at {due}"
        self._now = at * STEP_S

    def _take(self) -> None:
        taken = self.buffer.take(self._now)
        self._check()
        self.items += taken
        self.times += [self._now] * len(taken)

    def _check(self) -> None:
        """Every message that exists is in one counter, or awaited: at any time."""
        count, window = self.count, self.window
        records = window._records.values()
        if len(records) < 200:
            assert len(window.ready) == sum(one.state is State.READY for one in records)
        assert window.awaited == window.end - window.next - len(window.ready) >= 0
        settled = count.intact + count.retransmitted + count.rebuilt + count.lost
        assert count.expected == settled + window.awaited
        assert count.received == (
            count.intact + count.retransmitted + count.duplicates + count.late
        )

    @property
    def heard(self) -> list[int]:
        """The sequences that were given out, in order."""
        return [item.message.sequence for item in self.items if isinstance(item, Ready)]

    @property
    def shape(self) -> list[int | str]:
        """What was given out: sequences, and the names of the rest."""
        return [
            item.message.sequence if isinstance(item, Ready) else type(item).__name__
            for item in self.items
        ]

    @property
    def ended(self) -> bool:
        return any(isinstance(item, EndOfStream) for item in self.items)


def started() -> Player:
    """A player that has got as many messages as start the timeline, at time 0."""
    player = Player()
    player.arrive(range(8), 0)
    assert player.heard == list(range(8))
    return player


def waiting(speed: float = 1.0) -> Player:
    """A player whose output waits; it has got eight messages, and nothing for a while."""
    player = Player(strict=False, speed=speed)
    player.arrive(range(8), 0)
    player.wait(100)
    assert player.shape == list(range(8))
    return player


# Who takes, and when.


class Sleeper:
    """An owner that takes when it is worth while, or due, and not at each arrival."""

    def __init__(self, *, strict: bool, speed: float = 1.0) -> None:
        self.speed = speed
        self.buffer = JitterBuffer(
            ReceptionWindow(0, 0, speed),
            Statistics(),
            buffer_s=1.0,
            speed=speed,
            lead_s=LEAD_S,
            strict=strict,
        )
        self.taken_at: list[float] = []
        self.played_at: dict[int, float] = {}

    def look(self, now: float) -> None:
        due = self.buffer.next_due()
        if self.buffer.is_ready(now) or (due is not None and due <= now):
            for item in self.buffer.take(now):
                if isinstance(item, Ready):
                    self.played_at[item.message.sequence] = now
            self.taken_at.append(now)

    def stream(self, messages: int) -> None:
        """A second of audio comes at once, the rest when it is due."""
        for sequence in range(messages):
            now = max(0, sequence - 64) * STEP_S / self.speed
            self.look(now)
            self.buffer.insert(AudioMessage(audio(sequence), STEP_US), now)
            self.look(now)


@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.parametrize("speed", [1.0, 100.0])
def test_a_steady_stream_is_taken_a_few_times_a_second(strict: bool, speed: float) -> None:
    owner = Sleeper(strict=strict, speed=speed)
    owner.stream(704)
    assert len(owner.taken_at) <= 1 + 640 * STEP_S / HAND_OUT_S


def test_all_of_a_steady_stream_is_taken_in_time() -> None:
    owner = Sleeper(strict=True)
    owner.stream(704)
    assert list(owner.played_at) == list(range(len(owner.played_at)))
    assert all(at <= n * STEP_S - LEAD_S for n, at in owner.played_at.items() if n >= 64)


def test_what_waits_to_be_taken_is_due_at_its_deadline_if_nothing_else_arrives() -> None:
    owner = Sleeper(strict=True)
    for step in range(64):
        owner.buffer.insert(AudioMessage(audio(step), STEP_US), 0.0)
    owner.look(0.0)
    owner.buffer.insert(AudioMessage(audio(64), STEP_US), STEP_S)
    assert not owner.buffer.is_ready(STEP_S)
    assert owner.buffer.next_due() == 64 * STEP_S - LEAD_S


def test_the_end_is_not_waited_for() -> None:
    owner = Sleeper(strict=True)
    for step in range(65):
        owner.buffer.insert(AudioMessage(audio(step), STEP_US), 0.0)
        owner.look(0.0)
    assert len(owner.played_at) == 64
    owner.buffer.end(64, 65 * STEP_US, 0.0)
    owner.look(0.0)
    assert len(owner.played_at) == 65


# The start.


def test_nothing_is_given_out_before_the_buffer_is_full() -> None:
    player = Player()
    player.arrive(range(7), 0)
    assert player.items == []
    player.arrive(7, 1)
    assert player.heard == list(range(8))


def test_a_buffer_that_does_not_fill_starts_when_its_time_has_passed_since_the_first() -> None:
    player = Player()
    player.arrive(range(3), 5)
    assert player.buffer.next_due() == 5 * STEP_S + BUFFER_S
    player.wait(5 + 8)
    assert player.heard == [0, 1, 2]


def test_a_first_message_that_is_missing_is_waited_for_as_long_as_the_buffer() -> None:
    player = Player()
    player.arrive(range(1, 30), 0)
    assert player.items == []
    player.wait(8)
    assert player.shape == ["Gap", *range(1, 30)]
    assert player.count.lost == 1
    assert player.arrive(0, 9) == [LATE]


def test_a_first_message_that_comes_last_is_not_missing() -> None:
    player = Player()
    player.arrive(range(1, 10), 0)
    player.arrive(0, 7)
    assert player.shape == list(range(10))


def test_a_hole_in_what_comes_first_is_waited_for_as_long_as_the_buffer() -> None:
    player = Player()
    player.arrive([0, 1, 3, 4, 5, 6, 7, 8], 0)
    assert player.items == []
    player.arrive(2, 3)
    assert player.shape == [0, 1, 2, 3, 4, 5, 6, 7, 8]
    player = Player()
    player.arrive([0, 1, *range(3, 20)], 0)
    player.wait(8)
    assert player.shape == [0, 1]
    player.wait(10)
    assert player.shape == [0, 1, "Gap", *range(3, 20)]


def test_a_hole_beyond_what_the_buffer_holds_is_not_waited_for() -> None:
    player = Player()
    player.arrive([*range(8), 9], 0)
    assert player.shape == list(range(8))


# Order.


@pytest.mark.parametrize("seed", range(5))
def test_reordering_within_the_buffer_loses_nothing(seed: int) -> None:
    random = Random(seed)
    arrivals = sorted((n + random.uniform(0, 7), n) for n in range(200))
    player = Player()
    for at, sequence in arrivals:
        player.arrive(sequence, at)
    assert player.heard == list(range(200))
    assert player.count.intact == player.count.expected == 200
    assert player.count.out_of_order > 50


def test_a_message_is_out_of_order_only_after_a_higher_one_and_once() -> None:
    player = Player()
    player.arrive([0, 2, 1, 1, 3, 2], 0)
    assert (player.count.out_of_order, player.count.duplicates) == (1, 2)


def test_a_tail_that_comes_after_the_end_was_announced_is_not_out_of_order() -> None:
    player = started()
    player.end(9, 1)
    player.arrive([8, 9], 2)
    assert player.count.out_of_order == 0


def test_duplicates_are_dropped_and_counted_whether_heard_already_or_not() -> None:
    player = Player()
    assert player.arrive([0, 1, 1], 0) == [IN_TIME, IN_TIME, DUPLICATE]
    player.arrive(range(2, 8), 0)
    assert player.arrive([0, 7], 0) == [DUPLICATE, DUPLICATE]
    assert player.heard == list(range(8))
    assert (player.count.intact, player.count.duplicates, player.count.received) == (8, 3, 11)


# Deadlines.


def test_a_hole_waits_until_its_deadline_and_what_fills_it_then_is_heard() -> None:
    player = started()
    player.arrive([9, 10], 1)
    player.wait(7)
    assert player.shape == list(range(8))
    player.arrive(8, 7.9)
    assert player.shape == list(range(11))


def test_a_hole_is_given_up_at_its_deadline_and_the_timeline_goes_on() -> None:
    player = started()
    player.arrive([9, 11, 12], 1)
    player.wait(8)
    assert player.shape == [*range(8), "Gap", 9]
    player.wait(10)
    assert player.shape == [*range(8), "Gap", 9, "Gap", 11, 12]
    assert player.times[-1] == 10 * STEP_S
    assert (player.count.lost, player.count.underruns) == (2, 0)


def test_several_missing_messages_in_a_row_are_one_gap() -> None:
    player = started()
    player.arrive([12, 13], 1)
    player.wait(12)
    assert player.shape == [*range(8), "Gap", 12, 13]
    assert player.count.lost == 4


def test_an_output_that_must_have_audio_early_moves_the_deadlines_forward() -> None:
    player = Player(lead_s=2 * STEP_S)
    player.arrive(range(8), 0)
    player.arrive(9, 1)
    player.wait(5.9)
    assert player.shape == list(range(8))
    player.wait(6)
    assert player.shape == [*range(8), "Gap", 9]


def test_what_comes_after_it_was_given_up_is_late_and_its_copies_are_duplicates() -> None:
    player = started()
    player.arrive(9, 1)
    assert player.arrive([8, 8, 8], 8.5) == [LATE, DUPLICATE, DUPLICATE]
    assert player.shape == [*range(8), "Gap", 9]
    assert (player.count.lost, player.count.late, player.count.duplicates) == (1, 1, 2)


def test_what_comes_after_its_end_was_due_is_late_though_nothing_came_after_it() -> None:
    player = started()
    assert player.arrive([8, 8], 9) == [LATE, DUPLICATE]
    assert (player.count.expected, player.count.lost) == (9, 1)
    assert player.arrive([8, 9], 9) == [DUPLICATE, IN_TIME]
    assert player.shape == [*range(8), "Gap", 9]
    assert (player.count.lost, player.count.late, player.count.intact) == (1, 1, 9)


def test_a_copy_of_a_late_message_is_a_duplicate_before_anybody_has_looked() -> None:
    player = started()
    arrivals = [player.buffer.insert(AudioMessage(audio(8), STEP_US), 9 * STEP_S) for _ in range(3)]
    assert arrivals == [LATE, DUPLICATE, DUPLICATE]
    assert (player.count.late, player.count.duplicates) == (1, 2)


def test_what_comes_while_it_should_sound_is_still_played() -> None:
    player = started()
    assert player.arrive(8, 8.9) == [IN_TIME]
    assert player.shape == [*range(8), "Gap", 8]


def test_an_underrun_is_counted_once_for_each_dry_spell() -> None:
    player = started()
    player.wait(20)
    player.arrive([8, 9], 21)
    player.wait(25)
    assert player.count.underruns == 1
    player.arrive(range(10, 40), 25)
    player.wait(50)
    assert player.count.underruns == 2
    assert player.shape == [*range(8), "Gap", *range(25, 40), "Gap"]


# Repair.


def test_what_comes_on_request_is_counted_apart_and_never_as_out_of_order() -> None:
    player = started()
    player.arrive([9, 10], 1)
    assert player.insert(repeat(8), 2) is IN_TIME
    assert player.shape == list(range(11))
    count = player.count
    assert (count.intact, count.retransmitted, count.received) == (10, 1, 11)
    assert count.out_of_order == 0


def test_of_an_original_and_its_repeat_the_second_is_a_duplicate() -> None:
    player = started()
    player.arrive(10, 1)
    assert [player.insert(repeat(8), 2), player.insert(audio(8), 2)] == [IN_TIME, DUPLICATE]
    assert [player.insert(audio(9), 2), player.insert(repeat(9), 2)] == [IN_TIME, DUPLICATE]
    count = player.count
    assert (count.intact, count.retransmitted, count.duplicates) == (10, 1, 2)


def test_a_repeat_after_the_deadline_is_late() -> None:
    player = started()
    player.arrive(9, 1)
    assert player.insert(repeat(8), 8.5) is LATE
    count = player.count
    assert (count.lost, count.late, count.retransmitted) == (1, 1, 0)


def test_late_repeats_do_not_begin_the_timeline_anew() -> None:
    player = started()
    restart = int(RESTART_S / STEP_S)
    for sequence in range(8, 2 * restart):
        assert player.insert(repeat(sequence), sequence + 20) is LATE
    assert "Restart" not in player.shape


def test_what_is_needed_when_is_told() -> None:
    player = started()
    assert player.buffer.needed_at(20 * STEP_US) == 20 * STEP_S
    player = Player(lead_s=2 * STEP_S)
    player.arrive([0, 2], 4)
    # The start waits for it.
    assert player.buffer.needed_at(1 * STEP_US) == (4 + 8 + 1 - 2) * STEP_S
    # It could start at once, as far as this one goes.
    assert player.buffer.needed_at(8 * STEP_US) == (4 + 8 - 2) * STEP_S


def test_an_output_that_waits_does_so_for_whatever_comes_next() -> None:
    player = waiting()
    assert player.buffer.needed_at(8 * STEP_US) == float("inf")
    player.arrive(9, 100)
    assert player.buffer.needed_at(8 * STEP_US) == (100 + 8) * STEP_S


# Restart.


def test_a_strict_timeline_begins_anew_when_everything_was_late_for_long_enough() -> None:
    player = started()
    late_by = 20.0
    restart = int(RESTART_S / STEP_S)
    arrivals = [player.arrive(n, n + late_by)[0] for n in range(8, 8 + restart + 1)]
    assert arrivals == [LATE] * restart + [IN_TIME]
    player.arrive(range(9 + restart, 50 + restart), 8 + restart + late_by)
    assert player.shape == [*range(8), "Gap", "Restart", *range(8 + restart, 50 + restart)]
    assert player.count.lost == player.count.late == restart


def test_one_message_in_time_keeps_the_timeline() -> None:
    player = started()
    for sequence in range(8, 200):
        on_time = sequence % 40 == 0
        player.arrive(sequence, sequence + (0 if on_time else 1.5))
    assert "Restart" not in player.shape
    assert [n for n in player.heard if n >= 8] == [40, 80, 120, 160]


def test_a_timeline_that_begins_anew_waits_for_a_full_buffer_again() -> None:
    player = started()
    restart = int(RESTART_S / STEP_S)
    for sequence in range(8, 9 + restart):
        player.arrive(sequence, sequence + 20)
    player.arrive(range(10 + restart, 15 + restart), 30 + restart)
    assert player.heard == list(range(8))
    player.wait(28 + restart + 8)
    assert player.heard[8] == 8 + restart
    player.arrive(9 + restart, 28 + restart + 8.5)
    assert player.heard[8:] == list(range(8 + restart, 15 + restart))


def test_a_timeline_that_begins_anew_does_not_wait_for_what_is_over() -> None:
    player = started()
    restart = int(RESTART_S / STEP_S)
    for sequence in range(8, 8 + restart):
        player.arrive(sequence, sequence + 20)
    anew = 15 + restart
    assert player.arrive(range(anew, anew + 8), anew + 20) == [IN_TIME] * 8
    assert player.shape == [*range(8), "Gap", "Restart", *range(anew, anew + 8)]


# An output that waits.


def test_a_waiting_timeline_gives_every_hole_the_whole_buffer_after_a_standstill() -> None:
    player = waiting(speed=1000.0)
    player.arrive(9, 5000)
    player.arrive(11, 5004)
    player.arrive(8, 5007.9)
    player.arrive(10, 5011.9)
    assert player.shape == list(range(12))
    assert player.count.underruns == 0


def test_a_waiting_timeline_gives_the_tail_the_whole_buffer_too() -> None:
    player = waiting(speed=1000.0)
    player.end(9, 5000)
    player.arrive([9, 8], 5007.9)
    assert player.shape == [*range(10), "EndOfStream"]


def test_a_waiting_timeline_gives_a_hole_in_the_burst_the_whole_buffer() -> None:
    player = Player(strict=False)
    player.arrive([0, *range(2, 10)], 0)
    player.arrive(1, 7.9)
    assert player.shape == list(range(10))


def test_a_waiting_timeline_gives_up_in_the_end() -> None:
    player = waiting()
    player.arrive(9, 5000)
    player.wait(5008)
    assert player.shape == [*range(8), "Gap", 9]
    assert player.arrive(8, 5009) == [LATE]


def test_to_look_more_often_than_asked_changes_nothing() -> None:
    player = waiting()
    assert player.buffer.take(1e6) == player.buffer.take(1e6) == []
    assert player.count.underruns == 0


def test_a_waiting_timeline_has_reached_what_it_gave_out() -> None:
    player = waiting(speed=10.0)
    assert player.buffer.position_us(100) == 8 * STEP_US
    player.arrive([9, 10], 5000)
    assert player.buffer.position_us(5000 * STEP_S) == 8 * STEP_US
    assert player.buffer.buffered_s(5000 * STEP_S) == 3 * STEP_S / 10


# The end.


def test_the_end_comes_after_the_last_message_and_once() -> None:
    player = started()
    player.end(8, 1)
    assert not player.ended
    player.arrive(8, 2)
    assert player.items[-2:] == [Ready(audio(8), STEP_US), EndOfStream(9 * STEP_US)]
    player.end(8, 3)
    player.wait(100)
    assert player.shape.count("EndOfStream") == 1
    assert player.buffer.next_due() is None
    assert player.window.awaited == 0


def test_a_stream_shorter_than_the_buffer_is_played_as_soon_as_all_of_it_is_there() -> None:
    player = Player()
    player.arrive([1, 0], 0)
    player.end(1, 1)
    assert player.shape == [0, 1, "EndOfStream"]


def test_a_tail_that_is_missing_before_the_end_is_given_up_piece_by_piece() -> None:
    player = started()
    player.end(11, 1)
    assert player.count.expected == 12
    player.arrive(10, 9.5)
    player.wait(12)
    assert player.shape == [*range(8), "Gap", 10, "Gap", "EndOfStream"]
    assert player.times[-1] == 11 * STEP_S
    assert (player.count.lost, player.window.awaited) == (3, 0)
    assert player.arrive(11, 13) == [LATE]


def test_the_end_of_a_stream_of_nothing_comes_at_once() -> None:
    player = Player()
    player.end(None, 0)
    assert player.shape == ["EndOfStream"]
    assert player.count.expected == 0


def test_an_end_before_any_audio_waits_for_what_it_announces() -> None:
    player = Player()
    player.end(3, 0)
    player.arrive([2, 3], 4)
    player.wait(8)
    player.arrive(1, 8.5)
    player.wait(100)
    assert player.shape == ["Gap", 1, 2, 3, "EndOfStream"]
    assert (player.count.lost, player.count.intact) == (1, 3)


def test_an_end_before_any_audio_that_nothing_follows_ends_the_stream() -> None:
    player = Player()
    player.end(3, 0)
    player.wait(100)
    assert player.shape == ["Gap", "EndOfStream"]
    assert (player.count.expected, player.count.lost) == (4, 4)


def test_an_end_may_be_as_far_away_as_the_capacity() -> None:
    player = Player()
    player.end(MIN_CAPACITY - 1, 0)
    assert player.count.expected == MIN_CAPACITY


@pytest.mark.parametrize("last", [None, 0, 6, 8 + MIN_CAPACITY, 2**53 - 1])
def test_an_end_that_contradicts_what_came_changes_nothing(last: int | None) -> None:
    player = started()
    before = player.count.copy()
    player.end(last, 1)
    assert player.count == before
    player.arrive(range(8, 20), 2)
    player.end(19, 3)
    assert player.shape == [*range(20), "EndOfStream"]
    assert player.items[-1] == EndOfStream(20 * STEP_US)


@pytest.mark.parametrize("end_us", [0, 8 * STEP_US, 8 * STEP_US + 5 * MAX_MESSAGE_US, 2**64 - 1])
def test_a_time_of_the_end_that_cannot_be_is_not_believed(end_us: int) -> None:
    player = started()
    player.arrive(9, 1)
    player.end(10, 2, end_us)
    player.wait(100)
    assert player.shape == [*range(8), "Gap", 9, "Gap", "EndOfStream"]
    assert player.items[-1] == EndOfStream(None)


def test_what_comes_after_the_end_is_refused() -> None:
    player = started()
    player.end(7, 1)
    assert player.arrive([8, 7], 2) == [OVERFLOW, DUPLICATE]
    assert player.shape == [*range(8), "EndOfStream"]


def test_close_hands_out_everything_and_gives_up_every_hole() -> None:
    player = started()
    player.arrive([10, 12], 1)
    player.close()
    assert player.shape == [*range(8), "Gap", 10, "Gap", 12, "EndOfStream"]
    assert (player.count.lost, player.window.awaited) == (3, 0)
    assert player.buffer.next_due() is None


def test_close_before_the_start_hands_out_what_came() -> None:
    player = Player()
    player.arrive([1, 2], 0)
    player.close()
    assert player.shape == ["Gap", 1, 2, "EndOfStream"]


@pytest.mark.parametrize("strict", [True, False])
def test_close_does_not_wait_for_the_tail_that_an_end_announced(strict: bool) -> None:
    player = started() if strict else waiting()
    player.end(20, 200)
    player.close()
    assert player.shape == [*range(8), "Gap", "EndOfStream"]
    assert player.count.lost == 13


# Bounds.


def test_a_sequence_is_taken_only_within_the_capacity() -> None:
    player = Player(first=5)
    assert player.insert(audio(5 + MIN_CAPACITY), 0) is OVERFLOW
    assert player.insert(audio(5 + MIN_CAPACITY - 1), 0) is IN_TIME
    assert player.insert(audio(2**64 - 1), 0) is OVERFLOW
    assert (player.count.overflows, player.count.received, player.count.intact) == (2, 1, 1)
    assert player.count.expected == MIN_CAPACITY


@pytest.mark.parametrize(
    ("buffer_s", "speed", "capacity"),
    [(0.0, 1.0, MIN_CAPACITY), (30.0, 1.0, 6000), (1e9, 1e5, MAX_CAPACITY)],
)
def test_the_capacity_grows_with_the_delay_up_to_a_limit(
    buffer_s: float, speed: float, capacity: int
) -> None:
    player = Player(buffer_s=buffer_s, speed=speed, strict=False)
    arrivals = player.arrive([capacity - 1, capacity], 0)
    assert arrivals == [IN_TIME, OVERFLOW]


def test_no_more_messages_wait_than_the_capacity_even_when_registered_anew() -> None:
    player = Player(buffer_s=1e6)
    player.window.resume(10 * MAX_CAPACITY)
    arrivals = player.arrive(range(1, MAX_CAPACITY + 10), 0)
    assert arrivals.count(IN_TIME) == MAX_CAPACITY
    assert arrivals[-9:] == [OVERFLOW] * 9


def test_only_so_many_given_up_sequences_are_remembered(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR)  # Pytest would keep a hundred thousand lines.
    player = waiting()
    highest = 7
    while player.count.lost <= REMEMBERED:
        highest += MIN_CAPACITY
        player.arrive(highest, player.count.lost * 2)
        player.wait(player.count.lost * 2 + highest)
    forgotten, remembered = player.arrive([8, highest - 1], highest * 4)
    assert (forgotten, remembered) == (DUPLICATE, LATE)


@pytest.mark.parametrize(
    ("sequence", "time_us", "duration_us"),
    [
        (8, 8 * STEP_US - 1_001, STEP_US),
        (8, 0, STEP_US),
        (8, 2**64 - 1, STEP_US),
        (9, 8 * STEP_US + MAX_MESSAGE_US + 1_001, STEP_US),
        (8, 8 * STEP_US, MAX_MESSAGE_US + 1),
        (8 + MIN_CAPACITY, 8 * STEP_US, STEP_US),
    ],
)
def test_a_place_that_cannot_be_is_refused_and_changes_nothing(
    sequence: int, time_us: int, duration_us: int
) -> None:
    player = started()
    before = player.count.copy()
    assert player.insert(audio(sequence, time_us), 1, duration_us) is OVERFLOW
    assert player.count == dataclasses.replace(before, overflows=1)
    assert player.arrive(8, 2) == [IN_TIME]
    assert player.shape == list(range(9))


def test_neighbours_may_overlap_by_what_rounding_makes() -> None:
    player = started()
    assert player.insert(audio(8, 8 * STEP_US - 2), 1) is IN_TIME


def test_registered_anew_the_stream_may_go_on_further_away_than_the_capacity() -> None:
    player = started()
    far = 3 * MIN_CAPACITY
    assert player.arrive(far, far) == [OVERFLOW]
    player.window.resume(far)
    assert player.arrive(far, far) == [IN_TIME]
    assert player.shape == [*range(8), "Gap", far]
    assert player.count.lost == far - 8


# What is shown.


def test_what_has_come_lasts_until_it_was_heard() -> None:
    player = Player()
    player.arrive(range(4), 0)
    assert player.buffer.buffered_s(0) == 4 * STEP_S
    player.arrive(range(4, 8), 0)
    assert player.buffer.buffered_s(2 * STEP_S) == 6 * STEP_S
    assert player.buffer.buffered_s(99) == 0


def test_the_position_moves_with_time_as_far_as_there_is_audio() -> None:
    player = started()
    assert player.buffer.position_us(3 * STEP_S) == 3 * STEP_US
    assert player.buffer.position_us(99) == 8 * STEP_US


# Against a model.

MESSAGES = 24
Arrivals = list[tuple[int, int]]
"""Time in quarters of a step, and sequence."""


@st.composite
def any_arrivals(draw: st.DrawFn, span_s: float) -> Arrivals:
    """Messages of a short stream that come in any order, some twice, some never."""
    quarters = st.integers(0, int(4 * span_s / STEP_S))
    return sorted(draw(st.lists(st.tuples(quarters, st.integers(0, MESSAGES - 1)), max_size=60)))


def modelled(arrivals: Arrivals, end_at: float, lead: float) -> tuple[float, list[int]]:
    """When a strict timeline starts, and what is heard on it: all in steps, messages are 1 long.

    A message is heard if it comes before the start, or before it is given up: at its deadline, or
    as soon after that as it is known to be missing, but never when its audio is over.
    """
    events = [(quarter / 4, sequence) for quarter, sequence in arrivals] + [(end_at, MESSAGES)]
    start = events[0][0] + 8
    before = sum(at < start for at, _ in events)
    for index, (at, _) in enumerate(events):
        come = {sequence for _, sequence in events[: index + 1]}
        full = come >= set(range(8))
        if at < start and full:
            start, before = at, index + 1
    heard = []
    for sequence in range(MESSAGES):
        came = next((i for i, (_, n) in enumerate(events) if n == sequence), len(events))
        known = next(i for i, (_, n) in enumerate(events) if n > sequence)
        over = start + sequence - lead + (came < known)
        if came < before or (came < len(events) and events[came][0] < over):
            heard.append(sequence)
    return start, heard


@given(any_arrivals(RESTART_S - STEP_S), st.sampled_from([0, 1, 2.5]))
@REPEATABLE
def test_a_strict_timeline_does_what_the_model_does(arrivals: Arrivals, lead: float) -> None:
    player = Player(lead_s=lead * STEP_S)
    for quarter, sequence in arrivals:
        player.arrive(sequence, quarter / 4)
        assert player.window.awaited >= 0
    end_at = RESTART_S / STEP_S
    player.end(MESSAGES - 1, end_at)
    player.wait(1000)
    start, heard = modelled(arrivals, end_at, lead)
    assert player.heard == heard
    first = {sequence: quarter / 4 for quarter, sequence in reversed(arrivals)}
    for item, at in zip(player.items, player.times, strict=True):
        if isinstance(item, Ready):
            sequence = item.message.sequence
            assert at / STEP_S <= max(start, start + sequence - lead, first[sequence])
    count = player.count
    assert player.ended
    assert count.expected == MESSAGES
    assert (count.intact, count.lost) == (len(heard), MESSAGES - len(heard))
    assert count.late == len(first) - len(heard)
    assert count.duplicates == len(arrivals) - len(first)
    assert count.received == len(arrivals)
    come = [sequence for _, sequence in arrivals]
    assert count.out_of_order == sum(
        sequence < max(come[: index + 1]) and sequence not in come[:index]
        for index, sequence in enumerate(come)
    )


@given(any_arrivals(4.0), st.sampled_from([1.0, 1000.0]))
@REPEATABLE
def test_a_waiting_timeline_loses_nothing_that_comes_within_the_buffer(
    arrivals: Arrivals, speed: float
) -> None:
    player = Player(strict=False, speed=speed)
    for quarter, sequence in arrivals:
        player.arrive(sequence, quarter / 4)
    player.end(MESSAGES - 1, 1000)
    player.wait(2000)
    assert player.ended
    for sequence in range(MESSAGES):
        came = [quarter for quarter, n in arrivals if n == sequence]
        missed = [quarter for quarter, n in arrivals if n > sequence]
        if came and (not missed or came[0] < missed[0] + 8 * 4):
            assert sequence in player.heard
    assert len(player.heard) + player.count.lost == MESSAGES


EVENTS = st.one_of(
    st.tuples(
        st.just("audio"),
        st.one_of(st.integers(0, 60), st.integers(0, 2**64 - 1)),
        st.one_of(st.integers(-10, 10), st.integers(-(2**64), 2**64)),
        st.sampled_from([0, STEP_US, MAX_MESSAGE_US, MAX_MESSAGE_US + 1]),
    ),
    st.tuples(
        st.just("end"),
        st.one_of(st.none(), st.integers(0, 70), st.integers(0, 2**53)),
        st.one_of(st.integers(0, 2**20), st.integers(0, 2**64 - 1)),
    ),
    st.tuples(st.just("resume"), st.integers(0, 2 * MIN_CAPACITY)),
    st.tuples(st.just("close")),
)


@given(
    st.lists(st.tuples(st.integers(0, 100), EVENTS), max_size=60),
    st.booleans(),
    st.sampled_from([0.0, 0.25]),
    st.sampled_from([1.0, 1000.0, 0.001]),
)
@REPEATABLE
def test_whatever_comes_order_and_numbers_hold_and_the_owner_never_spins(
    events: list[tuple[int, tuple[object, ...]]], strict: bool, lead_s: float, speed: float
) -> None:
    player = Player(strict=strict, lead_s=lead_s, speed=speed)
    at = 0.0
    for pause, event in events:
        at += pause / 4
        # `wait`, within all of these, fails if `next_due` asks for what does not help.
        match event:
            case ("audio", int(sequence), int(offset_us), int(duration_us)):
                time_us = min(max(0, sequence * STEP_US + offset_us), 2**64 - 1)
                player.insert(audio(sequence, time_us), at, duration_us)
            case ("end", last, int(end_us)):
                assert last is None or isinstance(last, int)
                player.end(last, at, end_us)
            case ("resume", int(sequence)):
                player.window.resume(sequence)
            case _:
                player.close()
        assert player.window.awaited >= 0
        assert player.buffer.buffered_s(at * STEP_S) >= 0
        player.buffer.position_us(at * STEP_S)
    player.close()
    count = player.count
    assert all(a < b for a, b in itertools.pairwise(player.heard))
    assert player.shape.count("EndOfStream") == 1
    assert player.shape[-1] == "EndOfStream"
    assert all(a != "Gap" or b != "Gap" for a, b in itertools.pairwise(player.shape))
    assert (player.window.awaited, count.intact) == (0, len(player.heard))
    assert count.received == count.intact + count.duplicates + count.late
    assert strict or "Restart" not in player.shape
    assert player.shape.count("Gap") <= count.lost + count.underruns
    assert not player.window.ready
    assert all(one.audio is None for one in player.window._records.values())
    assert len(player.window._records) <= REMEMBERED


# What is computed from parity.


def test_what_is_rebuilt_in_time_is_heard_and_counted_as_rebuilt() -> None:
    player = Player()
    player.arrive([0, 1, 3, 4, 5, 6, 7], 0)
    assert player.rebuild(2, 5)
    player.end(7, 6)
    assert player.shape == [0, 1, 2, 3, 4, 5, 6, 7, "EndOfStream"]
    count = player.count
    assert (count.expected, count.intact, count.rebuilt, count.lost) == (8, 7, 1, 0)
    assert count.received == 7
    rebuilt = player.items[2]
    assert isinstance(rebuilt, Ready)
    assert rebuilt.message.type == Type.PARITY


def test_the_original_of_what_was_rebuilt_is_a_duplicate() -> None:
    player = Player()
    player.arrive([0, 1, 2, 3, 4, 5, 6, 7, 9], 0)
    assert player.rebuild(8, 1)
    assert player.arrive(8, 2) == [DUPLICATE]
    assert (player.count.received, player.count.duplicates, player.count.rebuilt) == (10, 1, 1)


def test_what_came_or_was_rebuilt_before_is_not_rebuilt_again() -> None:
    player = Player()
    player.arrive([0, 1, 2, 3, 4, 5, 6, 7, 9, 10], 0)
    assert player.rebuild(8, 1)
    assert not any(player.rebuild(sequence, 2) for sequence in (0, 7, 8, 9))
    assert player.count.rebuilt == 1


def test_what_is_rebuilt_after_its_deadline_counts_for_nothing_and_its_original_is_late() -> None:
    player = Player()
    player.arrive([0, 1, 2, 3, 4, 5, 6, 7, 9], 0)
    # Message 8 is needed from 8 steps on, and can be heard until 9, whether or not somebody looks.
    rebuilt = audio(8)._replace(type=Type.PARITY)
    assert not player.buffer.insert_rebuilt(AudioMessage(rebuilt, STEP_US), 9 * STEP_S)
    assert not player.rebuild(8, 9)
    assert (player.count.rebuilt, player.count.lost, player.count.late) == (0, 1, 0)
    assert player.arrive(8, 10) == [LATE]
    assert (player.count.received, player.count.late) == (10, 1)


def test_what_cannot_be_is_not_rebuilt() -> None:
    player = Player()
    player.arrive([0, 1, 3], 0)
    far = audio(2, 10 * MAX_MESSAGE_US)._replace(type=Type.PARITY)
    assert not player.buffer.insert_rebuilt(AudioMessage(far, STEP_US), 0.0)
    assert not player.buffer.insert_rebuilt(AudioMessage(audio(1 << 50), STEP_US), 0.0)
    assert (player.count.rebuilt, player.count.expected) == (0, 4)


@pytest.mark.parametrize(("hole_s", "events"), [(0.5, 0), (1.5, 1)])
def test_sound_that_is_back_is_an_event_if_a_listener_stood_still_for_long(
    hole_s: float, events: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    player = Player()
    player.arrive(range(10), at=0)
    player.wait(8)
    caplog.clear()
    # Nothing is taken meanwhile, and what comes first is what is new.
    back = 10 + round(hole_s / STEP_S)
    player._now = back * STEP_S
    assert player.buffer.insert(AudioMessage(audio(back), STEP_US), player._now) is Arrival.IN_TIME
    for at in range(back + 1, back + 20):
        player.arrive(at, at=at - 0.5)
    said = [one.message for one in caplog.records if "heard in" in one.message]
    assert len(said) == events
