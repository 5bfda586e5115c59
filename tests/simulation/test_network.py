"""Server and listeners together, in virtual time, over a network that is not kind."""

from __future__ import annotations

import dataclasses
import itertools
import re
from collections.abc import Callable, Iterator
from random import Random

import pytest

from broadcasting.settings import Settings
from broadcasting.source.segments import Segment
from listening.arrival.playable import NewStream, Ready
from listening.session.connecting import REFUSALS
from message import MAGIC, VERSION, Message, Type
from tests.rig.luck import once
from tests.rig.network import (
    SERVER,
    TRACK,
    Link,
    Listener,
    Network,
    balanced,
    random_loss,
    segments,
    silent_frame,
)
from wire.address import Address

pytestmark = once


def play_to_the_end(network: Network, *listeners: Listener) -> None:
    """Until every listener has heard the end and said goodbye, and the server may leave."""
    network.run(120, until=lambda: all(one.ended for one in listeners))
    for one in listeners:
        one.core.leave(network.now)
    network.run(2)


def without_requests(drop: Callable[[str, int], bool]) -> Network:
    """A network on which no REQUEST gets through: what is lost stays lost."""
    network = Network(link=Link(drop=drop))
    send = network.send

    def send_all_but_requests(side: str, data: bytes, address: Address) -> None:
        if data[3] != Type.REQUEST:
            send(side, data, address)

    network.send = send_all_but_requests  # type: ignore[method-assign]
    return network


def test_everything_is_heard_in_order_on_a_perfect_network() -> None:
    network = Network()
    listener = network.join()
    play_to_the_end(network, listener)
    assert listener.sequences == list(range(100))
    assert listener.gaps == 0
    assert listener.core.statistics.intact == listener.core.statistics.expected == 100
    assert network.server is not None
    assert network.finished


def test_the_first_sound_is_due_two_round_trips_after_the_start() -> None:
    network = Network()
    began = network.now
    listener = network.join()
    network.run(1)
    assert listener.played_at[0] - began == pytest.approx(4 * network.link.delay_s, abs=1e-3)


def test_a_late_joiner_begins_at_once_and_where_the_others_are() -> None:
    network = Network()
    first = network.join()
    network.run(3)
    began = network.now
    late = network.join()
    network.run(0.5)
    assert late.played_at[0] - began == pytest.approx(4 * network.link.delay_s, abs=1e-3)
    position_s = [one.core.snapshot(network.now).position_s for one in (first, late)]
    assert position_s[0] == pytest.approx(position_s[1], abs=0.15)
    play_to_the_end(network, first, late)
    assert late.sequences == list(range(late.sequences[0], 100))
    assert late.gaps == 0


def test_a_listener_gets_no_message_twice_when_its_burst_and_the_live_stream_meet() -> None:
    network = Network()
    network.join()
    network.run(3)
    late = network.join()
    network.run(2)
    assert late.core.statistics.duplicates == 0


def test_audio_from_before_a_listener_came_is_not_its_own() -> None:
    """As after a restart of the client at the same port: some is on its way to the run before."""
    network = Network()
    network.join()
    network.run(3)
    late = network.join()
    network.run(1)
    first = late.sequences[0]
    for kind in (Type.AUDIO, Type.REPEAT):
        stray = Message(first - 1, kind, silent_frame(), 0xABC0001, (first - 1) * 78_367, 1)
        late.core.receive_datagram(stray.pack(), SERVER, network.now)
    count = late.core.statistics
    assert (count.ignored, count.duplicates, count.late) == (2, 0, 0)
    assert balanced(late)


@pytest.mark.parametrize("seed", range(3))
def test_statistics_balance_and_agree_with_what_the_network_dropped(seed: int) -> None:
    network = without_requests(random_loss(0.1, seed))
    listener = network.join()
    play_to_the_end(network, listener)
    count = listener.core.statistics
    assert balanced(listener)
    assert count.expected == 100
    assert count.lost == 100 - len(listener.sequences) == network.lost_audio
    assert 0 < count.lost < 40


