"""Parity between the two programs, over real sockets, with a relay between them that loses."""

from __future__ import annotations

import contextlib
import select
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from message import Message, Type
from tests.rig.luck import once
from tests.rig.programs import balances, client, end, pcm_in, server
from tests.rig.zoo import MP3_NAMES, reference_pcm, zoo_file
from wire.parity import MESSAGE_S

pytestmark = once

FAST = ("--speed", "20")

SMALL = {"mpeg25-8-mono.mp3", "mpeg2-22-mono.mp3", "vbr.mp3", "cbr-320.mp3", "cbr-128.mp3"}


@contextlib.contextmanager
def relay(port: int, passes: Callable[[Message], bool]) -> Iterator[int]:
    """A port of this machine that leads one client to the server at `port`, and back.

    What the server sends goes on only if it `passes`; REQUESTs do not.
    """
    near, far = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
    near.bind(("127.0.0.1", 0))
    far.connect(("127.0.0.1", port))
    stop, stopped = socket.socketpair()

    def run() -> None:
        who = None
        while True:
            ready, _, _ = select.select([near, far, stopped], [], [])
            if stopped in ready:
                return
            with contextlib.suppress(ConnectionError):
                if near in ready:
                    data, who = near.recvfrom(65_536)
                    if data[3] != Type.REQUEST:
                        far.send(data)
                if far in ready:
                    data = far.recv(65_536)
                    if who is not None and passes(Message.unpack(data)):
                        near.sendto(data, who)

    thread = threading.Thread(target=run, name="relay")
    thread.start()
    try:
        yield near.getsockname()[1]
    finally:
        stop.send(b"x")
        thread.join()
        for sock in (near, far, stop, stopped):
            sock.close()


@pytest.mark.parametrize("name", sorted(SMALL & {*MP3_NAMES}))
def test_what_a_fifth_of_the_messages_lost_is_heard_sample_for_sample(
    name: str, tmp_path: Path
) -> None:
    song, wav = zoo_file(name).path, tmp_path / "heard.wav"
    with (
        server(tmp_path, song, *FAST, "--fec", "10+3") as broadcast,
        relay(broadcast.port, lambda one: one.type != Type.AUDIO or one.sequence % 5 != 1) as port,
        client(tmp_path, port, "--output", wav) as listener,
    ):
        end(listener, broadcast)
        heard, sent = listener.result, broadcast.result
    assert pcm_in(wav) == reference_pcm(song)
    assert balances(heard)
    assert heard["lost"] == heard["concealed_s"] == 0
    assert heard["rebuilt"] == len(range(1, heard["expected"], 5)) > 0
    assert heard["repaired_s"] > 0
    assert heard["expected"] >= heard["played_s"] / MESSAGE_S
    blocks = -(-sent["messages"] // 10)
    assert sent["parity_messages"] == sent["parity_datagrams"] == 3 * blocks
    assert heard["parity_received"] == 3 * blocks
    assert heard["parity_refused"] == 0


def test_with_an_interval_and_parity_everything_arrives(tmp_path: Path) -> None:
    song, wav = zoo_file("cbr-128.mp3").path, tmp_path / "heard.wav"
    with (
        server(tmp_path, song, *FAST, "--fec", "4+2", "--interval", 0.05) as broadcast,
        client(tmp_path, broadcast, "--output", wav) as listener,
    ):
        end(listener, broadcast)
        heard = listener.result
    assert pcm_in(wav) == reference_pcm(song)
    assert heard["intact"] == heard["expected"]
    assert heard["parity_received"] == broadcast.result["parity_datagrams"] > 0


def test_frames_with_parity_fit_the_mtu(tmp_path: Path) -> None:
    """Two frames would fit 920 bytes, but not with what parity adds."""
    longest: dict[int, int] = {}

    def watched(message: Message) -> bool:
        longest[message.type] = max(len(message.pack()), longest.get(message.type, 0))
        return True

    with (
        server(
            tmp_path, zoo_file("cbr-128.mp3").path, *FAST, "--fec", "4+2", "--mtu", 920
        ) as broadcast,
        relay(broadcast.port, watched) as port,
        client(tmp_path, port, "--output", "null") as listener,
    ):
        end(listener, broadcast)
    assert longest[Type.AUDIO] < longest[Type.PARITY] <= 920 - 48
