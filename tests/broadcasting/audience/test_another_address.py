"""A listener whose address or port changes on the way: it goes on, and nobody else can move it.

In virtual time; with the real programs at the end.
"""

from __future__ import annotations

import dataclasses
import select
import signal
import socket
import threading
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

import pytest

from broadcasting.audience.migration import QUIET_S
from broadcasting.settings import Settings
from listening.session.report_timing import PROBE_S
from listening.session.session import State
from message import (
    Accept,
    Challenge,
    Connect,
    Control,
    Goodbye,
    Message,
    Report,
    Request,
    Type,
)
from tests.broadcasting.test_broadcast import HERE, THERE, Server, datagram, goodbye, only, report
from tests.rig.luck import once, seeds
from tests.rig.network import (
    Link,
    Listener,
    Network,
    balanced,
    client_address,
    random_loss,
    segments,
)
from tests.rig.programs import SAMPLE, WAIT_S, balances, client, end, pcm_in, server
from tests.rig.zoo import reference_pcm
from wire.address import Address
from wire.seal import KEY_BYTES, Key

pytestmark = once

NEW = client_address(7_777)
OTHER_HOST: Address = ("203.0.113.7", 4000)
IPV6: Address = ("2001:db8::7", 4000, 0, 0)

WITHIN_S = 3.0

KEY = Key(bytes(KEY_BYTES))
KEYS = pytest.mark.parametrize("key", [None, KEY], ids=["open", "sealed"])

# The server alone.


def say(server: Server, said: Control, address: Address) -> list[tuple[Message, Address]]:
    """A datagram comes from `address`; what the server sends, and to whom."""
    return server.answers(said, address)


def changes(server: Server) -> tuple[list[Address], list[Address]]:
    """Addresses that joined and left since the last AUDIO was sent."""
    joined, left = server.core.registry.take_changes()
    return list(joined), list(left)


def quiet_server(**options: Any) -> tuple[Server, Accept]:
    """A server and its one listener, which has said nothing for a while."""
    server = Server(Settings(**options) if options else None)
    accept = server.join(HERE)
    server.wait(QUIET_S)
    return server, accept


def proof(server: Server, accept: Accept, address: Address) -> Connect:
    """What proves `address`, once it was asked for it."""
    (message, to), *_ = say(server, report(accept.session), address)
    assert to == address
    challenge = Challenge.from_message(message)
    assert challenge.nonce == accept.session
    return Connect(nonce=accept.nonce, cookie=challenge.cookie, session=accept.session)


@pytest.mark.parametrize("address", [NEW, OTHER_HOST, IPV6], ids=["port", "address", "family"])
def test_a_listener_goes_on_from_another_address_that_it_proves(address: Address) -> None:
    server, accept = quiet_server(max_clients=1)
    connect = proof(server, accept, address)
    assert server.addresses() == (HERE,)
    again = only(Accept, server.say(connect, address))
    assert again == dataclasses.replace(accept, origin_us=again.origin_us)
    assert server.addresses() == (address,)
    assert changes(server) == ([address], [HERE])
    count = server.core.statistics
    assert (count.accepted, count.moved, count.expired, count.listeners_peak) == (1, 1, 0, 1)
    assert not server.core.figures.departed
    said = goodbye(accept.session, lost=7)
    assert only(Goodbye, server.say(said, address)) == said
    assert [(one.address, one.report) for one in server.core.figures.departed] == [(address, said)]


@pytest.mark.parametrize("kind", [report, goodbye], ids=["report", "goodbye"])
def test_a_word_from_another_address_changes_nothing_before_the_proof(kind: Any) -> None:
    server, accept = quiet_server()
    told = server.figures()
    for _ in range(20):
        answers = say(server, kind(accept.session), NEW)
        assert [(m.type, to) for m, to in answers] == [
            (Type.CHALLENGE, NEW),
            (Type.CHALLENGE, HERE),
        ]
        assert server.addresses() == (HERE,)
        assert changes(server) == ([], [])
    assert server.figures() == told
    server.wait(server.core.settings.timeout_s - QUIET_S)
    assert server.addresses() == (), "what came from elsewhere has kept the slot"


