"""The simulated network between sockets and core: in virtual time, and in the program itself."""

from __future__ import annotations

import re
import signal
from pathlib import Path
from random import Random
from typing import Any

import pytest

from listening.arguments import parse
from listening.display.live_view import LiveView
from listening.listen import Listen
from listening.outputs.fader import Loudness
from listening.simulated_network import SimulatedNetwork, type_of
from message import Message, Type
from simulation.link_conditions import LinkConditions
from tests.rig.luck import once
from tests.rig.network import Network, balanced
from tests.rig.programs import SAMPLE, Program, balances, client, end, run, server
from wire.address import Address

pytestmark = once

SERVER: Address = ("192.0.2.1", 4501)

AUDIO = ("AUDIO", "REPEAT")
"""Types whose arrival is counted as audio received."""


def core() -> Listen:
    return Listen(
        [SERVER],
        nonce="nonce",
        timeout_s=10.0,
        buffer_s=1.0,
        lead_s=0.0,
        waits=False,
        random=Random(1),
        now=1000.0,
    )


def step(network: SimulatedNetwork, now: float) -> list[bytes]:
    """As the receiver thread does."""
    network.on_due(now)
    return [data for data, _ in network.datagrams_to_send(now)]


def types(datagrams: list[bytes]) -> list[str]:
    return [type_of(data) for data in datagrams]


def test_what_the_core_sends_leaves_when_it_has_been_on_its_way() -> None:
    network = SimulatedNetwork(core(), LinkConditions(delay_s=0.05))
    assert step(network, 1000.0) == []
    assert network.next_due() == pytest.approx(1000.05)
    assert types(step(network, 1000.06)) == ["CONNECT"]


def test_what_comes_reaches_the_core_when_it_has_been_on_its_way() -> None:
    listen = core()
    network = SimulatedNetwork(listen, LinkConditions(delay_s=0.05))
    network.receive_datagram(b"no message", SERVER, 1000.0)
    assert network.next_due() == 1000.0  # the core wants to connect
    step(network, 1000.0)
    assert listen.statistics.malformed == 0
    step(network, 1000.05)
    assert listen.statistics.malformed == 1


def test_a_perfect_network_passes_everything_at_once() -> None:
    listen = core()
    network = SimulatedNetwork(listen, LinkConditions())
    assert types(step(network, 1000.0)) == ["CONNECT"]
    network.receive_datagram(b"no message", SERVER, 1000.0)
    assert listen.statistics.malformed == 1


def test_who_has_left_hears_nothing_more_but_what_was_said_is_delivered() -> None:
    listen = core()
    network = SimulatedNetwork(listen, LinkConditions(delay_s=0.05))
    step(network, 1000.0)
    network.receive_datagram(b"no message", SERVER, 1000.0)
    listen.leave(1000.01)
    assert listen.closed
    assert network.next_due() == pytest.approx(1000.05)
    assert types(step(network, 1000.05)) == ["CONNECT"]
    assert network.next_due() is None
    assert listen.statistics.ignored == 0


def test_both_directions_lose_each_by_itself() -> None:
    network = SimulatedNetwork(core(), LinkConditions(loss=0.5, seed=1))
    for _ in range(1000):
        network.receive_datagram(b"no message", SERVER, 1000.0)
        network.from_us.receive_datagram(b"no message", SERVER, 1000.0)
    lost = network.to_us.total().dropped, network.from_us.total().dropped
    assert lost[0] != lost[1]
    assert all(400 < count < 600 for count in lost)


def test_the_live_line_says_that_the_network_is_simulated() -> None:
    listen = core()
    network = SimulatedNetwork(listen, LinkConditions(loss=0.1, burst=5))
    for simulated in (None, network):
        view = LiveView(buffer_s=1.0, is_heard=True, has_keys=False, simulated=simulated)
        view.tell(listen.snapshot(1000.0), Loudness(), None, 1000.0)
        screen = "\n".join(view.lines(80, 24))
        assert screen.startswith("\x1b[33mlooking for the server")
        told = "simulated network: loss 10 % in bursts of 5" in screen
        assert told == ("simulated=loss=10%,burst=5," in view.text()) == (simulated is not None)


@pytest.mark.parametrize(
    ("datagram", "name"),
    [
        (b"", "other"),
        (b"\xb5\x3a\x01", "other"),
        (b"\xb5\x3a\x01\xff", "other"),
        (Message(0, Type.AUDIO).pack(), "AUDIO"),
        (Message(0, Type.GOODBYE).pack(), "GOODBYE"),
    ],
)
def test_datagrams_are_counted_by_the_type_that_they_have(datagram: bytes, name: str) -> None:
    assert type_of(datagram) == name


