"""IP may fragment for the listener behind a narrow path; for the others DF stays set."""

from __future__ import annotations

import errno
import socket
import sys

import pytest

from broadcasting.sending import fanout as fanout_module
from broadcasting.sending.fanout import Fanout, Loop
from broadcasting.settings import Fragments
from wire.address import Address

DONT, WANT, DO = 0, 1, 2  # linux/in.h
WIDE: Address = ("192.0.2.1", 4501)
NARROW: Address = ("192.0.2.2", 4501)

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="socket options of Linux")


class Path:
    """A socket; the kernel knows that the path to NARROW takes 1,280 bytes."""

    family = socket.AF_INET

    def __init__(self) -> None:
        self.discovery = WANT
        self.sent: list[tuple[Address, int, int]] = []

    def setsockopt(self, level: int, option: int, value: int) -> None:
        if (level, option) == (socket.IPPROTO_IP, 10):
            self.discovery = value

    def sendto(self, datagram: bytes, address: Address) -> None:
        if self.discovery == DO and address == NARROW and len(datagram) > 1252:
            raise OSError(errno.EMSGSIZE, "Message too long")
        self.sent.append((address, self.discovery, len(datagram)))


@pytest.fixture
def path() -> Path:
    return Path()


@pytest.fixture
def fanout(path: Path, monkeypatch: pytest.MonkeyPatch) -> Fanout:
    monkeypatch.setattr(fanout_module, "make_sender", Loop)
    made = Fanout([path], 1400)  # type: ignore[list-item]
    made.join(WIDE)
    made.join(NARROW)
    return made


def test_what_is_too_long_for_one_path_goes_in_fragments_to_that_one(
    fanout: Fanout, path: Path
) -> None:
    assert fanout.broadcast([bytes(1350)], 0.0) == (2, [], [NARROW])
    assert path.sent == [(WIDE, DO, 1350), (NARROW, WANT, 1350)]
    assert path.discovery == DO


def test_what_is_repeated_to_one_listener_goes_in_fragments_too(fanout: Fanout, path: Path) -> None:
    assert fanout.send(bytes(1350), NARROW)
    assert fanout.send(bytes(1350), WIDE)
    assert path.sent == [(NARROW, WANT, 1350), (WIDE, DO, 1350)]


@pytest.mark.parametrize(
    ("how", "value"), [(Fragments.WHERE_KNOWN, WANT), (Fragments.ALWAYS, DONT)]
)
def test_the_others_keep_df(how: Fragments, value: int, fanout: Fanout, path: Path) -> None:
    fanout.fragment(NARROW, how)
    assert fanout.broadcast([bytes(1350)], 0.0) == (2, [], [])
    assert fanout.send(bytes(100), NARROW)
    assert path.sent == [(WIDE, DO, 1350), (NARROW, value, 1350), (NARROW, value, 100)]
    fanout.leave(NARROW)
    assert fanout.broadcast([bytes(1350)], 0.0) == (1, [], [])
    fanout.join(NARROW)
    assert fanout.broadcast([bytes(100)], 0.0) == (2, [], [])
    assert path.sent[-1] == (NARROW, DO, 100), "who joins anew begins anew"
