"""The server's screen and plain line, for any size of a terminal."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from broadcasting.audience.ranking import EMPTY, PLAYING, Ranked, Standing
from broadcasting.broadcast import BroadcastView
from broadcasting.display.live_view import LiveView
from shell.terminal.paint import ALARM
from tests.rig.screens import EVIL_TITLE, SIZES, TITLES, check_plain_line, check_screen, plain


def standing(number: int, **figures: Any) -> Standing:
    usual = Standing(f"192.0.2.{number}:4{number:04}", 61.0, 0, 0.0, 0, 0.1, 0.2, 1.0, PLAYING)
    return usual._replace(**figures)


def broadcast(listeners: int = 3, **more: object) -> BroadcastView:
    view = BroadcastView(
        title="In Every Room", artist="The Datagrams", bit_rate_bps=128_000, position_s=63.0,
        duration_s=207.0, started=True, closing=False, listeners=listeners,
        ranked=Ranked([standing(n) for n in range(listeners)], 4, 5, 0.3), lateness_p99_ms=1.25,
    )  # fmt: skip
    return replace(view, **more)  # type: ignore[arg-type]


def server_lines(view: BroadcastView, columns: int = 80, rows: int = 24) -> list[str]:
    live = LiveView("port 4501")
    live.tell(view)
    return plain(live.lines(columns, rows))


@pytest.mark.parametrize(("columns", "rows"), SIZES)
@pytest.mark.parametrize("title", TITLES)
def test_every_line_is_as_wide_as_the_screen_and_no_line_is_too_many(
    title: str, columns: int, rows: int
) -> None:
    for duration_s in (None, 0.0, 207.0, 1e6):
        screen = server_lines(broadcast(30, title=title, duration_s=duration_s), columns, rows)
        check_screen(screen, columns, rows)


def test_the_server_shows_columns_as_there_is_room() -> None:
    for columns, head in (
        (80, "listener since loss repaired jitter RTT buffer state"),
        (60, "listener loss repaired jitter buffer state"),
        (40, "listener loss jitter state"),
        (20, "listener"),
    ):
        name = "192.0.2.111:65535"
        view = broadcast(ranked=Ranked([standing(1, name=name)], 0, 0, None))
        lines = server_lines(view, columns)
        assert lines[4].split() == head.split()
        assert lines[5].startswith(name)
    cells = "192.0.2.0:40000 1:01 0.0 % 0 0.1 ms 0.2 ms 1.0 s playing"
    assert server_lines(broadcast())[5].split() == cells.split()


def test_no_figure_that_a_listener_invents_moves_the_others() -> None:
    most = {"lost": 1 << 52, "loss": 1e15, "repaired": 1 << 52, "jitter_ms": 1e14, "buffer_s": 1e14}
    view = broadcast(ranked=Ranked([standing(1, **most), standing(2)], 0, 0, None))
    _, _, _, _, head, evil, usual, *_ = server_lines(view)
    assert len(head) == len(evil) == len(usual) == 80
    assert evil.endswith(" playing")
    for value, text in ((99.94, "99.9 ms"), (99.96, "100 ms"), (999.0, "999 ms"), (1500, "1.5 s")):
        one = standing(1, rtt_ms=value)
        assert f" {text} " in server_lines(broadcast(ranked=Ranked([one], 0, 0, None)))[5]


def test_the_port_of_a_long_address_can_be_seen() -> None:
    name = "[2001:db8:1234:5678:9abc:def0:1234:5678]:65535"
    view = broadcast(ranked=Ranked([standing(1, name=name)], 0, 0, None), listeners=1)
    for columns in (60, 80):
        assert ":5678]:65535 " in server_lines(view, columns)[5]
    assert server_lines(view, 120)[5].startswith(name)


def test_what_has_no_room_is_counted() -> None:
    lines = server_lines(broadcast(30), 80, 10)
    assert len(lines) == 10
    assert lines[-1].rstrip() == "and 26 more"
    assert server_lines(broadcast(5), 80, 10)[-1].startswith("192.0.2.4")
    assert server_lines(broadcast(6), 80, 10)[-1].rstrip() == "and 2 more"


def test_who_has_nothing_to_play_stands_out() -> None:
    live = LiveView("port 4501")
    live.tell(broadcast(ranked=Ranked([standing(1, state=EMPTY), standing(2)], 0, 0, None)))
    lines = live.lines(80, 24)
    assert ALARM in lines[5]
    assert ALARM not in lines[6]


def test_the_states_of_the_server_are_told() -> None:
    for view, state in (
        (broadcast(started=False), "waiting"),
        (broadcast(), "broadcasting"),
        (broadcast(closing=True), "ending"),
    ):
        assert server_lines(view)[0].startswith(f"{state}  In Every Room · The Datagrams")


def test_a_plain_line_is_one_line_of_names_and_values_with_the_title_last() -> None:
    live = LiveView("port 4501")
    live.tell(broadcast(title=EVIL_TITLE))
    check_plain_line(live.text())
