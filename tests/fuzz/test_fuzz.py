"""The kept corpus goes through the targets of the fuzzer; what fuzzing has found stays mended."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from broadcasting.broadcast import Received
from fuzz import client_core, datagrams, server_core
from fuzz.cursor import Cursor
from fuzz.datagrams import FROM_CLIENT, FROM_SERVER, Known
from fuzz.targets import CORPUS, TARGETS
from listening.arrival.audio_message import AudioMessage
from listening.arrival.jitter_buffer import JitterBuffer
from listening.arrival.playable import EndOfStream
from listening.arrival.reception_window import ReceptionWindow
from listening.arrival.statistics import Statistics
from listening.listen import Listen
from message import CONNECT_BYTES, TYPE_NAMES, Goodbye, Message, Type
from tests.rig.network import SERVER, silent_frame
from wire.address import Address

KEPT = sorted(CORPUS.glob("*/*"))


@pytest.mark.parametrize("path", KEPT, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_the_kept_corpus_breaks_no_promise(path: Path) -> None:
    TARGETS[path.parent.name](path.read_bytes())


@pytest.mark.parametrize("name", TARGETS)
def test_inputs_by_chance_break_no_promise(name: str) -> None:
    chance = Random(name)
    for _ in range(300):
        TARGETS[name](chance.randbytes(chance.randrange(200)))


def test_the_corpus_has_every_type_that_an_undisturbed_broadcast_has() -> None:
    types = {Message.unpack(path.read_bytes()).type for path in (CORPUS / "unpack").iterdir()}
    assert {TYPE_NAMES[kind] for kind in types} == set(TYPE_NAMES.values()) - {"REJECT"}
    assert sum(path.stat().st_size for path in KEPT) < 100_000


def test_the_corpus_of_the_server_is_understood(monkeypatch: pytest.MonkeyPatch) -> None:
    answered: set[int] = set()

    class Noted(server_core.Room):
        def come(self, data: bytes, address: Address) -> list[Message]:
            answers = super().come(data, address)
            answered.update(one.type for one in answers)
            return answers

    monkeypatch.setattr(server_core, "Room", Noted)
    for path in (CORPUS / "server").iterdir():
        server_core.one_input(path.read_bytes())
    assert {Type.CHALLENGE, Type.ACCEPT, Type.STATUS, Type.REPEAT, Type.GOODBYE} <= answered


def test_the_corpus_of_the_client_is_understood(monkeypatch: pytest.MonkeyPatch) -> None:
    rooms: list[client_core.Room] = []

    class Noted(client_core.Room):
        def connect(self) -> None:
            rooms.append(self)
            super().connect()

    monkeypatch.setattr(client_core, "Room", Noted)
    for path in (CORPUS / "client").iterdir():
        client_core.one_input(path.read_bytes())
    counts = [room.core.statistics for room in rooms]
    assert sum(count.intact for count in counts) > 20
    assert sum(count.parity_received for count in counts) > 5
    assert sum(count.malformed for count in counts) == 0


def room() -> server_core.Room:
    return server_core.Room(server_core.SETTINGS[0], honest=True)


def test_a_server_that_forgets_a_listener_breaks_a_promise() -> None:
    forgetful = room()
    registry = forgetful.core.registry
    registry.remove(next(iter(registry)))
    with pytest.raises(AssertionError, match="registered no more"):
        forgetful.pass_time(2.0)


def test_a_server_that_answers_with_more_than_came_breaks_a_promise(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    talkative, to = room(), server_core.OTHERS[0]
    answer = Received([(b"x" * 99, to)], is_due=False)
    monkeypatch.setattr(talkative.core, "receive_datagram", lambda data, address, now: answer)
    with pytest.raises(AssertionError, match="more than came"):
        talkative.come(b"x" * 98, to)


def test_a_server_that_holds_audio_back_breaks_a_promise(monkeypatch: pytest.MonkeyPatch) -> None:
    slow = room()
    monkeypatch.setattr(slow.core, "_take_turn", lambda now: None)
    slow.now += 0.5
    with pytest.raises(AssertionError):
        slow.check_audio()


def test_a_client_that_counts_wrongly_breaks_a_promise() -> None:
    heard = client_core.Room(0)
    heard.core.statistics.received += 1
    with pytest.raises(AssertionError):
        heard.come(b"", SERVER)


@pytest.mark.parametrize("messages", [FROM_CLIENT, FROM_SERVER], ids=["client", "server"])
def test_every_datagram_that_is_not_changed_is_a_message(messages: datagrams.Makers) -> None:
    known = Known("n" * 16, "s" * 16, 7)
    for number in range(len(messages)):
        # 4: as it is. Then which, and no further choice.
        data = datagrams.datagram(Cursor(bytes((4, number))), messages, known)
        assert len(Message.unpack(data).pack()) <= max(len(data), CONNECT_BYTES)


# What fuzzing has found.


def test_who_was_never_let_in_is_told_the_end_once() -> None:
    core = Listen(
        [SERVER],
        nonce="nonce",
        timeout_s=1.0,
        buffer_s=1.0,
        lead_s=0.0,
        waits=False,
        random=Random(1),
        now=0.0,
    )
    played = []
    for second in range(5):
        core.on_due(float(second))
        played += core.audio_to_play(float(second))
    assert played == [EndOfStream(None)]
    assert core.next_playable() is None


def test_a_hole_at_the_end_that_seemed_longer_than_it_was_leaves_a_buffer_that_can_be_told() -> (
    None
):
    buffer = JitterBuffer(ReceptionWindow(0, 0, 1.0), Statistics(), buffer_s=1.0, strict=False)
    frame_us = 26_122
    for sequence in (0, 1):
        audio = Message(sequence, Type.AUDIO, silent_frame(), 1, sequence * frame_us, 1)
        buffer.insert(AudioMessage(audio, frame_us), 0.0)
    # Thirty messages more in the time of two: the hole is taken for as long as thirty.
    assert buffer.end(31, 2 * frame_us, 0.0)
    buffer.close()
    buffer.take(0.0)
    left_s = buffer.buffered_s(0.0)
    said = Goodbye(session="", clock_us=0, expected=0, received=0, intact=0, buffer_s=left_s)
    assert Goodbye.from_message(said.to_message()) == said
