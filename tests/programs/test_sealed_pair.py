"""Both cores with a key, over a network that loses and doubles and has enemies, in virtual time."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from broadcasting.audience.seal import REMEMBERED_S
from broadcasting.settings import Fec, Settings
from broadcasting.source.segments import Segment, read_segments
from listening.arrival.playable import Ready
from listening.session.connecting import HINT_PATIENCE_S
from listening.session.seal import MOST_SERVERS
from listening.session.session import State
from message import (
    CONNECT_BYTES,
    HEADER_BYTES,
    SALT_BYTES,
    SEALED,
    Challenge,
    Connect,
    End,
    Goodbye,
    Message,
    Reject,
    Report,
    Type,
)
from tests.rig.network import (
    SERVER,
    Link,
    Listener,
    Network,
    balanced,
    burst_loss,
    client_address,
    random_loss,
    segments,
)
from tests.rig.programs import SAMPLE
from tests.rig.zoo import frames_in
from wire.address import Address
from wire.seal import KEY_BYTES, Key

KEY = Key(bytes(range(KEY_BYTES)))
OTHER_KEY = Key(bytes(KEY_BYTES))

DATA_BYTES = 1400 - 48 - HEADER_BYTES - 16 - 19
MALLORY: Address = ("203.0.113.66", 6666)


class Wire:
    """Sees all that passes, and brings some of it again."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.seen: list[tuple[str, bytes, Address]] = []
        self._send = network.send
        network.send = self._pass_on  # type: ignore[method-assign]

    def of(self, side: str, *types: Type) -> list[tuple[bytes, Address]]:
        """What this side has sent of these types; of all if none is named."""
        return [
            (data, address)
            for who, data, address in self.seen
            if who == side and (not types or data[3] & ~SEALED in types)
        ]

    def bring(self, side: str, data: bytes, address: Address) -> None:
        """Bring a datagram as if `side` had sent it now."""
        network = self.network
        if side == "client":
            network.bring(data, address)
            return
        for listener in network.listeners:
            if listener.address == address:
                listener.core.receive_datagram(data, SERVER, network.now)

    def _pass_on(self, side: str, data: bytes, address: Address) -> None:
        self.seen.append((side, data, address))
        self._send(side, data, address)


def sealed_network(
    settings: Settings | None = None,
    programme: Iterator[Segment] | None = None,
    link: Link | None = None,
) -> Network:
    return Network(settings, programme, link, key=KEY)


def heard(listener: Listener) -> bytes:
    """The frames that were played."""
    return b"".join(item.message.data for item in listener.played if isinstance(item, Ready))


def figures(listener: Listener) -> dict[str, Any]:
    """Its statistics, without what only says that something was refused."""
    count = replace(listener.core.statistics, forged=0, replayed=0, ignored=0, malformed=0)
    return {name: getattr(count, name) for name in count.__slots__ if not name.startswith("_")}


def server_of(network: Network) -> Any:
    assert network.server is not None
    return network.server


# What is heard.


@pytest.mark.parametrize(
    ("fec", "how", "link"),
    [
        pytest.param(None, "intact", Link(), id="nothing lost"),
        pytest.param(
            None, "retransmitted", Link(0.02, random_loss(0.2, 1)), id="a fifth lost each way"
        ),
        pytest.param(None, "retransmitted", Link(0.02, burst_loss(0.1, 5, 2)), id="bursts"),
        pytest.param(Fec(20, 4), "rebuilt", Link(0.02, random_loss(0.1, 3)), id="with parity"),
        pytest.param(
            Fec(10, 2),
            "rebuilt",
            Link(
                0.02,
                random_loss(0.1, 4),
                jitter=lambda side, index: index * 7919 % 13 / 500,
                copies=lambda side, index: 1 + (index % 10 == 0),
            ),
            id="with parity, disorder and doubles",
        ),
    ],
)
def test_every_frame_of_the_file_is_heard_by_who_has_the_key(
    fec: Fec | None, how: str, link: Link
) -> None:
    programme = read_segments([str(SAMPLE)], DATA_BYTES)
    network = sealed_network(Settings(fec=fec, wait_for=2), programme, link)
    listeners = [network.join(buffer_s=1.0) for _ in range(2)]
    network.run(60, until=lambda: all(one.ended for one in listeners))
    for one in listeners:
        assert heard(one) == b"".join(frames_in(SAMPLE))
        count = one.core.statistics
        assert (count.lost, count.forged, count.malformed) == (0, 0, 0)
        assert getattr(count, how) > 10
        assert balanced(one)
    assert server_of(network).statistics.forged == 0


