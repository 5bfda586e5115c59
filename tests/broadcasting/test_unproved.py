"""An address that has not proved itself gets no more bytes than it sent, whatever it sends.

Each type of message and datagrams at fault: from addresses that nobody knows, and under the
address of a listener by one who does not know its session. In virtual time, and on real sockets.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from random import Random

import pytest

from broadcasting.audience.rate_limiter import UNPROVED_MESSAGES
from broadcasting.settings import Settings
from message import (
    CONNECT_BYTES,
    HEADER_BYTES,
    MAGIC,
    VERSION,
    Challenge,
    Goodbye,
    Message,
    Reject,
    Type,
)
from tests.broadcasting.test_broadcast import HERE, STREAM, Server, report
from tests.programs.test_hostile import GUESSED, Tokens, mutated, one_of_each, register, udp_socket
from tests.rig.luck import once
from tests.rig.programs import SAMPLE, server
from wire.address import Address

pytestmark = once

LONGEST = Tokens("n" * 32, "c" * 32, "s" * 32, STREAM)

STRANGERS: list[Address] = [(f"203.0.113.{n}", 1000 + n) for n in range(100)]


def datagrams(stream: int) -> Iterator[bytes]:
    """Each type, short, long, padded, cut, of other versions and changed; then noise."""
    random = Random(1)
    for known in (GUESSED, LONGEST, Tokens("", "", "", 0)):
        whole = [*one_of_each(known._replace(stream=stream))]
        whole += [Message(2**64 - 1, kind, b"{}", stream).pack() for kind in range(256)]
        for datagram in whole:
            yield datagram
            yield datagram.ljust(CONNECT_BYTES, b"\0")
            yield datagram[: random.randrange(len(datagram))]
            yield mutated(random, datagram)
            for version in (0, VERSION + 1, 255):
                foreign = MAGIC + bytes([version]) + datagram[3:]
                yield foreign
                yield foreign.ljust(CONNECT_BYTES, b"\0")
    yield from (b"", MAGIC, MAGIC + bytes([VERSION]), bytes(65_507))
    yield from (random.randbytes(size) for size in range(0, 1500, 7))


def test_no_type_of_message_brings_a_stranger_more_bytes_than_it_sent() -> None:
    core = Server(Settings(wait_for=0))
    session = core.join(HERE).session
    everything = list(datagrams(STREAM))
    types, answered = set(), set()
    for number, datagram in enumerate(everything):
        core.now += 0.004
        address = HERE if number % 7 == 0 else STRANGERS[number % 100]
        answers = core.say(datagram, address)
        types |= {datagram[3]} if len(datagram) > 3 else set()
        answered |= {message.type for message in answers}
        assert len(answers) <= 1
        assert sum(len(message.pack()) for message in answers) <= len(datagram)
        assert core.addresses() == (HERE,)
        if number % 100 == 0:
            core.say(report(session))
    assert types == set(range(256))
    assert answered == {Type.CHALLENGE, Type.REJECT, Type.GOODBYE}
    assert core.core.statistics.passed_over == 0


def test_no_type_of_message_brings_a_stranger_more_bytes_than_it_sent_on_real_sockets(
    tmp_path: Path,
) -> None:
    with (
        server(tmp_path, SAMPLE, "--loop", "--wait-for", 0, "--timeout", 0.5) as broadcast,
        udp_socket("127.0.0.2") as honest,
    ):
        stream = register(honest, broadcast.port).stream
        answered: set[int] = set()
        for number, (kind, group) in enumerate(groups(datagrams(stream))):
            host = f"127.0.{1 + number // 250}.{1 + number % 250}"
            answers = said_to(broadcast.port, host, group, stream)
            assert sum(map(len, answers)) <= sum(map(len, group)), kind
            assert len(answers) <= len(group)
            answered |= {answer[3] for answer in answers}
        broadcast.process.terminate()
        assert broadcast.wait() == 0
    assert answered == {Type.CHALLENGE, Type.REJECT, Type.GOODBYE}
    assert broadcast.result["accepted"] == 1
    assert broadcast.result["passed_over"] == 0
    assert "Traceback" not in broadcast.log


def groups(datagrams: Iterable[bytes]) -> Iterator[tuple[int, list[bytes]]]:
    """Those of one type together, and no more than one source may send at once."""
    by_type: dict[int, list[bytes]] = {}
    for datagram in datagrams:
        by_type.setdefault(datagram[3] if len(datagram) > 3 else -1, []).append(datagram)
    for kind, some in by_type.items():
        for at in range(0, len(some), 40):
            yield kind, some[at : at + 40]


def said_to(port: int, host: str, said: Sequence[bytes], stream: int) -> list[bytes]:
    """What the server answers to all this from `host`."""
    farewell = Goodbye(session="last", clock_us=0, expected=0, received=0, intact=0)
    last = farewell.to_message(stream=stream).pack()
    answers = []
    with udp_socket(host) as sock:
        for datagram in (*said, last):
            sock.sendto(datagram, ("127.0.0.1", port))
        # It takes one after the other: when this comes back, all before has been answered.
        while b'"last"' not in (answer := sock.recv(65_535)):
            answers.append(answer)
    return answers


def test_more_than_so_many_of_each_kind_in_a_second_are_not_answered() -> None:
    core = Server(Settings(max_clients_per_address=10_000))
    for datagram in (*one_of_each(GUESSED), *one_of_each(LONGEST)):
        core.now += 60
        padded = datagram.ljust(CONNECT_BYTES, b"\0")
        answers = sum(
            len(core.say(padded, STRANGERS[number % 100]))
            for number in range(3 * UNPROVED_MESSAGES)
        )
        assert answers in (0, UNPROVED_MESSAGES)
        core.now += 0.1
        answers += sum(len(core.say(padded, address)) for address in STRANGERS * 5)
        assert answers in (0, UNPROVED_MESSAGES * 1.1)


def test_strangers_who_report_do_not_keep_out_those_who_connect() -> None:
    core = Server()
    for address in [(f"203.0.{n >> 8}.{n & 255}", 1) for n in range(5000)]:
        core.say(report("s"), address)
    assert core.core.statistics.passed_over > 3000
    core.join(HERE)


def test_strangers_who_connect_do_not_keep_out_those_who_were_challenged() -> None:
    core = Server()
    (challenge,) = core.say(one_of_each(GUESSED)[0].ljust(CONNECT_BYTES, b"\0"), HERE)
    for address in [(f"203.0.{n >> 8}.{n & 255}", 1) for n in range(5000)]:
        core.say(one_of_each(GUESSED)[0].ljust(CONNECT_BYTES, b"\0"), address)
    assert core.core.statistics.passed_over > 3000
    cookie = Challenge.from_message(challenge).cookie
    answer = one_of_each(GUESSED._replace(cookie=cookie))[1].ljust(CONNECT_BYTES, b"\0")
    core.say(answer, HERE)
    assert core.addresses() == (HERE,)


def test_a_flood_from_one_host_does_not_keep_others_out() -> None:
    core = Server()
    connect = one_of_each(GUESSED)[0].ljust(CONNECT_BYTES, b"\0")
    for port in range(5000):
        core.say(connect, ("203.0.113.1", port))
    assert core.core.statistics.unproved < 100
    others: list[Address] = [(f"198.51.100.{n}", 1) for n in range(50)]
    # Two may share a number by chance: not half of them.
    assert sum(len(core.say(connect, one)) for one in others) > 45


def test_a_refusal_of_another_version_repeats_the_mark_of_the_connect() -> None:
    core = Server()
    foreign = bytearray(one_of_each(GUESSED)[0].ljust(CONNECT_BYTES, b"\0"))
    foreign[2] = VERSION + 1
    foreign[24:32] = b"\x01\x02\x03\x04\x05\x06\x07\x08"
    (answer,) = core.say(bytes(foreign))
    assert Reject.from_message(answer) == Reject(reason="version")
    assert answer.pack()[24:HEADER_BYTES] == foreign[24:32]


@pytest.mark.parametrize("forged", [True, False])
def test_the_log_of_a_flood_is_bounded_and_says_what_it_leaves_out(
    caplog: pytest.LogCaptureFixture, forged: bool
) -> None:
    caplog.set_level("INFO", "server")
    core = Server()
    if forged:
        core.join(HERE)
    caplog.clear()
    connect, with_cookie, *rest = one_of_each(GUESSED)
    flood = [one.ljust(CONNECT_BYTES, b"\0") for one in (connect, with_cookie, *rest[4:9])]
    for number in range(20_000):
        core.now += 0.001
        address = HERE if forged else (f"203.0.113.{number % 250}", number)
        core.say(flood[number % len(flood)], address)
    lines = [record.getMessage() for record in caplog.records]
    written = [line for line in lines if not line.startswith("left out")]
    assert len(written) <= 100 + 20 + 1
    assert len(lines) <= 2 * len(written)
    left_out = sum(int(line.split()[2]) for line in lines if line.startswith("left out"))
    assert 1000 < left_out <= core.core.statistics.lines_left_out