def test_to_an_address_that_is_asked_for_proof_goes_no_more_than_came() -> None:
    server, accept = quiet_server()
    session = accept.session
    for said in (
        report(session),
        goodbye(session),
        Request(session=session, missing="1"),
        Request(session=session, missing=",".join(str(n) for n in range(1, 200, 2))),
        Connect(nonce="", session=session),
        Connect(nonce=accept.nonce, cookie="c" * 32, session=session),
    ):
        sent = datagram(said)
        received = server.core.receive_datagram(sent, NEW, server.now)
        answers = received.answers if received else []
        assert sum(len(data) for data, to in answers if to == NEW) <= len(sent)
        assert server.addresses() == (HERE,)


def test_a_report_as_short_as_can_be_is_long_enough_to_be_answered() -> None:
    shortest = Report(session="s" * 16, clock_us=0, expected=0, received=0, intact=0)
    answer = Challenge(nonce="s" * 16, cookie="c" * 32)
    assert len(answer.to_message().pack()) <= len(shortest.to_message().pack())


@pytest.mark.parametrize("wrong", ["cookie", "of another address", "nonce", "session"])
def test_without_cookie_nonce_and_session_nothing_moves(wrong: str) -> None:
    server, accept = quiet_server(max_clients=1)
    connect = proof(server, accept, NEW)
    told = {"nonce": connect.nonce, "cookie": connect.cookie, "session": connect.session}
    if wrong == "of another address":
        told["cookie"] = proof(server, accept, OTHER_HOST).cookie
    else:
        told[wrong] = "x" * 32
    say(server, Connect(**told), NEW)
    assert server.addresses() == (HERE,)
    assert server.core.statistics.moved == 0


def test_who_speaks_from_the_registered_address_keeps_the_session() -> None:
    server, accept = quiet_server(max_clients=1)
    connect = proof(server, accept, NEW)
    server.say(report(accept.session), HERE)
    assert server.say(connect, NEW) == []
    assert say(server, report(accept.session), NEW) == []
    assert say(server, goodbye(accept.session), NEW) == []
    assert server.addresses() == (HERE,)


def test_a_session_goes_back_when_the_first_address_answers_later_and_stays() -> None:
    server, accept = quiet_server()
    say(server, proof(server, accept, NEW), NEW)
    assert server.addresses() == (NEW,)
    # What the registered address was asked for arrives now.
    say(server, proof(server, accept, HERE), HERE)
    assert server.addresses() == (HERE,)
    assert say(server, report(accept.session), NEW) == []
    assert server.core.statistics.moved == 2


def test_another_listener_at_the_new_address_has_gone() -> None:
    server = Server()
    accept, gone = server.join(HERE), server.join(THERE, nonce="gone")
    server.wait(QUIET_S)
    ((message, _), _) = say(server, report(accept.session), THERE)
    cookie = Challenge.from_message(message).cookie
    say(server, Connect(nonce="nonce", cookie=cookie, session=accept.session), THERE)
    assert server.addresses() == (THERE,)
    assert [(one.address, one.how) for one in server.core.figures.departed] == [(THERE, "replaced")]
    assert gone.session != accept.session


def test_what_a_listener_may_still_be_sent_moves_along() -> None:
    # So slow that the burst is still under way.
    server = Server(Settings(burst_rate_bytes_per_s=10_000))
    server.join(THERE)
    server.wait(3)
    accept = server.join(HERE)
    server.wait(QUIET_S)
    server.told.clear()
    say(server, proof(server, accept, NEW), NEW)
    server.wait(1)
    to = [address for _, message, address in server.told if message.type == Type.AUDIO]
    assert to
    assert set(to) == {NEW}
    asked = Request(session=accept.session, missing="3")
    server.say(asked, NEW)
    server.say(report(accept.session), NEW)
    assert server.core.statistics.requests == 1


# Both, in virtual time.


def rebind(network: Network, listener: Listener, address: Address, after_s: float = 5.0) -> None:
    """`listener` is at another address from then on; nothing reaches the one before."""
    network.run(after_s)
    listener.address = address


def heard_on(network: Network, listener: Listener) -> bool:
    """Whether it is registered where it is now, and has heard from there."""
    return network.server is not None and listener.address in network.server.registry.addresses


def finish(network: Network, listener: Listener) -> None:
    network.run(120, until=lambda: listener.ended)
    listener.core.leave(network.now)
    network.run(2)
    assert network.server is not None
    assert balanced(listener)
    assert listener.core.failure is None
    assert network.finished