def test_a_segment_is_sealed_once_for_all_and_kept_for_repair_and_late_joiners() -> None:
    network = sealed_network(programme=segments(200))
    wire = Wire(network)
    first = network.join()
    network.run(3)
    late = network.join()
    network.run(30, until=lambda: first.ended and late.ended)
    datagrams: dict[int, set[bytes]] = {}
    for data, _ in wire.of("server", Type.AUDIO):
        datagrams.setdefault(Message.unpack(data).sequence, set()).add(data)
    assert all(len(same) == 1 for same in datagrams.values())
    assert late.core.statistics.intact == len(late.sequences) > 100


def test_the_figures_count_the_music_and_not_the_seal() -> None:
    figures_of = []
    for key in (None, KEY):
        link = Link(0.02, random_loss(0.1, 5))
        network = Network(Settings(fec=Fec(20, 4)), segments(300), link, key=key)
        listener = network.join()
        network.run(60, until=lambda one=listener: one.ended)  # type: ignore[misc]
        count = server_of(network).statistics
        figures_of.append(
            (
                count.messages,
                count.audio_bytes,
                count.parity_bytes,
                count.repeated_bytes // max(1, count.repeated),
                listener.core.statistics.received_bytes // listener.core.statistics.received,
            )
        )
    assert figures_of[0] == figures_of[1]


def test_a_server_that_was_started_anew_is_heard_again() -> None:
    network = sealed_network(programme=segments(100_000))
    listener = network.join()
    network.run(3)
    network.kill_server()
    network.run(0.3)
    network.start_server(Settings(), segments(100_000))
    network.run(5)
    before = listener.core.statistics.intact
    network.run(2)
    count = listener.core.statistics
    assert count.intact >= before + 20
    assert count.reconnections == 1


def test_a_listener_survives_more_restarts_than_servers_that_may_answer_it_at_once() -> None:
    network = sealed_network(Settings(timeout_s=0.5), segments(100_000))
    listener = network.join()
    for _ in range(MOST_SERVERS + 2):
        network.run(1)
        network.start_server(Settings(timeout_s=0.5), segments(100_000))
    network.run(2)
    before = listener.core.statistics.intact
    network.run(2)
    assert listener.core.statistics.intact >= before + 20


def test_a_listener_that_heard_nothing_for_a_while_goes_on_in_a_new_session() -> None:
    network = sealed_network(programme=segments(100_000))
    listener = network.join()
    network.run(3)
    cut_at = network.now
    network.link.drop = lambda side, index: side == "server" and network.now < cut_at + 7  # type: ignore[union-attr]
    network.run(14)
    count = listener.core.statistics
    assert count.reconnections == 1
    assert server_of(network).statistics.accepted == 1, "the server has heard it all the time"
    assert server_of(network).statistics.expired == 0
    intact = count.intact
    network.run(2)
    assert listener.core.statistics.intact >= intact + 20
    assert (count.forged, count.malformed) == (0, 0)


