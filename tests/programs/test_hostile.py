"""Datagrams that mean no good, from strangers and under forged addresses: nothing of them is heard.

Who sends them may forge any address but cannot read what the two say to each other: under the name
of one of the two he has to guess the tokens. Under his own address he may know everything.
"""

from __future__ import annotations

import select
import signal
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from hypothesis import example, given, settings
from hypothesis import strategies as st

from message import (
    CONNECT_BYTES,
    MAGIC,
    Accept,
    Challenge,
    Connect,
    Control,
    End,
    Goodbye,
    Message,
    Reject,
    Report,
    Request,
    Status,
    Type,
    repeat_of,
)
from tests.rig.luck import examples
from tests.rig.network import SERVER, Listener, Network, balanced, client_address, silent_frame
from tests.rig.programs import SAMPLE, WAIT_S, balances, client, end, pcm_in, server
from tests.rig.zoo import reference_pcm
from wire.address import Address

LOCALHOST = "127.0.0.1"

DATAGRAMS = 50_000
"""To each of the two: a hundred thousand in all."""
BATCH = 50
FEW_BYTES = 32_768
"""Where more waits in a socket, the attack waits too: the smallest socket buffer in use holds
212,992, and what is lost in a full one is not what is tested here."""

STRANGER: Address = ("203.0.113.9", 666)
NOTHING: dict[str, Any] = {"expected": 0, "received": 0, "intact": 0}


class Tokens(NamedTuple):
    """What one must know to be taken for one of the two."""

    nonce: str
    cookie: str
    session: str
    stream: int


GUESSED = Tokens("f" * 16, "f" * 32, "f" * 32, 0xF00D)


def one_of_each(known: Tokens) -> list[bytes]:
    """A message of each type, as one sends it who knows so much, and one of an unknown type."""
    accept = Accept(
        nonce=known.nonce, session=known.session, first_sequence=0, first_time_us=0,
        live_time_us=0, burst_s=1.0, timeout_s=5.0, speed=1.0, title="Evil", artist=None,
        duration_s=1.0, frame_rate_hz=44_100, channels=2, bit_rate_bps=None,
    )  # fmt: skip
    status = Status(
        clock_us=1, server_clock_us=1, listeners=1, report_s=1.0, position_s=1.0, track=1,
        title="E", artist=None,
    )  # fmt: skip
    contents: list[Control] = [
        Connect(nonce=known.nonce),
        Connect(nonce=known.nonce, cookie=known.cookie),
        Challenge(nonce=known.nonce, cookie=known.cookie),
        accept,
        Reject(reason="full", echo=known.nonce),
        Reject(reason="session", echo=known.session),
        Report(session=known.session, clock_us=1, **NOTHING),
        status,
        End(last_sequence=3, reason="finished"),
        Goodbye(session=known.session, clock_us=1, **NOTHING),
        Request(session=known.session, missing="0-3,5,9007199254740991"),
    ]
    audio = [Message(n, Type.AUDIO, silent_frame() * 3, known.stream, n * 26_000) for n in range(4)]
    return [
        *(content.to_message(1, stream=known.stream).pack() for content in contents),
        *(message.pack() for message in audio),
        *(repeat_of(message.pack()) for message in audio),
        Message(1, 77, b"what?", known.stream).pack(CONNECT_BYTES),
    ]


def mutated(random: Random, datagram: bytes) -> bytes:
    """Something else in its place, a part of it, a little more or other bytes, or just itself."""
    kind = random.randrange(5)
    if kind == 0:
        return random.randbytes(random.randrange(100))
    if kind == 1:
        return datagram[: random.randrange(len(datagram))]
    if kind == 2:
        return datagram + random.randbytes(random.randrange(20))
    changed = bytearray(datagram)
    for _ in range(kind - 2 and random.randrange(1, 5)):
        changed[random.randrange(min(len(changed), 200))] = random.randrange(256)
    return bytes(changed) if kind == 3 else datagram


# On real sockets.


class Source(NamedTuple):
    """A socket that attacks, and what it makes its datagrams of."""

    socket: socket.socket
    messages: Sequence[bytes]


