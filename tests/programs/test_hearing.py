"""What comes out of the loudspeaker, from file to ear: both programs, ALSA, PulseAudio, at the
real speed; one listener from the start and one who joins late, each with a sound card of his own.
"""

from __future__ import annotations

import json
import re
import tempfile
import time
from array import array
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from listening.outputs.fader import FADE_S
from tests.rig import ear, pulse
from tests.rig.luck import once
from tests.rig.programs import SAMPLE, WAIT_S, Program, client, end, server
from tests.rig.terminals import terminal, watch
from tests.rig.zoo import frames_in, reference_pcm

pytestmark = once

FRAMES = 240
"""6.3 s: long enough for a start, a middle and an end."""

SHORT_FRAMES = 200
"""5.2 s."""

FRAMES_IN_MESSAGE = 3
SAMPLES_IN_FRAME = 1152
RATE_HZ = 44_100
SAMPLE_BYTES = 4

LATE_AT_MESSAGE = 35
"""When this one is sent, nearly two seconds have been heard."""

UNDECODABLE_S = 0.15
"""The first frames of who joins late need some that came before (the bit reservoir), and the sound
fades in."""

NEAR = 150
"""Amplitude, of 32,768: where a fade begins and ends is known to a few samples."""

STALL_S = 0.1
"""A machine on which even a short sleep takes so long tells nothing about the programs."""


class Heard(NamedTuple):
    """What one listener heard, and says of it."""

    recording: bytes
    result: dict[str, Any]
    first_message: int


def longest_stall_s(*programs: Program) -> float:
    """Wait until the programs have ended; by how much a short sleep was ever too long."""
    longest_s, deadline = 0.0, time.monotonic() + WAIT_S
    while any(program.process.poll() is None for program in programs):
        began = time.monotonic()
        assert began < deadline, programs
        time.sleep(0.005)
        longest_s = max(longest_s, time.monotonic() - began - 0.005)
    return longest_s


def listen(folder: Path, song: Path) -> list[Heard] | None:
    """Two listeners, one from the start and one who joins late; None if the machine was busy."""
    (folder / "first").mkdir(parents=True)
    (folder / "late").mkdir()
    with (
        pulse.server(folder / "first") as first_sound,
        pulse.server(folder / "late") as late_sound,
        server(folder, song) as broadcast,
        client(folder, broadcast, environment=first_sound.environment) as first,
    ):
        broadcast.wait_for_log(f"sent AUDIO {LATE_AT_MESSAGE},")
        with client(folder, broadcast, environment=late_sound.environment) as late:
            stall_s = longest_stall_s(first, late)
            end(first, late, broadcast)
            heard = [
                Heard(sound.recording(), one.result, int(one.wait_for_log(r"message (\d+) on")[1]))
                for sound, one in ((first_sound, first), (late_sound, late))
            ]
        if stall_s > STALL_S or first_sound.underruns or late_sound.underruns:
            return None
    return heard


@pytest.fixture(scope="module")
def song(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The beginning of the bundled sample."""
    path = tmp_path_factory.mktemp("song") / "song.mp3"
    path.write_bytes(b"".join(frames_in(SAMPLE)[:FRAMES]))
    return path


@pytest.fixture(scope="module")
def listeners(song: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Heard]:
    """The one from the start, and the one who joined late."""
    for _ in range(pulse.MOST_ATTEMPTS):
        heard = listen(tmp_path_factory.mktemp("ear"), song)
        if heard is not None:
            return heard
    raise RuntimeError("this machine is too busy to play sound without a gap")


def test_who_listens_from_the_start_hears_every_sample_of_the_file_and_nothing_else(
    listeners: list[Heard], song: Path
) -> None:
    first = listeners[0]
    assert first.first_message == 0
    assert ear.compare(first.recording, reference_pcm(song))
    assert (first.result["lost"], first.result["underruns"]) == (0, 0)
    assert first.result["played_s"] == pytest.approx(FRAMES * SAMPLES_IN_FRAME / RATE_HZ)


def test_who_joins_late_hears_every_sample_from_there_on(
    listeners: list[Heard], song: Path
) -> None:
    late = listeners[1]
    assert late.first_message > 10
    begin = late.first_message * FRAMES_IN_MESSAGE * SAMPLES_IN_FRAME
    begin += round(UNDECODABLE_S * RATE_HZ)
    hearing = ear.compare(late.recording, reference_pcm(song)[begin * SAMPLE_BYTES :])
    assert hearing.begins_s is not None
    assert hearing.faults == ()
    assert hearing.missing_at_start_s == hearing.missing_at_end_s == 0
    assert not hearing.noise_after
    assert (late.result["lost"], late.result["underruns"]) == (0, 0)
    assert late.result["concealed_s"] < UNDECODABLE_S


def test_a_pause_is_silence_and_what_follows_is_live(tmp_path: Path) -> None:
    """Keys are pressed on a real terminal; nothing clicks, and all else is as it was sent."""
    song = tmp_path / "short.mp3"
    song.write_bytes(b"".join(frames_in(SAMPLE)[:SHORT_FRAMES]))
    told: list[dict[str, Any]] = []

    def play(sound: pulse.SoundServer) -> None:
        folder = Path(tempfile.mkdtemp(dir=tmp_path))
        with (
            server(folder, song) as broadcast,
            terminal(
                *(folder, "client.py", "127.0.0.1", broadcast.port),
                environment={**sound.environment, "TERM": "xterm-256color"},
            ) as one,
        ):
            watch(lambda: re.search(" 0:0[1-9] of", one.screen), one)
            one.press(b" ")
            watch(lambda: re.search("paused 0:0[1-9]", one.screen), one)
            one.press(b" ")
            watch(one.has_ended, one)
            end(broadcast)
        told.append(json.loads((folder / "result.json").read_text()))

    recording, reference = pulse.record(tmp_path, play), reference_pcm(song)
    hearing = ear.compare(recording, reference)
    assert hearing.begins_s is not None
    (fault,) = hearing.faults
    # Silence, and a fade on both sides. The timeline went on.
    assert fault.missing_s == fault.added_s
    assert fault.missing_s > 0.4
    result = told[-1]
    assert result["paused_s"] == pytest.approx(fault.missing_s - FADE_S, abs=0.002)
    assert result["lost"] == result["concealed_s"] == result["underruns"] == 0
    begin = round((hearing.begins_s + fault.at_s) * RATE_HZ) * SAMPLE_BYTES
    size = round(fault.missing_s * RATE_HZ) * SAMPLE_BYTES
    sent_begin = round(fault.at_s * RATE_HZ) * SAMPLE_BYTES
    heard = array("h", recording[begin : begin + size])
    sent = array("h", reference[sent_begin : sent_begin + size])
    fade = 2 * round(FADE_S * RATE_HZ)
    assert not any(heard[fade:-fade])
    for index in range(fade):
        assert heard[index] == pytest.approx(sent[index] * (1 - index / fade), abs=NEAR)
        assert heard[-1 - index] == pytest.approx(sent[-1 - index] * (1 - index / fade), abs=NEAR)
