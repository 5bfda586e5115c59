"""What is lost for good with the default output, which wants audio early: both cores, virtual time.

The buffer is a second, a third of which the loudspeaker takes. A minute takes a fifth of a second.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from broadcasting.settings import Settings
from listening.arrival.statistics import Statistics
from listening.outputs.speaker import Speaker
from simulation.link_conditions import LinkConditions
from tests.rig.luck import once
from tests.rig.network import Link, Listener, Network, random_loss, segments

pytestmark = once

MINUTE = 766
"""Messages of a minute."""

ROUND_TRIP_S = 0.15


def heard(
    link: Link | LinkConditions, *, burst_s: float = 1.0, buffer_s: float = 1.0
) -> tuple[Network, Listener]:
    """A network with one listener, who hears with the loudspeaker."""
    network = Network(Settings(burst_s=burst_s), segments(MINUTE), link)
    return network, network.join(buffer_s=buffer_s, lead_s=Speaker.lead_s)


def heard_to_the_end(link: Link | LinkConditions, **delays_s: float) -> Statistics:
    """The figures of a listener who hears all of it."""
    network, listener = heard(link, **delays_s)
    network.run(90, until=lambda: listener.ended)
    return listener.core.statistics


@pytest.mark.parametrize("loss", [0.01, 0.02, 0.05, 0.1])
def test_over_a_long_path_nothing_is_lost_for_good_however_few_losses_there_are(
    loss: float,
) -> None:
    for seed in range(1, 6):
        link = LinkConditions(loss=loss, delay_s=ROUND_TRIP_S / 2, seed=seed)
        count = heard_to_the_end(link)
        assert count.requested > 0
        assert (seed, count.lost, count.spurious) == (seed, 0, 0)


def test_the_wait_before_a_request_is_a_part_of_the_time_that_the_loudspeaker_leaves() -> None:
    lost_at: list[float] = []

    def drop(side: str, index: int) -> bool:
        if side == "server" and index == 200:
            lost_at.append(network.now)
            return True
        return False

    network, listener = heard(Link(delay_s=0.001, drop=drop))
    network.run(90, until=lambda: listener.core.statistics.requests > 0)
    left_s = 1.0 - Speaker.lead_s
    seen_at = lost_at[0] + 3 * 1152 / 44_100
    assert network.now - seen_at == pytest.approx(left_s / 2, abs=0.01)


def test_a_stall_loses_nothing_when_it_is_over() -> None:
    for seed in range(1, 9):
        link = Link(delay_s=ROUND_TRIP_S / 2, drop=random_loss(0.1, seed))
        network, listener = heard(link)
        link.jitter = held_up(network, network.now + 10, 0.5)
        network.run(80)
        assert listener.ended
        assert (seed, listener.core.statistics.lost) == (seed, 0)


def held_up(network: Network, begins_at: float, length_s: float) -> Callable[[str, int], float]:
    """Whatever would arrive in this time arrives at its end, all at once."""

    def more_s(side: str, index: int) -> float:
        arrives_at = network.now + ROUND_TRIP_S / 2
        within = begins_at <= arrives_at < begins_at + length_s
        return begins_at + length_s - arrives_at if within else 0.0

    return more_s


@pytest.mark.parametrize("buffer_s", [0.0, 0.2, 0.3])
def test_a_delay_that_is_shorter_than_the_loudspeaker_needs_is_the_least_that_it_plays_with(
    buffer_s: float,
) -> None:
    count = heard_to_the_end(Link(), burst_s=buffer_s, buffer_s=buffer_s)
    assert (count.lost, count.late, count.underruns) == (0, 0, 0)
    assert count.intact == MINUTE