class Relay:
    """Stands between client and server, and so can speak to each under the other's address."""

    def __init__(self, server_port: int) -> None:
        self.front, self.back = udp_socket(), udp_socket()
        self.client: Address | None = None
        self.from_client = 0
        self.seen: dict[int, Message] = {}
        """The last message of each type."""
        self._server = (LOCALHOST, server_port)
        self._stopped = False
        self._thread = threading.Thread(target=self._pass_on, name="relay")

    def __enter__(self) -> Relay:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stopped = True
        self._thread.join()
        self.front.close()
        self.back.close()

    def tokens(self) -> Tokens:
        """What the two have agreed on."""
        connect, accept = self.seen[Type.CONNECT], self.seen[Type.ACCEPT]
        content = Connect.from_message(connect)
        session = Accept.from_message(accept).session
        return Tokens(content.nonce, content.cookie, session, accept.stream)

    def _pass_on(self) -> None:
        while not self._stopped:
            for sock in select.select([self.front, self.back], [], [], 0.05)[0]:
                datagram, address = sock.recvfrom(65_535)
                message = Message.unpack(datagram)
                self.seen[message.type] = message
                if sock is self.front:
                    self.client = address
                    self.from_client += 1
                    self.back.sendto(datagram, self._server)
                elif self.client is not None:
                    self.front.sendto(datagram, self.client)


def udp_socket(host: str = LOCALHOST) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.settimeout(WAIT_S)
    sock.bind((host, 0))
    return sock


def port_of(sock: socket.socket) -> int:
    port: int = sock.getsockname()[1]
    return port


def register(sock: socket.socket, server_port: int) -> Tokens:
    """Become a listener, in the way of the protocol."""
    to, nonce, cookie = (LOCALHOST, server_port), "a" * 16, ""
    for _ in range(2):
        connect = Connect(nonce=nonce, cookie=cookie)
        sock.sendto(connect.to_message().pack(CONNECT_BYTES), to)
        answer = Message.unpack(sock.recv(65_535))
        if answer.type == Type.CHALLENGE:
            cookie = Challenge.from_message(answer).cookie
    sock.setblocking(False)
    return Tokens(nonce, cookie, Accept.from_message(answer).session, answer.stream)


def waiting(port: int) -> tuple[int, int]:
    """How many bytes wait in the socket of this port, and how many datagrams found it full."""
    for line in Path("/proc/net/udp").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[1].endswith(f":{port:04X}"):
            return int(fields[4].partition(":")[2], 16), int(fields[12])
    raise AssertionError(f"nobody has port {port}")


def attack(random: Random, target: Address, sources: Sequence[Source]) -> None:
    """A batch of datagrams, as soon as the target has read most of what was sent before."""
    deadline = time.monotonic() + WAIT_S
    while waiting(target[1])[0] > FEW_BYTES:
        assert time.monotonic() < deadline, "the target does not read any more"
        time.sleep(0.0005)
    for _ in range(BATCH):
        source = random.choice(sources)
        source.socket.sendto(mutated(random, random.choice(source.messages)), target)