def test_reordering_within_the_buffer_loses_nothing() -> None:
    random = Random(1)
    network = Network(link=Link(jitter=lambda side, index: random.uniform(0, 0.4)))
    listener = network.join()
    play_to_the_end(network, listener)
    assert listener.sequences == list(range(100))
    assert listener.core.statistics.out_of_order > 0
    assert listener.core.statistics.lost == 0
    assert balanced(listener)


def test_duplicates_are_counted_and_not_heard() -> None:
    network = Network(link=Link(copies=lambda side, index: 2))
    listener = network.join()
    play_to_the_end(network, listener)
    assert listener.sequences == list(range(100))
    assert listener.core.statistics.duplicates == 100
    assert balanced(listener)


@pytest.mark.parametrize("lost_type", [1, 2, 3])
def test_a_lost_handshake_message_delays_but_does_not_lose_audio(lost_type: int) -> None:
    dropped: list[int] = []
    network = Network()
    send = network.send

    def send_but_once(side: str, data: bytes, address: tuple[str, int]) -> None:
        if data[3] == lost_type and not dropped:
            dropped.append(lost_type)
            return
        send(side, data, address)

    network.send = send_but_once  # type: ignore[method-assign, assignment]
    listener = network.join()
    play_to_the_end(network, listener)
    assert dropped
    assert listener.sequences == list(range(100))


def test_end_reaches_everyone_however_often_it_is_lost() -> None:
    network = Network()
    send = network.send
    lost = itertools.count()

    def send_without_ends(side: str, data: bytes, address: tuple[str, int]) -> None:
        if data[3] != 8 or next(lost) >= 5:
            send(side, data, address)

    network.send = send_without_ends  # type: ignore[method-assign, assignment]
    listener = network.join()
    play_to_the_end(network, listener)
    assert listener.ended
    assert next(lost) > 5


def test_stopping_the_server_ends_the_stream_where_it_is() -> None:
    network = Network()
    listener = network.join()
    network.run(2)
    assert network.server is not None
    network.server.stop(network.now)
    play_to_the_end(network, listener)
    assert listener.core.statistics.lost == 0
    assert listener.sequences == list(range(len(listener.sequences)))
    assert network.finished


def test_stopping_the_server_before_the_start_ends_a_stream_of_nothing() -> None:
    network = Network(Settings(wait_for=2))
    listener = network.join()
    network.run(2)
    assert network.server is not None
    network.server.stop(network.now)
    play_to_the_end(network, listener)
    assert listener.sequences == []
    assert listener.core.failure is None


def test_the_stream_waits_for_as_many_listeners_as_were_asked_for() -> None:
    network = Network(Settings(wait_for=3))
    two = [network.join(), network.join()]
    network.run(30)
    assert not any(one.sequences for one in two)
    third = network.join()
    play_to_the_end(network, *two, third)
    assert all(one.sequences == list(range(100)) for one in (*two, third))


def test_a_full_server_refuses_politely_and_takes_the_next_when_a_slot_is_free() -> None:
    network = Network(Settings(max_clients=1))
    first = network.join()
    network.run(1)
    second = network.join()
    network.run(1)
    assert second.core.closed
    assert second.core.failure is not None
    assert "full" in second.core.failure
    first.core.leave(network.now)
    network.run(0.1)
    third = network.join()
    network.run(1)
    assert third.sequences


def test_a_listener_that_is_killed_loses_its_slot_after_the_time_out() -> None:
    network = Network(Settings(timeout_s=5.0), segments(1000))
    stays, killed = network.join(), network.join()
    network.run(3)
    assert network.server is not None
    network.remove(killed)
    network.run(4.0)
    assert killed.address in network.server.registry.addresses
    network.run(2.1)
    assert network.server.registry.addresses == (stays.address,)


