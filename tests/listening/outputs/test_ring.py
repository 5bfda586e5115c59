"""The ring holds what was written ahead of it, and silence."""

from __future__ import annotations

from random import Random

from listening.outputs.device import Ring


def test_what_is_written_is_read_at_its_place_and_silence_elsewhere() -> None:
    ring = Ring(16)
    ring.write(4, b"abcd")
    assert ring.read(6) == b"\0\0\0\0ab"
    assert ring.read(6) == b"cd\0\0\0\0"


def test_what_comes_too_late_is_lost_and_its_rest_is_not() -> None:
    ring = Ring(16)
    ring.read(6)
    ring.write(0, b"abcd")
    ring.write(4, b"efgh")
    assert ring.read(16) == b"gh" + bytes(14)
    assert ring.read(16) == bytes(16)


def test_it_is_the_same_as_a_tape_without_end() -> None:
    random = Random(3)
    ring, tape, read = Ring(97), bytearray(20_000), b""
    while len(read) < 15_000:
        begin = ring.read_bytes + random.randrange(-40, 90)
        pcm = random.randbytes(random.randrange(60))[: max(0, ring.end_byte - begin)]
        ring.write(begin, pcm)
        for place, byte in enumerate(pcm, begin):
            if place >= len(read):
                tape[place] = byte
        read += ring.read(random.randrange(60))
    assert read == tape[: len(read)]
