"""Bursts for those who join late, at a pace: virtual time."""

from __future__ import annotations

import pytest

from broadcasting.audience.catch_up import BUCKET_S, CatchUp
from broadcasting.audience.listener import Listener
from broadcasting.audience.rate import Budget
from broadcasting.audience.registry import NEVER, Registry
from broadcasting.settings import Settings
from broadcasting.stream.history import Packet
from tests.rig.luck import once
from tests.rig.network import Network, balanced, client_address, segments
from tests.rig.registered import registered

pytestmark = once

RATE = 100_000.0
BUCKET_BYTES = RATE * BUCKET_S


def burst(count: int, size: int = 1000) -> list[Packet]:
    return [Packet(n, n, n + 1, bytes([n]) * size) for n in range(count)]


def queue_of(count: int) -> tuple[CatchUp, Registry, list[Listener]]:
    """A queue, and listeners that are registered."""
    registry = Registry(count, 5.0, count)
    listeners = [registered(client_address(number)) for number in range(count)]
    for one in listeners:
        registry.add(one)
    return CatchUp(registry, Budget(RATE, BUCKET_BYTES)), registry, listeners


def test_what_fits_the_bucket_goes_at_once_and_in_order() -> None:
    queue, _, (listener,) = queue_of(1)
    queue.add(listener, burst(2))
    assert [data[0] for data, _ in queue.take(5.0)] == [0, 1]
    assert queue.take(5.0) == []
    assert len(queue) == 0
    assert queue.next_due() == NEVER
    assert listener.burst is None


def test_no_more_than_the_rate_goes_out_and_all_of_it_in_the_end() -> None:
    (queue, _, listeners), now, sent_bytes = queue_of(10), 100.0, 0
    for one in listeners:
        queue.add(one, burst(20))
    while (due := queue.next_due()) < NEVER:
        now = max(now, due)
        sent_bytes += sum(len(data) for data, _ in queue.take(now))
        assert sent_bytes <= BUCKET_BYTES + (now - 100.0) * RATE + 1000
    assert sent_bytes == 200_000
    assert now - 100.0 == pytest.approx(200_000 / RATE, rel=0.05)


def test_waking_when_due_always_gives_something() -> None:
    (queue, _, (listener,)), now = queue_of(1), 0.0
    queue.add(listener, burst(50))
    while (due := queue.next_due()) < NEVER:
        now = max(now, due) + 1e-9
        assert queue.take(now)


def test_first_come_first_served_and_who_left_is_not_sent_the_rest() -> None:
    queue, registry, listeners = queue_of(3)
    for one in listeners:
        queue.add(one, burst(5))
    queue.take(0.0)
    registry.remove(listeners[1])
    rest = [address for _, address in queue.take(1000.0)] + [a for _, a in queue.take(2000.0)]
    while queue:
        rest += [address for _, address in queue.take(3000.0 + len(rest))]
    assert client_address(1) not in rest
    assert rest == sorted(rest)
    assert queue.backlog_s == 0.0
    assert listeners[1].burst is None


def test_the_burst_of_a_listener_that_moves_goes_where_it_is() -> None:
    queue, registry, (listener,) = queue_of(1)
    queue.add(listener, burst(5))
    assert {address for _, address in queue.take(0.0)} == {client_address(0)}
    registry.move(listener, client_address(7), 0.0)
    assert {address for _, address in queue.take(1000.0)} == {client_address(7)}


@pytest.mark.usefixtures("nobody_asks_for_the_time")
def test_a_crowd_that_joins_in_one_second_loses_nothing_and_delays_nobody() -> None:
    rate = 1_000_000.0
    settings = Settings(max_clients=1001, max_clients_per_address=1001, burst_rate_bytes_per_s=rate)
    network = Network(settings, segments(160))
    first = network.join()
    network.run(3)
    crowd = [network.join() for _ in range(200)]
    before = sum(network.bytes_to.values())
    network.run(1)
    live = 13 * 201 * 1290
    control = 201 * 3000
    assert sum(network.bytes_to.values()) - before < rate * (1 + BUCKET_S) + live + control
    network.run(60, until=lambda: first.ended)
    everybody = [first, *crowd]
    assert all(one.core.statistics.lost == 0 for one in everybody)
    assert all(balanced(one) for one in everybody)
    assert first.gaps == 0
    # Whose turn would come too late begins with the live segments, not with a hole.
    first_sequences = {one.sequences[0] for one in crowd}
    assert len(first_sequences) >= 2