def test_a_server_that_is_killed_and_restarted_is_found_and_heard_again() -> None:
    network = Network(programme=segments(1000))
    listener = network.join()
    network.run(5)
    network.kill_server()
    network.run(3)
    network.start_server(Settings(), segments(100))
    network.run(2.5)
    assert listener.count(NewStream) == 2
    before = len(listener.sequences)
    play_to_the_end(network, listener)
    assert listener.sequences[-100:] == list(range(100))
    assert before < len(listener.sequences)
    assert listener.core.statistics.reconnections == 1
    assert balanced(listener)


def test_a_server_that_stays_away_is_given_up_with_the_statistics_of_what_was_heard() -> None:
    network = Network(programme=segments(1000))
    listener = network.join(timeout_s=10)
    network.run(5)
    network.kill_server()
    network.run(30)
    assert listener.core.closed
    assert listener.ended
    assert listener.core.failure is not None
    assert "lost" in listener.core.failure
    assert len(listener.sequences) == listener.core.statistics.intact > 50
    assert balanced(listener)


def test_a_cut_of_the_network_is_a_hole_on_the_timeline_and_nothing_more() -> None:
    cut = False
    network = Network(programme=segments(400), link=Link(drop=lambda side, index: cut))
    listener = network.join()
    network.run(5)
    cut = True
    network.run(3)
    cut = False
    network.run(2)
    position_s = listener.core.snapshot(network.now).position_s
    assert network.server is not None
    assert position_s == pytest.approx(network.server.snapshot(network.now).position_s, abs=0.2)
    play_to_the_end(network, listener)
    assert listener.count(NewStream) == 1
    assert listener.sequences[-1] == 399
    assert listener.core.statistics.expected == 400
    assert balanced(listener)


def test_a_long_cut_ends_in_a_new_registration_within_the_same_stream() -> None:
    cut = False
    network = Network(programme=segments(1200), link=Link(drop=lambda side, index: cut))
    listener = network.join(timeout_s=60)
    network.run(5)
    cut = True
    network.run(30)
    cut = False
    network.run(3)
    assert listener.core.statistics.reconnections == 1
    play_to_the_end(network, listener)
    assert listener.count(NewStream) == 1
    assert listener.sequences[-1] == 1199
    assert listener.core.statistics.expected == 1200
    assert balanced(listener)


def test_a_message_is_given_out_before_its_audio_is_needed() -> None:
    random = Random(2)
    network = Network(link=Link(jitter=lambda side, index: random.uniform(0, 0.9)))
    listener = network.join()
    play_to_the_end(network, listener)
    began = listener.played_at[1]
    for item, at in zip(listener.played, listener.played_at, strict=True):
        if isinstance(item, Ready):
            assert at <= began + item.message.media_time_us / 1e6 + 0.079


def test_an_interval_makes_the_server_wake_that_often_and_loses_nothing() -> None:
    network = Network(Settings(interval_s=0.5))
    listener = network.join()
    network.run(0.1)
    wakes = []
    while network.server is not None and not network.server.snapshot(network.now).closing:
        before = network.sent["server"]
        network.run(0.01)
        if network.sent["server"] - before > 2:
            wakes.append(network.now)
    assert all(b - a == pytest.approx(0.5, abs=0.02) for a, b in itertools.pairwise(wakes))
    play_to_the_end(network, listener)
    assert listener.sequences == list(range(100))


def test_ten_times_the_speed_takes_a_tenth_of_the_time() -> None:
    network = Network(Settings(speed=10.0), segments(1000))
    began = network.now
    listener = network.join(waits=True)
    network.run(100, until=lambda: listener.ended)
    assert listener.sequences == list(range(1000))
    assert network.now - began == pytest.approx(7.8, abs=1.2)


def test_every_loss_is_logged_with_its_sequence_and_the_losses_of_each_second_in_one_line(
    caplog: pytest.LogCaptureFixture,
) -> None:
    network = without_requests(random_loss(0.1, 4))
    listener = network.join()
    play_to_the_end(network, listener)
    said = [(one.name, one.message) for one in caplog.records if "lost" in one.message]
    missing = set(range(100)) - set(listener.sequences)
    logged = {text for name, text in said if name == "client.messages"}
    assert logged == {f"AUDIO {sequence}: lost" for sequence in missing}
    seconds = [
        re.fullmatch("in one second: ([0-9]+) lost", text)
        for name, text in said
        if name == "client"
    ]
    assert sum(int(found[1]) for found in seconds if found) == len(missing)
    assert 1 < len(seconds) <= 9


