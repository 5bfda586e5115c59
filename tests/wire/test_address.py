"""Addresses, and the networks that they belong to."""

from __future__ import annotations

import ipaddress
import socket

from hypothesis import example, given
from hypothesis import strategies as st

from wire.address import Address, network_of

GROUPS = st.lists(st.sampled_from([0, 1, 0xDB8, 0xFFFF]), min_size=8, max_size=8)


def written(groups: list[int]) -> str:
    """The address as the system writes it."""
    packed = b"".join(group.to_bytes(2) for group in groups)
    return socket.inet_ntop(socket.AF_INET6, packed)


def ipv6(groups: list[int], scope: int = 0) -> Address:
    return (written(groups), 4501, 0, scope)


@given(GROUPS, GROUPS)
@example([0] * 5 + [0xFFFF, 0xC000, 0x201], [0] * 7 + [1])
@example([0x2001, 0, 0, 1, 0, 0, 0, 0], [0x2001, 0, 0, 1, 2, 3, 4, 5])
def test_two_ipv6_addresses_are_of_one_network_if_64_bits_are_equal(
    one: list[int], other: list[int]
) -> None:
    same = one[:4] + other[4:]
    assert network_of(ipv6(one)) == network_of(ipv6(same))
    assert (network_of(ipv6(one)) == network_of(ipv6(other))) == (one[:4] == other[:4])
    network = ipaddress.IPv6Network(network_of(ipv6(one)) + "::/64")
    assert ipaddress.IPv6Address(written(one)) in network


@given(GROUPS, GROUPS)
def test_each_link_local_address_of_each_link_is_a_network(
    one: list[int], other: list[int]
) -> None:
    here, there = ipv6([0xFE80, *one[1:]], 2), ipv6([0xFE80, *other[1:]], 2)
    assert (network_of(here) == network_of(there)) == (one[1:] == other[1:])
    assert network_of(here) != network_of(ipv6([0xFE80, *one[1:]], 3))


def test_an_ipv4_address_is_a_network() -> None:
    assert network_of(("192.0.2.1", 1)) == network_of(("192.0.2.1", 2)) == "192.0.2.1"
    assert network_of(("192.0.2.1", 1)) != network_of(("192.0.2.2", 1))
