"""When another machine is asked for its time, and which answers count."""

from __future__ import annotations

import itertools
from random import Random

import pytest

from broadcasting.audience.sessions import CLOCKS_PER_S
from clock.exchange import OUTSTANDING, SILENT_PAUSE_S, Exchange
from message import MOST_PAUSE_MS


def questions(
    exchange: Exchange, until: float, *, answers: bool = True, pause_s: float = 0.0
) -> list[float]:
    """When it asks until then, answered at once, or never."""
    asked = []
    while (due := exchange.next_due()) < until:
        mark = exchange.take_due(due)
        assert mark is not None
        asked.append(due)
        if answers:
            assert exchange.answered(mark, due + 5, due + 5, pause_s, due + 0.001)
    return asked


def test_it_asks_eight_times_at_once_every_second_for_20_s_and_then_every_4_s() -> None:
    asked = questions(Exchange(Random(1), 100.0), 400.0)
    counts = [sum(a <= one - 100 < b for one in asked) for a, b in ((0, 1), (1, 20), (20, 300))]
    assert counts[0] == pytest.approx(8, abs=1)
    assert counts[1] == pytest.approx(19, abs=3)
    assert counts[2] == pytest.approx(70, abs=7)


def test_its_pauses_are_never_the_same_and_never_fall_together_with_another_s() -> None:
    one, other = (questions(Exchange(Random(seed), 0.0), 300.0) for seed in (1, 2))
    pauses = [b - a for a, b in itertools.pairwise(one[40:])]
    assert len({round(pause, 3) for pause in pauses}) > len(pauses) / 2
    assert max(pauses) < 5.01
    assert len({round(at, 3) for at in one[1:]} & {round(at, 3) for at in other[1:]}) < 3


@pytest.mark.parametrize("listeners", [100, 1_000, 10_000])
def test_all_listeners_together_ask_less_than_100_times_a_second(listeners: int) -> None:
    pause_s = min(MOST_PAUSE_MS / 1e3, listeners / CLOCKS_PER_S)
    asked = questions(Exchange(Random(1), 0.0), 4_000.0, pause_s=pause_s)
    later = [at for at in asked if at > 400]
    assert listeners * len(later) / 3_600 < 100


def test_who_gets_no_answer_asks_seldom() -> None:
    asked = questions(Exchange(Random(1), 0.0), 1000.0, answers=False)
    assert len(asked) == pytest.approx(8 + 1000 / SILENT_PAUSE_S, abs=5)


def test_an_answer_counts_once_and_only_if_it_was_asked_for() -> None:
    exchange = Exchange(Random(1), 0.0)
    mark = exchange.take_due(0.0)
    assert mark is not None
    assert not exchange.answered(mark ^ 1, 5.0, 5.0, 0.0, 0.01)
    assert exchange.estimate(0.01) is None
    assert exchange.answered(mark, 5.0, 5.0, 0.0, 0.01)
    assert not exchange.answered(mark, 9.0, 9.0, 0.0, 0.02)
    estimate = exchange.estimate(0.01)
    assert estimate is not None
    assert estimate.offset_s == pytest.approx(5.0, abs=0.01)


def test_the_time_of_sending_is_what_counts() -> None:
    exchange = Exchange(Random(1), 0.0)
    mark = exchange.take_due(0.0)
    assert mark is not None
    exchange.sent(mark, 0.5)
    exchange.answered(mark, 5.5, 5.5, 0.0, 0.5)
    estimate = exchange.estimate(0.5)
    assert estimate is not None
    assert estimate.theirs(0.5) == pytest.approx(5.5)
    assert estimate.path_s == 0


def test_what_is_not_answered_is_forgotten() -> None:
    exchange = Exchange(Random(1), 0.0)
    questions(exchange, 10_000.0, answers=False)
    assert len(exchange._sent) == OUTSTANDING


def test_a_hint_asks_at_once_but_no_more_than_once_a_second() -> None:
    exchange = Exchange(Random(1), 0.0)
    questions(exchange, 100.0)
    exchange.hint(100.0)
    assert exchange.next_due() == 100.0
    exchange.take_due(100.0)
    exchange.hint(100.5)
    assert exchange.next_due() > 100.5


def test_another_clock_is_asked_from_the_beginning() -> None:
    exchange = Exchange(Random(1), 0.0)
    questions(exchange, 100.0)
    exchange.restart(100.0)
    assert exchange.estimate(100.0) is None
    assert len(questions(exchange, 101.0)) > 5