def test_of_who_is_not_registered_nothing_is_kept_for_long() -> None:
    network = sealed_network(Settings(max_clients=2, timeout_s=1.0), segments(100_000))
    listeners = [network.join() for _ in range(5)]
    network.run(2)
    assert len(server_of(network).registry) == 2
    for one in listeners:
        if one.core.accept is not None:
            one.core.leave(network.now)
            break
    network.run(1)
    stays = network.join()
    network.run(3)
    server = server_of(network)
    seal = server._sessions._seal
    assert stays.address in server.registry.addresses
    known = [peer.listener for peer in seal._peers.values() if peer.listener is not None]
    assert {one.address for one in known} == set(server.registry.addresses)
    assert len(seal._peers) == 6
    network.run(REMEMBERED_S)
    seal.forget(network.now)
    assert len(seal._peers) == len(server.registry.addresses) == 2


# Who has not the key.


@pytest.mark.parametrize("key", [None, OTHER_KEY], ids=["no key", "another key"])
def test_who_has_not_the_key_is_refused_and_hears_nothing(key: Key | None) -> None:
    network = sealed_network(Settings(wait_for=0), segments(1000))
    network.run(0.1)
    network.key, right = None, network.key
    listener = network.join(key=key)
    network.key = right
    network.run(5)
    assert listener.core.closed
    assert "--key-file" in (listener.core.failure or "")
    assert network.bytes_to[listener.address] < CONNECT_BYTES
    assert server_of(network).statistics.rejected["key"] >= 1
    assert not server_of(network).registry.addresses


def test_who_has_a_key_is_told_that_the_server_has_none_and_is_not_talked_to() -> None:
    network = Network(Settings(wait_for=0), segments(1000))
    network.run(0.1)
    listener = network.join(key=KEY)
    network.run(5)
    assert listener.core.closed
    assert "the server has no key" in (listener.core.failure or "")
    assert not server_of(network).registry.addresses
    assert heard(listener) == b""


def test_an_unsealed_server_cannot_take_the_place_of_a_sealed_one() -> None:
    network = sealed_network(programme=segments(100_000))
    listener = network.join()
    network.run(3)
    intact = listener.core.statistics.intact
    network.kill_server()
    network.key = None
    network.start_server(Settings(wait_for=0), segments(100_000))
    network.run(15)
    assert listener.core.closed
    assert "the server has no key" in (listener.core.failure or "")
    assert listener.core.statistics.intact <= intact + 1


@pytest.mark.parametrize("sealed", [False, True])
def test_to_who_has_not_the_key_the_server_sends_no_more_than_it_got(sealed: bool) -> None:
    server = server_of(sealed_network())
    for type_, length, size in itertools.product(Type, (0, 16, 40), (0, 100, CONNECT_BYTES)):
        number = type_ | SEALED if sealed else int(type_)
        content = b'{"nonce":"n"}'.ljust(length) if not sealed else bytes(length)
        datagram = Message(0, number, content).pack(size)
        received = server.receive_datagram(datagram, MALLORY, 1.0)
        answers = received.answers if received else []
        assert sum(len(data) for data, _ in answers) <= len(datagram)
        if type_ != Type.CONNECT:
            assert not answers


def test_a_refusal_that_anybody_may_have_sent_keeps_nobody_from_the_true_server() -> None:
    network = sealed_network(programme=segments(100_000), link=Link(0.1))
    wire = Wire(network)
    passed = network.send

    def lose(side: str, data: bytes, address: Address) -> None:
        if data[3] & ~SEALED != Type.ACCEPT or network.now > 1003:
            passed(side, data, address)

    network.send = lose  # type: ignore[method-assign]
    listener = network.join()
    for _ in range(40):
        network.run(0.05)
        for data, _ in wire.of("client", Type.CONNECT):
            salt = data[HEADER_BYTES:][:SALT_BYTES].hex()
            refusal = Reject(reason="key", echo=salt).to_message().pack()
            listener.core.receive_datagram(refusal, SERVER, network.now)
    network.run(10)
    assert listener.core.failure is None
    assert listener.core.statistics.intact > 20


