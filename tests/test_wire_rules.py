"""What `docs/wire.md` says in prose, done by hand from there, meets both programs' cores.

Sealing and parity are written anew here from the document alone. Where the two programs and this
file differ, one of them has left the document.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from broadcasting.settings import Fec, Settings
from broadcasting.source.segments import Segment
from listening.arrival.repair import MAX_OVERDUE
from listening.listen import MAX_EARLY
from message import (
    HEADER_BYTES,
    VERSION,
    Accept,
    Message,
    Reject,
    Report,
    Request,
    Status,
    TrackChange,
    Type,
)
from shell.command_line.key_file import KeyFileError, read_key
from tests.rig.luck import once
from tests.rig.network import (
    SERVER,
    TRACK,
    Link,
    Network,
    random_loss,
    segments,
)
from tests.test_wire_document import tables
from wire.address import Address
from wire.parity import encode
from wire.seal import Key

pytestmark = once

SECRET = bytes(range(32))


class Wire(Network):
    """A network that shows every datagram: who sent it, where to or where from, and its bytes."""

    def __init__(self, *arguments: object, **options: object) -> None:
        self.passed: list[tuple[str, Address, bytes]] = []
        self.passes: Callable[[bytes], bool] = lambda data: True
        super().__init__(*arguments, **options)  # type: ignore[arg-type]

    def send(self, side: str, data: bytes, address: Address) -> None:
        """Note the datagram, and let it go if it `passes`."""
        self.passed.append((side, address, data))
        if self.passes(data):
            super().send(side, data, address)

    def of_type(self, kind: Type) -> list[bytes]:
        """The datagrams of this type, sealed or not."""
        return [data for _, _, data in self.passed if data[3] & 0x7F == kind]


# Sealing.


def derived(key: str, salt: bytes) -> ChaCha20Poly1305:
    """The cipher of this row of the document's table of keys."""
    (row,) = (one for one in tables("Sealing")[1] if one["key"] == key)
    info = row["info of HKDF"].encode()
    return ChaCha20Poly1305(HKDF(SHA256(), 32, salt, info).derive(SECRET))


def nonce(header: bytes) -> bytes:
    """Type without SEALED, 0, track, sequence."""
    return bytes((header[3] & 0x7F, 0)) + header[6:8] + header[16:24]


def opened(datagram: bytes, key: str, salt: bytes, more: bytes = b"") -> bytes:
    """The data of a sealed message, with the cipher of `key` and what else is authenticated."""
    length = int.from_bytes(datagram[4:6])
    head, data = datagram[:HEADER_BYTES], datagram[HEADER_BYTES : HEADER_BYTES + length]
    begins = 0 if key == "media" else 16
    aad = head + data[:begins] + more
    return derived(key, salt).decrypt(nonce(head), data[begins:], aad)


def seals(row: str) -> set[str]:
    """The types that the document says this key seals, of those it names."""
    (found,) = (one["seals"] for one in tables("Sealing")[1] if one["key"] == row)
    return set(found.split(", "))


def test_every_sealed_message_opens_as_the_document_says() -> None:
    link = Link(drop=random_loss(0.2, 3))
    network = Wire(Settings(fec=Fec(8, 1)), two_tracks(), link, key=Key(SECRET))
    listener = network.join()
    network.run(8)
    listener.core.leave(network.now)
    network.run(1)
    assert listener.core.closed
    media = {f"{one.name}" for one in Type if one.name in seals("media")}
    assert media == {"AUDIO", "PARITY", "REPEAT", "TRACK", "TIMELINE"} == seals("media")
    client_salt = network.of_type(Type.CONNECT)[0][HEADER_BYTES : HEADER_BYTES + 16]
    server_salt = network.of_type(Type.ACCEPT)[0][HEADER_BYTES : HEADER_BYTES + 16]
    assert client_salt != server_salt
    seen: dict[str, int] = {}
    for side, _, datagram in network.passed:
        assert datagram[3] & 0x80
        name = Type(datagram[3] & 0x7F).name
        if name in media:
            data = opened(datagram, "media", server_salt)
        elif side == "client":
            data = opened(datagram, "client", client_salt)
        else:
            data = opened(datagram, "server", server_salt, client_salt)
        if name not in ("AUDIO", "PARITY", "REPEAT", "CLOCK", "TIME"):
            assert data.startswith(b"{")
        seen[name] = seen.get(name, 0) + 1
    assert set(seen) == {one.name for one in Type} - {"REJECT"}


