"""Figures over time: rows are bounded, and nothing is lost from the sums."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as some

from reporting.table import head, line
from reporting.timeline import Figures, Row, Timeline, percents
from tests.rig.luck import once

pytestmark = once


@given(some.integers(2, 9), some.lists(some.integers(0, 5), max_size=60))
def test_rows_are_bounded_and_their_counts_add_up(most: int, losses: list[int]) -> None:
    timeline = Timeline(most=most)
    lost = 0
    for second, more in enumerate(losses, 1):
        lost += more
        timeline.tell(float(second), Figures(lost=lost, jitter_ms=float(more), buffer_s=1.0 - more))
        assert len(timeline.rows) <= most
    rows = timeline.rows
    assert sum(row.figures.lost for row in rows) == lost
    assert [row.begin_s for row in rows[1:]] == [row.end_s for row in rows[:-1]]
    if losses:
        assert (rows[0].begin_s, rows[-1].end_s) == (0.0, float(len(losses)))
        assert max(row.figures.jitter_ms or 0 for row in rows) == max(losses)
        assert min(row.figures.buffer_s or 0 for row in rows) == min(1.0 - max(losses), 1.0)


def test_a_week_takes_no_more_than_an_hour() -> None:
    timeline = Timeline(most=100)
    for second in range(1, 100_000):
        timeline.tell(float(second), Figures(expected=13 * second))
    assert 50 <= len(timeline.rows) <= 100
    lengths = {row.end_s - row.begin_s for row in timeline.rows[:-1]}
    assert lengths == {float(timeline.rows_in_one)}


def test_what_is_not_known_is_empty_in_a_row() -> None:
    names = head(server=True).strip().split(",")
    values = line(Row(0, 1.0, Figures(expected=13, concealed_s=0.25)), server=True).strip("\n")
    cells = dict(zip(names, values.split(","), strict=True))
    assert cells["time_s"] == "1"
    assert cells["concealed_s"] == "0.25"
    assert cells["jitter_ms"] == cells["listeners"] == ""


def test_the_second_in_which_the_last_messages_are_settled_is_not_one_of_100_percent() -> None:
    rows = [
        Row(0.0, 1.0, Figures(expected=40, repaired=4)),
        Row(1.0, 2.0, Figures(repaired=3, lost=1)),
        Row(2.0, 3.0, Figures()),
    ]
    assert percents(rows, "repaired") == [10.0, 7.5, None]
    assert percents(rows, "lost") == [0.0, 2.5, None]
