"""Parity follows the loss that listeners report: up at once, down slowly, and within bounds."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from broadcasting.stream.parity_control import (
    HOLD_S,
    MOST_PARITIES,
    Loss,
    ParityControl,
    parities_for,
)
from message import Report


class Crowd:
    """Listeners that report once a second, and the control that hears them."""

    def __init__(self, count: int) -> None:
        self.control = ParityControl()
        self.losses = [Loss() for _ in range(count)]
        self.now = 1000.0
        self.expected = [0] * count
        self.missed = [0.0] * count

    def listen(self, seconds: int, *losses: float) -> int:
        """Pass `seconds` in which each listener loses its share; what is decided at the end."""
        for _ in range(seconds):
            self.now += 1.0
            for number, loss in enumerate(losses):
                self.expected[number] += 13
                self.missed[number] += 13 * loss
                self.report(number, self.expected[number], int(self.missed[number]))
            self.control.decide(self.now, self.losses)
        return self.control.parity_count

    def report(self, number: int, expected: int, missed: int) -> None:
        report = Report(
            session="", clock_us=0, expected=expected, received=0, intact=0, lost=missed
        )
        self.losses[number].report(report)


@pytest.mark.parametrize(
    ("loss", "parities"),
    [(0.0, 0), (0.0004, 0), (0.002, 1), (0.01, 2), (0.02, 2), (0.03, 3), (0.05, 4), (0.5, 4)],
)
def test_a_block_has_as_many_parities_as_its_loss_needs(loss: float, parities: int) -> None:
    assert parities_for(loss) == parities


def test_there_are_never_more_than_the_bound_nor_fewer_than_none() -> None:
    assert {parities_for(loss / 1000) for loss in range(1001)} == set(range(MOST_PARITIES + 1))


def test_nobody_there_or_nothing_lost_needs_no_parity() -> None:
    assert Crowd(0).listen(60) == 0
    assert Crowd(3).listen(60, 0.0, 0.0, 0.0) == 0


def test_parity_rises_within_seconds_and_falls_one_by_one_after_a_long_time_without() -> None:
    crowd = Crowd(1)
    assert crowd.listen(30, 0.05) == 4
    assert crowd.listen(round(HOLD_S) - 2, 0.0) == 4
    fewer = [crowd.listen(1, 0.0) for _ in range(120)]
    assert sorted(fewer, reverse=True) == fewer
    assert {*fewer} == {0, 1, 2, 3, 4}
    assert min(fewer.count(parities) for parities in (1, 2, 3)) >= HOLD_S


def test_a_loss_that_comes_and_goes_does_not_turn_parity_up_and_down() -> None:
    crowd = Crowd(1)
    crowd.listen(30, 0.03)
    seen = set()
    for _ in range(10):
        seen.add(crowd.listen(8, 0.01))
        seen.add(crowd.listen(8, 0.03))
    assert len(seen) == 1


def test_one_in_ten_on_a_dead_link_does_not_decide_for_the_others() -> None:
    assert Crowd(10).listen(60, *[0.0] * 9, 0.9) == 0
    assert Crowd(10).listen(60, *[0.0] * 8, 0.9, 0.9) == MOST_PARITIES


def test_who_has_left_does_not_count() -> None:
    crowd = Crowd(1)
    crowd.listen(30, 0.5)
    crowd.losses.clear()
    assert crowd.listen(200) == 0


def test_what_was_repaired_counts_as_lost_and_what_is_under_way_does_not() -> None:
    nothing = Report(session="", clock_us=0, expected=0, received=0, intact=0)
    for field, parities in (("retransmitted", 4), ("rebuilt", 4), ("lost", 4), ("late", 0)):
        control, loss = ParityControl(), Loss()
        for second in range(1, 60):
            counts: dict[str, Any] = {"expected": 13 * second, field: second}
            loss.report(dataclasses.replace(nothing, **counts))
            control.decide(1000.0 + second, [loss])
        assert control.parity_count == parities, field


def test_figures_that_cannot_be_move_the_parity_within_its_bounds_only() -> None:
    crowd = Crowd(1)
    for expected, missed in ((1 << 52, 0), (0, 1 << 52), (5, -9), (0, 0), (1, 1), (1 << 52, 1)):
        crowd.now += 10
        crowd.report(0, expected, missed)
        assert 0 <= crowd.control.decide(crowd.now, crowd.losses) <= MOST_PARITIES
