"""Processor time of each step that a datagram of audio takes through the client.

The bundled sample in a loop, as the server sends it: three frames in a datagram. Each step is
measured alone, over thousands of datagrams in a row, on a processor that has not slept: *receive*
from a socket on loopback, *unpack* the message, the *core* (frame headers, statistics, jitter
buffer, repair; less unpacking) and *decode* to PCM at an output that drops it. In real time there
are 13 datagrams a second, and most of the client's time is waking up: see `client_cpu.py`.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from random import Random

from bench.processes import HOST, PATIENCE_S, Failed
from bench.table import Result, Row
from bench.workshop import QUICK, SAMPLE, Workshop
from broadcasting.broadcast import Broadcast
from broadcasting.settings import Settings
from broadcasting.source.segments import Segment, read_segments
from listening.arrival.playable import Playable
from listening.listen import Listen
from listening.outputs.null import Null
from listening.playback import Playback
from message import Message, Type
from wire.address import Address

SERVER: Address = ("192.0.2.1", 4501)
CLIENT: Address = ("198.51.100.1", 10_000)

DATAGRAMS = 2_000
"""Datagrams of a round: 157 s of audio."""
ROUNDS = 5
DATA_BYTES = 1_320

AT_ONCE = 50
"""Datagrams in the socket's buffer when they are read: 2,304 bytes each of 212,992."""

STEPS = ("receive", "unpack", "core", "decode")


@dataclass(slots=True)
class _Costs:
    """Processor time of one round, for all datagrams, in seconds."""

    of: dict[str, float] = field(default_factory=dict)

    @property
    def whole_s(self) -> float:
        return sum(self.of.values())


def measure(workshop: Workshop) -> Iterator[Result]:
    quick = workshop.effort.rounds <= QUICK.rounds
    rounds = [_round(DATAGRAMS // (10 if quick else 1)) for _ in range(ROUNDS)]
    count = rounds[0][0]
    yield Row(
        "client, datagrams a CPU second",
        "receive, unpack, core and decode, without sleeping",
        [count / costs.whole_s for _, costs in rounds],
        "",
    )
    for step in STEPS:
        share = sum(costs.of[step] / costs.whole_s for _, costs in rounds) / len(rounds)
        yield Row(
            f"client, {step}",
            f"of each datagram, {share:.0%} of the whole",
            [costs.of[step] / count * 1e6 for _, costs in rounds],
            "µs",
        )


def _round(count: int) -> tuple[int, _Costs]:
    listen, sent = _recorded(read_segments([str(SAMPLE)], DATA_BYTES, loop=True), count)
    datagrams = [datagram for _, datagram in sent]
    played: list[Sequence[Playable]] = []

    def core() -> None:
        for now, datagram in sent:
            listen.receive_datagram(datagram, SERVER, now)
            listen.next_due()
            if listen.is_playable(now):
                played.append(listen.audio_to_play(now))

    def decode() -> None:
        for items in played:
            playback.play(items)

    playback = Playback(Null(), 0.0)
    playback.prepare()
    costs = _Costs()
    costs.of["receive"] = _receiving_s(datagrams)
    costs.of["unpack"] = _cpu_s(lambda: [Message.unpack(datagram) for datagram in datagrams])
    costs.of["core"] = max(0.0, _cpu_s(core) - costs.of["unpack"])
    costs.of["decode"] = _cpu_s(decode)
    if listen.statistics.intact != len(sent):
        raise Failed(f"{len(sent)} messages were sent, {listen.statistics.intact} were intact")
    return len(sent), costs


def _recorded(
    segments: Iterator[Segment], count: int
) -> tuple[Listen, Sequence[tuple[float, bytes]]]:
    """A registered listener, and the datagrams after its first burst with their times."""
    now = 1000.0
    server = Broadcast(
        Settings(timeout_s=1e9), stream_id=1, secret=bytes(32), token=lambda: "token"
    )
    listen = Listen(
        [SERVER],
        nonce="nonce",
        timeout_s=1e9,
        buffer_s=1.0,
        lead_s=0.0,
        waits=False,
        random=Random(1),
        now=now,
    )
    sent: list[tuple[float, bytes]] = []
    while True:
        listen.on_due(now)
        answers: list[tuple[bytes, Address]] = []
        for datagram, _ in listen.datagrams_to_send(now):
            received = server.receive_datagram(datagram, CLIENT, now)
            answers += received.answers if received else ()
        step = server.step(now)
        for datagram, _ in [*answers, *step.answers]:
            listen.receive_datagram(datagram, SERVER, now)
        if step.turn is not None:
            # A loop begins a track at each round, and says so in a message of its own.
            sent += [(now, one.datagram) for one in step.turn.messages if one.kind != Type.TRACK]
            if len(sent) >= count:
                return listen, sent
        if step.wants_segment:
            server.add_segment(next(segments))
        else:
            # Until the handshake is over nothing is due.
            now = max(now, step.due or now)


def _receiving_s(datagrams: Sequence[bytes]) -> float:
    used_s = 0.0
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender,
    ):
        receiver.bind((HOST, 0))
        receiver.settimeout(PATIENCE_S)
        for begin in range(0, len(datagrams), AT_ONCE):
            some = datagrams[begin : begin + AT_ONCE]
            for datagram in some:
                sender.sendto(datagram, receiver.getsockname())
            used_s += _cpu_s(lambda: [receiver.recvfrom(65_535) for _ in some])  # noqa: B023
    return used_s


def _cpu_s(work: Callable[[], object]) -> float:
    began_s = time.thread_time()
    work()
    return time.thread_time() - began_s