@pytest.mark.parametrize("address", [NEW, OTHER_HOST], ids=["port", "address"])
@pytest.mark.parametrize("delay_s", [0.0005, 0.025, 0.075], ids=["near", "far", "very far"])
@KEYS
def test_a_change_is_repaired_before_it_is_heard(
    key: Key | None, delay_s: float, address: Address
) -> None:
    network = Network(Settings(max_clients=1), segments(150), Link(delay_s=delay_s), key)
    listener = network.join()
    rebind(network, listener, address)
    changed_at = network.now
    network.run(WITHIN_S, until=lambda: heard_on(network, listener))
    assert network.now - changed_at < 1
    finish(network, listener)
    assert network.server is not None
    count, sent = listener.core.statistics, network.server.statistics
    assert listener.sequences == list(range(150))
    assert (listener.gaps, count.lost, count.reconnections) == (0, 0, 0)
    assert count.retransmitted > 0
    assert (sent.accepted, sent.moved, sent.expired) == (1, 1, 0)
    assert [one.how for one in network.server.figures.departed] == ["goodbye"]


@pytest.mark.parametrize("seed", seeds(8))
@KEYS
def test_over_a_network_that_loses_it_goes_on_within_three_seconds(
    key: Key | None, seed: int
) -> None:
    link = Link(delay_s=0.025, drop=random_loss(0.2, seed))
    network = Network(Settings(), segments(200), link, key)
    listener = network.join()
    changes = Random(seed)
    for number in range(2):
        rebind(network, listener, client_address(50 + number), changes.uniform(4, 5))
        changed_at = network.now
        network.run(10, until=lambda: heard_on(network, listener))
        assert network.now - changed_at < WITHIN_S
    finish(network, listener)
    assert network.server is not None
    count, sent = listener.core.statistics, network.server.statistics
    assert (count.expected, count.reconnections) == (200, 0)
    assert (sent.accepted, sent.moved) == (1, 2)


def test_who_moves_before_it_knows_its_session_leaves_nobody_behind() -> None:
    network = Network(Settings(max_clients=2), segments(50), key=KEY)
    listener = network.join()
    # ACCEPT goes to where it is no more.
    network.run(
        1,
        until=lambda: network.server is not None and bool(network.server.registry.addresses),
    )
    listener.address = NEW
    network.run(WITHIN_S, until=lambda: heard_on(network, listener))
    finish(network, listener)
    assert network.server is not None
    assert [one.how for one in network.server.figures.departed] == ["replaced", "goodbye"]


def test_with_so_many_listeners_that_reports_are_seldom_it_is_noticed_as_soon() -> None:
    network = Network(Settings(max_clients=200), segments(150))
    listeners = [network.join() for _ in range(150)]
    rebind(network, listeners[0], NEW)
    changed_at = network.now
    network.run(WITHIN_S, until=lambda: heard_on(network, listeners[0]))
    assert network.now - changed_at < 2 * PROBE_S
    network.run(20, until=lambda: all(one.ended for one in listeners))
    assert {one.core.statistics.lost for one in listeners} == {0}
    assert {one.core.statistics.reconnections for one in listeners} == {0}


def test_a_change_after_the_end_was_told_is_noticed_too() -> None:
    network = Network(Settings(burst_s=5.0), segments(100))
    listener = network.join(buffer_s=5.0)
    network.run(120, until=lambda: listener.core.snapshot(network.now).state is State.ENDING)
    listener.address = NEW
    network.run(WITHIN_S, until=lambda: heard_on(network, listener))
    assert heard_on(network, listener)
    finish(network, listener)
    assert [one.how for one in network.server.figures.departed] == ["goodbye"]  # type: ignore[union-attr]


def test_who_leaves_from_another_address_leaves_for_good() -> None:
    network = Network(Settings(), segments(150))
    listener = network.join()
    rebind(network, listener, NEW)
    network.run(QUIET_S)
    listener.core.leave(network.now)
    network.run(1)
    assert network.server is not None
    assert network.server.registry.addresses == ()
    (departed,) = network.server.figures.departed
    assert (departed.address, departed.how) == (NEW, "goodbye")
    assert listener.core.closed


@pytest.mark.usefixtures("nobody_asks_for_the_time")
def test_who_comes_back_from_elsewhere_after_a_long_silence_takes_no_second_slot() -> None:
    # With so many, the server is more patient than a listener.
    cut, many = [False], 150
    link = Link(drop=lambda side, index: cut[0])
    settings = Settings(max_clients=many, max_clients_per_address=many, timeout_s=2.0)
    network = Network(settings, segments(600), link)
    listener, *others = [network.join() for _ in range(many)]
    rebind(network, listener, NEW, after_s=8)
    cut[0] = True
    network.run(3.0)
    assert {one.core.snapshot(network.now).state for one in others} == {State.CONNECTING}
    cut[0] = False
    network.run(WITHIN_S, until=lambda: heard_on(network, listener))
    assert heard_on(network, listener)
    assert network.server is not None
    assert (network.server.statistics.accepted, network.server.statistics.moved) == (many, 1)


