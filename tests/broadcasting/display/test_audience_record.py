"""Figures of all listeners over time, and of the worst of them."""

from __future__ import annotations

from broadcasting.audience.figures import ListenerFigures
from broadcasting.display.audience_record import MOST_FOLLOWED, MOST_SHOWN, AudienceRecord, report
from message import Report


def listener(number: int, lost: int, at: float = 0.0) -> ListenerFigures:
    told = Report(
        session="s", clock_us=1, expected=1000, received=1000 - lost, intact=1000 - lost, lost=lost
    )
    return ListenerFigures(("127.0.0.1", number), at, 10.0, "listening", told)


def test_many_listeners_are_followed_as_far_as_room_goes_and_the_worst_are_shown() -> None:
    record = AudienceRecord()
    crowd = [listener(number, lost=0) for number in range(1, 301)]
    record.tell(1.0, crowd)
    worst = [listener(number, lost=number) for number in range(1, 301)]
    record.tell(2.0, worst)
    record.tell(3.0, worst)
    assert sum(bool(record.rows_of(one)) for one in worst) == MOST_FOLLOWED
    shown = report(record, "Song", [], None, [], worst, "now")
    assert shown.listeners is not None
    assert len(shown.listeners) == MOST_SHOWN
    assert all(one.rows for one in shown.listeners)
    assert "50 of 300" in shown.listeners_remark
    assert shown.listeners[0].name.endswith(":300")


def test_who_left_is_counted_once_and_for_good() -> None:
    record = AudienceRecord()
    record.tell(1.0, [listener(1, lost=3), listener(2, lost=1)])
    assert record.tell(2.0, [listener(1, lost=3), listener(1, lost=5)]).lost == 6
    assert record.tell(3.0, []).lost == 6
    # The same port again, from zero on.
    assert record.tell(4.0, [listener(1, lost=2, at=3.5)]).lost == 8
