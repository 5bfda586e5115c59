"""No key seals two messages with one nonce: asserted of every message that either side seals."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import wire.seal
from broadcasting.settings import Fec, Settings
from broadcasting.source.segments import Segment
from message import SEALED, Message, Type
from tests.rig.luck import once
from tests.rig.network import TRACK, Link, Network, client_address, random_loss, segments
from wire.seal import KEY_BYTES, Key

pytestmark = once


class Watched:
    """A cipher that remembers what it has sealed with which nonce, for all of its key."""

    def __init__(self, key: bytes, sealed: dict[tuple[bytes, bytes], tuple[bytes, bytes]]) -> None:
        self._key = key
        self._cipher = CIPHER(key)
        self._sealed = sealed

    def encrypt(self, nonce: bytes, data: bytes, proved: bytes) -> bytes:
        before = self._sealed.setdefault((self._key, nonce), (data, proved))
        assert before == (data, proved), f"nonce {nonce.hex()} came twice"
        ciphertext: bytes = self._cipher.encrypt(nonce, data, proved)
        return ciphertext

    def decrypt(self, nonce: bytes, data: bytes, proved: bytes) -> bytes:
        data = self._cipher.decrypt(nonce, data, proved)
        return data


CIPHER: Any = wire.seal.Cipher


@pytest.fixture
def sealed() -> Iterator[dict[tuple[bytes, bytes], tuple[bytes, bytes]]]:
    """What was sealed, by key and nonce."""
    content: dict[tuple[bytes, bytes], tuple[bytes, bytes]] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(wire.seal, "ChaCha20Poly1305", lambda key: Watched(key, content))
        yield content


def tracks(count: int, messages: int) -> Iterator[Segment]:
    """`count` tracks of as many `messages` each; no two messages have the same data."""
    for index, one in enumerate(segments(count * messages)):
        number = index // messages + 1
        track = dataclasses.replace(TRACK, number=number, title=f"Track {number}", duration_s=2.0)
        yield dataclasses.replace(one, data=one.data[:-4] + index.to_bytes(4), track=track)


def test_over_restarts_losses_and_repairs_no_nonce_comes_twice(
    sealed: dict[tuple[bytes, bytes], tuple[bytes, bytes]],
) -> None:
    link = Link(
        0.02,
        random_loss(0.15, 1),
        jitter=lambda side, index: index * 7919 % 13 / 500,
        copies=lambda side, index: 1 + (index % 10 == 0),
    )
    settings_ = Settings(fec=Fec(10, 2, auto=True), timeout_s=2.0)
    network = Network(settings_, segments(200), link, key=Key(bytes(KEY_BYTES)))
    listeners = [network.join() for _ in range(4)]
    network.run(5)
    # One leaves and comes back, as another run of the client; the server too, twice.
    listeners[0].core.leave(network.now)
    network.run(1)
    network.remove(listeners[0])
    network.join()
    for _ in range(2):
        network.kill_server()
        network.run(1)
        network.start_server(settings_, segments(150))
        network.join()
        network.run(8)
    assert network.server is not None
    network.server.stop(network.now)
    network.run(20)
    assert {nonce[0] for _, nonce in sealed} == {int(one) for one in Type}
    # Of each stream one, and one for its single listeners; one for each session of a client.
    assert len({key for key, _ in sealed}) >= 2 * 3 + 7
    assert len(sealed) > 1000


@pytest.mark.parametrize("fec", [None, Fec(10, 2)])
def test_what_was_read_ahead_and_is_skipped_takes_no_nonce(
    sealed: dict[tuple[bytes, bytes], tuple[bytes, bytes]], fec: Fec | None
) -> None:
    network = Network(Settings(fec=fec), tracks(9, 60), key=Key(bytes(KEY_BYTES)))
    listener = network.join()
    for _ in range(3):
        network.run(2)
        assert network.server is not None
        network.server.skip()
    network.run(40, until=lambda: listener.ended)
    assert listener.core.statistics.lost == 0
    numbers = [int.from_bytes(nonce[4:]) for _, nonce in sealed if nonce[0] == Type.AUDIO]
    assert sorted(numbers) == listener.sequences


def test_two_who_say_goodbye_with_the_same_number_are_not_answered_under_it(
    sealed: dict[tuple[bytes, bytes], tuple[bytes, bytes]],
) -> None:
    network = Network(programme=segments(1000), key=Key(bytes(KEY_BYTES)))
    listeners = [network.join() for _ in range(2)]
    network.run(2.5)
    for one in listeners:
        one.core.leave(network.now)
    network.run(1)
    assert all(one.core.closed for one in listeners)
    numbers = [nonce for _, nonce in sealed if nonce[0] == Type.GOODBYE]
    assert len(numbers) == 4
    assert len(set(numbers)) < 4, "both said it with the same number"


@settings(max_examples=12, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    loss=st.sampled_from([0.0, 0.1, 0.3]),
    actions=st.lists(
        st.sampled_from(
            ["join", "leave", "vanish", "move", "skip", "skip", "restart", "wait", "stop"]
        ),
        min_size=2,
        max_size=8,
    ),
    fec=st.sampled_from([None, Fec(4, 1), Fec(10, 3)]),
)
def test_whoever_comes_and_goes_and_whatever_is_skipped_no_nonce_comes_twice(
    seed: int, loss: float, actions: list[str], fec: Fec | None
) -> None:
    content: dict[tuple[bytes, bytes], tuple[bytes, bytes]] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(wire.seal, "ChaCha20Poly1305", lambda key: Watched(key, content))
        chosen = Settings(fec=fec, timeout_s=1.0, wait_for=0)
        link = Link(0.01, random_loss(loss, seed))
        network = Network(chosen, tracks(100, 25), link, key=Key(bytes(KEY_BYTES)))
        network.join()
        for number, action in enumerate(actions):
            network.run(0.7)
            assert network.server is not None
            if action == "join":
                network.join()
            elif action == "restart":
                network.start_server(chosen, tracks(100, 25))
            elif action == "skip":
                network.server.skip()
            elif action == "stop":
                network.server.stop(network.now)
            elif network.listeners and action == "move":
                network.listeners[0].address = client_address(1000 + number)
            elif network.listeners and action == "leave":
                network.listeners[0].core.leave(network.now)
            elif network.listeners and action == "vanish":
                network.remove(network.listeners[0])
        network.run(1)
    assert content


def test_the_watch_sees_a_nonce_that_comes_twice(
    sealed: dict[tuple[bytes, bytes], tuple[bytes, bytes]],
) -> None:
    cipher = Key(bytes(KEY_BYTES)).media(b"salt")
    message = Message(1, Type.AUDIO, b"one")
    assert wire.seal.sealed(cipher, message) == wire.seal.sealed(cipher, message)
    assert message.type & SEALED == 0
    with pytest.raises(AssertionError):
        wire.seal.sealed(cipher, message._replace(data=b"two"))