def with_a_short_one(before: int, after: int) -> Iterator[Segment]:
    """A programme of two files: the last message of the first holds a quarter of a frame."""
    whole = list(segments(before + after))
    short_us = 10_000
    yield from whole[:before]
    begin_us = whole[before].media_time_us
    kept = round(short_us * 44_100 / 1e6)
    yield Segment(silent_frame(), begin_us, short_us, TRACK, 0, 1152 - kept)
    for one in whole[before:]:
        yield dataclasses.replace(one, media_time_us=one.media_time_us + short_us)


def test_the_last_message_of_a_file_is_not_taken_for_the_pace_of_the_next() -> None:
    network = Network(programme=with_a_short_one(100, 100), link=Link(delay_s=0.05))
    send = network.send
    lost = range(1, 201, 5)
    assert 101 in lost, "the one that follows the short one"

    def send_but_a_fifth(side: str, data: bytes, address: Address) -> None:
        if data[3] != Type.AUDIO or Message.unpack(data).sequence not in lost:
            send(side, data, address)

    network.send = send_but_a_fifth  # type: ignore[method-assign]
    listener = network.join()
    play_to_the_end(network, listener)
    count = listener.core.statistics
    assert (count.requested, count.spurious, count.lost) == (len(lost), 0, 0)


@pytest.mark.parametrize("read", [True, False])
def test_a_refusal_of_the_version_is_believed_of_who_has_read_the_connect(read: bool) -> None:
    network = Network()
    network.kill_server()
    listener = network.join()
    listener.core.on_due(network.now)
    ((connect, _),) = listener.core.datagrams_to_send(network.now)
    mark = connect[24:32] if read else bytes(8)
    foreign = MAGIC + bytes((VERSION + 1, Type.REJECT)) + bytes(20) + mark + b"of another form"
    listener.core.receive_datagram(foreign, SERVER, network.now)
    network.run(2)
    assert listener.core.closed is read
    network.run(10)
    assert (listener.core.failure == REFUSALS["version"]) is read


@pytest.mark.parametrize("cut_s", [3, 6, 30])
def test_who_was_cut_off_plays_again_two_seconds_after_the_network_is_back(cut_s: int) -> None:
    link = Link()
    network = Network(programme=segments(1000), link=link)
    listeners = [network.join(timeout_s=60) for _ in range(10)]
    network.run(3)
    link.drop = lambda side, index: True
    network.run(cut_s)
    link.drop = lambda side, index: False
    back_at = network.now
    network.run(2)
    for one in listeners:
        items = zip(one.played, one.played_at, strict=True)
        assert any(isinstance(item, Ready) and at > back_at for item, at in items)
        assert one.core.statistics.reconnections == (cut_s > Settings().timeout_s)
        one.core.leave(network.now)
        assert balanced(one)


def test_what_comes_after_the_final_figures_were_told_does_not_change_them() -> None:
    kept: list[bytes] = []

    def late(side: str, data: bytes, address: Address) -> None:
        if data[3] == Type.AUDIO and Message.unpack(data).sequence == 20:
            kept.append(data)
        else:
            send(side, data, address)

    network = Network()
    send, network.send = network.send, late  # type: ignore[method-assign]
    listener = network.join()
    network.run(3)
    listener.core.leave(network.now)
    told = listener.core.statistics.copy()
    listener.core.receive_datagram(kept[0], SERVER, network.now)
    newer = Message.unpack(kept[0])._replace(sequence=told.expected, media_time_us=0)
    listener.core.receive_datagram(newer.pack(), SERVER, network.now)
    assert listener.core.statistics == dataclasses.replace(told, ignored=told.ignored + 2)
