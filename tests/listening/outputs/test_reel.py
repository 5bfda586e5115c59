"""The memory that a sound device reads while it is being written."""

import pytest

from listening.outputs import reel
from listening.outputs.reel import Reel

MIB = 2**20


def test_what_was_not_written_is_silence() -> None:
    one = Reel(MIB)
    one.write(1000, b"audio")

    assert one.readable[990:1010] == bytes(10) + b"audio" + bytes(5)


def test_audio_is_cut_at_both_ends_of_a_reel() -> None:
    one = Reel(MIB)
    one.write(-3, b"begins")
    one.write(one.size_bytes - 3, b"ending")

    assert one.readable[:4] == b"ins\0"
    assert one.readable[-4:] == b"\0end"
    one.write(one.size_bytes, b"beyond")
    one.write(-6, b"before")


def test_a_long_reel_costs_nothing_and_fits_a_c_int() -> None:
    one = Reel()

    assert 2**31 > one.size_bytes >= reel.SMALLEST_BYTES
    assert one.size_bytes % reel.PAGE_BYTES == 0


@pytest.mark.parametrize("watched", [True, False])
def test_memory_that_was_heard_goes_back(watched: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reel._Pagemap, "is_readable", lambda: watched)
    one = Reel(8 * MIB)
    one.write(0, b"x" * 8 * MIB)
    one.dispose(4 * MIB + 5)

    assert one.readable[: 4 * MIB] == bytes(4 * MIB)
    assert one.readable[4 * MIB :] == b"x" * 4 * MIB
    one.dispose(3 * MIB)
    one.dispose(100 * MIB)
    assert one.readable[:] == bytes(8 * MIB)


def test_a_reel_tells_how_far_it_was_read() -> None:
    if not reel._Pagemap.is_readable():
        pytest.skip("this system has no pagemap")
    one = Reel(8 * MIB)
    one.write(0, b"x" * 4 * MIB)
    assert one.read_bytes() == 0

    assert one.readable[0] == ord("x")
    assert 0 < (one.read_bytes() or 0) <= 2**16
    assert one.readable[MIB] == ord("x")
    assert MIB < (one.read_bytes() or 0) <= MIB + 2**16


def test_a_reel_tells_how_far_it_was_read_after_a_long_silence_too() -> None:
    if not reel._Pagemap.is_readable():
        pytest.skip("this system has no pagemap")
    one = Reel(32 * MIB)
    one.write(0, b"x" * MIB)

    assert not any(one.readable[MIB : 20 * MIB])
    assert one.read_bytes() == 20 * MIB


def test_a_program_out_of_descriptors_knows_what_it_knew(monkeypatch: pytest.MonkeyPatch) -> None:
    if not reel._Pagemap.is_readable():
        pytest.skip("this system has no pagemap")
    one = Reel(8 * MIB)
    assert one.readable[MIB] == 0
    before = one.read_bytes()

    def refuse(path: str) -> object:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(reel, "FileIO", refuse)
    assert one.readable[2 * MIB] == 0
    assert one.read_bytes() == before


def test_nobody_knows_how_far_a_reel_was_read_without_a_pagemap(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(reel._Pagemap, "is_readable", lambda: False)

    assert Reel(MIB).read_bytes() is None


def test_a_system_with_little_room_gives_a_shorter_reel(monkeypatch: pytest.MonkeyPatch) -> None:
    map_memory = reel._map

    def refuse(size_bytes: int) -> object:
        if size_bytes > 3 * MIB:
            raise OSError("no room")
        return map_memory(size_bytes)

    monkeypatch.setattr(reel, "_map", refuse)
    assert Reel(10 * MIB).size_bytes == 2.5 * MIB

    monkeypatch.setattr(reel, "_map", lambda size_bytes: refuse(10 * MIB))
    with pytest.raises(OSError, match="no room"):
        Reel(10 * MIB)