def test_no_control_message_of_a_sender_has_the_number_of_another_and_they_begin_at_0() -> None:
    for key in (None, Key(SECRET)):
        network = Wire(programme=segments(60), link=Link(drop=random_loss(0.1, 3)), key=key)
        listeners = [network.join() for _ in range(3)]
        network.run(12)
        media = ("AUDIO", "PARITY", "REPEAT", "TRACK", "TIMELINE")
        senders: dict[Address, list[int]] = {}
        for side, address, data in network.passed:
            if Type(data[3] & 0x7F).name not in media:
                sender = SERVER if side == "server" else address
                senders.setdefault(sender, []).append(int.from_bytes(data[16:24]))
        assert set(senders) == {SERVER, *(one.address for one in listeners)}
        for numbers in senders.values():
            assert sorted(numbers) == list(range(len(numbers)))


@pytest.mark.parametrize(
    ("text", "is_key"),
    [
        (SECRET.hex() + "\n", True),
        (f" \n{SECRET.hex().upper()}\r\n\n", True),
        (SECRET.hex()[:-1], False),
        (SECRET.hex() + "00", False),
        (SECRET.hex().replace("0", "g"), False),
        (SECRET.hex() + " " * 137, False),
    ],
)
def test_the_key_file_has_the_form_that_the_document_says(
    tmp_path: Path, text: str, is_key: bool
) -> None:
    path = tmp_path / "key"
    path.write_bytes(text.encode())
    path.chmod(0o600)
    if is_key:
        assert read_key(str(path)) == (SECRET, None)
    else:
        with pytest.raises(KeyFileError):
            read_key(str(path))


# Parity.


EXP = [1]
for _ in range(254):
    EXP.append(EXP[-1] << 1 ^ (0x11D if EXP[-1] & 0x80 else 0))
LOG = {value: exponent for exponent, value in enumerate(EXP)}


def times(a: int, b: int) -> int:
    """The product in GF(2^8)."""
    return EXP[(LOG[a] + LOG[b]) % 255] if a and b else 0


def over(a: int, b: int) -> int:
    """The quotient in GF(2^8)."""
    return EXP[(LOG[a] - LOG[b]) % 255] if a else 0


def at(place: int) -> int:
    """X of the document: x(0) = 0, x(i) = 2^(i - 1)."""
    return EXP[(place - 1) % 255] if place else 0


def shard_of(shards: dict[int, bytes], wanted: int) -> bytes:
    """Shard `wanted` on the polynomial through `shards`, as Lagrange interpolates it."""
    value = bytearray(len(next(iter(shards.values()))))
    for place, shard in shards.items():
        weight = 1
        for other in shards:
            if other != place:
                weight = over(times(weight, at(wanted) ^ at(other)), at(place) ^ at(other))
        for index, byte in enumerate(shard):
            value[index] ^= times(weight, byte)
    return bytes(value)


@pytest.mark.parametrize(("messages", "parities"), [(1, 1), (2, 1), (5, 3), (20, 4)])
def test_the_matrix_is_the_one_that_the_document_says(messages: int, parities: int) -> None:
    block = [
        Message(n, Type.AUDIO, bytes((n * 37 + 11 & 255, n, 255 - n))) for n in range(messages)
    ]
    shards = {n: (3).to_bytes(2) + bytes(14) + one.data for n, one in enumerate(block)}
    for index, parity in enumerate(encode(block, parities)):
        assert parity.data[3:] == shard_of(shards, messages + index)


