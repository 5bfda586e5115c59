"""One payload to every listener, on real sockets: each way in which it is done does the same."""

from __future__ import annotations

import errno
import select
import socket
import time
from collections.abc import Iterator

import pytest

from broadcasting.sending import sendmmsg
from broadcasting.sending.fanout import (
    MAX_GSO_DATAGRAMS,
    MAX_TRAIN_BYTES,
    Batch,
    Fanout,
    Loop,
    Sender,
    Train,
    make_sender,
    trains,
)
from wire.address import Address

FAMILIES = {socket.AF_INET: "127.0.0.1", socket.AF_INET6: "::1"}
NOBODY: Address = ("255.255.255.255", 9)  # broadcasting was not asked for: refused at once
WAIT_S = 5.0


class Ear:
    """A listener's socket."""

    def __init__(self, family: socket.AddressFamily) -> None:
        self.socket = socket.socket(family, socket.SOCK_DGRAM)
        self.socket.bind((FAMILIES[family], 0))
        self.address: Address = self.socket.getsockname()

    def heard(self, count: int) -> list[bytes]:
        """The next `count` datagrams, or those that came in time."""
        found: list[bytes] = []
        deadline = time.monotonic() + WAIT_S
        while len(found) < count:
            left_s = max(0.0, deadline - time.monotonic())
            if not select.select([self.socket], [], [], left_s)[0]:
                break
            found.append(self.socket.recv(65_535))
        return found

    def hears_more(self) -> bool:
        return bool(select.select([self.socket], [], [], 0)[0])


class World:
    """A sending socket, what sends over it, and listeners."""

    def __init__(self, kind: type[Loop | Batch], family: socket.AddressFamily) -> None:
        self.family = family
        self.socket = socket.socket(family, socket.SOCK_DGRAM)
        self.socket.setblocking(False)
        self.sender: Sender = kind(self.socket)
        self.ears: list[Ear] = []

    def ear(self) -> Ear:
        ear = Ear(self.family)
        self.ears.append(ear)
        self.sender.join(ear.address)
        return ear

    def send(self, *datagrams: bytes) -> list[Address]:
        missed = []
        for train in trains(datagrams):
            missed += self.sender.send(train, range(len(self.sender)), time.monotonic() + WAIT_S)
        return [address for address, _ in missed]

    def close(self) -> None:
        for one in (self.socket, *(ear.socket for ear in self.ears)):
            one.close()


@pytest.fixture(params=["loop", "batch", "batch of few"])
def kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> type[Loop | Batch]:
    if request.param == "batch":
        monkeypatch.setattr("broadcasting.sending.fanout.FEW_LISTENERS", 0)
    return Loop if request.param == "loop" else Batch


@pytest.fixture(params=FAMILIES, ids=["IPv4", "IPv6"])
def world(request: pytest.FixtureRequest, kind: type[Loop | Batch]) -> Iterator[World]:
    world = World(kind, request.param)
    yield world
    world.close()


@pytest.fixture
def ipv4(kind: type[Loop | Batch]) -> Iterator[World]:
    world = World(kind, socket.AF_INET)
    yield world
    world.close()


def test_every_listener_gets_every_datagram(world: World) -> None:
    ears = [world.ear() for _ in range(20)]
    assert world.send(b"one") == []
    assert world.send(b"two") == []
    assert all(ear.heard(2) == [b"one", b"two"] for ear in ears)


def test_datagrams_of_one_size_arrive_one_by_one_as_they_were(world: World) -> None:
    ears = [world.ear() for _ in range(3)]
    datagrams = [bytes([n]) * 1286 for n in range(7)]
    assert world.send(*datagrams) == []
    assert all(ear.heard(7) == datagrams for ear in ears)


def test_sizes_that_differ_by_a_byte_are_padded_and_others_left_alone(world: World) -> None:
    ear = world.ear()
    datagrams = [b"a" * 1285, b"b" * 1286, b"c" * 700, b"d" * 1286]
    assert world.send(*datagrams) == []
    assert ear.heard(4) == [b"a" * 1285 + b"\0", *datagrams[1:]]


def test_plain_and_cut_sends_may_follow_one_another(world: World) -> None:
    ear = world.ear()
    for _ in range(2):
        assert world.send(b"x" * 1000) == []
        assert world.send(b"y" * 1000, b"z" * 1000) == []
    assert ear.heard(6) == [b"x" * 1000, b"y" * 1000, b"z" * 1000] * 2


def test_who_has_left_gets_nothing_and_the_others_all(world: World) -> None:
    ears = [world.ear() for _ in range(5)]
    for gone in (ears[1], ears[4], ears[0]):
        world.sender.leave(gone.address)
    assert len(world.sender) == 2
    assert world.send(b"still") == []
    assert [ears[n].heard(1) for n in (2, 3)] == [[b"still"]] * 2
    assert not any(ears[n].hears_more() for n in (0, 1, 4))


def test_who_comes_back_gets_one_copy(world: World) -> None:
    ear, other = world.ear(), world.ear()
    world.sender.leave(ear.address)
    world.sender.join(ear.address)
    assert world.send(b"once") == []
    assert ear.heard(1) == other.heard(1) == [b"once"]
    assert not ear.hears_more()


