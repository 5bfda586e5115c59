"""What is on the screens and in the plain lines, for any size of a terminal. No terminal."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
from rich.cells import cell_len

from broadcasting.broadcast import BroadcastView
from broadcasting.live_view import LiveView as ServerView
from broadcasting.ranking import EMPTY, PLAYING, Ranked, Standing
from listening.fader import Loudness
from listening.last_minute import SECONDS, LastMinute
from listening.listen import ListenSnapshot
from listening.live_view import DRY_S, LiveView
from listening.session import State
from listening.statistics import Statistics
from shell.paint import ALARM, bar, gauge, joined, painted, sparkline

COLOURS = re.compile(r"\x1b\[[0-9;]*m")
EVIL = "A\x1b[2Jb\nc\u202ed"
SIZES = [(columns, rows) for columns in (1, 2, 20, 79, 80, 200) for rows in (1, 2, 5, 24, 60)]


def plain(lines: object) -> list[str]:
    assert isinstance(lines, list)
    return [COLOURS.sub("", line) for line in lines]


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
    live = ServerView("port 4501")
    live.tell(view)
    return plain(live.lines(columns, rows))


def snapshot(**more: object) -> ListenSnapshot:
    count = Statistics(expected=100, intact=90, retransmitted=8, lost=2, received=98)
    now = ListenSnapshot(
        state=State.LISTENING, title="In Every Room", artist=None, position_s=63.0,
        duration_s=207.0, buffer_s=0.5, listeners=2, statistics=count,
    )  # fmt: skip
    return replace(now, **more)  # type: ignore[arg-type]


def client_view(now: ListenSnapshot, loudness: Loudness | None = None, **how: bool) -> LiveView:
    live = LiveView(buffer_s=1.0, is_heard=how.get("is_heard", True), has_keys=True)
    live.tell(now, loudness or Loudness(), 128_000, 0.0)
    return live


@pytest.mark.parametrize(("columns", "rows"), SIZES)
@pytest.mark.parametrize("title", ["", "In Every Room", "日本語" * 99, EVIL, "e\u0301" * 99])
def test_every_line_is_as_wide_as_the_screen_and_no_line_is_too_many(
    title: str, columns: int, rows: int
) -> None:
    for duration_s in (None, 0.0, 207.0, 1e6):
        listens = client_view(snapshot(title=title, duration_s=duration_s))
        screens = [server_lines(broadcast(30, title=title, duration_s=duration_s), columns, rows)]
        for listens.shows_statistics in (False, True):
            screens.append(plain(listens.lines(columns, rows)))
        for screen in screens:
            assert 1 <= len(screen) <= rows
            assert {cell_len(line) for line in screen} == {columns}
            assert all(line.isprintable() for line in screen)


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
    live = ServerView("port 4501")
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


def test_a_client_says_what_it_does() -> None:
    silent = Statistics()
    for now, loudness, state in (
        (snapshot(state=State.CONNECTING, statistics=silent), None, "looking for the server"),
        (snapshot(state=State.CONNECTING), None, "the server is gone: looking for it"),
        (snapshot(statistics=silent), None, "waiting for the start"),
        (snapshot(), None, "playing"),
        (snapshot(buffer_s=0.0), None, "playing"),
        (snapshot(), Loudness(paused=True), "paused"),
        (snapshot(state=State.ENDING), None, "ending"),
    ):
        live = client_view(now, loudness)
        assert plain(live.lines(80, 24))[0].startswith(state)
        assert f"state={state.replace(' ', '-')} " in live.text()


def test_a_client_whose_buffer_is_empty_and_stays_so_says_that_nothing_comes() -> None:
    live = client_view(snapshot(buffer_s=0.0))
    for time_s, received, state in ((0.0, 98, PLAYING), (DRY_S, 98, "nothing comes")):
        count = Statistics(expected=100, intact=90, received=received)
        live.tell(snapshot(buffer_s=0.0, statistics=count), Loudness(), 128_000, time_s)
        assert plain(live.lines(80, 24))[0].startswith(state)
    live.tell(snapshot(buffer_s=0.5), Loudness(), 128_000, 2 * DRY_S)
    assert plain(live.lines(80, 24))[0].startswith(PLAYING)


def test_where_nobody_listens_there_is_no_volume_and_no_pause() -> None:
    lines = [line.rstrip() for line in plain(client_view(snapshot(), is_heard=False).lines(80, 24))]
    assert lines[-1] == "s statistics · q quit"
    assert not any(line.startswith("volume") for line in lines)


def test_of_a_small_screen_the_most_important_lines_are_left() -> None:
    lines = plain(client_view(snapshot()).lines(40, 5))
    assert [line[:6].strip("━─ ") for line in lines] == ["playin", "", "buffer", "loss", "jitter"]


def test_a_plain_line_is_one_line_of_names_and_values_with_the_title_last() -> None:
    for text in (client_view(snapshot(title=EVIL)).text(), _server_text(broadcast(title=EVIL))):
        assert text.isprintable()
        named, title = text.split(" title=")
        assert title == "A?[2Jb?c?d"
        assert all(re.fullmatch(r"[a-z0-9_]+=\S+", word) for word in named.split())
    assert "jitter_ms=- rtt_ms=- " in client_view(snapshot()).text()


def _server_text(view: BroadcastView) -> str:
    live = ServerView("port 4501")
    live.tell(view)
    return live.text()


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


def test_bars_gauges_and_lines_stay_within_their_bounds() -> None:
    assert bar(0.5, 4) == ("━━", "──")
    assert bar(7.0, 2) == ("━━", "")
    assert bar(-1.0, 2) == ("", "──")
    assert gauge(0.5, 4) == "██  "
    assert gauge(1 / 32, 4) == "▏   "
    assert gauge(2.0, 4) == "████"
    assert gauge(-1.0, 4) == "    "
    assert sparkline([0.0, None, 0.5, 1.0, 9.0], 1.0) == "▁ ▅██"
    assert painted([("日本語", "")], 5) == "日本…"
    assert painted([("日本語", "")], 4) == "日 …"
    assert painted([("ab", ALARM), ("cd", "")], 3) == f"{ALARM}ab\x1b[0m…"


@pytest.mark.parametrize("rows", [1, 24])
def test_a_lost_sound_device_is_told_on_the_screen(rows: int) -> None:
    live = LiveView(buffer_s=1.0, is_heard=True, has_keys=True)
    live.tell(snapshot(), Loudness(), None, 1.0, "the sound device is gone")
    assert any("the sound device is gone" in line for line in live.lines(80, rows)) is (rows > 1)
    live.tell(snapshot(), Loudness(), None, 2.0)
    assert not any("gone" in line for line in live.lines(80, rows))


def test_no_number_is_cut_in_two_and_no_key_hidden_where_there_is_little_room() -> None:
    narrow = plain(client_view(snapshot()).lines(40, 24))
    assert narrow[-1].rstrip() == "space pause · s statistics · q quit"
    assert "…" not in "".join(narrow[2:])
    wide = plain(client_view(snapshot()).lines(80, 24))
    assert wide[-1].rstrip().startswith("space pause · ↑↓ volume")


def test_of_the_statistics_on_a_small_screen_the_way_back_is_left() -> None:
    view = client_view(snapshot())
    view.shows_statistics = True
    lines = plain(view.lines(80, 6))
    assert len(lines) == 6
    assert lines[-1].rstrip() == "s back · q quit"


def test_what_has_no_room_beside_the_others_is_left_out_whole() -> None:
    assert joined(["1 lost", "23 repaired"], 20) == "1 lost · 23 repaired"
    assert joined(["1 lost", "23 repaired"], 19) == "1 lost"
    assert joined(["10 lost"], 3) == "10 lost"
