"""Which listeners fare worst: found a few at a time, and in order."""

from __future__ import annotations

from typing import Any

from broadcasting.audience import figures, ranking
from broadcasting.audience.figures import AudienceFigures
from broadcasting.audience.listener import Listener
from broadcasting.audience.ranking import EMPTY, ENDED, JOINING, PLAYING, SILENT, Ranking
from broadcasting.audience.registry import Registry
from message import Report
from wire.address import Address

TIMEOUT_S = 5.0


def address(number: int) -> Address:
    return ("192.0.2.1", 1024 + number)


def report(**figures: Any) -> Report:
    usual = {"session": "s", "clock_us": 0, "expected": 100, "received": 100, "intact": 100}
    return Report(**{**usual, "buffer_s": 1.0, **figures})


class Room:
    """Listeners, and a count of the REPORTs that were read."""

    def __init__(self, reports: dict[int, Report | None]) -> None:
        self.registry = Registry(100_000, TIMEOUT_S, most_per_network=100_000)
        for number, one in reports.items():
            self.registry.add(
                Listener(
                    address=address(number), nonce="n", session=str(number),
                    joined_at=0.0, heard_at=10.0,
                    first_sequence=0, first_time_us=0, live_time_us=0, name=str(number),
                    unread=None if one is None else one.to_message(),
                )
            )  # fmt: skip
        self.figures = AudienceFigures(self.registry)
        self.ranking = Ranking(self.registry, self.figures)

    @property
    def read(self) -> int:
        """How many REPORTs were read."""
        return sum(one.unread is None and one.report is not None for one in self.registry)

    def names(self, places: int, now: float) -> list[str]:
        while self.ranking.look(places, now):
            pass
        return [one.name for one in self.ranking.ranked.worst]


def test_the_worst_come_first() -> None:
    room = Room(
        {
            1: report(jitter_ms=1.0),
            2: report(jitter_ms=9.0),
            3: report(retransmitted=5, intact=95),
            4: report(lost=1, intact=99),
            5: report(lost=2, intact=198, expected=400),
            6: report(buffer_s=0.0),
            7: None,
            8: report(ended=True, buffer_s=0.0),
        }
    )
    assert room.names(8, 11.0) == ["6", "4", "5", "3", "2", "1", "7", "8"]
    ranked = room.ranking.ranked
    states = {one.name: one.state for one in ranked.worst}
    assert [states[name] for name in "16789"[:4]] == [PLAYING, EMPTY, JOINING, ENDED]
    assert (ranked.lost, ranked.repaired, ranked.jitter_ms) == (3, 5, 9.0)
    assert ranked.worst[1].loss == 0.01
    assert ranked.worst[6].loss is None


def test_who_is_silent_is_worst_of_all() -> None:
    room = Room({1: report(lost=50), 2: report()})
    listener = room.registry.at(address(1))
    assert listener is not None
    room.registry.heard(listener, 14.0)
    assert room.names(2, 14.0) == ["2", "1"]
    assert room.ranking.ranked.worst[0].state == SILENT


def test_of_many_a_few_are_looked_at_each_time_and_the_worst_are_found() -> None:
    count = 5_000
    room = Room({n: report(lost=n * 7 % 1013) for n in range(count)})
    looks, seen = 1, 0
    while room.ranking.look(10, 20.0):
        looks += 1
        assert room.read - seen <= figures.REPORTS_A_LOOK
        seen = room.read
    assert looks > count // figures.REPORTS_A_LOOK
    worst = sorted((n * 7 % 1013 for n in range(count)), reverse=True)[:10]
    assert [one.lost for one in room.ranking.ranked.worst] == worst
    assert room.ranking.ranked.lost == sum(n * 7 % 1013 for n in range(count))


def test_what_was_read_before_costs_little_and_a_look_has_an_end() -> None:
    room = Room(dict.fromkeys(range(1_000)))
    looks = 1
    while room.ranking.look(10, 20.0):
        looks += 1
    assert looks == -(-1_000 // figures.LISTENERS_A_LOOK)


def test_a_round_begins_a_while_after_the_last_one() -> None:
    room = Room({1: report(lost=1)})
    assert room.names(1, 20.0) == ["1"]
    listener = room.registry.at(address(1))
    assert listener is not None
    listener.report, listener.unread = report(lost=2), None
    for now, lost in ((21.0, 1), (20.0 + ranking.ROUND_EVERY_S, 2)):
        room.names(1, now)
        assert room.ranking.ranked.lost == lost


def test_of_many_a_round_begins_so_much_later_as_they_are_more() -> None:
    count = 5 * ranking.LISTENERS_A_SECOND
    room = Room(dict.fromkeys(range(count)))
    room.names(1, 20.0)
    room.names(1, 24.9)
    assert len(room.names(count, 24.9)) == 1, "as many as the last round was asked for"
    assert len(room.names(count, 25.0)) == count


def test_who_leaves_while_a_round_goes_on_is_not_told_of() -> None:
    room = Room(dict.fromkeys(range(600)))
    assert room.ranking.look(600, 20.0)
    for number in range(300, 600):
        listener = room.registry.at(address(number))
        assert listener is not None
        room.registry.remove(listener)
    assert len(room.names(600, 20.0)) == 300