def test_one_who_cannot_be_reached_in_the_middle_costs_nobody_else_anything(ipv4: World) -> None:
    before = [ipv4.ear() for _ in range(2)]
    ipv4.sender.join(NOBODY)
    after = [ipv4.ear() for _ in range(2)]
    assert ipv4.send(b"one") == [NOBODY]
    assert ipv4.send(b"a" * 900, b"b" * 900) == [NOBODY] * 2
    assert all(ear.heard(3) == [b"one", b"a" * 900, b"b" * 900] for ear in before + after)


def test_a_datagram_that_is_too_long_is_missed_by_everyone_and_the_next_is_not(
    ipv4: World,
) -> None:
    ears = [ipv4.ear() for _ in range(3)]
    too_long = Train(bytes(70_000), 70_000, 1)
    missed = ipv4.sender.send(too_long, range(3), time.monotonic())
    assert sorted(missed) == sorted((ear.address, errno.EMSGSIZE) for ear in ears)
    assert ipv4.send(b"next") == []
    assert all(ear.heard(1) == [b"next"] for ear in ears)


def test_more_listeners_than_one_call_takes_are_all_reached() -> None:
    world = World(Batch, socket.AF_INET)
    everywhere = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    everywhere.bind(("", 0))  # every address of 127.0.0.0/8 is this machine
    port = everywhere.getsockname()[1]
    count = 2 * sendmmsg.BATCH + 10
    addresses: list[Address] = [(f"127.1.{n >> 8}.{n & 255}", port) for n in range(count)]
    try:
        for address in addresses:
            world.sender.join(address)
        assert world.send(b"x") == []
        # What the listener's buffer cannot hold is lost there, but not the last ones sent to.
        assert everywhere.recvfrom(10)[0] == b"x"
        for address in addresses[: sendmmsg.BATCH + 20]:
            world.sender.leave(address)
        assert len(world.sender) == count - sendmmsg.BATCH - 20
        assert world.send(b"y") == []
    finally:
        everywhere.close()
        world.close()


@pytest.mark.parametrize("parts", [1, 2, 3, 7, 40])
@pytest.mark.parametrize("datagrams", [1, 3])
def test_the_parts_of_an_audience_are_apart_and_together_everybody(
    parts: int, datagrams: int, kind: type[Loop | Batch], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Blocks of four, so that a part begins and ends in the middle of one.
    monkeypatch.setattr(sendmmsg, "BATCH", 4)
    worlds = [World(kind, family) for family in FAMILIES]
    fanout = Fanout([world.socket for world in worlds], 1400)
    ears = [world.ear() for world in worlds for _ in range(11)]
    words = [bytes([n]) * 1000 for n in range(datagrams)]
    try:
        for ear in ears:
            fanout.join(ear.address)
        sent = 0
        for part in range(parts):
            listeners, missed, _ = fanout.broadcast(words, time.monotonic() + WAIT_S, part, parts)
            assert missed == []
            sent += listeners
        assert sent == len(ears)
        assert all(ear.heard(datagrams) == words for ear in ears)
        assert not any(ear.hears_more() for ear in ears)
    finally:
        for world in worlds:
            world.close()


def test_trains_respect_the_limits_of_the_kernel() -> None:
    made = list(trains([b"x" * 1286] * 200))
    assert sum(train.datagrams for train in made) == 200
    assert all(train.datagrams <= MAX_GSO_DATAGRAMS for train in made)
    assert all(len(train.payload) <= MAX_TRAIN_BYTES for train in made)
    assert list(trains([])) == []


def test_a_fanout_serves_both_families_with_the_same_words() -> None:
    worlds = [World(Loop, family) for family in FAMILIES]
    fanout = Fanout([world.socket for world in worlds], 1400)
    ears = [world.ear() for world in worlds]
    try:
        for ear in ears:
            fanout.join(ear.address)
        assert len(fanout) == 2
        assert fanout.broadcast([b"to all", b"to all"], time.monotonic() + WAIT_S) == (2, [], [])
        assert all(fanout.send(b"to one", ear.address) for ear in ears)
        assert all(ear.heard(3) == [b"to all", b"to all", b"to one"] for ear in ears)
    finally:
        for world in worlds:
            world.close()


@pytest.mark.parametrize("size", [1300, 1441 + 32, 9000])
def test_a_datagram_longer_than_the_mtu_still_goes(size: int) -> None:
    world = World(Loop, socket.AF_INET)
    fanout = Fanout([world.socket], 1400)
    ear = Ear(socket.AF_INET)
    try:
        fanout.join(ear.address)
        assert fanout.broadcast([bytes(size)], time.monotonic() + WAIT_S) == (1, [], [])
        assert ear.heard(1) == [bytes(size)]
    finally:
        ear.socket.close()
        world.close()


def test_linux_has_the_quick_way() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        assert isinstance(make_sender(sock), Batch if sendmmsg.is_available() else Loop)
