"""The last minute, second by second."""

from __future__ import annotations

from listening.arrival.statistics import Statistics
from listening.display.last_minute import SECONDS, LastMinute


def test_each_second_of_the_last_minute_is_told() -> None:
    minute = LastMinute()
    count = Statistics()
    minute.tell(count, 100.0)
    for second in range(1, 71):
        count.expected += 10
        count.retransmitted += second == 69
        count.lost += 2 * (second == 70)
        minute.tell(count, 100.0 + second)
        minute.tell(count, 100.5 + second)
    assert len(minute.seconds) == SECONDS
    assert [one.loss for one in minute.seconds][-3:] == [0.0, 0.1, 0.2]
    assert [one.lost for one in minute.seconds][-3:] == [0, 0, 2]
    # Nobody looked for three seconds; then nothing was expected.
    minute.tell(count, 174.2)
    assert [one.loss for one in minute.seconds][-4:] == [None] * 4
