"""What a listener knows of what it hears, and from where on."""

from __future__ import annotations

import dataclasses

import pytest

from broadcasting.settings import Settings
from listening.arrival.playable import Ready
from listening.arrival.titles import MOST_HEARD, MOST_TITLES, Title, Titles
from message import Type
from tests.rig.network import TRACK, Network, balanced, segments
from wire.address import Address

DURATION_S = 40 * 3 * 1152 / 44_100
"""Length of each track here."""


def test_a_title_holds_from_its_time_on_whatever_the_order_in_which_it_comes() -> None:
    titles = Titles()
    first, second, third = (Title(time, f"at {time}", None) for time in (0, 1000, 2000))
    for one in (second, first, third, second):
        titles.learn(one)
    assert [titles.at(time) for time in (0, 999, 1000, 2500)] == [first, first, second, third]
    assert Titles().at(5) is None


def test_what_was_heard_is_told_once_each() -> None:
    titles = Titles()
    titles.learn(Title(0, "One", None))
    titles.learn(Title(100, "One", None))  # a stall
    titles.learn(Title(200, "Two", "Somebody"))
    told = [titles.hand_out(time) for time in range(0, 300, 50)]
    assert [one.title for one in told if one] == ["One", "Two"]
    assert [one.media_time_us for one in titles.heard(250)] == [0, 200]
    assert [one.media_time_us for one in titles.heard(200)] == [0]
    assert titles.heard(0) == []


def test_what_is_kept_is_bounded() -> None:
    titles = Titles()
    for time in range(3 * MOST_HEARD):
        titles.learn(Title(time, str(time), None))
        titles.hand_out(time)
    assert (len(titles._known), len(titles.heard(1 << 60))) == (MOST_TITLES, MOST_HEARD)


def test_the_title_changes_with_the_segment_that_sounds_even_if_it_was_lost_on_the_way() -> None:
    tracks = [dataclasses.replace(TRACK, number=n, title=f"Title {n}") for n in (1, 2)]
    programme = [
        dataclasses.replace(one, track=tracks[index >= 40])
        for index, one in enumerate(segments(80))
    ]
    for lost in (False, True):
        network = _Network(Settings(), iter(programme))
        network.drops_tracks = lost
        listener = network.join()
        seen: dict[str, float] = {}
        while not listener.ended and network.now < 1020:
            network.run(0.01)
            now = listener.core.snapshot(network.now)
            if now.title:
                seen.setdefault(now.title, now.position_s)
        assert list(seen) == ["Title 1", "Title 2"], seen
        begins_s = programme[40].media_time_us / 1e6
        assert begins_s <= seen["Title 2"] <= begins_s + 0.03
        heard = listener.core.snapshot(network.now).tracks
        assert [one.title for one in heard] == ["Title 1", "Title 2"]
        assert heard[1].media_time_us == programme[40].media_time_us
        assert balanced(listener)
        assert sum(isinstance(item, Ready) for item in listener.played) == 80


@pytest.mark.parametrize(
    ("waits", "titles"), [(False, ["Title 1"]), (True, ["Title 1", "Title 2"])]
)
def test_who_leaves_before_a_change_has_not_heard_the_next_title(
    waits: bool, titles: list[str]
) -> None:
    tracks = [dataclasses.replace(TRACK, number=n, title=f"Title {n}") for n in (1, 2)]
    programme = [
        dataclasses.replace(one, track=tracks[index >= 40])
        for index, one in enumerate(segments(80))
    ]
    network = Network(Settings(burst_s=2.0), iter(programme))
    listener = network.join(waits=waits)
    changes_us = programme[40].media_time_us
    leaves_us = changes_us - 800_000

    def position_us() -> float:
        return listener.core.snapshot(network.now).position_s * 1e6

    # What is written to a file is written as soon as it comes.
    network.run(9, until=lambda: position_us() >= (changes_us + 80_000 if waits else leaves_us))
    listener.core.leave(network.now)
    listener.play(network.now)
    network.run(1)
    end = listener.core.snapshot(network.now)
    assert [one.title for one in end.tracks] == titles
    if not waits:
        assert end.title == "Title 1"
        assert end.position_s * 1e6 == pytest.approx(leaves_us, abs=80_000)


@pytest.mark.parametrize("lost", [False, True])
def test_a_listener_knows_how_long_the_programme_is_after_a_skip(lost: bool) -> None:
    tracks = [dataclasses.replace(TRACK, number=n, duration_s=DURATION_S) for n in (1, 2)]
    programme = [
        dataclasses.replace(one, track=tracks[index >= 40])
        for index, one in enumerate(segments(80))
    ]
    network = _Network(Settings(duration_s=2 * DURATION_S), iter(programme))
    network.drops_tracks = lost
    listener = network.join()
    network.run(1)
    assert listener.core.snapshot(network.now).duration_s == 2 * DURATION_S
    assert network.server is not None
    network.server.skip()
    late = network.join()
    network.run(4)
    (left_in, other) = (one.core.snapshot(network.now).duration_s for one in (listener, late))
    network.run(20)
    assert left_in is not None
    assert left_in == other == pytest.approx(network.server.snapshot(network.now).duration_s)
    assert left_in == pytest.approx(listener.core.snapshot(network.now).position_s, abs=0.001)
    assert DURATION_S < left_in < 2 * DURATION_S


class _Network(Network):
    """Loses every TRACK, if that is asked for."""

    drops_tracks = False

    def send(self, side: str, data: bytes, address: Address) -> None:
        if not (self.drops_tracks and data[3] == Type.TRACK):
            super().send(side, data, address)