def test_somebody_who_has_the_session_does_not_get_it_from_who_is_there() -> None:
    thief, network = OTHER_HOST, Network(Settings(max_clients=1), segments(300))
    listener = network.join()
    network.run(2)
    assert network.server is not None
    accept = listener.core.accept
    assert accept is not None
    cookies = []
    for _ in range(400):
        # He answers faster than the listener can.
        network.run(0.04)
        said = datagram(report(accept.session))
        received = network.server.receive_datagram(said, thief, network.now)
        for data, to in received.answers if received else ():
            message = Message.unpack(data)
            if to == thief and message.type == Type.CHALLENGE:
                cookies.append(Challenge.from_message(message).cookie)
                connect = Connect(nonce=accept.nonce, cookie=cookies[-1], session=accept.session)
                network.server.receive_datagram(datagram(connect), thief, network.now)
            elif to != thief:
                network.send("server", data, to)
    assert cookies, "he was never asked"
    network.run(1)
    assert network.server.registry.addresses == (listener.address,)
    finish(network, listener)
    assert (listener.gaps, listener.core.statistics.lost) == (0, 0)
    assert listener.core.statistics.reconnections == 0


# The real programs.


class Nat:
    """Passes datagrams on from an address that it may change. Nothing passes by the former ones."""

    def __init__(self, server_port: int) -> None:
        self.inside = bound("127.0.0.1")
        self._outside = bound("127.0.0.1")
        self._server = ("127.0.0.1", server_port)
        self._stopped = False
        self._thread = threading.Thread(target=self._pass_on, name="nat")
        self.port: int = self.inside.getsockname()[1]

    def __enter__(self) -> Nat:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stopped = True
        self._thread.join()
        self.inside.close()
        self._outside.close()

    def rebind(self, host: str) -> Address:
        """The new address."""
        before, self._outside = self._outside, bound(host)
        before.close()
        address: Address = self._outside.getsockname()
        return address

    def _pass_on(self) -> None:
        listener: Address | None = None
        while not self._stopped:
            outside = self._outside
            for sock in readable([self.inside, outside]):
                try:
                    data, address = sock.recvfrom(65_535)
                    if sock is self.inside:
                        listener = address
                        outside.sendto(data, self._server)
                    elif listener is not None:
                        self.inside.sendto(data, listener)
                except OSError:
                    continue  # it was closed meanwhile


def readable(sockets: Sequence[socket.socket]) -> Sequence[socket.socket]:
    try:
        return select.select(sockets, [], [], 0.02)[0]
    except (OSError, ValueError):
        return ()  # one was closed meanwhile


def bound(host: str) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.settimeout(WAIT_S)
    sock.bind((host, 0))
    return sock


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.77"], ids=["port", "address"])
def test_the_programs_go_on_when_the_address_changes(host: str, tmp_path: Path) -> None:
    wav = tmp_path / "heard.wav"
    with (
        server(tmp_path, SAMPLE, "--max-clients", 1) as broadcast,
        Nat(broadcast.port) as nat,
        client(tmp_path, nat.port, "--output", wav) as listener,
    ):
        listener.wait_for_log("received STATUS")
        listener.wait_for_log("received AUDIO 15,")
        _, port = nat.rebind(host)[:2]
        broadcast.wait_for_log(rf"goes on from {host}:{port}")
        moved_at = listener.log.count("received AUDIO")
        listener.wait_until(lambda: listener.log.count("received AUDIO") > moved_at + 8, "audio")
        broadcast.send(signal.SIGINT)
        end(listener, broadcast)
        sent, heard = broadcast.result, listener.result
    assert (sent["accepted"], sent["moved"], sent["expired"]) == (1, 1, 0)
    assert [one["address"] for one in sent["listeners"]] == [f"{host}:{port}"]
    assert [one["how"] for one in sent["listeners"]] == ["goodbye"]
    assert (heard["lost"], heard["concealed_s"], heard["reconnections"]) == (0, 0, 0)
    assert heard["retransmitted"] > 0
    assert balances(heard)
    pcm = pcm_in(wav)
    assert len(pcm) > 0
    assert reference_pcm(SAMPLE).startswith(pcm)
