"""Every type of message, sealed: who has not the key can neither read, nor make, nor change one."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from typing import NamedTuple

import pytest
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from hypothesis import given
from hypothesis import strategies as st

from broadcasting.audience.listener import Listener, Peer
from broadcasting.audience.seal import MOST_REMEMBERED, REMEMBERED_S, ServerSeal
from listening.session.seal import MOST_SERVERS, ClientSeal
from listening.simulated_network import type_of
from message import (
    CONNECT_BYTES,
    HEADER_BYTES,
    SALT_BYTES,
    SEALED,
    TAG_BYTES,
    Accept,
    Challenge,
    Clock,
    Connect,
    Control,
    End,
    Goodbye,
    Message,
    MessageError,
    Reject,
    ReplayError,
    Report,
    Request,
    SealError,
    Status,
    Time,
    Timeline,
    TrackChange,
    Type,
)
from tests.rig.network import client_address, silent_frame
from tests.rig.registered import registered
from wire.parity import encode
from wire.replay_window import WINDOW
from wire.seal import KEY_BYTES, MEDIA_TYPES, Key, opened, sealed

KEY = Key(bytes(range(KEY_BYTES)))
OTHER_KEY = Key(bytes(range(1, KEY_BYTES + 1)))
SERVER_SALT, OTHER_SALT = b"server salt 0001", b"server salt 0002"
STREAM = 0xABCDEF
HERE, THERE = client_address(0), client_address(1)
FIGURES = {"clock_us": 1, "expected": 2, "received": 2, "intact": 2}

AUDIO = Message(7, Type.AUDIO, silent_frame() * 3, STREAM, 1_000_000, 3, 576, 11)

FROM_CLIENT: dict[str, Control | Clock] = {
    "CONNECT": Connect(nonce="nonce", cookie="cookie"),
    "REPORT": Report(session="session", **FIGURES),  # type: ignore[arg-type]
    "REQUEST": Request(session="session", missing="17-19,25"),
    "CLOCK": Clock("another-session-of-32-characters", 0x0102030405060708),
    "GOODBYE": Goodbye(session="session", **FIGURES),  # type: ignore[arg-type]
}

FROM_SERVER: dict[str, Control | Time] = {
    "CHALLENGE": Challenge(nonce="nonce", cookie="cookie"),
    "ACCEPT": Accept(
        nonce="nonce",
        session="session",
        first_sequence=0,
        first_time_us=0,
        live_time_us=0,
        burst_s=1.0,
        timeout_s=5.0,
        speed=1.0,
        title="A title",
        artist=None,
        duration_s=None,
        frame_rate_hz=44_100,
        channels=2,
        bit_rate_bps=128_000,
    ),
    "REJECT": Reject(reason="session", echo="session"),
    "STATUS": Status(
        clock_us=1,
        server_clock_us=2,
        position_s=3.0,
        listeners=4,
        report_s=1.0,
        track=1,
        title="A title",
        artist=None,
    ),
    "END": End(last_sequence=7, reason="finished"),
    "GOODBYE": Goodbye(session="session", **FIGURES),  # type: ignore[arg-type]
    "TIME": Time(
        *(0x1112131415161718, 0x11223344556677, 0x11223344556688, 0x11323344556699),
        *(0x11423344556611, 100_000),
    ),
}

MEDIA = {
    "AUDIO": AUDIO,
    "REPEAT": AUDIO._replace(type=Type.REPEAT),
    "PARITY": encode([AUDIO, AUDIO._replace(sequence=8)], 2)[1],
    "TRACK": TrackChange(title="A title", artist=None).to_message(8, stream=STREAM, track=2),
    "TIMELINE": Timeline(origin_us=1_000_250_000).to_message(8, stream=STREAM, track=2),
}


class Pair:
    """Both sides, after the handshake: the server knows the client at HERE, and it the stream."""

    def __init__(self, salt: bytes = SERVER_SALT) -> None:
        salts = iter(range(1, 1000))
        self.server = ServerSeal(KEY, salt)
        self.client = ClientSeal(KEY, lambda: next(salts).to_bytes(SALT_BYTES))
        connect = self.client.pack(FROM_CLIENT["CONNECT"].to_message(0))
        self.listener = registered(HERE)
        self.peer = self.register(connect, self.listener, 0.0)
        self.client.unpack(
            self.server.pack(FROM_SERVER["ACCEPT"].to_message(0, stream=STREAM), self.peer)
        )

    def register(self, datagram: bytes, listener: Listener, now: float) -> Peer:
        """The client is registered as `listener` by a CONNECT."""
        peer = self.server.proved(self.server.unpack(datagram, listener.address))
        self.server.register(listener, peer, now)
        return peer

    def take_at_server(self, datagram: bytes) -> Message:
        return self.server.unpack(datagram, HERE)


class Case(NamedTuple):
    """A message on its way, who takes it, and who must not."""

    message: Message
    datagram: bytes
    take: Callable[[bytes], Message]
    take_back: Callable[[bytes], Message]


def case(name: str) -> Case:
    pair = Pair()
    side, _, type_ = name.partition(" ")
    if side == "client":
        message = FROM_CLIENT[type_].to_message(5, stream=STREAM)
        return Case(message, pair.client.pack(message), pair.take_at_server, pair.client.unpack)
    if type_ in MEDIA:
        datagram = pair.server.pack_media(MEDIA[type_])
        return Case(MEDIA[type_], datagram, pair.client.unpack, pair.take_at_server)
    message = FROM_SERVER[type_].to_message(5, stream=STREAM)._replace(media_time_us=9)
    datagram = pair.server.pack(message, pair.peer)
    return Case(message, datagram, pair.client.unpack, pair.take_at_server)


NAMES = [
    *(f"client {name}" for name in FROM_CLIENT),
    *(f"server {name}" for name in (*FROM_SERVER, *MEDIA)),
]


def test_every_type_of_message_is_among_the_cases() -> None:
    assert {name.split()[1] for name in NAMES} == set(Type.__members__)


@pytest.mark.parametrize("name", NAMES)
def test_what_is_sealed_is_opened_by_the_other_side_as_it_was(name: str) -> None:
    one = case(name)
    assert one.take(one.datagram) == one.message
    is_media = one.message.type in MEDIA_TYPES
    overhead = TAG_BYTES if is_media else TAG_BYTES + SALT_BYTES
    assert len(one.datagram) == HEADER_BYTES + len(one.message.data) + overhead
    assert one.datagram[3] == one.message.type | SEALED


@pytest.mark.parametrize("name", NAMES)
def test_nothing_of_the_data_can_be_read(name: str) -> None:
    one = case(name)
    whole = one.datagram
    data = one.message.data
    assert not any(data[at : at + 8] in whole for at in range(0, len(data) - 8, 4))


@pytest.mark.parametrize("name", NAMES)
def test_no_bit_of_the_header_or_the_data_can_be_changed(name: str) -> None:
    one = case(name)
    places = [
        *range(HEADER_BYTES + SALT_BYTES + 8),
        *range(len(one.datagram) - 20, len(one.datagram)),
    ]
    for place in places:
        for bit in (1, 0x80):
            changed = bytearray(one.datagram)
            changed[place] ^= bit
            with pytest.raises(MessageError):
                one.take(bytes(changed))
    assert one.take(one.datagram) == one.message, "what was refused has changed nothing"


@pytest.mark.parametrize("name", NAMES)
def test_what_is_cut_off_is_refused_and_padding_ignored(name: str) -> None:
    one = case(name)
    for length in range(len(one.datagram)):
        with pytest.raises(MessageError):
            one.take(one.datagram[:length])
    assert one.take(one.datagram + b"padding") == one.message


@pytest.mark.parametrize("name", NAMES)
def test_a_shorter_length_in_the_header_is_refused(name: str) -> None:
    one = case(name)
    for length in (0, 1, TAG_BYTES - 1, TAG_BYTES, SALT_BYTES + TAG_BYTES):
        with pytest.raises(SealError):
            one.take(one.datagram[:4] + length.to_bytes(2) + one.datagram[6:])


@pytest.mark.parametrize("name", NAMES)
def test_another_key_does_not_open_it(name: str) -> None:
    one = case(name)
    salt = one.datagram[HEADER_BYTES : HEADER_BYTES + SALT_BYTES]
    came = Message.unpack(one.datagram)
    for key in (OTHER_KEY, Key(bytes(KEY_BYTES))):
        for cipher in (key.client(salt), key.server(salt), key.media(SERVER_SALT)):
            with pytest.raises(SealError):
                opened(cipher, came, salt)


@pytest.mark.parametrize("name", NAMES)
def test_it_is_worth_nothing_in_the_other_direction(name: str) -> None:
    one = case(name)
    with pytest.raises(SealError):
        one.take_back(one.datagram)


@pytest.mark.parametrize("name", NAMES)
def test_without_a_seal_it_is_refused(name: str) -> None:
    one = case(name)
    with pytest.raises(SealError):
        one.take(one.message.pack())
    with pytest.raises(SealError):
        one.take(one.message._replace(type=one.message.type | SEALED).pack())


@pytest.mark.parametrize("name", [name for name in NAMES if name.split()[1] not in MEDIA])
def test_a_control_message_counts_once(name: str) -> None:
    one = case(name)
    assert one.take(one.datagram) == one.message
    for _ in range(2):
        with pytest.raises(ReplayError):
            one.take(one.datagram)


@pytest.mark.parametrize("name", [f"server {name}" for name in FROM_SERVER])
def test_what_is_said_to_one_listener_is_nothing_to_another(name: str) -> None:
    one, other = case(name), Pair()
    other.client.renew()
    with pytest.raises(SealError):
        other.client.unpack(one.datagram)


def test_messages_may_overtake_one_another_within_the_window() -> None:
    pair = Pair()
    datagrams = [
        pair.client.pack(FROM_CLIENT["REQUEST"].to_message(sequence))
        for sequence in (1, 2 + WINDOW, 3, 2)
    ]
    taken = [pair.take_at_server(datagram).sequence for datagram in datagrams[1:3]]
    assert taken == [2 + WINDOW, 3]
    for datagram in (datagrams[0], datagrams[3]):
        with pytest.raises(ReplayError):
            pair.take_at_server(datagram)


# The server's side.


def connect(client: ClientSeal, sequence: int) -> bytes:
    return client.pack(FROM_CLIENT["CONNECT"].to_message(sequence), CONNECT_BYTES)


def test_a_connect_counts_only_as_the_newest_word_of_its_session() -> None:
    pair = Pair()
    early, late = connect(pair.client, 3), connect(pair.client, 4)
    pair.take_at_server(late)
    with pytest.raises(ReplayError):
        pair.take_at_server(early)


@pytest.mark.parametrize("gone_s", [0.0, REMEMBERED_S - 1])
def test_who_has_left_is_not_registered_by_its_own_words(gone_s: float) -> None:
    pair = Pair()
    datagram = connect(pair.client, 2)
    held_back = connect(pair.client, 3)
    pair.register(datagram, pair.listener, 10.0)
    pair.take_at_server(pair.client.pack(FROM_CLIENT["GOODBYE"].to_message(4)))
    pair.server.retire(pair.peer, 20.0)
    pair.server.forget(20.0 + gone_s)
    for again in (datagram, held_back):
        with pytest.raises(ReplayError):
            pair.take_at_server(again)


def test_who_has_left_is_forgotten_when_its_cookie_is_worth_nothing() -> None:
    pair = Pair()
    datagram = connect(pair.client, 2)
    pair.take_at_server(datagram)
    pair.server.retire(pair.peer, 20.0)
    pair.server.forget(20.0 + REMEMBERED_S)
    assert pair.take_at_server(datagram)
    assert not pair.server._peers


def test_who_came_back_is_remembered_from_when_it_left_again() -> None:
    pair = Pair()
    pair.server.retire(pair.peer, 0.0)
    datagram = connect(pair.client, 2)
    pair.register(datagram, pair.listener, 30.0)
    pair.server.retire(pair.peer, 31.0)
    pair.server.forget(REMEMBERED_S + 30)
    with pytest.raises(ReplayError):
        pair.take_at_server(datagram)
    pair.server.forget(REMEMBERED_S + 31)
    assert not pair.server._peers


def test_who_is_registered_is_remembered_however_long_ago_it_was_away() -> None:
    pair = Pair()
    pair.server.retire(pair.peer, 0.0)
    datagram = connect(pair.client, 2)
    pair.register(datagram, pair.listener, 30.0)
    pair.server.forget(10 * REMEMBERED_S)
    with pytest.raises(ReplayError):
        pair.take_at_server(datagram)


def test_of_those_who_have_left_only_so_many_are_remembered() -> None:
    server, listener = ServerSeal(KEY, SERVER_SALT), registered(HERE)
    for number in range(MOST_REMEMBERED + 5):
        client = ClientSeal(KEY, lambda: number.to_bytes(SALT_BYTES))  # noqa: B023
        # Each in the place of the one before.
        server.register(listener, server.proved(server.unpack(connect(client, 0), HERE)), 0.0)
    assert len(server._peers) == MOST_REMEMBERED + 1
    assert listener.peer is not None
    server.retire(listener.peer, 0.0)
    assert len(server._peers) == MOST_REMEMBERED


def test_a_client_that_moves_again_and_again_is_remembered_once() -> None:
    pair = Pair()
    for number in range(1, 200):
        # It moves before it knows its session: the listener that it was is dismissed.
        pair.server.retire(pair.peer, number / 100)
        address = client_address(number)
        assert (
            pair.register(connect(pair.client, number), registered(address), number / 100)
            is pair.peer
        )
    assert (len(pair.server._peers), len(pair.server._left)) == (1, 0)
    for number in range(200):
        pair.server.retire(pair.peer, 2 + number / 100)
    assert (len(pair.server._peers), len(pair.server._left)) == (1, 1)
    # It is remembered from the last time on.
    pair.server.forget(3.98 + REMEMBERED_S)
    assert len(pair.server._peers) == 1
    pair.server.forget(3.99 + REMEMBERED_S)
    assert [*pair.server._peers, *pair.server._left] == []


def test_of_an_address_that_is_not_proved_nothing_is_kept() -> None:
    server = ServerSeal(KEY, SERVER_SALT)
    for number in range(100):
        client = ClientSeal(KEY, lambda: number.to_bytes(SALT_BYTES))  # noqa: B023
        server.unpack(connect(client, 0), client_address(number))
    assert [*server._peers, *server._left] == []


def test_a_copy_from_elsewhere_does_not_make_the_original_a_replay() -> None:
    pair = Pair()
    datagram = pair.client.pack(FROM_CLIENT["REPORT"].to_message(3))
    assert pair.server.unpack(datagram, THERE)
    assert pair.server.unpack(datagram, HERE)
    with pytest.raises(ReplayError):
        pair.server.unpack(datagram, THERE)


def test_a_client_that_moves_is_heard_where_it_is() -> None:
    pair = Pair()
    pair.listener.address = THERE
    datagram = pair.client.pack(FROM_CLIENT["REPORT"].to_message(3))
    assert pair.server.unpack(datagram, HERE)
    assert pair.server.unpack(datagram, THERE)
    with pytest.raises(ReplayError):
        pair.server.unpack(datagram, THERE)
    assert pair.register(connect(pair.client, 4), pair.listener, 0.0) is pair.peer


# The client's side.


def test_what_was_said_in_an_earlier_session_is_worth_nothing() -> None:
    pair = Pair()
    datagrams = [
        pair.server.pack(content.to_message(5 + number, stream=STREAM), pair.peer)
        for number, content in enumerate(FROM_SERVER.values())
    ]
    pair.client.renew()
    for datagram in datagrams:
        with pytest.raises(SealError):
            pair.client.unpack(datagram)


def test_the_stream_that_was_heard_goes_on_while_the_client_connects_again() -> None:
    pair = Pair()
    pair.client.renew()
    assert pair.client.unpack(pair.server.pack_media(AUDIO)) == AUDIO


def test_audio_of_a_stream_that_no_server_has_proved_is_refused() -> None:
    pair = Pair()
    with pytest.raises(SealError):
        pair.client.unpack(pair.server.pack_media(AUDIO._replace(stream=STREAM + 1)))
    with pytest.raises(SealError):
        pair.client.unpack(ServerSeal(KEY, OTHER_SALT).pack_media(AUDIO))


def test_no_more_servers_are_kept_than_can_be() -> None:
    pair = Pair()
    for number in range(2, MOST_SERVERS + 2):
        server = ServerSeal(KEY, number.to_bytes(SALT_BYTES))
        server.unpack(connect(pair.client, number), HERE)
        challenge = FROM_SERVER["CHALLENGE"].to_message(0, stream=number)
        if number <= MOST_SERVERS:
            pair.client.unpack(server.pack_answer(challenge))
        else:
            with pytest.raises(SealError):
                pair.client.unpack(server.pack_answer(challenge))
    assert pair.client.unpack(pair.server.pack_media(AUDIO)) == AUDIO


def test_of_streams_that_were_not_heard_nothing_is_kept_for_the_next_session() -> None:
    pair = Pair()
    for number in range(2, 20):
        pair.client.renew()
        server = ServerSeal(KEY, number.to_bytes(SALT_BYTES))
        server.unpack(connect(pair.client, number), HERE)
        challenge = FROM_SERVER["CHALLENGE"].to_message(0, stream=number)
        pair.client.unpack(server.pack_answer(challenge))
        assert set(pair.client._media) == {STREAM, number}


# What it rests on.


@pytest.mark.parametrize("name", NAMES)
def test_the_simulated_network_counts_it_by_its_type(name: str) -> None:
    assert type_of(case(name).datagram) == name.split()[1]


def test_a_repeat_is_the_same_bytes_each_time_and_others_than_the_audio() -> None:
    server = ServerSeal(KEY, SERVER_SALT)
    repeat = AUDIO._replace(type=Type.REPEAT)
    assert server.pack_media(repeat) == server.pack_media(repeat)
    audio = server.pack_media(AUDIO)[HEADER_BYTES:]
    assert server.pack_media(repeat)[HEADER_BYTES:][:64] != audio[:64]


def test_every_sender_has_a_key_of_its_own_for_each_salt_and_direction() -> None:
    message = Message(0, Type.AUDIO, bytes(64))
    ciphers = [
        make(salt)
        for key in (KEY, OTHER_KEY)
        for make in (key.client, key.server, key.media)
        for salt in (SERVER_SALT, OTHER_SALT, bytes(SALT_BYTES))
    ]
    streams = {sealed(cipher, message)[HEADER_BYTES:-TAG_BYTES] for cipher in ciphers}
    assert len(streams) == len(ciphers)


def test_the_key_is_derived_and_the_data_sealed_as_the_standards_say() -> None:
    # HKDF-SHA-256 of RFC 5869, by its two steps of HMAC; the cipher by its own library.
    secret = bytes(range(KEY_BYTES))
    extracted = hmac.digest(SERVER_SALT, secret, hashlib.sha256)
    derived = hmac.digest(extracted, b"mp3 broadcast 1 media\x01", hashlib.sha256)
    datagram = ServerSeal(KEY, SERVER_SALT).pack_media(AUDIO)
    nonce = bytes.fromhex("0500 0003 0000000000000007")
    header, data = datagram[:HEADER_BYTES], datagram[HEADER_BYTES:]
    assert ChaCha20Poly1305(derived).decrypt(nonce, data, header) == AUDIO.data
    assert header == AUDIO.header(Type.AUDIO | SEALED, len(AUDIO.data) + TAG_BYTES)


def test_a_key_does_not_show_what_it_is() -> None:
    secret = b"\x41" * KEY_BYTES
    key = Key(secret)
    client = ClientSeal(key, lambda: bytes(SALT_BYTES))
    for shown in (repr(key), str(key), f"{key}", repr(client), repr(ServerSeal(key, SERVER_SALT))):
        assert "AAAA" not in shown
        assert secret.hex() not in shown


@given(st.binary(max_size=CONNECT_BYTES), st.sampled_from([*Type]), st.binary(max_size=200))
def test_whatever_comes_is_refused_in_the_declared_way(
    noise: bytes, type_: Type, data: bytes
) -> None:
    pair = Pair()
    crafted = Message(0, type_ | SEALED, data, STREAM).pack()
    for datagram in (noise, crafted):
        for take in (pair.take_at_server, pair.client.unpack):
            with pytest.raises(MessageError):
                take(datagram)
