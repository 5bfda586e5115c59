"""The page escapes what it shows; its charts have axes that people can read."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as some

from reporting.page import ReportContent, page
from reporting.svg import LARGE, Series, chart, gaps, nice_top, round_times
from reporting.timeline import Figures, Row


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
    content = page(
        ReportContent(title, title, title, facts, [], listeners=[], listeners_remark=title)
    )
    assert content.count("<script>") == 1, "only the page's own"
    assert not any(c in content for c in "\x1b\x07\ud800")
    content.encode()


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


def test_a_report_lists_what_was_heard_and_when_if_it_was_more_than_one_track() -> None:
    def text(*tracks: tuple[float, str]) -> str:
        return page(ReportContent("T", "", None, [], [], tracks=tracks))

    assert "Tracks" not in text((0.0, "One"))
    both = text((0.0, "One"), (65.2, "<b>Two"))
    assert '<th scope="row">1:05</th><td>&lt;b&gt;Two</td>' in both
