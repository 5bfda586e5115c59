"""Registered listeners: capacity, order of expiry, and the tuple of addresses."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broadcasting.audience.listener import Listener
from broadcasting.audience.registry import NEVER, Registry
from tests.rig.network import client_address

TIMEOUT_S = 5.0
MANY = 100


def listener(number: int, heard_at: float = 0.0) -> Listener:
    return Listener(
        name="of a test",
        address=client_address(number),
        nonce="nonce",
        session=f"session-{number}",
        joined_at=heard_at,
        heard_at=heard_at,
        first_sequence=0,
        first_time_us=0,
        live_time_us=0,
    )


def registry(*heard_at: float, capacity: int = 8) -> tuple[Registry, list[Listener]]:
    """A registry with a listener for each of these times."""
    registry = Registry(capacity, TIMEOUT_S, MANY)
    listeners = [listener(number, at) for number, at in enumerate(heard_at)]
    for one in listeners:
        registry.add(one)
    return registry, listeners


def test_it_takes_as_many_as_its_capacity_and_no_more() -> None:
    full, listeners = registry(0, 0, capacity=2)
    assert full.is_full
    with pytest.raises(AssertionError):
        full.add(listener(9))
    full.remove(listeners[0])
    assert not full.is_full
    full.add(listener(9))
    assert (len(full), full.is_full) == (2, True)


def test_a_listener_is_found_at_its_address_and_port_until_it_is_removed() -> None:
    some, (first, second) = registry(0, 0)
    assert first.address[0] == second.address[0]
    assert (some.at(first.address), some.at(second.address)) == (first, second)
    assert some.at(client_address(7)) is None
    some.remove(first)
    assert (some.at(first.address), list(some)) == (None, [second])


def test_one_address_is_registered_once() -> None:
    some, _ = registry(0)
    with pytest.raises(AssertionError):
        some.add(listener(0))
    assert len(some) == 1


def test_addresses_are_the_same_tuple_until_somebody_joins_or_leaves() -> None:
    some, (first, second) = registry(0, 0)
    before = some.addresses
    assert before == (first.address, second.address)
    some.heard(first, 1.0)
    assert some.addresses is before
    third = listener(2)
    some.add(third)
    assert set(some.addresses) == {first.address, second.address, third.address}
    some.remove(second)
    assert set(some.addresses) == {first.address, third.address}
    assert before == (first.address, second.address)


def test_those_who_were_silent_for_the_time_out_expire_and_not_before() -> None:
    some, (first, second) = registry(0.0, 1.0)
    assert some.silent(4.999, MANY) == []
    assert some.silent(5.0, MANY) == [first]
    assert some.silent(6.0, MANY) == [first, second]
    assert len(some) == 2


def test_who_was_heard_expires_later_than_who_was_not() -> None:
    some, (first, second, third) = registry(0.0, 1.0, 2.0)
    some.heard(first, 3.0)
    assert some.next_expiry() == 1.0 + TIMEOUT_S
    assert some.silent(7.0, MANY) == [second, third]
    some.remove(second)
    some.remove(third)
    assert some.next_expiry() == 3.0 + TIMEOUT_S
    some.remove(first)
    assert some.next_expiry() == NEVER
    assert some.silent(100.0, MANY) == []


@given(st.floats(0, 1e9), st.floats(0.1, 3600))
@settings(deadline=None, derandomize=True, database=None)
def test_when_the_next_expiry_has_come_there_is_somebody_silent(
    heard_at: float, timeout_s: float
) -> None:
    some = Registry(1, timeout_s, MANY)
    some.add(listener(0, heard_at))
    due = some.next_expiry()
    assert len(some.silent(due, MANY)) == 1


def test_joins_and_leaves_are_told_once_without_what_cancels_out() -> None:
    some, (first, second, third) = registry(0, 0, 0)
    some.remove(first)
    assert [*map(list, some.take_changes())] == [[second.address, third.address], []]
    assert [*map(list, some.take_changes())] == [[], []]
    some.remove(second)
    some.remove(third)
    some.add(second)
    assert [*map(list, some.take_changes())] == [[], [third.address]]
    assert some.changes == 7


def test_who_was_told_to_report_seldom_is_not_taken_for_silent() -> None:
    some, (first,) = registry(0.0)
    some.expect_reports(20.0, now=0.0)
    assert some.silent(49.9, MANY) == []
    assert some.silent(50.0, MANY) == [first]


def test_patience_ends_only_when_all_who_were_told_can_have_reported() -> None:
    some, (first,) = registry(0.0)
    some.expect_reports(20.0, now=0.0)
    some.expect_reports(1.0, now=49.0)
    assert some.silent(49.9, MANY) == []
    some.expect_reports(1.0, now=50.0)
    assert some.timeout_s == TIMEOUT_S
    assert some.silent(50.0, MANY) == [first]


def test_few_listeners_lose_their_slots_after_the_plain_time_out() -> None:
    some, _ = registry(0.0)
    some.expect_reports(1.0, now=0.0)
    assert some.timeout_s == TIMEOUT_S


def at(*address: str | int) -> Listener:
    """A listener at (host, port), or (host, port, flow, scope)."""
    return dataclasses.replace(listener(0), address=address)  # type: ignore[arg-type]


def test_a_network_has_as_many_listeners_as_it_may_have_and_others_are_free() -> None:
    some = Registry(100, TIMEOUT_S, 2)
    first, second = at("192.0.2.1", 1), at("192.0.2.1", 2)
    some.add(first)
    assert not some.is_crowded(("192.0.2.1", 3))
    some.add(second)
    assert some.is_crowded(("192.0.2.1", 3))
    assert not some.is_crowded(("192.0.2.2", 3))
    with pytest.raises(AssertionError):
        some.add(at("192.0.2.1", 3))
    some.remove(first)
    assert not some.is_crowded(("192.0.2.1", 3))


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (("2001:db8::1", 1, 0, 0), ("2001:db8::ffff:2", 2, 0, 0), True),
        (("2001:db8:0:1::1", 1, 0, 0), ("2001:db8:0:1:8000::1", 1, 0, 0), True),
        (("2001:db8:0:1::1", 1, 0, 0), ("2001:db8:0:2::1", 1, 0, 0), False),
        (("::1", 1, 0, 0), ("::1", 2, 0, 0), True),
        (("fe80::1", 1, 0, 2), ("fe80::1", 2, 0, 2), True),
        (("fe80::1", 1, 0, 2), ("fe80::2", 1, 0, 2), False),
        (("fe80::1", 1, 0, 2), ("fe80::1", 1, 0, 3), False),
        (("192.0.2.1", 1), ("192.0.2.11", 1), False),
    ],
)
def test_a_network_is_an_ipv4_address_or_the_first_64_bits_of_ipv6(
    one: tuple[str | int, ...], other: tuple[str | int, ...], same: bool
) -> None:
    some = Registry(100, TIMEOUT_S, 1)
    some.add(at(*one))
    assert some.is_crowded(other) is same  # type: ignore[arg-type]


def test_nothing_is_kept_of_networks_whose_listeners_have_left() -> None:
    some = Registry(100, TIMEOUT_S, 2)
    for number in range(1000):
        one = at(f"192.0.{number // 250}.{number % 250}", 1)
        some.add(one)
        some.remove(one)
        assert not some.is_crowded(("198.51.100.1", number))
    assert not some._in_network