def test_a_refusal_by_who_cannot_see_the_salt_is_no_hint() -> None:
    network = sealed_network()
    network.kill_server()
    listener = network.join()
    network.run(0.1)
    for reason, echo in (("key", "0" * 32), ("full", "0" * 16), ("session", "")):
        forged = Reject(reason=reason, echo=echo).to_message().pack()
        listener.core.receive_datagram(forged, SERVER, network.now)
    network.run(2 * HINT_PATIENCE_S)
    assert not listener.core.closed
    network.run(10)
    assert "no answer" in (listener.core.failure or "")


def test_what_is_not_sealed_ends_nothing_and_is_not_heard() -> None:
    network = sealed_network(programme=segments(1000))
    listener = network.join()
    network.run(2)
    accept = listener.core.accept
    assert accept is not None
    stream = 0xABC0001
    sequence = listener.core.statistics.expected
    forged = [
        Message(sequence, Type.AUDIO, bytes.fromhex("fffb9064") + bytes(413), stream),
        End(last_sequence=None, reason="finished").to_message(10_000, stream=stream),
        End(last_sequence=sequence, reason="finished").to_message(10_000, stream=stream),
        Reject(reason="session", echo=accept.session).to_message(10_000, stream=stream),
        Challenge(nonce=accept.nonce, cookie="c").to_message(10_000, stream=stream),
        replace(accept, title="Another").to_message(10_000, stream=stream),
    ]
    before = figures(listener), listener.core.snapshot(network.now).state
    for message in forged:
        for type_ in (message.type, message.type | SEALED):
            datagram = message._replace(type=type_).pack()
            listener.core.receive_datagram(datagram, SERVER, network.now)
    assert (figures(listener), listener.core.snapshot(network.now).state) == before
    assert listener.core.statistics.forged == 2 * len(forged)
    server = server_of(network)
    common: dict[str, Any] = {"expected": 0, "received": 0, "intact": 0, "clock_us": 0}
    for content in (
        Goodbye(session=accept.session, **common),
        Report(session=accept.session, ended=True, **common),
        Connect(nonce="another"),
    ):
        message = content.to_message(10_000, stream=stream)
        for type_ in (message.type, message.type | SEALED):
            server.receive_datagram(
                message._replace(type=type_).pack(CONNECT_BYTES), listener.address, network.now
            )
    assert server.registry.addresses == (listener.address,)
    assert server.statistics.forged == 6
    network.run(3)
    assert listener.core.snapshot(network.now).state is State.LISTENING


# Replays.


def test_all_that_was_said_said_again_changes_nothing() -> None:
    network = sealed_network(programme=segments(100_000))
    wire = Wire(network)
    first, second = network.join(), network.join()
    network.run(2.5)
    server = server_of(network)
    seen = wire.seen.copy()
    before = [figures(first), figures(second)]
    registered = [(one.heard_at, one.report, one.unread) for one in server.registry]
    assert network.answers == []
    for side, data, address in seen:
        if side == "client" or data[3] & ~SEALED not in (Type.AUDIO, Type.REPEAT):
            wire.bring(side, data, address)
            wire.bring(side, data, second.address if address == first.address else first.address)
    assert [figures(first), figures(second)] == before
    assert [(one.heard_at, one.report, one.unread) for one in server.registry] == registered
    assert network.answers == []
    assert server.statistics.replayed > 5
    network.run(2)
    for one in (first, second):
        assert one.core.statistics.reconnections == one.core.statistics.lost == 0


def test_audio_that_comes_again_counts_as_doubled_and_keeps_no_dead_server_alive() -> None:
    network = sealed_network(programme=segments(100_000))
    wire = Wire(network)
    listener = network.join(timeout_s=3.0)
    network.run(3)
    audio = wire.of("server", Type.AUDIO)
    network.kill_server()
    copies = itertools.cycle(audio)
    for _ in range(1000):
        if listener.core.closed:
            break
        network.run(0.02)
        wire.bring("server", *next(copies))
    assert listener.core.closed
    assert "was lost" in (listener.core.failure or "")
    count = listener.core.statistics
    assert count.duplicates + count.late > 100
    assert len(listener.sequences) == len(set(listener.sequences))


