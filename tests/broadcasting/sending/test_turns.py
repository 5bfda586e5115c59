"""A pass over the audience in parts, in virtual time."""

from __future__ import annotations

import pytest

from broadcasting.sending.turns import PART_LISTENERS, Turn, Turns
from broadcasting.stream.history import Packet
from tests.rig.network import Network, balanced, segments

MESSAGES = [Packet(0, 0, 1, b"")]
NOW = 1000.0


def taken(turns: Turns, late_s: float = 0.0) -> list[tuple[float, Turn]]:
    """All turns of a pass, each `late_s` after it was due."""
    found = []
    while (due := turns.next_due()) is not None:
        if late_s == 0 and due > NOW:
            assert turns.take(due - 0.001) is None
        turn = turns.take(due + late_s)
        assert turn is not None
        found.append((due, turn))
    return found


@pytest.mark.parametrize("listeners", [0, 1, PART_LISTENERS])
def test_few_listeners_are_one_part_that_is_due_at_once(listeners: int) -> None:
    turns = Turns()
    turns.begin(MESSAGES, listeners, NOW, NOW + 0.08)
    ((due, turn),) = taken(turns)
    assert (due, turn) == (NOW, Turn(MESSAGES, 0, 1, 0.0))
    assert (turn.is_first, turn.is_last, turns.under_way) == (True, True, False)


def test_many_listeners_take_turns_evenly_until_something_else_is_due() -> None:
    turns = Turns()
    turns.begin(MESSAGES, 4 * PART_LISTENERS - 5, NOW, NOW + 1.0)
    found = taken(turns)
    assert [due for due, _ in found] == [NOW, NOW + 0.25, NOW + 0.5, NOW + 0.75]
    assert [(turn.part, turn.parts, turn.offset_s) for _, turn in found] == [
        (0, 4, 0.0),
        (1, 4, 0.25),
        (2, 4, 0.5),
        (3, 4, 0.75),
    ]
    assert [turn.is_last for _, turn in found] == [False, False, False, True]


@pytest.mark.parametrize("until", [None, NOW - 5])
def test_where_nothing_follows_or_all_is_late_already_nobody_waits(until: float | None) -> None:
    turns = Turns()
    turns.begin(MESSAGES, 3 * PART_LISTENERS, NOW, until)
    assert [due for due, _ in taken(turns)] == [NOW] * 3


def test_an_audience_that_comes_and_goes_during_a_pass_misses_nothing_and_gets_nothing_twice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("broadcasting.sending.turns.PART_LISTENERS", 2)
    network = Network(programme=segments(200))
    listeners = [network.join() for _ in range(7)]
    network.run(0.5)
    for step in range(40):
        # At any moment of a pass: 78 ms and 40 times 11 ms have no common measure.
        network.run(0.011)
        if step % 2:
            listeners.append(network.join())
        else:
            leaving = listeners.pop(3 * step % len(listeners))
            leaving.core.leave(network.now)
            network.run(0.02)
            network.remove(leaving)
    network.run(40, until=lambda: all(one.ended for one in listeners))
    for one in listeners:
        count = one.core.statistics
        assert (count.lost, count.duplicates, count.late, one.gaps) == (0, 0, 0, 0)
        assert one.sequences == list(range(one.sequences[0], 200))
        assert balanced(one)
