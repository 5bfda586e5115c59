"""The simulated link does to datagrams what its conditions say, and counts what it did."""

from __future__ import annotations

import itertools

import pytest

from simulation.link_conditions import LinkConditions
from simulation.simulated_link import (
    MAX_UNDER_WAY_BYTES,
    OVERHEAD_BYTES,
    Fate,
    LinkCounts,
    SimulatedLink,
    fates,
)
from tests.rig.luck import once
from wire.address import Address

pytestmark = once

HERE: Address = ("192.0.2.1", 4501)
MANY = 100_000


def some_fates(
    conditions: LinkConditions, count: int = MANY, direction: str = "down"
) -> list[Fate]:
    return list(itertools.islice(fates(conditions, direction), count))


def losses(conditions: LinkConditions, count: int = MANY) -> list[bool]:
    return [not fate for fate in some_fates(conditions, count)]


def bursts(lost: list[bool]) -> list[int]:
    """How many are lost in a row, each time."""
    return [len(list(run)) for is_lost, run in itertools.groupby(lost) if is_lost]


def share(happened: list[bool]) -> float:
    return sum(happened) / len(happened)


def mean(values: list[int]) -> float:
    return sum(values) / len(values)


def link_of(*chosen: Fate) -> SimulatedLink:
    """A link with fates that are given."""
    return SimulatedLink(iter(chosen))


def identity_holds(counts: LinkCounts, under_way: int) -> bool:
    after = counts.dropped + counts.overflowed + counts.delivered + under_way
    return counts.came + counts.duplicated == after


def under_way(link: SimulatedLink) -> int:
    """What has yet to arrive."""
    return len(link.datagrams_to_send(float("inf")))


# Chance.


@pytest.mark.parametrize("loss", [0.01, 0.1, 0.3])
def test_random_losses_are_as_many_as_asked_for_and_follow_no_pattern(loss: float) -> None:
    lost = losses(LinkConditions(loss=loss))
    assert share(lost) == pytest.approx(loss, rel=0.05)
    # Each by itself: after a loss the next is as likely as ever.
    after_a_loss = [b for a, b in itertools.pairwise(lost) if a]
    assert share(after_a_loss) == pytest.approx(loss, abs=0.02)


@pytest.mark.parametrize("burst", [1, 2, 5, 10])
@pytest.mark.parametrize("loss", [0.02, 0.1, 0.3])
def test_bursts_are_as_long_as_asked_for_and_lose_as_much(loss: float, burst: float) -> None:
    lost = losses(LinkConditions(loss=loss, burst=burst))
    # Three times the standard error of so many bursts, each about as long as it is spread.
    error = 3 / (MANY * loss / burst) ** 0.5
    assert mean(bursts(lost)) == pytest.approx(burst, rel=error)
    assert share(lost) == pytest.approx(loss, rel=1.4 * error)


def test_the_lengths_of_bursts_are_spread_geometrically() -> None:
    lengths = bursts(losses(LinkConditions(loss=0.1, burst=4)))
    shares = [share([length == n for length in lengths]) for n in (1, 2, 3)]
    assert shares == pytest.approx([0.25, 0.25 * 0.75, 0.25 * 0.75**2], abs=0.03)


def test_a_link_may_begin_within_a_burst() -> None:
    first = [losses(LinkConditions(loss=0.3, burst=5, seed=n), 1)[0] for n in range(2000)]
    assert share(first) == pytest.approx(0.3, abs=0.04)


@pytest.mark.parametrize(("loss", "lost"), [(0.0, False), (1.0, True)])
def test_nothing_and_everything_can_be_lost(loss: float, lost: bool) -> None:
    assert set(losses(LinkConditions(loss=loss))) == {lost}


def test_delays_are_spread_evenly_between_their_bounds() -> None:
    delays = [fate[0] for fate in some_fates(LinkConditions(delay_s=0.05, jitter_s=0.02))]
    assert 0.03 <= min(delays) < 0.0301
    assert 0.0699 < max(delays) <= 0.07
    for tenth in range(10):
        low = 0.03 + tenth * 0.004
        within = share([low <= delay < low + 0.004 for delay in delays])
        assert within == pytest.approx(0.1, abs=0.01)


def test_jitter_beyond_the_delay_makes_no_datagram_early() -> None:
    delays = [fate[0] for fate in some_fates(LinkConditions(delay_s=0.01, jitter_s=0.03))]
    assert min(delays) == 0
    # From 20 ms too early to 40 ms: a third is cut off.
    assert share([delay == 0 for delay in delays]) == pytest.approx(1 / 3, abs=0.01)


def test_what_is_reordered_has_no_delay() -> None:
    delays = [fate[0] for fate in some_fates(LinkConditions(delay_s=0.05, reorder=0.02))]
    assert set(delays) == {0.0, 0.05}
    assert share([delay == 0 for delay in delays]) == pytest.approx(0.02, rel=0.1)


