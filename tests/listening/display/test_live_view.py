"""The client's screen and plain line, for any size of a terminal."""

from __future__ import annotations

from dataclasses import replace

import pytest

from listening.arrival.statistics import Statistics
from listening.display.live_view import DRY_S, PLAYING, LiveView
from listening.listen import ListenSnapshot
from listening.outputs.fader import Loudness
from listening.session.session import State
from tests.rig.screens import EVIL_TITLE, SIZES, TITLES, check_plain_line, check_screen, plain


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
@pytest.mark.parametrize("title", TITLES)
def test_every_line_is_as_wide_as_the_screen_and_no_line_is_too_many(
    title: str, columns: int, rows: int
) -> None:
    for duration_s in (None, 0.0, 207.0, 1e6):
        view = client_view(snapshot(title=title, duration_s=duration_s))
        for view.shows_statistics in (False, True):
            check_screen(plain(view.lines(columns, rows)), columns, rows)


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
    check_plain_line(client_view(snapshot(title=EVIL_TITLE)).text())
    assert "jitter_ms=- rtt_ms=- " in client_view(snapshot()).text()


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
