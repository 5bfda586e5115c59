"""Figures over time: bounded, and nothing is lost from the sums; the page escapes what it shows."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as some

from broadcasting.audience_record import MOST_FOLLOWED, MOST_SHOWN, AudienceRecord, report
from broadcasting.reception import Departed
from listening.listen import ListenSnapshot
from listening.session import State
from listening.statistics import Statistics
from listening.timeline import figures
from message import Report as Told
from reporting.page import Report, page
from reporting.page import page as make_page
from reporting.svg import LARGE, Series, chart, gaps, nice_top, round_times
from reporting.table import head, line
from reporting.timeline import Figures, Row, Timeline, percents


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


@pytest.mark.parametrize(("state", "known"), [(State.LISTENING, True), (State.CONNECTING, False)])
def test_nothing_is_measured_while_a_lost_server_is_looked_for(state: State, known: bool) -> None:
    count = Statistics(expected=9, concealed_s=0.5, jitter_s=0.004, rtt_s=0.02)
    now = figures(ListenSnapshot(state, "", None, 3.0, None, 0.0, None, count))
    assert (now.jitter_ms, now.rtt_ms) == ((4.0, 20.0) if known else (None, None))
    assert (now.concealed_s, now.buffer_s) == (0.5, 0.0)


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


@pytest.mark.parametrize(("most", "top"), [(0, 1), (0.3, 0.5), (1, 1), (1.01, 2), (73, 100)])
def test_an_axis_begins_at_zero_and_ends_at_a_round_number(most: float, top: float) -> None:
    assert nice_top(most) == top


@given(some.floats(1e-9, 1e12))
def test_no_value_is_above_its_axis(most: float) -> None:
    assert most <= nice_top(most) <= 2.6 * most


def test_neighbours_that_were_concealed_are_one_gap() -> None:
    hole, whole = Figures(concealed_s=0.5), Figures()
    rows = [Row(i, i + 1, one) for i, one in enumerate((whole, hole, hole, whole, hole))]
    assert gaps(rows) == [(1, 3), (4, 5)]


def test_a_line_breaks_where_nothing_is_known() -> None:
    rows = [Row(i, i + 1, Figures()) for i in range(3)]
    drawn = chart(Series("Jitter", "ms", [1.0, None, 2.0], "jitter"), rows, LARGE, "x")
    path = drawn.split('class="line" d="')[1].split('"')[0]
    assert path.count("M") == 2


@pytest.mark.parametrize("title", ["<script>alert(1)</script>", "\x1b[31m\x07", "日本語 & \ud800"])
def test_what_comes_from_outside_is_text(title: str) -> None:
    facts = [(title, title, title)]
    content = page(Report(title, title, title, facts, [], listeners=[], listeners_remark=title))
    assert content.count("<script>") == 1, "only the page's own"
    assert not any(c in content for c in "\x1b\x07\ud800")
    content.encode()


def listener(number: int, lost: int, at: float = 0.0) -> Departed:
    told = Told(
        session="s", clock_us=1, expected=1000, received=1000 - lost, intact=1000 - lost, lost=lost
    )
    return Departed(("127.0.0.1", number), at, 10.0, "listening", told)


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


@pytest.mark.parametrize(
    ("begin_s", "end_s", "times"),
    [
        (0.0, 0.4, [0]),
        (0.0, 2.002, [0, 1, 2]),
        (0.0, 31.4, [0, 10, 20, 30]),
        (1.29, 29.5, [5, 10, 15, 20, 25]),
        (0.0, 75.0, [0, 30, 60]),
        (0.0, 3_725.0, [0, 900, 1_800, 2_700, 3_600]),
        (0.0, 86_400.0, [0, 21_600, 43_200, 64_800, 86_400]),
        (0.0, 700_000.0, [0, 172_800, 345_600, 518_400, 691_200]),
    ],
)
def test_times_of_an_axis_are_those_people_count_in(
    begin_s: float, end_s: float, times: list[int]
) -> None:
    assert round_times(begin_s, end_s, 5) == times


def test_the_second_in_which_the_last_messages_are_settled_is_not_one_of_100_percent() -> None:
    rows = [
        Row(0.0, 1.0, Figures(expected=40, repaired=4)),
        Row(1.0, 2.0, Figures(repaired=3, lost=1)),
        Row(2.0, 3.0, Figures()),
    ]
    assert percents(rows, "repaired") == [10.0, 7.5, None]
    assert percents(rows, "lost") == [0.0, 2.5, None]


def test_a_report_lists_what_was_heard_and_when_if_it_was_more_than_one_track() -> None:
    def text(*tracks: tuple[float, str]) -> str:
        return make_page(Report("T", "", None, [], [], tracks=tracks))

    assert "Tracks" not in text((0.0, "One"))
    both = text((0.0, "One"), (65.2, "<b>Two"))
    assert '<th scope="row">1:05</th><td>&lt;b&gt;Two</td>' in both
