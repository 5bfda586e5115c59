"""A hundred thousand datagrams of each kind in five seconds: nobody hears them, nothing stays.

In virtual time, 20,000 a second; `make bench-flood` does the same in real time.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Iterator
from random import Random

import pytest

from broadcasting.audience.rate_limiter import (
    LISTENER_AT_ONCE,
    LISTENER_MESSAGES,
    SOURCE_MESSAGES,
    UNPROVED_MESSAGES,
)
from broadcasting.audience.retransmission import LISTENER_REQUESTS
from broadcasting.settings import Settings
from message import CONNECT_BYTES, Connect, Control, Goodbye, Message, Report, Request, Type
from tests.rig.luck import examples, once
from tests.rig.network import Network, addresses, balanced, client_address, segments
from wire.address import Address

pytestmark = once

DATAGRAMS = examples(100_000)
AT_ONCE = 100
EVERY_S = 0.005
FLOOD_S = DATAGRAMS / AT_ONCE * EVERY_S

MESSAGES = 200

STREAM = 0xABC0001
SESSION = f"{1_000_000:016x}"
"""Session of the first listener in the pretended network."""

HERE = client_address(0)

Flood = Iterator[tuple[bytes, Address]]


def packed(content: Control, size_bytes: int = 0) -> bytes:
    return content.to_message(1, stream=STREAM).pack(size_bytes)


def strangers(random: Random) -> Iterator[Address]:
    while True:
        host = f"203.0.{random.randrange(256)}.{random.randrange(256)}"
        yield (host, random.randrange(1, 65_536))


def report(session: str) -> bytes:
    return packed(Report(session=session, clock_us=9, expected=0, received=0, intact=0))


def connects(random: Random) -> Flood:
    data = packed(Connect(nonce="f" * 16), CONNECT_BYTES)
    return ((data, address) for address in strangers(random))


def false_cookies(random: Random) -> Flood:
    data = packed(Connect(nonce="f" * 16, cookie="f" * 32), CONNECT_BYTES)
    return ((data, address) for address in strangers(random))


def foreign_connects(random: Random) -> Flood:
    data = packed(Connect(nonce="f" * 16), CONNECT_BYTES)
    data = data[:2] + b"\2" + data[3:]
    return ((data, address) for address in strangers(random))


def noise(random: Random) -> Flood:
    return ((random.randbytes(random.randrange(200)), address) for address in strangers(random))


def audio(random: Random) -> Flood:
    data = Message(5, Type.AUDIO, bytes(1000), STREAM).pack()
    return ((data, address) for address in strangers(random))


def reports_from_elsewhere(random: Random) -> Flood:
    return ((report(SESSION), address) for address in strangers(random))


def reports_from_one_other_address(random: Random) -> Flood:
    while True:
        yield report(SESSION), ("203.0.113.9", 666)


def replayed_reports(random: Random) -> Flood:
    while True:
        yield report(SESSION), HERE


def forged_reports(random: Random) -> Flood:
    while True:
        yield report("f" * 16), HERE


def forged_goodbyes(random: Random) -> Flood:
    data = packed(Goodbye(session="f" * 16, clock_us=9, expected=0, received=0, intact=0))
    while True:
        yield data, HERE


def requests(random: Random) -> Flood:
    data = packed(Request(session=SESSION, missing="0-9007199254740991"))
    while True:
        yield data, HERE


SOURCE = SOURCE_MESSAGES * Settings().max_clients_per_address

ANSWERS: dict[Callable[[Random], Flood], float] = {
    connects: UNPROVED_MESSAGES * (FLOOD_S + 1),
    false_cookies: UNPROVED_MESSAGES * (FLOOD_S + 1),
    foreign_connects: UNPROVED_MESSAGES * (FLOOD_S + 1),
    noise: 0,
    audio: 0,
    reports_from_elsewhere: UNPROVED_MESSAGES * (FLOOD_S + 1),
    reports_from_one_other_address: SOURCE * (FLOOD_S + 1),
    replayed_reports: LISTENER_MESSAGES * FLOOD_S + LISTENER_AT_ONCE,
    forged_reports: SOURCE * (FLOOD_S + 1),
    forged_goodbyes: SOURCE * (FLOOD_S + 1),
    requests: 0,
}
"""How many the server may answer at most, of each."""


@pytest.mark.parametrize("flood", ANSWERS, ids=lambda flood: str(flood.__name__))
def test_a_flood_is_not_heard_and_leaves_nothing(flood: Callable[[Random], Flood]) -> None:
    network = Network(programme=segments(MESSAGES))
    server = network.server
    assert server is not None
    listeners = [network.join() for _ in range(3)]
    network.run(2)
    coming = flood(Random(1))
    before = settled_blocks()
    answers, bytes_in, bytes_out = 0, 0, 0
    for _ in range(DATAGRAMS // AT_ONCE):
        sent: list[tuple[bytes, Address]] = []
        for _ in range(AT_ONCE):
            datagram, address = next(coming)
            bytes_in += len(datagram)
            received = server.receive_datagram(datagram, address, network.now)
            sent += received.answers if received else ()
        # What is for listeners goes on its way; the rest is counted here.
        for data, address in sent:
            if address in addresses(listeners):
                network.send("server", data, address)
            answers += data[3] != Type.REPEAT
            bytes_out += len(data)
        network.run(EVERY_S)
    grown = settled_blocks() - before
    assert answers <= ANSWERS[flood] * 1.001
    assert bytes_out <= bytes_in
    # All that was sent and heard meanwhile is in it, too: each block is some fifty bytes.
    assert grown < DATAGRAMS / 10
    assert sorted(server.registry.addresses) == addresses(listeners)
    if flood is requests:
        assert server.statistics.requests <= LISTENER_REQUESTS * (FLOOD_S + 1)
        # What is asked for comes out of the budget of this listener alone.
        assert server.statistics.repeated_bytes < 3 * server.statistics.audio_bytes
    network.run(60, until=lambda: all(one.ended for one in listeners))
    for one in listeners:
        count = one.core.statistics
        assert one.sequences == list(range(MESSAGES))
        assert (one.gaps, count.lost, count.late, count.intact) == (0, 0, 0, MESSAGES)
        assert count.reconnections == 0
        assert balanced(one)


def settled_blocks() -> int:
    """Pieces of memory that are in use, all of this Python's together."""
    gc.collect()
    return sys.getallocatedblocks()
