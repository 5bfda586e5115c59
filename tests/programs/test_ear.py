"""The ear must hear every damage, and nothing else."""

import random

import pytest

from tests.rig import ear
from tests.rig.luck import once

pytestmark = once

RATE_HZ = 44_100
FRAME_BYTES = 4


def frames(duration_ms: float) -> int:
    return round(duration_ms * RATE_HZ / 1000) * FRAME_BYTES


def silence(duration_ms: float) -> bytes:
    return bytes(frames(duration_ms))


SOUND = random.Random(1).randbytes(frames(2000))
MIDDLE = frames(1000)
BEFORE, AFTER = SOUND[:MIDDLE], SOUND[MIDDLE:]

ALTERED = BEFORE[:-2] + bytes(b ^ 1 for b in BEFORE[-2:]) + AFTER

DAMAGED = {
    "gap of 6 ms": (BEFORE + silence(6) + AFTER, "gap", 0, 6),
    "gap of one frame": (BEFORE + bytes(FRAME_BYTES) + AFTER, "gap", 0, 0.0227),
    "10 ms left out": (BEFORE + AFTER[frames(10) :], "cut", 10, 0),
    "one frame left out": (BEFORE + AFTER[FRAME_BYTES:], "cut", 0.0227, 0),
    "20 ms repeated": (BEFORE + BEFORE[-frames(20) :] + AFTER, "repeat", 0, 20),
    "6 ms silenced": (BEFORE + silence(6) + AFTER[frames(6) :], "silence", 6, 6),
    "one sample altered": (ALTERED, "alteration", 0.0227, 0.0227),
    "other sound put in": (BEFORE + SOUND[: frames(7)] + AFTER, "insertion", 0, 7),
    "other sound, shorter": (BEFORE + SOUND[: frames(7)] + AFTER[frames(9) :], "jump", 9, 7),
    "another channel first": (BEFORE + AFTER[2 : 2 + frames(500)] + AFTER, "insertion", 0, 500),
}


@pytest.mark.parametrize("offset_ms", [0, 0.0227, 3, 700])
def test_an_undamaged_recording_is_heard_wherever_it_begins(offset_ms: float) -> None:
    hearing = ear.compare(silence(offset_ms) + SOUND + silence(40), SOUND)

    assert hearing
    assert hearing.complaints() == []
    assert hearing.begins_s == pytest.approx(offset_ms / 1000, abs=1e-5)


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damage_in_the_middle(name: str) -> None:
    recording, kind, missing_ms, added_ms = DAMAGED[name]

    hearing = ear.compare(silence(30) + recording + silence(40), SOUND)

    assert not hearing
    (fault,) = hearing.faults
    assert fault.kind == kind
    assert fault.at_s == pytest.approx(1.0, abs=1e-4)
    assert fault.missing_s == pytest.approx(missing_ms / 1000, abs=2e-5)
    assert fault.added_s == pytest.approx(added_ms / 1000, abs=2e-5)
    assert kind in repr(hearing)


def test_the_first_5_ms_missing() -> None:
    hearing = ear.compare(silence(30) + SOUND[frames(5) :] + silence(40), SOUND)

    assert not hearing
    assert hearing.missing_at_start_s == pytest.approx(0.005, abs=1e-4)
    assert hearing.missing_at_end_s == 0
    assert "the first 4.99 ms are missing" in repr(hearing)


@pytest.mark.parametrize("tail", [b"", silence(40)], ids=["cut off", "then silence"])
def test_the_last_5_ms_missing(tail: bytes) -> None:
    hearing = ear.compare(silence(30) + SOUND[: -frames(5)] + tail, SOUND)

    assert not hearing
    assert hearing.missing_at_start_s == 0
    assert hearing.missing_at_end_s == pytest.approx(0.005, abs=1e-4)
    assert "the last 4.99 ms are missing" in repr(hearing)


def test_sound_around_it() -> None:
    hearing = ear.compare(SOUND[-frames(10) :] + SOUND + SOUND[: frames(10)], SOUND)

    assert not hearing
    assert hearing.complaints() == [
        "there is sound before the start",
        "there is sound after the end",
    ]


def test_several_damages_are_told_apart() -> None:
    third = frames(600)
    recording = (
        SOUND[:third] + silence(6) + SOUND[third : 2 * third] + SOUND[2 * third + frames(8) :]
    )

    hearing = ear.compare(silence(30) + recording, SOUND)

    assert [fault.kind for fault in hearing.faults] == ["gap", "cut"]


def test_silence_within_the_reference_is_no_fault_and_is_not_taken_for_a_place() -> None:
    reference = BEFORE + silence(300) + AFTER

    assert ear.compare(silence(50) + reference + silence(50), reference)
    assert not ear.compare(BEFORE + silence(301) + AFTER, reference)
    assert not ear.compare(BEFORE + silence(299) + AFTER, reference)


@pytest.mark.parametrize(
    "recording", [b"", silence(3000), random.Random(2).randbytes(frames(3000))]
)
def test_nothing_of_it(recording: bytes) -> None:
    hearing = ear.compare(recording, SOUND)

    assert not hearing
    assert hearing.begins_s is None
    assert hearing.complaints() == ["nothing of the reference was heard"]


def test_mono_at_another_rate() -> None:
    sound = SOUND[: 16_000 * 2]

    assert ear.compare(bytes(2 * 100) + sound, sound, 16_000, 1).begins_s == 100 / 16_000
    assert not ear.compare(sound[2:], sound, 16_000, 1)
