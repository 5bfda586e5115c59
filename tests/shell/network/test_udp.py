"""Receiving from a client's sockets, on loopback."""

from __future__ import annotations

import select
import socket
import struct
import sys
import time
from collections.abc import Iterator

import pytest

from broadcasting.sending.sendmmsg import UDP_SEGMENT
from shell.network import udp
from shell.network.udp import (
    SOL_UDP,
    AddressError,
    open_client_sockets,
    open_server_sockets,
    receive_train,
)
from wire.address import Address

WAIT_S = 5.0


@pytest.fixture(params=[("127.0.0.1", 0), ("::1", 0, 0, 0)], ids=["IPv4", "IPv6"])
def pair(request: pytest.FixtureRequest) -> Iterator[tuple[socket.socket, socket.socket]]:
    """A server's socket and a client's."""
    (client,) = open_client_sockets([request.param])
    client.bind(request.param)
    with client, socket.socket(client.family, socket.SOCK_DGRAM) as server:
        server.bind(request.param)
        yield server, client


def received(client: socket.socket, count: int) -> list[bytes]:
    """At least `count` datagrams, or what came in time."""
    found: list[bytes] = []
    while len(found) < count and select.select([client], [], [], WAIT_S)[0]:
        came = receive_train(client)
        assert came is not None
        found += came[0]
    return found


def test_datagrams_come_one_by_one_as_they_were_sent(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    server, client = pair
    for data in (b"one", b"", b"two"):
        server.sendto(data, client.getsockname())
    assert received(client, 3) == [b"one", b"", b"two"]
    assert receive_train(client) is None


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux cuts and joins datagrams")
@pytest.mark.parametrize("size", [3 * 1286, 2 * 1286 + 700])
def test_a_train_is_cut_where_it_was_joined(
    pair: tuple[socket.socket, socket.socket], size: int
) -> None:
    server, client = pair
    payload = bytes(range(256)) * (size // 256) + bytes(size % 256)
    segment = [(SOL_UDP, UDP_SEGMENT, struct.pack("=H", 1286))]
    server.sendmsg([payload], segment, 0, client.getsockname())
    assert received(client, 3) == [payload[at : at + 1286] for at in range(0, size, 1286)]


def test_the_sender_is_told(pair: tuple[socket.socket, socket.socket]) -> None:
    server, client = pair
    server.sendto(b"x", client.getsockname())
    select.select([client], [], [], WAIT_S)
    came = receive_train(client)
    assert came is not None
    assert came[:2] == ([b"x"], server.getsockname())


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells when a datagram came")
@pytest.mark.parametrize(("ago_s", "is_believed"), [(0.5, True), (2.0, False), (-0.5, False)])
def test_the_kernel_tells_when_a_datagram_came_unless_the_clock_was_set_since(
    pair: tuple[socket.socket, socket.socket],
    ago_s: float,
    is_believed: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server, client = pair
    now = time.time
    begin = time.monotonic()
    server.sendto(b"x", client.getsockname())
    select.select([client], [], [], WAIT_S)
    sent = time.monotonic()
    monkeypatch.setattr(time, "time", lambda: now() + ago_s)
    came = receive_train(client)
    end = time.monotonic()
    monkeypatch.undo()
    assert came is not None
    if is_believed:
        assert begin - 0.001 <= came[2] + ago_s <= sent + 0.001
    else:
        assert sent <= came[2] <= end


def test_where_ancillary_data_cannot_be_had_it_is_done_without() -> None:
    class Plain:
        def recvfrom(self, size: int) -> tuple[bytes, tuple[str, int]]:
            return b"x", ("192.0.2.1", 4501)

    came = receive_train(Plain())  # type: ignore[arg-type]
    assert came is not None
    assert came[:2] == ([b"x"], ("192.0.2.1", 4501))


def test_a_port_that_is_free_for_one_family_alone_is_not_chosen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("0.0.0.0", 0))  # noqa: S104 - as the server does
        taken = other.getsockname()[1]
        free = iter([taken, taken])
        bound = udp._bound

        def unlucky(family: socket.AddressFamily, address: Address) -> socket.socket:
            if family == socket.AF_INET6 and address[1] == 0:
                address = ("::", next(free, 0), 0, 0)
            return bound(family, address)

        monkeypatch.setattr(udp, "_bound", unlucky)
        sockets = open_server_sockets(None, 0)
        (port,) = {sock.getsockname()[1] for sock in sockets}
        for sock in sockets:
            sock.close()
        assert len(sockets) == 2
        assert port != taken
        with pytest.raises(AddressError, match=f"port {taken} is in use"):
            open_server_sockets(None, taken)
