"""One clock for a programme: the server's, through drift, suspends and pauses, in virtual time."""

from __future__ import annotations

import itertools

import pytest

from broadcasting.settings import Settings
from listening.arrival.playable import Ready, Restart
from message import Message, Timeline, Type
from simulation.link_conditions import LinkConditions
from tests.rig.luck import once
from tests.rig.network import SERVER, Link, Listener, Network, balanced, segments

pytestmark = once

NEAR = LinkConditions(delay_s=0.001, jitter_s=0.0005)


def places(listener: Listener) -> list[tuple[float, float]]:
    """Where each message sounds, on its own clock, and its media time; without the first sound.

    The output plays one message after the other, as its clock goes, from the first on.
    """
    longer_s = 0.0
    found = []
    for item in listener.played:
        if isinstance(item, Ready):
            media_s = item.message.media_time_us / 1e6
            found.append((media_s + longer_s, media_s))
            longer_s += item.longer_s
    return found


@pytest.mark.parametrize("ppm", [-300, -20, 20, 100, 300])
def test_whatever_the_drift_nothing_is_lost_and_the_sound_keeps_its_place(ppm: int) -> None:
    network = Network(programme=segments(12_000), link=NEAR)
    listener = network.join()
    listener.rate = 1 + ppm / 1e6
    network.run(900)
    count = listener.core.statistics
    assert (count.lost, count.underruns, count.jumps, listener.gaps) == (0, 0, 0, 0)
    assert listener.count(Restart) == 0
    assert count.clock_drift_ppm == pytest.approx(-ppm, abs=1)
    # From one minute on, the time since then is the server's.
    (began_s, from_s), *rest = places(listener)[60 * 13 :]
    errors = [(at_s - began_s) / listener.rate - (to_s - from_s) for at_s, to_s in rest]
    assert max(map(abs, errors)) < 0.001


def test_a_listener_says_how_well_it_knows_the_clock() -> None:
    network = Network(programme=segments(1000), link=LinkConditions(delay_s=0.02, jitter_s=0.001))
    listener = network.join()
    network.run(40)
    count = listener.core.statistics
    assert count.clock_path_s == pytest.approx(0.02, abs=0.001)
    assert count.clock_spread_s is not None
    assert count.clock_spread_s < 0.001
    assert network.server is not None
    (told,), _ = network.server.figures.present(iter([listener.address]), network.now)
    assert told.report is not None
    assert told.report.clock_path_ms == pytest.approx(20, abs=1)


@pytest.mark.parametrize("seconds", [20.0, 3600.0])
def test_a_listener_that_was_suspended_is_where_it_would_be_within_two_seconds(
    seconds: float,
) -> None:
    network = Network(programme=segments(50_000), link=NEAR)
    sleeper = network.join(timeout_s=1e6)
    network.run(30)
    sleeper.is_asleep = True
    network.run(seconds)
    # Its clock stood still.
    sleeper.is_asleep, sleeper.shift_s = False, -seconds
    network.run(2)
    assert network.server is not None
    newest_s = network.server._stream.sent_until_us / 1e6
    last = next(one for one in sleeper.played[::-1] if isinstance(one, Ready))
    assert last.message.media_time_us / 1e6 == pytest.approx(newest_s, abs=0.5)
    assert sleeper.core.statistics.jumps == 1
    network.run(5)
    # What is gone is left out, and none of it is concealed.
    assert sleeper.count(Restart) == 1
    at = next(i for i, one in enumerate(sleeper.played) if isinstance(one, Restart))
    ready = [one for one in sleeper.played[at:] if isinstance(one, Ready)]
    assert ready[0].message.media_time_us / 1e6 > seconds
    assert balanced(sleeper)
    where_s = sleeper.core.snapshot(sleeper.own(network.now)).position_s
    assert where_s == pytest.approx(network.server.snapshot(network.now).position_s, abs=0.1)