def test_who_said_goodbye_is_not_registered_again_by_its_own_words() -> None:
    network = sealed_network(Settings(wait_for=0), segments(100_000))
    wire = Wire(network)
    listener = network.join()
    network.run(2)
    listener.core.leave(network.now)
    network.run(1)
    assert listener.core.closed
    server = server_of(network)
    for wait_s in (0, 10, 30):
        network.run(wait_s)
        for data, address in wire.of("client"):
            server.receive_datagram(data, address, network.now)
        assert not server.registry.addresses, wait_s


def test_words_to_a_server_that_is_gone_mean_nothing_to_the_next() -> None:
    network = sealed_network(programme=segments(100_000))
    wire = Wire(network)
    listener = network.join()
    network.run(2)
    seen = wire.of("client")
    network.remove(listener)
    network.start_server(Settings(), segments(100_000))
    server = server_of(network)
    for data, address in seen:
        server.receive_datagram(data, address, network.now)
    assert not server.registry.addresses
    assert server.statistics.accepted == 0


def test_an_answer_of_an_earlier_session_brings_nobody_back_to_a_dead_server() -> None:
    network = sealed_network(programme=segments(100_000))
    wire = Wire(network)
    listener = network.join()
    network.run(2)
    seen = wire.of("server")
    network.kill_server()
    network.run(6)
    assert listener.core.snapshot(network.now).state is State.CONNECTING
    for data, address in seen:
        wire.bring("server", data, address)
    assert listener.core.snapshot(network.now).state is State.CONNECTING


def test_what_was_said_to_one_server_is_no_answer_of_another_with_the_key() -> None:
    network = sealed_network(programme=segments(100_000))
    other = sealed_network(programme=segments(100_000))
    other._salts = itertools.count(1000)
    other.start_server(Settings(), segments(100_000))
    listener, _ = network.join(), other.join()
    wire, other_wire = Wire(network), Wire(other)
    network.run(2)
    other.run(2)
    before = figures(listener)
    for data, _ in other_wire.of("server"):
        listener.core.receive_datagram(data, SERVER, network.now)
    assert figures(listener) == before
    assert listener.core.statistics.forged == len(other_wire.of("server"))
    assert wire.of("server")


def test_figures_that_were_overtaken_do_not_turn_back() -> None:
    network = sealed_network(programme=segments(100_000))
    wire = Wire(network)
    listener = network.join()
    network.run(1.5)
    held: dict[int, tuple[str, bytes, Address]] = {}
    passed = network.send

    def hold(side: str, data: bytes, address: Address) -> None:
        type_ = data[3] & ~SEALED
        if type_ in (Type.REPORT, Type.STATUS) and type_ not in held:
            held[type_] = (side, data, address)
        else:
            passed(side, data, address)

    network.send = hold  # type: ignore[method-assign]
    network.run(2)
    assert len(held) == 2
    network.join()
    network.run(2)
    registered = server_of(network).registry.at(listener.address)
    newest = registered.unread
    for side, data, address in held.values():
        wire.bring(side, data, address)
    assert registered.unread == newest
    assert listener.core.snapshot(network.now).listeners == 2
    assert listener.core.statistics.replayed == 0


def test_a_message_of_another_version_is_answered_sealed_or_not() -> None:
    server = server_of(sealed_network())
    for type_ in (Type.CONNECT, Type.CONNECT | SEALED):
        datagram = bytearray(Message(0, type_).pack(CONNECT_BYTES))
        datagram[2] = 99
        received = server.receive_datagram(bytes(datagram), client_address(5), 1.0)
        ((answer, _),) = received.answers
        assert Reject.from_message(Message.unpack(answer)).reason == "version"
