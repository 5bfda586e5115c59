"""What of a listener is looked at, whatever comes under its address."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest

from broadcasting.audience import seal as server_seal
from broadcasting.audience.rate_limiter import (
    LISTENER_AT_ONCE,
    LISTENER_FORGERIES,
    LISTENER_MESSAGES,
    SOURCE_MESSAGES,
)
from broadcasting.settings import Settings
from message import (
    CONNECT_BYTES,
    HEADER_BYTES,
    SALT_BYTES,
    SEALED,
    Connect,
    Control,
    Message,
    Report,
    Request,
    Status,
    Type,
)
from tests.broadcasting.test_broadcast import HERE, STREAM, THERE, Server, goodbye, missing, report
from tests.rig.network import Network, segments
from wire.address import Address
from wire.seal import KEY_BYTES, Key, opened

FORGED = "0" * 32


@pytest.mark.parametrize("content", [report(FORGED), missing(FORGED, "0-9"), goodbye(FORGED)])
def test_what_is_forged_under_its_address_does_not_use_up_what_a_listener_may_send(
    content: Control,
) -> None:
    server = Server()
    session = server.join(HERE).session
    server.wait(2)
    for _ in range(20_000):
        server.say(content, HERE)
    assert server.core.statistics.passed_over > 19_000
    (status,) = server.say(report(session), HERE)
    assert status.type == Type.STATUS
    assert [one.type for one in server.say(missing(session, "3"), HERE)] == [Type.REPEAT]
    assert server.addresses() == (HERE,)


def test_a_listener_that_repeats_itself_is_answered_at_its_pace_and_stays() -> None:
    server = Server()
    session = server.join(HERE).session
    server.join(THERE)
    answers = 0
    for _ in range(20_000):
        server.now += 0.0005
        answers += len(server.say(report(session), HERE))
    assert answers == pytest.approx(10 * LISTENER_MESSAGES + LISTENER_AT_ONCE, abs=2)
    assert HERE in server.addresses()
    assert server.core.statistics.passed_over == 20_000 - answers


def test_one_listener_uses_up_nothing_of_another() -> None:
    server = Server()
    here, there = server.join(HERE).session, server.join(THERE).session
    for _ in range(10_000):
        server.say(report(here), HERE)
    assert [one.type for one in server.say(report(there), THERE)] == [Type.STATUS]


@pytest.mark.parametrize("kind", [Report, Request])
def test_a_session_in_another_place_of_the_object_is_as_good(kind: type[Control]) -> None:
    server = Server()
    session = server.join(HERE).session
    server.wait(2)
    content = report(session) if kind is Report else missing(session, "3")
    said = content.to_message(stream=STREAM)
    turned = json.dumps(dict(reversed(json.loads(said.data).items()))).encode()
    (answer,) = server.say(said._replace(data=turned), HERE)
    assert answer.type == (Type.STATUS if kind is Report else Type.REPEAT)


def test_both_programs_write_the_session_where_it_proves_a_message() -> None:
    server = Server()
    session = server.join(HERE).session
    everything = dataclasses.replace(report(session), ended=True, lost=3, jitter_ms=1.0)
    for content in (report(session), everything, missing(session, "3"), goodbye(session)):
        data = content.to_message().data
        assert data.startswith(b'{"session":"%b"' % session.encode())


def test_a_session_that_only_begins_as_the_right_one_proves_nothing() -> None:
    server = Server()
    session = server.join(HERE).session
    for said in (session[:-1], session + "0", ""):
        answers = server.say(report(said), HERE)
        assert [one.type for one in answers] in ([Type.REJECT], [])
    assert Status.from_message(server.say(report(session), HERE)[0]).listeners == 1


def test_every_datagram_is_counted_as_one_thing() -> None:
    server = Server()
    session = server.join(HERE).session
    before = server.core.statistics.control_received
    said: list[bytes | Control] = [b"", b"stray", Message(0, Type.AUDIO, b"x").pack()]
    said += [report(session)] * 200
    said += [report("")] * 200
    for one in said:
        server.say(one, HERE)
    count = server.core.statistics
    read = count.malformed + count.ignored + count.passed_over + count.control_received
    assert read - before == len(said)


def test_a_host_that_takes_all_addresses_of_its_ipv6_network_keeps_nobody_else_out() -> None:
    server = Server()
    connect = Connect(nonce="nonce").to_message().pack(CONNECT_BYTES)
    refused = 0
    for second in range(10):
        for number in range(2000):
            address: Address = (f"2001:db8::{second:x}:{number:x}:1", 4000, 0, 0)
            server.core.receive_datagram(connect, address, server.now)
            if number % 20 == 0:
                honest: Address = (f"2001:db8:1:{second * 100 + number // 20:x}::1", 4000, 0, 0)
                refused += server.say(Connect(nonce="nonce"), honest) == []
            server.now += 0.0005
    # One network in a thousand shares a bucket with the host, by chance.
    assert refused < 10


class Opened:
    """Counts the datagrams that a server with a key deciphers."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        self._opened = opened
        monkeypatch.setattr(server_seal, "opened", self)

    def __call__(self, *arguments: Any) -> Message:
        self.count += 1
        return self._opened(*arguments)


def sealed_pair() -> tuple[Network, bytes]:
    """A server with a key and a listener; a REPORT that the listener sent."""
    network = Network(Settings(timeout_s=5.0), segments(100_000), key=Key(bytes(KEY_BYTES)))
    network.join()
    network.run(2)
    sent: list[bytes] = []
    send = network.send

    def listen_in(side: str, data: bytes, address: Address) -> None:
        if side == "client":
            sent.append(data)
        send(side, data, address)

    network.send = listen_in  # type: ignore[method-assign]
    network.run(2)
    network.send = send  # type: ignore[method-assign]
    return network, next(data for data in sent if data[3] == Type.REPORT | SEALED)


@pytest.mark.parametrize("salt", ["another", "copied"])
def test_what_is_forged_under_the_address_of_a_listener_is_hardly_ever_deciphered(
    salt: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    network, said = sealed_pair()
    server, (listener,) = network.server, network.listeners
    assert server is not None
    forged = bytearray(said)
    forged[HEADER_BYTES + SALT_BYTES] ^= 1
    if salt == "another":
        forged[HEADER_BYTES] ^= 1
    deciphered = Opened(monkeypatch)
    network.run(2)
    usual = deciphered.count
    for _ in range(200):
        for number in range(100):
            # Numbers that the listener has not come to.
            forged[16:24] = (1_000 + number).to_bytes(8)
            server.receive_datagram(bytes(forged), listener.address, network.now)
        network.run(0.01)
    count = server.statistics
    # Its own messages among them.
    assert 20_000 <= count.forged + count.passed_over <= 20_010
    most = SOURCE_MESSAGES * 16 if salt == "another" else LISTENER_FORGERIES
    assert deciphered.count - usual <= 3 * most + 10
    # Afterwards, and with a salt that nobody could copy even meanwhile, it is heard.
    network.run(10)
    assert server.registry.addresses == (listener.address,)
    if salt == "another":
        assert (count.expired, listener.core.statistics.reconnections) == (0, 0)


def test_a_copy_of_what_a_listener_said_is_not_even_deciphered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    network, said = sealed_pair()
    server, (listener,) = network.server, network.listeners
    assert server is not None
    deciphered = Opened(monkeypatch)
    for _ in range(1000):
        server.receive_datagram(said, listener.address, network.now)
    assert deciphered.count == 0
    assert server.statistics.replayed + server.statistics.passed_over == 1000
