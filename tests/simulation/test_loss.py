"""Repair by request on networks that lose, in virtual time: both cores, a minute of music.

The output cannot wait, as a loudspeaker: that is the hardest. What must be reached stands in the
tests' names.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from random import Random

import pytest

from broadcasting.settings import Settings
from message import Message, Request, Type
from tests.rig.luck import once, seeds
from tests.rig.network import (
    SERVER,
    Link,
    Listener,
    Network,
    balanced,
    burst_loss,
    random_loss,
    segments,
    silent_frame,
)
from wire.address import Address

pytestmark = once

MINUTE = 766
"""Messages of three frames."""
SEEDS = seeds(5)


def play(network: Network, *listeners: Listener) -> None:
    """Until every listener has heard the end and said goodbye."""
    network.run(200, until=lambda: all(one.ended for one in listeners))
    for one in listeners:
        one.core.leave(network.now)
    network.run(2)


def heard(drop: Callable[[str, int], bool], rtt_s: float = 0.05) -> tuple[Network, Listener]:
    """A minute of music over such a network."""
    network = Network(programme=segments(MINUTE), link=Link(delay_s=rtt_s / 2, drop=drop))
    listener = network.join()
    play(network, listener)
    return network, listener


def is_whole(listener: Listener, count: int = MINUTE) -> bool:
    """Whether every message was played, in order, and nothing else."""
    return listener.sequences == list(range(count)) and listener.gaps == 0


def share(network: Network, bytes_: int) -> float:
    """`bytes_` as a share of the bytes of audio."""
    assert network.server is not None
    return bytes_ / network.server.statistics.audio_bytes


def filtered(network: Network, passes: Callable[[str, bytes, Address], bool]) -> Network:
    """Only what `passes` is sent at all."""
    send = network.send

    def send_if_it_passes(side: str, data: bytes, address: Address) -> None:
        if passes(side, data, address):
            send(side, data, address)

    network.send = send_if_it_passes  # type: ignore[method-assign]
    return network


def untidy_link(jitter_s: float, share_held: float, seed: int) -> Link:
    """Some datagrams are held up, and overtaken; some come twice."""
    random = Random(seed)

    def jitter(side: str, index: int) -> float:
        return random.uniform(0, jitter_s) if random.random() < share_held else 0.0

    return Link(jitter=jitter, copies=lambda side, index: 1 + (random.random() < 0.05))


# What must be reached.


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("rtt_s", [0.002, 0.05])
def test_with_a_fifth_lost_each_way_everything_is_heard(seed: int, rtt_s: float) -> None:
    network, listener = heard(random_loss(0.2, seed), rtt_s)
    assert is_whole(listener)
    assert share(network, network.bytes_to[listener.address]) < 1 / 0.8 * 1.1
    assert share(network, network.bytes_of[Type.REQUEST]) < 0.03
    count = listener.core.statistics
    assert count.retransmitted == network.lost_audio > 100
    assert count.intact == MINUTE - network.lost_audio
    assert (count.lost, count.underruns, count.reconnections) == (0, 0, 0)
    assert balanced(listener)


@pytest.mark.parametrize("seed", SEEDS)
def test_with_three_tenths_lost_each_way_all_but_a_thousandth_is_heard(seed: int) -> None:
    network, listener = heard(random_loss(0.3, seed))
    assert len(listener.sequences) >= 0.999 * MINUTE
    assert share(network, network.bytes_to[listener.address]) < 1 / 0.7 * 1.1
    assert listener.core.statistics.retransmitted <= network.lost_audio
    assert balanced(listener)


# One run in two hundred meets a burst of forty datagrams, which a second cannot bridge.
@pytest.mark.parametrize("seed", range(1, 6))
def test_with_a_tenth_lost_in_bursts_of_five_everything_is_heard(seed: int) -> None:
    network, listener = heard(burst_loss(0.1, 5, seed))
    assert network.lost_audio > 20
    assert is_whole(listener)
    assert share(network, network.bytes_of[Type.REQUEST]) < 0.03
    assert balanced(listener)


@pytest.mark.parametrize("seed", seeds(3))
@pytest.mark.parametrize("rtt_s", [0.002, 0.02])
def test_a_buffer_of_a_fifth_of_a_second_is_enough_nearby(seed: int, rtt_s: float) -> None:
    drop = random_loss(0.1, seed)
    network = Network(programme=segments(MINUTE), link=Link(delay_s=rtt_s / 2, drop=drop))
    listener = network.join(buffer_s=0.2)
    play(network, listener)
    assert is_whole(listener)


@pytest.mark.parametrize("held", ["all", "some"])
@pytest.mark.parametrize("jitter_s", [0.05, 0.2, 0.4, 0.6])
def test_a_path_that_only_reorders_and_doubles_is_asked_next_to_nothing(
    held: str, jitter_s: float
) -> None:
    spurious = 0
    for seed in SEEDS:
        link = untidy_link(jitter_s, 1.0 if held == "all" else 0.02, seed)
        network = Network(programme=segments(MINUTE), link=link)
        listener = network.join()
        play(network, listener)
        count = listener.core.statistics
        assert is_whole(listener)
        assert (count.lost, count.late) == (0, 0)
        assert count.duplicates > 0
        assert count.spurious == count.requested
        assert balanced(listener)
        spurious += count.requested
    assert spurious <= 0.001 * MINUTE * len(SEEDS)


@pytest.mark.parametrize("interval_s", [None, 0.5, 1.0])
@pytest.mark.parametrize("speed", [1.0, 10.0])
def test_a_perfect_network_is_asked_nothing(interval_s: float | None, speed: float) -> None:
    settings = Settings(interval_s=interval_s, speed=speed)
    network = Network(settings, segments(round(200 * speed)))
    first = network.join(waits=speed != 1.0)
    network.run(5)
    late = network.join(waits=speed != 1.0)
    play(network, first, late)
    assert network.bytes_of[Type.REQUEST] == 0
    assert first.core.statistics.lost == late.core.statistics.lost == 0


def test_a_burst_that_waits_for_its_turn_is_not_asked_for() -> None:
    network = Network(Settings(burst_rate_bytes_per_s=200_000.0, max_clients=100), segments(200))
    first = network.join()
    network.run(3)
    crowd = [network.join() for _ in range(10)]
    play(network, first, *crowd)
    assert network.bytes_of[Type.REQUEST] == 0
    assert all(one.core.statistics.lost == 0 for one in crowd)


# The start, the end, and what happens between.


@pytest.mark.parametrize("lost", [{0}, {5}, {11, 12}, {*range(13)}, {*range(1, 13, 2)}])
def test_what_is_lost_of_the_opening_burst_is_repaired_before_the_first_sound(
    lost: set[int],
) -> None:
    def passes(side: str, data: bytes, address: Address) -> bool:
        return data[3] != Type.AUDIO or Message.unpack(data).sequence not in lost

    network = filtered(Network(), passes)
    listener = network.join()
    play(network, listener)
    assert is_whole(listener, 100)
    assert listener.core.statistics.retransmitted == len(lost)


@pytest.mark.parametrize("lost", [1, 3, 12])
@pytest.mark.parametrize("lost_ends", [0, 2])
def test_the_tail_of_the_stream_is_repaired(lost: int, lost_ends: int) -> None:
    ends = itertools.count()

    def passes(side: str, data: bytes, address: Address) -> bool:
        if data[3] == Type.END:
            return next(ends) >= lost_ends
        return data[3] != Type.AUDIO or Message.unpack(data).sequence < 100 - lost

    network = filtered(Network(), passes)
    listener = network.join()
    play(network, listener)
    assert is_whole(listener, 100)
    assert listener.core.statistics.retransmitted == listener.core.statistics.requested == lost
    assert network.server is not None
    assert network.server.statistics.requests_unknown == 0 or lost_ends > 0


def test_a_cut_shorter_than_the_buffer_is_not_heard() -> None:
    cut = False
    network = Network(programme=segments(300), link=Link(drop=lambda side, index: cut))
    listener = network.join()
    network.run(5)
    cut = True
    network.run(0.7)
    cut = False
    play(network, listener)
    assert is_whole(listener, 300)


def test_an_output_that_waits_gets_what_a_cut_of_seconds_has_lost() -> None:
    cut = False
    network = Network(programme=segments(300), link=Link(drop=lambda side, index: cut))
    listener = network.join(waits=True)
    network.run(5)
    cut = True
    network.run(4)
    cut = False
    play(network, listener)
    assert is_whole(listener, 300)


@pytest.mark.parametrize("seed", seeds(20))
def test_with_three_tenths_lost_a_listener_registers_stays_and_leaves(seed: int) -> None:
    network = Network(programme=segments(200), link=Link(drop=random_loss(0.3, seed)))
    listener = network.join()
    play(network, listener)
    assert listener.core.failure is None
    assert listener.ended
    assert listener.core.statistics.reconnections == 0
    assert listener.core.closed
    assert listener.core.statistics.expected == 200


def test_who_loses_only_what_it_says_stays_registered() -> None:
    random = Random(1)
    drop = lambda side, index: side == "client" and random.random() < 0.5  # noqa: E731
    network = Network(programme=segments(MINUTE), link=Link(drop=drop))
    listener = network.join()
    play(network, listener)
    assert listener.core.statistics.reconnections == 0
    assert is_whole(listener)


def test_jitter_is_that_of_what_was_first_sent() -> None:
    _, listener = heard(random_loss(0.1, 1))
    assert listener.core.statistics.retransmitted > 0
    assert listener.core.statistics.jitter_s == pytest.approx(0, abs=1e-6)


def test_registered_anew_a_listener_does_not_ask_for_what_is_on_its_way() -> None:
    cut = False
    network = Network(
        Settings(burst_rate_bytes_per_s=40_000.0),
        segments(1200),
        Link(drop=lambda side, index: cut),
    )
    listener = network.join(timeout_s=60)
    network.run(5)
    cut = True
    network.run(20)
    cut = False
    before = listener.core.statistics.requests
    play(network, listener)
    assert listener.core.statistics.reconnections == 1
    assert listener.core.statistics.requests == before
    assert listener.sequences[-1] == 1199
    assert listener.core.accept is not None
    assert listener.core._stream is not None
    assert listener.core._stream._repair._live_time_us == listener.core.accept.live_time_us > 20e6


def test_a_sequence_that_cannot_be_makes_nothing_missing() -> None:
    network = Network()
    listener = network.join()
    network.run(2)
    stream = 0xABC0001
    far = Message(10**6, Type.AUDIO, silent_frame(), stream, 10**10)
    listener.core.receive_datagram(far.pack(), SERVER, network.now)
    play(network, listener)
    assert is_whole(listener, 100)
    assert listener.core.statistics.requested == 0


# What it must not do to others.


def test_a_listener_whose_link_is_dead_takes_no_more_than_its_share() -> None:
    network = Network(programme=segments(MINUTE))
    dead, well = network.join(), network.join()
    began = network.now + 10

    def passes(side: str, data: bytes, address: Address) -> bool:
        is_cut = side == "server" and address == dead.address and network.now > began
        if is_cut and data[3] in (Type.AUDIO, Type.REPEAT):
            network.bytes_to[address] += len(data)
        return not is_cut or data[3] not in (Type.AUDIO, Type.REPEAT)

    filtered(network, passes)
    network.run(40)
    assert network.server is not None
    assert network.bytes_to[dead.address] < 2.2 * network.bytes_to[well.address]
    assert network.server.statistics.repeats_refused > 0
    play(network, well)
    assert is_whole(well)
    assert well.core.statistics.requested == 0


def test_a_server_that_is_gone_is_not_showered_with_requests() -> None:
    network = Network(programme=segments(MINUTE))
    listener = network.join()
    network.run(5)
    network.kill_server()
    before = network.bytes_of[Type.REQUEST]
    network.run(20)
    assert before == 0
    assert 0 < listener.core.statistics.requests < 80


def test_requests_and_repairs_are_logged_on_both_sides(caplog: pytest.LogCaptureFixture) -> None:
    def passes(side: str, data: bytes, address: Address) -> bool:
        return data[3] != Type.AUDIO or Message.unpack(data).sequence not in (50, 51)

    caplog.set_level("INFO")
    network = filtered(Network(), passes)
    play(network, network.join())
    said = [(record.name, record.message) for record in caplog.records]
    for name, text in (
        ("client", "in one second: 2 repaired (2 retransmitted, 0 rebuilt)"),
        ("client.messages", "AUDIO 50-51: missing"),
        ("client.messages", "asked for AUDIO 50-51"),
        ("server", "in one second: 2 repeated, listeners: 1"),
        ("server.messages", "sent REPEAT 50, 1283 bytes, to 198.51.100.1:10000"),
        ("client.messages", "received REPEAT 51, 1283 bytes"),
        ("client.messages", "AUDIO 51: repaired after 0.26 s (requests: 1)"),
    ):
        assert (name, text) in said
    assert any(text.startswith("sent REQUEST") for name, text in said if name == "client.messages")
    assert any(
        text.startswith("received REQUEST") for name, text in said if name == "server.messages"
    )
    events = [text for name, text in said if name in ("client", "server")]
    assert not any(text.startswith(("sent", "received")) for text in events)
    assert len(events) < 15


def test_a_request_is_small_and_says_what_is_missing() -> None:
    sent: list[Request] = []

    def passes(side: str, data: bytes, address: Address) -> bool:
        if data[3] == Type.REQUEST:
            assert len(data) < 90
            sent.append(Request.from_message(Message.unpack(data)))
        return data[3] != Type.AUDIO or Message.unpack(data).sequence not in (50, 51, 53)

    network = filtered(Network(), passes)
    play(network, network.join())
    assert sorted({n for one in sent for r in one.ranges() for n in r}) == [50, 51, 53]
    assert len(sent) <= 2
