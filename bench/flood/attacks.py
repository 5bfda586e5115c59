"""Kinds of hostile datagrams, each without an end."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from random import Random
from typing import NamedTuple

from bench.flood.attacker import HOSTS, PORTS, Attacker, Hostile
from bench.processes import Failed
from message import (
    CONNECT_BYTES,
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

NONCE, FALSE_COOKIE = "f" * 16, "f" * 32

ALL_OF_IT = "0-9007199254740991"

JOIN_WITHIN_S = 5.0

STAYS_AT = (0, 0)
"""Host and port of the listener among the attackers."""


class Known(NamedTuple):
    """Registration at STAYS_AT, as known to its owner or an eavesdropper."""

    session: str
    stream: int


def register(attacker: Attacker) -> Known:
    """Register as a listener; raises Failed."""
    cookie, give_up_at = "", time.monotonic() + JOIN_WITHIN_S
    while time.monotonic() < give_up_at:
        connect = Connect(nonce=NONCE, cookie=cookie).to_message().pack(CONNECT_BYTES)
        answer = attacker.ask(Hostile(connect, *STAYS_AT), within_s=0.5)
        if not answer:
            continue
        message = Message.unpack(answer)
        if message.type == Type.CHALLENGE:
            cookie = Challenge.from_message(message).cookie
        elif message.type == Type.ACCEPT:
            return Known(Accept.from_message(message).session, message.stream)
    raise Failed("the attacker was not registered, which is where its attack begins")


def leave(attacker: Attacker, known: Known) -> None:
    """Leave."""
    attacker.send(Hostile(_of(known, _figures(Goodbye, known)), *STAYS_AT))


def connects(known: Known) -> Iterator[Hostile]:
    """CONNECT of very many clients."""
    return _from_everywhere(Connect(nonce=NONCE).to_message().pack(CONNECT_BYTES))


def false_cookies(known: Known) -> Iterator[Hostile]:
    """CONNECT with a guessed cookie."""
    connect = Connect(nonce=NONCE, cookie=FALSE_COOKIE)
    return _from_everywhere(connect.to_message().pack(CONNECT_BYTES))


def noise(known: Known) -> Iterator[Hostile]:
    """Random bytes, up to the length of an AUDIO message."""
    random = Random(1)
    for somewhere in _from_everywhere(b""):
        yield somewhere._replace(data=random.randbytes(random.randrange(1300)))


def reports_from_elsewhere(known: Known) -> Iterator[Hostile]:
    """Captured REPORT of a listener, from other addresses."""
    return _from_everywhere(_of(known, _figures(Report, known)))


def reports(known: Known) -> Iterator[Hostile]:
    """Captured REPORT of a listener, from its own address."""
    return itertools.repeat(Hostile(_of(known, _figures(Report, known)), *STAYS_AT))


def forged_reports(known: Known) -> Iterator[Hostile]:
    """REPORT from the listener's own address with a wrong session."""
    return reports(known._replace(session="f" * len(known.session)))


def requests(known: Known) -> Iterator[Hostile]:
    """REQUEST of a listener for every sequence."""
    request = Request(session=known.session, missing=ALL_OF_IT)
    return itertools.repeat(Hostile(_of(known, request), *STAYS_AT))


class Attack(NamedTuple):
    """Kind of flood."""

    title: str
    datagrams: Callable[[Known], Iterator[Hostile]]


ATTACKS: dict[str, Attack] = {
    "connects": Attack("CONNECT", connects),
    "false-cookies": Attack("CONNECT, false cookie", false_cookies),
    "noise": Attack("random bytes", noise),
    "reports-elsewhere": Attack("REPORT, replayed from elsewhere", reports_from_elsewhere),
    "reports": Attack("REPORT, replayed from its address", reports),
    "forged-reports": Attack("REPORT, forged under its address", forged_reports),
    "requests": Attack("REQUEST of one listener", requests),
}
"""Attacks by their names on the command line."""


def _from_everywhere(data: bytes) -> Iterator[Hostile]:
    random = Random(1)
    while True:
        yield Hostile(data, random.randrange(1, HOSTS), random.randrange(PORTS))


def _of(known: Known, content: Control) -> bytes:
    return content.to_message(1, stream=known.stream).pack()


def _figures(kind: type[Report], known: Known) -> Report:
    return kind(
        session=known.session,
        clock_us=123_456_789,
        expected=1000,
        received=1000,
        intact=1000,
        jitter_ms=0.1,
        rtt_ms=0.1,
        buffer_s=1.0,
        played_s=60.0,
    )