def test_each_copy_is_lost_and_delayed_for_itself() -> None:
    chosen = some_fates(LinkConditions(loss=0.2, duplicate=0.5, delay_s=0.05, jitter_s=0.02))
    lengths = [len(fate) for fate in chosen]
    shares = [share([length == copies for length in lengths]) for copies in range(3)]
    expected = [0.5 * 0.2 + 0.5 * 0.04, 0.5 * 0.8 + 0.5 * 0.32, 0.5 * 0.64]
    assert shares == pytest.approx(expected, abs=0.01)
    assert all(fate[0] != fate[1] for fate in chosen if len(fate) == 2)


def test_the_same_seed_makes_the_same_choices_and_another_makes_others() -> None:
    first, again, another = (
        some_fates(
            LinkConditions(
                loss=0.1, burst=3, delay_s=0.05, jitter_s=0.02, duplicate=0.1, seed=seed
            ),
            1000,
        )
        for seed in (1, 1, 2)
    )
    assert first == again
    assert first != another


def test_each_direction_has_chance_of_its_own() -> None:
    conditions = LinkConditions(loss=0.5)
    assert some_fates(conditions, 1000, "down") != some_fates(conditions, 1000, "up")


def test_the_same_datagrams_are_lost_whatever_the_delay() -> None:
    near, far = (
        losses(LinkConditions(loss=0.1)),
        losses(LinkConditions(loss=0.1, delay_s=0.05, jitter_s=0.02, reorder=0.1)),
    )
    assert near == far


# The link.


def test_a_datagram_arrives_after_its_delay_and_not_before() -> None:
    link = link_of([0.05])
    assert link.next_due() is None
    link.receive_datagram(b"a", HERE, 10.0)
    assert link.next_due() == 10.05
    assert link.datagrams_to_send(10.049) == []
    assert link.datagrams_to_send(10.05) == [(b"a", HERE)]
    assert link.next_due() is None
    assert link.datagrams_to_send(11.0) == []


def test_datagrams_arrive_in_the_order_of_their_arrival_not_of_their_departure() -> None:
    link = link_of([0.3], [0.1], [0.2])
    for data in (b"a", b"b", b"c"):
        link.receive_datagram(data, HERE, 10.0)
    assert [data for data, _ in link.datagrams_to_send(11.0)] == [b"b", b"c", b"a"]


def test_without_jitter_the_order_stays() -> None:
    link = SimulatedLink(itertools.repeat([0.05]))
    sent = [bytes([n]) for n in range(100)]
    for data in sent:
        link.receive_datagram(data, HERE, 10.0)
    assert [data for data, _ in link.datagrams_to_send(10.05)] == sent


def test_a_lost_datagram_never_arrives_and_a_doubled_one_does_twice() -> None:
    link = link_of([], [0.1, 0.2])
    link.receive_datagram(b"lost", HERE, 10.0)
    link.receive_datagram(b"doubled", HERE, 10.0)
    assert link.datagrams_to_send(10.1) == [(b"doubled", HERE)]
    assert link.datagrams_to_send(10.2) == [(b"doubled", HERE)]
    assert link.next_due() is None


def test_everything_that_happens_is_counted() -> None:
    link = link_of([], [0.0], [0.1], [0.1, 0.2])
    for data in (b"a", b"bc", b"def", b"ghij"):
        link.receive_datagram(data, HERE, 10.0)
    link.datagrams_to_send(10.1)
    assert link.total() == LinkCounts(
        came=4, came_bytes=10, dropped=1, duplicated=1, overflowed=0, delayed=3, delivered=3
    )
    assert identity_holds(link.total(), under_way(link))


def test_each_kind_is_counted_by_itself() -> None:
    link = SimulatedLink(iter([[0.0], [], [0.0]]), kind_of=lambda data: data[:1].decode())
    for data in (b"a1", b"b1", b"a2"):
        link.receive_datagram(data, HERE, 10.0)
    counts = link.counts()
    assert {kind: (one.came, one.dropped) for kind, one in counts.items()} == {
        "a": (2, 0),
        "b": (1, 1),
    }
    assert link.total().came == 3


def test_counts_that_were_taken_stay_as_they_are() -> None:
    link = link_of([0.0], [0.0])
    link.receive_datagram(b"a", HERE, 10.0)
    counts = link.counts()
    link.receive_datagram(b"b", HERE, 10.0)
    assert counts[""].came == 1


@pytest.mark.parametrize("size", [0, 65_000])
def test_what_is_under_way_is_bounded_and_what_is_too_much_is_counted(size: int) -> None:
    link = SimulatedLink(itertools.repeat([1.0]))
    room = MAX_UNDER_WAY_BYTES // (size + OVERHEAD_BYTES)
    data = bytes(size)
    for _ in range(room + 10):
        link.receive_datagram(data, HERE, 10.0)
    assert link.total().overflowed == 10
    assert len(link.datagrams_to_send(11.0)) == room
    assert identity_holds(link.total(), 0)
    # What has arrived makes room.
    link.receive_datagram(data, HERE, 11.0)
    assert link.total().overflowed == 10