@pytest.mark.parametrize("seed", range(3))
def test_the_client_counts_in_virtual_time_what_the_link_did(seed: int) -> None:
    conditions = LinkConditions(
        loss=0.1, burst=3, delay_s=0.05, jitter_s=0.04, reorder=0.05, duplicate=0.1, seed=seed
    )
    network = Network(link=conditions)
    listener = network.join()
    network.run(120, until=lambda: listener.ended)
    count = listener.core.statistics
    came = network.links["server"].counts()
    assert balanced(listener)
    assert count.received == sum(came[name].delivered for name in AUDIO if name in came)
    assert min(came["AUDIO"].dropped, came["AUDIO"].duplicated, count.out_of_order) > 0


# The program.


def end_of(tmp_path: Path, *options: str) -> Program:
    """A client that has listened to the sample, whole, over a network that is simulated."""
    with (
        server(tmp_path, SAMPLE, "--speed", 40) as broadcast,
        client(tmp_path, broadcast, "--output", "heard.wav", *options) as listener,
    ):
        end(listener, broadcast)
    return listener


def received_of(result: dict[str, Any]) -> int:
    """Datagrams of audio that the simulation delivered."""
    counted = result["simulated"]["to_client"]["types"]
    return sum(counted[name]["delivered"] for name in AUDIO if name in counted)


def test_the_client_counts_what_the_simulation_has_dropped_and_says_that_it_did(
    tmp_path: Path,
) -> None:
    typed = "loss=10%,burst=2,delay=20ms,jitter=5ms,duplicate=5%,seed=7"
    listener = end_of(tmp_path, "--simulate", typed)
    result = listener.result
    assert balances(result)
    simulated = result["simulated"]
    assert simulated["conditions"] == typed
    audio = simulated["to_client"]["types"]["AUDIO"]
    # It was fast: the last of it may have come when all was over.
    assert result["received"] + result["ignored"] >= received_of(result) >= result["received"]
    assert 0 < audio["dropped"] < audio["came"]
    assert audio["duplicated"] > 0
    assert simulated["to_server"]["types"]["REPORT"]["came"] > 0
    told = "loss 10 % in bursts of 2, delay 20 ms ± 5 ms, 5 % doubled; seed 7"
    words = " ".join(listener.stdout.split())
    assert f"simulated network {told}" in words
    assert f"{audio['dropped']} of {audio['came']} of audio" in words
    assert f" - WARNING - simulated network: {typed}\n" in listener.log


def test_a_seed_that_is_not_typed_is_drawn_and_can_be_typed_again() -> None:
    drawn = {str(parse(["host", "1", "--simulate", "loss=1%"]).simulate) for _ in range(10)}
    assert len(drawn) > 1
    for typed in drawn:
        assert re.fullmatch(r"loss=1%,seed=\d+", typed)
        assert str(parse(["host", "1", "--simulate", typed]).simulate) == typed


def test_without_a_simulation_nothing_speaks_of_one(tmp_path: Path) -> None:
    listener = end_of(tmp_path)
    assert listener.result["simulated"] is None
    assert "simulated" not in listener.stdout + listener.log


def test_nobody_is_reached_where_everything_is_lost(tmp_path: Path) -> None:
    with server(tmp_path, SAMPLE) as broadcast:
        answer = run(
            tmp_path, "client.py", "127.0.0.1", broadcast.port,
            "--output", "null", "--timeout", 0.4, "--simulate", "loss=100%",
        )  # fmt: skip
        assert (answer.status, answer.stdout) == (1, "")
        assert answer.stderr.startswith("client.py: no answer from")
        assert "received CONNECT" not in broadcast.log
        broadcast.send(signal.SIGINT)
        end(broadcast)


def test_a_goodbye_arrives_from_further_away_than_the_client_waits_for_the_answer(
    tmp_path: Path,
) -> None:
    with (
        server(tmp_path, SAMPLE) as broadcast,
        client(tmp_path, broadcast, "--output", "null", "--simulate", "delay=700ms") as listener,
    ):
        listener.wait_for_log("received AUDIO")
        listener.send(signal.SIGINT)
        end(listener)
        broadcast.wait_for_log(r"left \(goodbye\)")
        broadcast.send(signal.SIGINT)
        end(broadcast)
