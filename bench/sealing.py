"""What `--key-file` costs: processor time of sealing at the server, of opening at the client.

The bundled sample, as the server sends it: three frames in a datagram. Sealing is measured as the
server does it, 26 segments in a row, which are read together each two seconds; opening as a client
does it, one datagram after a sleep, when the processor has forgotten how. What the same takes
without a key is taken off. The client says and hears a control message each second, besides.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from bench.table import Result, Row, below
from bench.workshop import BIT_RATE_BPS, QUICK, SAMPLE, Workshop
from broadcasting.seal import ServerSeal
from broadcasting.source import read_segments
from listening.seal import ClientSeal
from message import SALT_BYTES, TAG_BYTES, Accept, Connect, Message, Report, Type
from wire.address import Address
from wire.seal import KEY_BYTES, Key

Thing = TypeVar("Thing")

CLIENT: Address = ("198.51.100.1", 10_000)
STREAM = 1
DATA_BYTES = 1_320 - TAG_BYTES

TOGETHER = 26
"""Segments in two seconds of 128 kbit/s."""
BATCHES = 40
SLEEP_S = 0.01
"""Between two batches, or two datagrams at the client: the processor does something else."""
DATAGRAMS = 200

LIMIT_US = 5.0
LIMIT_PERCENT = 1.0


def measure(workshop: Workshop) -> Iterator[Result]:
    rounds = workshop.effort.rounds
    batches = BATCHES // (4 if rounds <= QUICK.rounds else 1)
    datagrams = DATAGRAMS // (4 if rounds <= QUICK.rounds else 1)
    messages = _messages(TOGETHER * batches)
    yield Row(
        "sealing, server, a segment",
        "for all listeners together, beyond packing it",
        [_sealing_us(messages) for _ in range(rounds)],
        "µs",
        below(LIMIT_US),
    )
    per_s = BIT_RATE_BPS / 8 / (sum(len(one.data) for one in messages) / len(messages))
    opening, answering = [], []
    for _ in range(rounds):
        opening.append(_opening_us(messages[:datagrams]))
        answering.append(_control_us(datagrams))
    yield Row(
        "sealing, client, a datagram",
        "after a sleep, beyond unpacking it",
        opening,
        "µs",
    )
    yield Row(
        "sealing, client, processor",
        f"of one core: {per_s:.1f} datagrams a second, a REPORT and its answer",
        [
            (us * per_s + control_us) / 1e4
            for us, control_us in zip(opening, answering, strict=True)
        ],
        "%",
        below(LIMIT_PERCENT),
    )


def _messages(count: int) -> Sequence[Message]:
    segments = read_segments([str(SAMPLE)], DATA_BYTES, loop=True)
    return [
        Message(place, Type.AUDIO, one.data, STREAM, one.media_time_us, one.track.number)
        for place, one in enumerate(itertools.islice(segments, count))
    ]


def _pair() -> tuple[ServerSeal, ClientSeal]:
    """Both sides, after the handshake."""
    key = Key(bytes(KEY_BYTES))
    server, client = ServerSeal(key, bytes(SALT_BYTES)), ClientSeal(key, lambda: bytes(SALT_BYTES))
    connect = client.pack(Connect(nonce="nonce").to_message())
    server.proved(CLIENT, server.unpack(connect, CLIENT), 0.0)
    client.unpack(server.pack(_accept().to_message(stream=STREAM), CLIENT))
    return server, client


def _accept() -> Accept:
    return Accept(
        nonce="nonce",
        session="session",
        first_sequence=0,
        first_time_us=0,
        live_time_us=0,
        burst_s=1.0,
        timeout_s=5.0,
        speed=1.0,
        title="",
        artist=None,
        duration_s=None,
        frame_rate_hz=44_100,
        channels=2,
        bit_rate_bps=BIT_RATE_BPS,
    )


def _sealing_us(messages: Sequence[Message]) -> float:
    """Of a segment."""
    server, _ = _pair()
    batches = [messages[at : at + TOGETHER] for at in range(0, len(messages), TOGETHER)]
    sealed_s = _cpu_s(lambda some: [server.pack_media(one) for one in some], batches)
    packed_s = _cpu_s(lambda some: [one.pack() for one in some], batches)
    return (sealed_s - packed_s) / len(messages) * 1e6


def _opening_us(messages: Sequence[Message]) -> float:
    """Of a datagram."""
    server, client = _pair()
    sealed = [server.pack_media(one) for one in messages]
    opened_s = _cpu_s(client.unpack, sealed)
    unpacked_s = _cpu_s(Message.unpack, [one.pack() for one in messages])
    return (opened_s - unpacked_s) / len(messages) * 1e6


def _control_us(count: int) -> float:
    """Of a REPORT and an answer of the same size."""
    server, client = _pair()
    report = Report(session="x" * 16, clock_us=0, expected=0, received=0, intact=0).to_message()
    reports = [report._replace(sequence=number) for number in range(1, count)]
    sealed_s = _cpu_s(client.pack, reports)
    opened_s = _cpu_s(client.unpack, [server.pack(one, CLIENT) for one in reports])
    return (sealed_s + opened_s) / len(reports) * 1e6


def _cpu_s(work: Callable[[Thing], object], things: Sequence[Thing]) -> float:
    """Processor time of `work` on each of `things`, with a sleep before each."""
    used_s = 0.0
    for one in things:
        time.sleep(SLEEP_S)
        began_s = time.thread_time()
        work(one)
        used_s += time.thread_time() - began_s
    return used_s
