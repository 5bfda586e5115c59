"""Thousands who join and leave at once: nobody is lost, and nothing of them stays."""

from __future__ import annotations

import gc
import resource
import socket
import sys

import pytest

from broadcasting.broadcast import Broadcast
from broadcasting.sending.fanout import Batch
from broadcasting.settings import Settings
from message import CONNECT_BYTES, Accept, Challenge, Connect, Control, Goodbye, Message
from server import main
from tests.rig.luck import once
from tests.rig.network import segments
from tests.rig.zoo import zoo_file
from wire.address import Address

pytestmark = once

CAPACITY = 6_000
COME_AND_GO = 5_000


class Storm:
    """A server in mid-stream, the fan-out that follows it, and listeners that only come and go."""

    def __init__(self, sock: socket.socket) -> None:
        self.now = 1000.0
        tokens = iter(range(1 << 30))
        self.core = Broadcast(
            Settings(max_clients=CAPACITY, timeout_s=60.0, wait_for=0),
            stream_id=1,
            secret=b"secret",
            token=lambda: f"{next(tokens):032x}",
        )
        self.line = Batch(sock)
        self.audio_to: dict[Address, int] = {}
        self._programme = segments(1 << 30)

    def say(self, content: Control, address: Address) -> list[Message]:
        padded = CONNECT_BYTES if isinstance(content, Connect) else 0
        datagram = content.to_message(stream=1).pack(padded)
        received = self.core.receive_datagram(datagram, address, self.now)
        answers = []
        for data, to in received.answers if received else ():
            message = Message.unpack(data)
            if to == address and message.type in (Challenge.TYPE, Accept.TYPE, Goodbye.TYPE):
                answers.append(message)
        return answers

    def join(self, address: Address) -> str:
        nonce = str(self.core.statistics.accepted)
        (challenge,) = self.say(Connect(nonce=nonce), address)
        cookie = Challenge.from_message(challenge).cookie
        (accept,) = self.say(Connect(nonce=nonce, cookie=cookie), address)
        return Accept.from_message(accept).session

    def leave(self, address: Address, session: str) -> None:
        assert self.say(
            Goodbye(session=session, clock_us=0, expected=0, received=0, intact=0), address
        )

    def tick(self, seconds: float) -> None:
        """The broadcaster's part, without sending."""
        self.now += seconds
        busy = True
        while busy:
            step = self.core.step(self.now)
            for address in step.left:
                self.line.leave(address)
            for address in step.joined:
                self.line.join(address)
            if step.wants_segment:
                self.core.add_segment(next(self._programme))
            busy = step.turn is not None or step.wants_segment

    def blow(self, count: int) -> None:
        """`count` come and go within some seconds of the stream, each staying for 50 others."""
        staying: list[tuple[Address, str]] = []
        for number in range(count):
            address: Address = (f"127.{number >> 8}.{number & 255}.1", 9)
            staying.append((address, self.join(address)))
            if len(staying) > 50:
                self.leave(*staying.pop(0))
            if number % 100 == 0:
                self.tick(0.1)
        for address, session in staying:
            self.leave(address, session)
        # The fan-out follows when the next AUDIO is due.
        self.tick(0.1)


def test_a_storm_of_joins_and_leaves_loses_nobody_and_leaks_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("broadcasting.audience.figures.MAX_DEPARTED", 100)
    monkeypatch.setattr("broadcasting.audience.farewells.MOST_REMEMBERED", 100)
    residents = [(f"198.51.{number}.1", 9) for number in range(20)]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        storm = Storm(sock)
        storm.tick(0.0)
        for address in residents:
            storm.join(address)
        # The history fills, and tables stay as large as they were once.
        storm.blow(COME_AND_GO)
        before = settled_blocks()
        storm.blow(COME_AND_GO)
        grown = settled_blocks() - before
        assert storm.core.statistics.accepted == len(residents) + 2 * COME_AND_GO
        assert sorted(storm.core.registry.addresses) == sorted(residents)
        assert len(storm.line) == len(residents)
        # Less than a piece of memory for each who came and went: noise.
        assert grown < COME_AND_GO / 2


def settled_blocks() -> int:
    """Pieces of memory that are in use, all of this Python's together."""
    gc.collect()
    return sys.getallocatedblocks()


def test_a_capacity_beyond_the_memory_is_told_with_the_limit(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda which: (100_000_000, 100_000_000))
    assert main(["--max-clients", "60000", str(zoo_file("mono.mp3").path), "0"]) == 2
    said = capsys.readouterr().err
    assert said == (
        "server.py: --max-clients 60000 would take 120 MB, and 100 MB of memory is allowed by"
        " ulimit -v: choose at most 50000\n"
    )
