"""Nothing grows with time, whoever comes and goes: every container of both cores is looked at.

A container that is not known here counts, too: whatever can be reached from a core.
"""

from __future__ import annotations

import gc
import itertools
import types
from collections import OrderedDict, deque
from collections.abc import Sized

import pytest

from broadcasting.settings import Fec, Settings
from listening.arrival.reception_window import REMEMBERED
from message import Challenge, Connect
from tests.broadcasting.test_broadcast import HERE, Server, goodbye, only
from tests.rig.luck import once
from tests.rig.network import Link as Path
from tests.rig.network import Network, client_address, random_loss, segments
from wire.address import Address
from wire.seal import KEY_BYTES, Key

pytestmark = once

CONTAINERS = (dict, list, set, deque, OrderedDict, tuple, bytearray)
OTHERS = (type, types.ModuleType, types.FunctionType, types.BuiltinFunctionType)

KEYS = pytest.mark.parametrize("key", [None, Key(bytes(KEY_BYTES))], ids=["open", "sealed"])


def sizes(root: object, *known: object) -> dict[int, int]:
    """Size of each container that can be reached from `root`, but for those that are `known`."""
    found: dict[int, int] = {}
    seen = {id(one) for one in known}
    to_see = [root]
    while to_see:
        one = to_see.pop()
        if id(one) in seen or isinstance(one, OTHERS):
            continue
        seen.add(id(one))
        if isinstance(one, CONTAINERS):
            assert isinstance(one, Sized)
            found[id(one)] = len(one)
        to_see += gc.get_referents(one)
    return found


def largest(root: object, *known: object) -> int:
    return max(sizes(root, *known).values())


def test_who_comes_and_goes_before_the_first_send_leaves_nothing_that_grows() -> None:
    server = Server(Settings(wait_for=2, max_clients_per_address=16))
    core = server.core
    ports = itertools.cycle(range(1024, 65_000))
    for number in range(4_000):
        server.now += 1 / 60
        address: Address = (HERE[0], next(ports))
        accept = server.join(address, f"run-{number}")
        server.step()
        server.say(goodbye(accept.session), address)
    assert core.statistics.accepted == 4_000
    handshake = core._sessions._handshake
    farewells = handshake.farewells
    assert farewells is not None
    # What is remembered of those that left, for the final figures and for a minute.
    assert (len(core.figures.departed), len(farewells)) == (4_000, 3_601)
    assert largest(core, core.lateness, core.figures.departed, farewells, server.programme) < 300


@KEYS
def test_a_listener_that_moves_all_the_time_leaves_nothing_that_grows(key: Key | None) -> None:
    network = Network(Settings(wait_for=0), segments(100_000), key=key)
    listener = network.join()
    network.run(5)
    server = network.server
    assert server is not None
    for number in range(60):
        listener.address = client_address(100 + number)
        network.run(2)
    assert server.statistics.moved >= 40
    assert len(server.registry) == 1
    assert largest(server, server.lateness) < 200


def test_a_client_that_waits_for_its_server_all_night_keeps_nothing_of_that() -> None:
    network = Network(Settings(), segments(10))
    network.kill_server()
    listener = network.join(timeout_s=1e9)
    network.run(60)
    before = largest(listener.core)
    network.run(3_600)
    assert network.sent["client"] > 3_000
    assert largest(listener.core) == before


@KEYS
def test_a_long_time_on_a_lossy_path_makes_nothing_larger_than_its_cap(key: Key | None) -> None:
    path = Path(drop=random_loss(0.05, 1))
    network = Network(Settings(wait_for=0, fec=Fec(10, 2)), segments(1 << 30), link=path, key=key)
    listener = network.join()
    # The longest memory of both is the client's, of what came: 160 s of it.
    network.run(200)
    server = network.server
    assert server is not None
    assert listener.core.statistics.expected > 1.2 * REMEMBERED
    assert largest(listener.core, network) <= REMEMBERED
    # Ten seconds are kept for repair.
    assert largest(server, server.lateness) < 200


def test_what_a_challenge_brings_is_not_kept() -> None:
    server = Server(Settings())
    before = largest(server.core, server.core.lateness)
    for number in range(2_000):
        server.now += 0.01
        only(Challenge, server.say(Connect(nonce="nonce"), (f"203.0.113.{number % 250}", number)))
    assert largest(server.core, server.core.lateness) == before