@pytest.mark.parametrize("key", [None, Key(SECRET)])
def test_a_lost_audio_is_computed_from_the_document_with_a_key_and_without(key: Key | None) -> None:
    network = Wire(Settings(fec=Fec(4, 2)), segments(8), key=key)
    network.join()
    network.run(4)
    salt = network.of_type(Type.ACCEPT)[0][HEADER_BYTES : HEADER_BYTES + 16]

    def data(datagram: bytes) -> bytes:
        length = int.from_bytes(datagram[4:6])
        return opened(datagram, "media", salt) if key else datagram[32 : 32 + length]

    audio = {int.from_bytes(one[16:24]): one for one in network.of_type(Type.AUDIO)}
    parity = [one for one in network.of_type(Type.PARITY) if int.from_bytes(one[16:24]) == 4]
    shards = {4 + data(one)[2]: data(one)[3:] for one in parity}
    assert sorted(shards) == [4, 5]
    whole: dict[int, bytes] = {}
    for place in range(4):
        datagram = audio[4 + place]
        # The length is that without the tag.
        whole[place] = (
            len(data(datagram)).to_bytes(2) + datagram[6:12] + datagram[24:32] + data(datagram)
        ).ljust(len(shards[4]), b"\0")
    # 0 and 2 are lost.
    known = {1: whole[1], 3: whole[3], **shards}
    assert [shard_of(known, place) for place in (0, 2)] == [whole[0], whole[2]]


def test_what_is_still_to_come_is_not_computed_from_what_is_sent_later() -> None:
    """With as much parity as AUDIO, half of a block gives the half that is not sent yet."""
    network = Wire(Settings(fec=Fec(4, 4), burst_s=0.0), segments(40))
    listener = network.join()
    network.run(1.5)
    assert listener.core.statistics.rebuilt == 0
    assert len(network.of_type(Type.PARITY)) >= 8


# Control messages.


@pytest.mark.parametrize("text", ["1,2", "1-1", "01", "1-1,2-3", "0000000000000001,2"])
def test_ranges_may_be_written_as_the_document_says(text: str) -> None:
    numbers = Request.from_message(Request(session="", missing=text).to_message()).ranges()
    flat = [number for one in numbers for number in one]
    assert flat == [1, 2, 3][: len(flat)]


def intact(network: Network) -> int:
    """What all listeners together reported intact."""
    server = network.server
    assert server is not None
    server.figures.look(iter(server.registry.addresses))
    return server.snapshot(network.now).audience.intact


@pytest.mark.parametrize("key", [None, Key(SECRET)])
def test_report_and_status_count_in_the_order_of_their_numbers(key: Key | None) -> None:
    network = Wire(key=key)
    listener = network.join()
    network.run(2.5)
    assert network.server is not None
    old = network.of_type(Type.REPORT)[-1]
    was = intact(network)
    status = listener.core.snapshot(network.now).listeners
    assert (status, was > 0) == (1, True)
    if key is None:
        session = listener.core.accept.session if listener.core.accept else ""
        zero = Report(session=session, clock_us=1, expected=0, received=0, intact=9999)
        number = int.from_bytes(old[16:24]) - 1
        answers = len(network.of_type(Type.STATUS))
        network.bring(zero.to_message(number).pack(), listener.address)
        network.run(0.01)
        assert intact(network) < 9999
        assert len(network.of_type(Type.STATUS)) == answers + 1, "it is answered all the same"
        stale = Status(
            clock_us=1,
            server_clock_us=2,
            position_s=0.0,
            listeners=77,
            report_s=1.0,
            track=1,
            title="",
            artist=None,
        )
        listener.core.receive_datagram(
            stale.to_message(0, stream=0xABC0001).pack(), SERVER, network.now
        )
    else:
        network.bring(old, listener.address)
        assert network.server.statistics.replayed == 1
        listener.core.receive_datagram(network.of_type(Type.STATUS)[-1], SERVER, network.now)
        assert listener.core.statistics.replayed == 1
    assert listener.core.snapshot(network.now).listeners == 1


def test_after_a_loss_of_the_server_connect_carries_what_the_document_says() -> None:
    for key in (None, Key(SECRET)):
        network = Wire(key=key)
        listener = network.join()
        network.run(2)
        first = network.of_type(Type.CONNECT)[0]
        accept = listener.core.accept
        network.kill_server()
        network.run(6)
        again = network.of_type(Type.CONNECT)[-1]
        mark, stream = again[24:32], int.from_bytes(again[12:16])
        assert mark == first[24:32] != bytes(8)
        assert (int.from_bytes(first[12:16]), stream) == (0, 0xABC0001)
        if key is None:
            assert accept is not None
            wanted = b'{"nonce":"%b","session":"%b"}' % (
                accept.nonce.encode(),
                accept.session.encode(),
            )
            assert again[32:].rstrip(b"\0") == wanted
        else:
            assert again[32:48] != first[32:48], "a new salt"


