"""Copies of what a client said, which the network brings late: they register nobody.

Without a key; `tests/programs/test_sealed_pair.py` has the same with one.
"""

from __future__ import annotations

import pytest

from broadcasting.audience.farewells import MOST_REMEMBERED, REMEMBERED_S, Farewells
from broadcasting.audience.migration import QUIET_S
from broadcasting.settings import Settings
from message import Challenge, Connect, Type
from tests.broadcasting.test_broadcast import (
    HERE,
    THERE,
    TIMEOUT_S,
    Server,
    goodbye,
    only,
    report,
)
from tests.rig.network import Network, client_address, segments
from tests.rig.registered import registered
from wire.address import Address

LATE_S = (0.0, 1.0, 28.0, 30.0)


def cookie_of(server: Server, address: Address, nonce: str = "nonce") -> str:
    return only(Challenge, server.say(Connect(nonce=nonce), address)).cookie


@pytest.mark.parametrize("late_s", LATE_S)
def test_a_connect_that_comes_after_its_goodbye_registers_nobody(late_s: float) -> None:
    server = Server()
    connect = Connect(nonce="nonce", cookie=cookie_of(server, HERE))
    server.say(connect)
    (listener,) = server.core.registry
    server.say(goodbye(listener.session))
    server.wait(late_s)
    assert server.say(connect) == []
    assert server.addresses() == ()
    # The next run of the client, from the same port, is let in.
    server.join(HERE, "next-run")
    # And the copy does not put it out.
    assert server.say(connect) == []
    assert [one.nonce for one in server.core.registry] == ["next-run"]


@pytest.mark.parametrize("late_s", LATE_S)
def test_nothing_that_a_client_said_brings_it_back_whatever_happened_to_it(late_s: float) -> None:
    network = Network(Settings(wait_for=0, timeout_s=1.0), segments(100_000))
    seen: list[tuple[bytes, Address]] = []
    send = network.send

    def listen_in(side: str, data: bytes, address: Address) -> None:
        if side == "client":
            seen.append((data, address))
        send(side, data, address)

    network.send = listen_in  # type: ignore[method-assign]
    listener = network.join(timeout_s=30.0)
    network.run(2)
    # It is cut off, comes back, goes on from another address, and leaves.
    network.remove(listener)
    network.run(3)
    network.listeners.append(listener)
    network.run(3)
    listener.address = client_address(77)
    network.run(3)
    listener.core.leave(network.now)
    network.run(1)
    server = network.server
    assert server is not None
    assert (listener.core.closed, server.statistics.moved) == (True, 1)
    assert server.statistics.accepted >= 2
    network.run(late_s)
    for data, address in seen:
        server.receive_datagram(data, address, network.now)
    assert server.registry.addresses == ()


def test_a_copy_from_before_a_move_registers_nobody_where_the_listener_was() -> None:
    server = Server()
    connect = Connect(nonce="nonce", cookie=cookie_of(server, HERE))
    server.say(connect)
    (listener,) = server.core.registry
    server.wait(QUIET_S)
    cookie = only(Challenge, server.say(report(listener.session), THERE)).cookie
    server.say(Connect(nonce="nonce", cookie=cookie, session=listener.session), THERE)
    assert server.addresses() == (THERE,)
    assert server.say(connect, HERE) == []
    assert server.addresses() == (THERE,)
    # The listener itself may go back, at once and after it fell silent.
    back = Connect(nonce="nonce", cookie=connect.cookie, session=listener.session)
    server.say(back, HERE)
    assert server.addresses() == (HERE,)
    server.wait(TIMEOUT_S + 1)
    assert server.addresses() == ()
    assert server.say(back, HERE)[0].type == Type.ACCEPT


@pytest.mark.parametrize("silent_s", [TIMEOUT_S + 1, 20.0, 59.0])
def test_a_listener_that_fell_silent_comes_back_with_its_nonce(silent_s: float) -> None:
    server = Server()
    server.join(HERE)
    server.wait(silent_s)
    assert server.addresses() == ()
    assert server.join(HERE).session


def test_a_copy_from_an_earlier_run_of_a_client_does_not_put_out_the_later_one() -> None:
    server = Server()
    connect = Connect(nonce="first", cookie=cookie_of(server, HERE, "first"))
    server.say(connect)
    server.join(HERE, "second")
    assert server.say(connect) == []
    assert [one.nonce for one in server.core.registry] == ["second"]


def test_farewells_are_forgotten_in_time_and_the_oldest_when_there_are_too_many() -> None:
    farewells = Farewells()
    for number in range(MOST_REMEMBERED + 10):
        farewells.left(registered(HERE, nonce=f"run-{number}"), number / 1000)
    assert len(farewells) == MOST_REMEMBERED
    assert not farewells.is_over(Connect(nonce="run-9"), HERE, 10.0)
    assert farewells.is_over(Connect(nonce="run-10"), HERE, 10.0)
    later = 11.0 + REMEMBERED_S
    assert not farewells.is_over(Connect(nonce="run-10009"), HERE, later)
    farewells.left(registered(HERE), later)
    assert len(farewells) == 1
