"""A path that carries only short datagrams is noticed, and no other is. Virtual time."""

from __future__ import annotations

import dataclasses

import pytest

from broadcasting.audience.paths import LONG_BYTES
from broadcasting.settings import Fragments, Settings
from tests.rig.network import Link, Listener, Network, random_loss, segments
from wire.address import Address

AUDIO_S = 3 * 1152 / 44_100


class Tunnel(Network):
    """A network in which long datagrams are dropped without a word, unless they are fragmented."""

    is_narrow = True

    def send(self, side: str, data: bytes, address: Address) -> None:
        if not (self.is_narrow and len(data) > LONG_BYTES and not self.fragments(address)):
            super().send(side, data, address)

    def fragments(self, address: Address) -> Fragments:
        listener = self.server.registry.at(address) if self.server else None
        return listener.fragments if listener else Fragments.NEVER


def narrow_paths(network: Network) -> int:
    assert network.server is not None
    return network.server.snapshot(network.now).statistics.narrow_paths


def heard(listener: Listener) -> int:
    return listener.core.statistics.intact


def test_whom_only_answers_reach_hears_after_three_reports_and_is_told_what_would_fit(
    caplog: pytest.LogCaptureFixture,
) -> None:
    network = Tunnel(programme=segments(1_000))
    one = network.join()
    network.run(6)
    assert network.fragments(one.address) is Fragments.ALWAYS
    assert narrow_paths(network) == 1
    assert heard(one) > 1 / AUDIO_S
    assert one.core.statistics.narrow_path
    said = [record.getMessage() for record in caplog.records if "--mtu 1280" in record.getMessage()]
    assert len(said) == 2, "one line of each program"


def test_a_path_that_becomes_narrow_later_is_noticed() -> None:
    network = Tunnel(programme=segments(1_000))
    network.is_narrow = False
    one = network.join()
    network.run(5)
    assert narrow_paths(network) == 0
    network.is_narrow = True
    network.run(6)
    assert network.fragments(one.address) is Fragments.ALWAYS


def test_short_audio_that_arrives_does_not_hide_that_the_long_does_not() -> None:
    begins_us, programme = 0, []
    for n in range(1_000):
        (one,) = segments(1, frames=1 + 2 * (n % 2))
        programme.append(dataclasses.replace(one, media_time_us=begins_us))
        begins_us += one.duration_us
    network = Tunnel(Settings(burst_s=0), iter(programme))
    listener = network.join()
    network.run(8)
    assert network.fragments(listener.address) is Fragments.ALWAYS


@pytest.mark.parametrize(
    "link",
    [
        Link(drop=random_loss(0.4, seed=1)),
        Link(delay_s=0.3),
    ],
    ids=["loss of 40 %", "a long way"],
)
def test_loss_and_delay_are_no_narrow_path(link: Link) -> None:
    network = Network(programme=segments(1_000), link=link)
    one = network.join()
    network.run(30)
    assert narrow_paths(network) == 0
    assert not one.core.statistics.narrow_path


def test_an_outage_is_no_narrow_path() -> None:
    network = Network(programme=segments(1_000))
    one = network.join()
    network.run(3)
    for outage_s in (1, 2, 4):
        network.link = Link(drop=lambda side, index: True)
        network.run(outage_s)
        network.link = Link()
        network.run(3)
    assert narrow_paths(network) == 0
    assert not one.core.statistics.narrow_path


@pytest.mark.parametrize(
    "settings", [Settings(wait_for=2), Settings(interval_s=5.0)], ids=["waiting", "seldom"]
)
def test_silence_of_the_server_is_no_narrow_path(settings: Settings) -> None:
    network = Network(settings, segments(1_000))
    one = network.join()
    network.run(20)
    assert narrow_paths(network) == 0
    assert not one.core.statistics.narrow_path


def test_a_listener_that_moves_is_judged_by_its_new_path() -> None:
    network = Tunnel(programme=segments(1_000))
    one = network.join()
    network.run(6)
    assert network.server is not None
    registered = network.server.registry.at(one.address)
    assert registered is not None
    network.server.registry.move(registered, ("198.51.100.9", 9), network.now)
    assert registered.fragments is Fragments.NEVER