@pytest.mark.parametrize("seconds", [15.0, 3600.0])
@pytest.mark.parametrize("lost", [0, 2])
def test_a_server_that_stood_still_goes_on_with_a_burst_and_everybody_in_step(
    seconds: float, lost: int
) -> None:
    """`lost`: how often the first TIMELINE of the new origin does not arrive."""
    network = Network(Settings(timeout_s=5.0), segments(2000), Link(0.001))
    listeners = [network.join(timeout_s=1e6) for _ in range(3)]
    network.run(20)
    newest = listeners[0].sequences[-1]
    drop = itertools.count()
    original = network.send

    def send(side: str, data: bytes, address: tuple[str, int]) -> None:
        told = data[3] == Type.TIMELINE and network.unread is None
        if not told or next(drop) >= lost * len(listeners):
            original(side, data, address)

    network.send = send  # type: ignore[method-assign,assignment]
    network.stop_server(seconds)
    sent = network.sent["server"]
    network.run(1)
    burst = 13
    assert network.sent["server"] - sent <= len(listeners) * (burst + 60)
    network.run(1)
    assert network.server is not None
    assert network.server.statistics.expired == 0
    for one in listeners:
        count = one.core.statistics
        # What comes before the new origin is known is too late by the old one: 0.2 s and a burst.
        assert count.lost <= (17 if lost else 0)
        assert count.concealed_s == 0
        assert one.sequences[-1] > newest + 13 + 6
        assert count.jumps == 1
        assert balanced(one)
    where_s = [one.core.snapshot(network.now).position_s for one in listeners]
    assert max(where_s) - min(where_s) < 0.05


@pytest.mark.parametrize(
    ("origin_s", "sequence"),
    [(86_400.0, 0), (86_400.0, 100), (10.0, 10**9), (-500.0, 0), (1e9, 200)],
)
def test_an_origin_that_cannot_be_moves_nothing(origin_s: float, sequence: int) -> None:
    network = Network(programme=segments(600), link=Link(0.001))
    listener = network.join()
    network.run(10)
    origin_us = round((1000 + origin_s) * 1e6)
    hostile = Timeline(origin_us=origin_us).to_message(sequence, stream=0xABC0001, track=9)
    listener.core.receive_datagram(hostile.pack(), SERVER, network.now)
    network.run(20)
    count = listener.core.statistics
    assert (count.lost, count.jumps, listener.gaps, listener.count(Restart)) == (0, 0, 0, 0)
    assert all(one.longer_s == 0 for one in listener.played if isinstance(one, Ready))


def test_a_time_that_was_not_asked_for_is_counted_and_changes_nothing() -> None:
    network = Network(programme=segments(600), link=Link(0.001))
    listener = network.join()
    times: list[bytes] = []
    original = listener.core.receive_datagram

    def receive(data: bytes, *where: object) -> None:
        if data[3] == Type.TIME:
            times.append(data)
        original(data, *where)  # type: ignore[arg-type]

    listener.core.receive_datagram = receive  # type: ignore[method-assign,assignment]
    network.run(10)
    ignored = listener.core.statistics.ignored
    before = listener.core._session.clock.estimate(network.now)
    other = Message.unpack(times[0])
    for forged in (
        times[0],
        other._replace(data=b"\x01" * 8 + other.data[8:]).pack(),
        other._replace(stream=7).pack(),
    ):
        original(forged, SERVER, network.now)
    assert listener.core.statistics.ignored == ignored + 3
    assert listener.core._session.clock.estimate(network.now) == before


def test_a_server_without_a_clock_is_heard_as_before() -> None:
    network = Network(programme=segments(300), link=Link(0.001))
    listener = network.join()
    original = network.send

    def send(side: str, data: bytes, address: tuple[str, int]) -> None:
        if data[3] not in (Type.CLOCK, Type.TIMELINE):
            original(side, data, address)

    network.send = send  # type: ignore[method-assign,assignment]
    network.run(30)
    assert listener.sequences == list(range(300))
    assert listener.core.statistics.clock_spread_s is None
