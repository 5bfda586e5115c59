"""A server with several addresses answers from the one that was spoken to, however it sends."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from broadcasting.sending import fanout as fanout_module
from broadcasting.sending.fanout import Batch, Fanout, Loop
from shell.network.udp import open_server_sockets, receive
from tests.rig.island import by_its_own_root, on_an_island
from tests.rig.luck import once
from tests.rig.programs import SAMPLE, client, end, server
from wire.address import Address, local_of

pytestmark = once

ALIASES = {
    socket.AF_INET: ("192.0.2.1", "192.0.2.2", "198.51.100.7"),
    socket.AF_INET6: ("2001:db8::1", "2001:db8::2"),
}


@contextmanager
def interface() -> Iterator[None]:
    """Two IPv4 addresses on one network, one on none, and two of IPv6; on an island."""
    for words in (
        "link add net type veth peer name far",
        "link set far up",
        "addr add 192.0.2.1/24 dev net",
        "addr add 192.0.2.2/24 dev net",
        "addr add 198.51.100.7/32 dev net",
        "addr add 2001:db8::1/64 dev net nodad",
        "addr add 2001:db8::2/64 dev net nodad",
        "link set net up",
    ):
        subprocess.run(["ip", *words.split()], check=True)
    yield


@by_its_own_root
@pytest.mark.parametrize("kind", [Loop, Batch])
@pytest.mark.parametrize("family", ALIASES, ids=["IPv4", "IPv6"])
def test_every_datagram_leaves_from_the_address_that_was_spoken_to(
    kind: type[Loop | Batch], family: socket.AddressFamily, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fanout_module, "make_sender", kind)
    monkeypatch.setattr(fanout_module, "FEW_LISTENERS", 0)

    def body() -> None:
        with interface(), ExitStack() as closing:
            sockets = [closing.enter_context(one) for one in open_server_sockets(None, 0)]
            fanout = Fanout(sockets, 1400)
            (ours,) = (one for one in sockets if one.family == family)
            port = ours.getsockname()[1]
            listeners = {}
            for local in ALIASES[family]:
                listener = closing.enter_context(socket.socket(family, socket.SOCK_DGRAM))
                listener.settimeout(5)
                # The listener and the server are one machine: the kernel would choose any.
                listener.bind((ALIASES[family][0], 0))
                listener.sendto(b"here I am", (local, port))
                address = came_to(ours)
                fanout.join(address)
                listeners[local] = listener, address
            for words in ([b"one"], [b"a" * 900, b"b" * 900], [b"two"]):
                fanout.broadcast(words, time.monotonic() + 5)
                for local, (listener, _) in listeners.items():
                    heard = [listener.recvfrom(2000) for _ in words]
                    assert [(data, source[0]) for data, source in heard] == [
                        (word, local) for word in words
                    ]
            for local, (listener, address) in listeners.items():
                assert fanout.send(b"to you", address)
                assert listener.recvfrom(100)[1][0] == local
                fanout.leave(address)
            assert len(fanout) == 0

    on_an_island(body)


def came_to(sock: socket.socket) -> Address:
    sock.setblocking(True)
    came = receive(sock)
    sock.setblocking(False)
    assert came is not None
    assert local_of(came[1]) is not None
    return came[1]


@by_its_own_root
@pytest.mark.parametrize("host", ["198.51.100.7", "192.0.2.2", "2001:db8::2"])
def test_a_listener_that_names_the_second_address_plays(host: str, tmp_path: Path) -> None:
    def body() -> None:
        with (
            interface(),
            server(tmp_path, SAMPLE, "--speed", 50) as broadcast,
            client(tmp_path, broadcast, "--output", "null", host=host) as listener,
        ):
            end(listener, broadcast)
            assert listener.result["lost"] == 0

    on_an_island(body)


def test_a_listener_is_known_by_its_own_address_whichever_of_ours_it_speaks_to() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
        (ours,) = open_server_sockets("0.0.0.0", 0)  # noqa: S104 - every address of the loopback
        with ours:
            seen = []
            for host in ("127.0.0.1", "127.0.0.2"):
                listener.sendto(b"here I am", (host, ours.getsockname()[1]))
                seen.append(came_to(ours))
            assert seen[0] == seen[1] == ("127.0.0.1", listener.getsockname()[1])
            assert len({*seen}) == 1
            assert local_of(seen[0]) != local_of(seen[1])


class Full:
    """A socket whose buffer takes `room` datagrams, until it is emptied."""

    family = socket.AF_INET

    def __init__(self, room: int) -> None:
        self.room, self.taken = room, 0
        self.sent: list[Address] = []

    def sendto(self, datagram: bytes, address: Address) -> None:
        if self.taken == self.room:
            raise BlockingIOError
        self.taken += 1
        self.sent.append(address)

    def setsockopt(self, *option: object) -> None:
        pass


def test_a_full_buffer_is_everybodys_in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fanout_module, "make_sender", Loop)
    full = Full(room=90)
    fanout = Fanout([full], 1400)  # type: ignore[list-item]
    listeners: list[Address] = [(f"192.0.2.{n}", 4501) for n in range(100)]
    for one in listeners:
        fanout.join(one)
    for _ in range(20):
        assert len(fanout.broadcast([b"x"], 0.0).missed) == 10
        full.taken = 0
    counts = [full.sent.count(one) for one in listeners]
    assert (min(counts), max(counts)) == (18, 18)
