"""Both programs on real sockets, and between them a relay that drops what it is told to."""

from __future__ import annotations

import select
import socket
import threading
from collections import Counter
from pathlib import Path

import pytest

from message import Message, Type
from tests.rig.luck import once
from tests.rig.network import burst_loss, random_loss
from tests.rig.programs import SAMPLE, WAIT_S, balances, client, end, pcm_in, server
from tests.rig.zoo import frames_in, reference_pcm
from wire.address import Address

pytestmark = once

LOCALHOST = "127.0.0.1"
LOSS = 0.2


class LossyRelay:
    """Stands between a server and its only client, and loses some of what they say."""

    def __init__(self, server_port: int, seed: int, *, burst: float | None = None) -> None:
        self.lost: Counter[int] = Counter()
        """Datagrams by type of message."""
        self._drop = random_loss(LOSS, seed) if burst is None else burst_loss(LOSS, burst, seed)
        self._front, self._back = udp_socket(), udp_socket()
        self._server = (LOCALHOST, server_port)
        self._stopped = False
        self._thread = threading.Thread(target=self._pass_on, name="relay")

    def __enter__(self) -> LossyRelay:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stopped = True
        self._thread.join()
        self._front.close()
        self._back.close()

    @property
    def port(self) -> int:
        port: int = self._front.getsockname()[1]
        return port

    def _pass_on(self) -> None:
        listener: Address | None = None
        while not self._stopped:
            for sock in select.select([self._front, self._back], [], [], 0.05)[0]:
                datagram, address = sock.recvfrom(65_535)
                side = "client" if sock is self._front else "server"
                if side == "client":
                    listener = address
                if self._drop(side, 0):
                    self.lost[Message.unpack(datagram).type] += 1
                elif side == "client":
                    self._back.sendto(datagram, self._server)
                elif listener is not None:
                    self._front.sendto(datagram, listener)


def udp_socket() -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.settimeout(WAIT_S)
    sock.bind((LOCALHOST, 0))
    return sock


@pytest.mark.parametrize("burst", [None, 3.0], ids=["random", "bursts"])
def test_a_fifth_is_lost_each_way_and_the_wav_is_the_file_bit_for_bit(
    burst: float | None, tmp_path: Path
) -> None:
    wav = tmp_path / "heard.wav"
    with (
        server(tmp_path, SAMPLE, "--speed", 8) as broadcast,
        LossyRelay(broadcast.port, seed=1, burst=burst) as relay,
        client(tmp_path, relay.port, "--output", wav) as listener,
    ):
        end(listener, broadcast)
        heard, sent = listener.result, broadcast.result
    assert pcm_in(wav) == reference_pcm(SAMPLE)
    assert relay.lost[Type.AUDIO] > 10
    assert heard["lost"] == heard["concealed_s"] == 0
    assert heard["requested"] >= heard["retransmitted"]
    assert heard["retransmitted"] >= relay.lost[Type.AUDIO]
    assert heard["repaired_s"] == pytest.approx(heard["retransmitted"] * 0.078, rel=0.05)
    assert sent["repeated"] >= heard["retransmitted"] + relay.lost[Type.REPEAT]
    assert sent["listeners"][0]["retransmitted"] == heard["retransmitted"]
    assert balances(heard)


def test_frames_that_were_repaired_are_written_as_they_were_sent(tmp_path: Path) -> None:
    with (
        server(tmp_path, SAMPLE, "--speed", 8) as broadcast,
        LossyRelay(broadcast.port, seed=2) as relay,
        client(tmp_path, relay.port, "--output", "heard.mp3") as listener,
    ):
        end(listener, broadcast)
        assert (listener.folder / "heard.mp3").read_bytes() == b"".join(frames_in(SAMPLE))
        heard = listener.result
        assert heard["repaired_s"] > 1
        assert heard["played_s"] == pytest.approx(heard["intact_s"] + heard["repaired_s"])
        assert balances(heard)


def test_what_both_say_at_the_end_tells_of_the_repairs(tmp_path: Path) -> None:
    with (
        server(tmp_path, SAMPLE, "--speed", 8) as broadcast,
        LossyRelay(broadcast.port, seed=3) as relay,
        client(tmp_path, relay.port, "--output", "null") as listener,
    ):
        end(listener, broadcast)
        repeated, requested = broadcast.result["repeated"], listener.result["requested"]
        assert f"repeated {repeated} for " in broadcast.log
        assert f"asked for {requested} in " in listener.log
