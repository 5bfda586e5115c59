"""Cost of `--key-file`: processor time of sealing at the server, and of opening at the client.

The bundled sample, as the server sends it: three frames in a datagram. Sealing is measured as the
server does it, 26 segments in a row, read together every two seconds; opening as a client does it,
one datagram after a sleep, with cold caches. The cost without a key is subtracted. The client also
sends and receives a control message each second. Forged datagrams come under the address of a
listener, 20,000 a second, with its salt or another; most are not opened.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from bench.table import Result, Row, below
from bench.workshop import BIT_RATE_BPS, QUICK, SAMPLE, Workshop
from broadcasting.audience.cookie import CookieJar
from broadcasting.audience.listener import Peer
from broadcasting.audience.seal import ServerSeal
from broadcasting.broadcast import Broadcast
from broadcasting.settings import Settings
from broadcasting.source.segments import read_segments
from listening.session.seal import ClientSeal
from message import (
    CONNECT_BYTES,
    SALT_BYTES,
    SEALED,
    TAG_BYTES,
    Accept,
    Connect,
    Message,
    Report,
    Type,
)
from wire.address import Address
from wire.seal import KEY_BYTES, Key

Thing = TypeVar("Thing")

CLIENT: Address = ("198.51.100.1", 10_000)
STREAM = 1
DATA_BYTES = 1_320 - TAG_BYTES

TOGETHER = 26
"""Segments of two seconds at 128 kbit/s."""
BATCHES = 40
SLEEP_S = 0.01
"""Sleep between two batches, or two datagrams at the client."""
DATAGRAMS = 200

FORGED = 20_000
FORGED_PER_S = 20_000
OWN_SALT, OTHER_SALT = bytes(SALT_BYTES), bytes(range(SALT_BYTES))
SESSION = "x" * 32

LIMIT_US = 5.0
FORGED_LIMIT_US = 1.5
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
    forged = FORGED // (4 if rounds <= QUICK.rounds else 1)
    yield Row(
        "sealing, server, a forged datagram",
        "under a listener's address, the dearer of two kinds",
        [max(_forged_us(forged, salt) for salt in (OWN_SALT, OTHER_SALT)) for _ in range(rounds)],
        "µs",
        below(FORGED_LIMIT_US),
    )
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


def _pair() -> tuple[ServerSeal, ClientSeal, Peer]:
    """Seals of both sides, after the handshake."""
    key = Key(bytes(KEY_BYTES))
    server, client = ServerSeal(key, bytes(SALT_BYTES)), ClientSeal(key, lambda: bytes(SALT_BYTES))
    connect = client.pack(Connect(nonce="nonce").to_message())
    peer = server.proved(server.unpack(connect, CLIENT))
    client.unpack(server.pack(_accept().to_message(stream=STREAM), peer))
    return server, client, peer


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
    """Processor time of sealing a segment, in µs."""
    server, _, _ = _pair()
    batches = [messages[at : at + TOGETHER] for at in range(0, len(messages), TOGETHER)]
    sealed_s = _cpu_s(lambda some: [server.pack_media(one) for one in some], batches)
    packed_s = _cpu_s(lambda some: [one.pack() for one in some], batches)
    return (sealed_s - packed_s) / len(messages) * 1e6


def _opening_us(messages: Sequence[Message]) -> float:
    """Processor time of opening a datagram, in µs."""
    server, client, _ = _pair()
    sealed = [server.pack_media(one) for one in messages]
    opened_s = _cpu_s(client.unpack, sealed)
    unpacked_s = _cpu_s(Message.unpack, [one.pack() for one in messages])
    return (opened_s - unpacked_s) / len(messages) * 1e6


def _control_us(count: int) -> float:
    """Processor time of sealing a REPORT and opening an answer of its size, in µs."""
    server, client, peer = _pair()
    report = Report(session="x" * 16, clock_us=0, expected=0, received=0, intact=0).to_message()
    reports = [report._replace(sequence=number) for number in range(1, count)]
    sealed_s = _cpu_s(client.pack, reports)
    opened_s = _cpu_s(client.unpack, [server.pack(one, peer) for one in reports])
    return (sealed_s + opened_s) / len(reports) * 1e6


def _forged_us(count: int, salt: bytes) -> float:
    """Processor time of a datagram that is forged with `salt` under a listener's address, in µs."""
    key = Key(bytes(KEY_BYTES))
    server, client = ServerSeal(key, OTHER_SALT), ClientSeal(key, lambda: OWN_SALT)
    core = Broadcast(
        Settings(), stream_id=STREAM, secret=b"secret", token=lambda: SESSION, seal=server
    )
    cookie = CookieJar(b"secret").make(CLIENT, 0.0)
    connect = client.pack(Connect(nonce="nonce", cookie=cookie).to_message(), CONNECT_BYTES)
    core.receive_datagram(connect, CLIENT, 0.0)
    assert core.registry.at(CLIENT) is not None
    data = salt + bytes(150)
    forged = Message(1, Type.REPORT | SEALED, data, STREAM).pack()
    began_s = time.thread_time()
    for number in range(count):
        core.receive_datagram(forged, CLIENT, number / FORGED_PER_S)
    return (time.thread_time() - began_s) / count * 1e6


def _cpu_s(work: Callable[[Thing], object], things: Sequence[Thing]) -> float:
    """Processor time of `work` on each of `things`, with a sleep before each."""
    used_s = 0.0
    for one in things:
        time.sleep(SLEEP_S)
        began_s = time.thread_time()
        work(one)
        used_s += time.thread_time() - began_s
    return used_s