def test_a_refusal_of_another_version_is_not_malformed_anything_else_of_it_is() -> None:
    network = Wire()
    listener = network.join()
    listener.core.on_due(network.now)
    ((connect, _),) = listener.core.datagrams_to_send(network.now)
    foreign = bytearray(connect)
    foreign[2] = VERSION + 1
    assert network.server is not None
    received = network.server.receive_datagram(bytes(foreign), listener.address, network.now)
    assert received is not None
    ((answer, _),) = received.answers
    assert Reject.from_message(Message.unpack(answer)) == Reject(reason="version")
    assert network.server.statistics.malformed == 0
    # As that server would say it.
    refusal = bytearray(answer)
    refusal[2] = VERSION + 1
    listener.core.receive_datagram(bytes(refusal), SERVER, network.now)
    assert listener.core.statistics.malformed == 0
    refusal[31] ^= 1
    listener.core.receive_datagram(bytes(refusal), SERVER, network.now)
    assert listener.core.statistics.malformed == 1


# What comes when.


def two_tracks() -> Iterator[Segment]:
    """Two tracks of 40 messages each."""
    tracks = [dataclasses.replace(TRACK, number=n, title=f"Title {n}") for n in (1, 2)]
    for index, one in enumerate(segments(80)):
        yield dataclasses.replace(one, track=tracks[index >= 40])


def test_the_first_track_of_files_has_no_track_message_the_next_has_one_before_its_audio() -> None:
    network = Wire(programme=two_tracks())
    network.join()
    network.run(8)
    told = [Message.unpack(one) for one in network.of_type(Type.TRACK)]
    assert [TrackChange.from_message(one).title for one in told] == ["Title 2"]
    assert (told[0].sequence, told[0].track) == (40, 2)
    order = [data for side, _, data in network.passed if side == "server"]
    place = order.index(network.of_type(Type.TRACK)[0])
    assert Message.unpack(order[place + 1])[:2] == (40, Type.AUDIO)
    accept = Accept.from_message(Message.unpack(network.of_type(Type.ACCEPT)[0]))
    assert accept.title == "Title 1"


def test_audio_that_overtakes_accept_is_heard_as_much_as_the_document_says() -> None:
    held: list[bytes] = []
    network = Wire(Settings(burst_s=25.0), segments(400))
    network.join()
    network.run(3)
    listener = network.join()

    def hold(data: bytes) -> bool:
        if data[3] == Type.ACCEPT:
            held.append(data)
        return data[3] != Type.ACCEPT

    network.passes = hold
    network.run(0.2)
    (accept, *_) = held
    audio = len([1 for side, to, one in network.passed if to == listener.address and one[3] == 5])
    assert audio > MAX_EARLY
    listener.core.receive_datagram(accept, SERVER, network.now)
    assert listener.core.statistics.received == MAX_EARLY
    assert listener.core.statistics.ignored == audio - MAX_EARLY


def test_in_a_silence_no_more_than_the_next_64_are_asked_for() -> None:
    network = Wire(programme=segments(1000))
    listener = network.join()
    network.run(3)
    newest = int.from_bytes(network.of_type(Type.AUDIO)[-1][16:24])
    network.passes = lambda data: data[3] in (Type.REQUEST, Type.REPORT)
    network.kill_server()
    network.run(4.5)
    asked: set[int] = set()
    for one in network.of_type(Type.REQUEST):
        for numbers in Request.from_message(Message.unpack(one)).ranges():
            asked |= set(numbers)
    assert max(asked) > newest + 30
    assert asked <= set(range(newest + 1, newest + 1 + MAX_OVERDUE))
    assert listener.core.statistics.requests > 0


def test_a_repeat_is_never_out_of_order() -> None:
    network = Wire(programme=segments(100), link=Link(drop=random_loss(0.2, 2)))
    listener = network.join()
    network.run(12)
    count = listener.core.statistics
    assert count.retransmitted > 5
    assert count.out_of_order == 0


def test_the_track_of_status_is_in_its_data_and_not_in_its_header() -> None:
    network = Wire(programme=two_tracks())
    network.join()
    network.run(5)
    status = Message.unpack(network.of_type(Type.STATUS)[-1])
    assert (status.track, Status.from_message(status).track) == (0, 2)