def test_a_flood_at_both_from_many_addresses_is_counted_and_not_heard(tmp_path: Path) -> None:
    random = Random(1)
    wav = tmp_path / "heard.wav"
    with (
        ExitStack() as stack,
        server(tmp_path, SAMPLE, "--loop", "--timeout", 2) as broadcast,
        Relay(broadcast.port) as relay,
        client(tmp_path, port_of(relay.front), "--output", wav) as listener,
    ):
        strangers = [
            stack.enter_context(udp_socket(host)) for host in (LOCALHOST, LOCALHOST, "127.0.0.2")
        ]
        listener.wait_for_log("received STATUS")
        registered = register(strangers[0], broadcast.port)
        known, guessed = one_of_each(relay.tokens()), one_of_each(GUESSED)
        at_both = [Source(sock, known) for sock in strangers]
        assert relay.client is not None
        at_server = [Source(strangers[0], one_of_each(registered)), Source(relay.back, guessed)]
        at_client = [Source(relay.front, guessed)]
        for _ in range(DATAGRAMS // BATCH):
            attack(random, (LOCALHOST, broadcast.port), [*at_both, *at_server])
            attack(random, relay.client, [*at_both, *at_client])
        assert waiting(broadcast.port)[1] == waiting(relay.client[1])[1] == 0
        from_client = relay.from_client
        broadcast.send(signal.SIGINT)
        end(listener, broadcast)
        sent, heard = broadcast.result, listener.result
        assert heard["malformed"] + heard["ignored"] == DATAGRAMS
        looked_at = sent["malformed"] + sent["ignored"] + sent["control_received"]
        read = looked_at + sent["passed_over"]
        assert from_client <= read - DATAGRAMS - 2 <= relay.from_client
        assert sent["malformed"] > DATAGRAMS / 5
        assert (heard["lost"], heard["concealed_s"], heard["reconnections"]) == (0, 0, 0)
        assert balances(heard)
    once = reference_pcm(SAMPLE)
    pcm = pcm_in(wav)
    assert len(pcm) > 0
    assert (once * (len(pcm) // len(once) + 1)).startswith(pcm)


# In virtual time.


class Attack(NamedTuple):
    """A datagram that comes so many seconds after the start."""

    at_s: float
    forged: bool
    """Under the address of the other side, which the attacker cannot read."""
    datagram: bytes


LISTENER = Tokens(f"{0:016x}", "c" * 32, f"{1_000_000:016x}", 0xABC0001)
"""What the pretended network makes of the first listener."""


def attacks() -> st.SearchStrategy[list[Attack]]:
    def of(known: Tokens) -> st.SearchStrategy[bytes]:
        # Not what happens to be a message that stands in another test.
        junk = st.binary(max_size=300).filter(lambda datagram: not datagram.startswith(MAGIC))
        messages = st.sampled_from(one_of_each(known))
        return junk | messages | st.builds(mutated, st.randoms(), messages)

    at_s = st.floats(0, 9)
    return st.lists(
        st.builds(Attack, at_s, st.just(True), of(GUESSED))
        | st.builds(Attack, at_s, st.just(False), of(LISTENER)),
        max_size=40,
    )


def under_attack(network: Network, attacks: Sequence[Attack]) -> Iterator[Attack]:
    """Each attack when its time has come."""
    began = network.now
    for one in sorted(attacks):
        network.run(began + one.at_s - network.now)
        yield one


def heard_to_the_end(network: Network, listener: Listener) -> None:
    """Everything was heard, and nothing but that."""
    network.run(120, until=lambda: listener.ended)
    listener.core.leave(network.now)
    network.run(2)
    count = listener.core.statistics
    assert listener.sequences == list(range(100))
    assert (listener.gaps, count.intact, count.expected) == (0, 100, 100)
    assert (count.reconnections, count.overflows, count.duplicates) == (0, 0, 0)
    assert balanced(listener)
    assert listener.core.failure is None
    assert network.server is not None
    assert network.finished


@settings(max_examples=examples(60), deadline=None)
@given(attacks())
@example([Attack(1.0, True, datagram) for datagram in one_of_each(GUESSED)])
@example([Attack(1.0, False, datagram) for datagram in one_of_each(LISTENER)])
def test_no_datagram_at_any_time_changes_what_a_listener_hears(attacks: list[Attack]) -> None:
    network = Network()
    listener = network.join()
    for one in under_attack(network, attacks):
        address = SERVER if one.forged else STRANGER
        listener.core.receive_datagram(one.datagram, address, network.now)
    heard_to_the_end(network, listener)
    count = listener.core.statistics
    assert count.malformed + count.ignored == len(attacks)


@settings(max_examples=examples(60), deadline=None)
@given(attacks())
@example([Attack(1.0, True, datagram) for datagram in one_of_each(GUESSED)])
@example([Attack(1.0, False, datagram) for datagram in one_of_each(LISTENER)])
def test_no_datagram_to_the_server_at_any_time_changes_what_a_listener_hears(
    attacks: list[Attack],
) -> None:
    network = Network()
    listener = network.join()
    assert network.server is not None
    for one in under_attack(network, attacks):
        address = client_address(0) if one.forged else STRANGER
        network.server.receive_datagram(one.datagram, address, network.now)
        assert set(network.server.registry.addresses) <= {client_address(0)}
        figures = network.server.figures
        known, _ = figures.present(iter(network.server.registry.addresses), network.now)
        reports = [one.report for one in (*figures.departed, *known)]
        assert all(report is None or report.session == LISTENER.session for report in reports)
    heard_to_the_end(network, listener)
    count = network.server.statistics
    assert count.accepted == 1
