"""From what is ready to what is heard, on a pretended loudspeaker in virtual time."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

import pytest

from broadcasting.source.segments import read_segments
from listening.arrival.playable import (
    EndOfStream,
    Gap,
    InsertedSilence,
    NewStream,
    Playable,
    Ready,
    Restart,
)
from listening.outputs.null import Null
from listening.outputs.speaker import LEAD_S, Speaker
from listening.playback import Playback
from listening.sound.pcm import PcmFormat
from tests.rig import ear, simpleaudio
from tests.rig.network import Network
from tests.rig.programs import SAMPLE
from tests.rig.simpleaudio import SimpleAudio
from tests.rig.zoo import reference_pcm

PCM = PcmFormat(44_100, 2)
MAX_DATA_BYTES = 1316


@pytest.fixture
def stream() -> list[Playable]:
    """What a client takes over a good network of the first 4.7 s of the sample: 60 messages."""
    programme = itertools.islice(read_segments([SAMPLE], MAX_DATA_BYTES), 60)
    network = Network(programme=programme)
    listener = network.join()
    network.run(20.0, until=lambda: listener.ended)
    assert [type(item) for item in listener.played] == [NewStream, *60 * [Ready], EndOfStream]
    return listener.played


@pytest.fixture
def song(stream: list[Playable]) -> list[Ready]:
    return [item for item in stream if isinstance(item, Ready)]


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch) -> SimpleAudio:
    return simpleaudio.pretended(monkeypatch)


class Room:
    """A listener at a loudspeaker; what comes is played when it comes."""

    def __init__(self, device: SimpleAudio, new_stream: Playable) -> None:
        self.device = device
        self.speaker = Speaker(clock=lambda: device.now)
        self.playback = Playback(self.speaker, 0.0)
        self.playback.play([new_stream])

    def play_live(self, items: Iterable[Playable]) -> None:
        """Play one item after the other, each a lead ahead of its time."""
        for item in items:
            self.playback.play([item])
            sounds_until_s = self.speaker._tape.heard_at(self.speaker._tape.written_frames)
            self.device.pass_time(max(0.0, sounds_until_s - LEAD_S - self.device.now))

    @property
    def heard(self) -> bytes:
        (handle,) = self.device.handles
        return handle.heard


def test_after_an_outage_the_programme_is_heard_whole_and_soon(
    device: SimpleAudio, stream: list[Playable], song: list[Ready]
) -> None:
    room = Room(device, stream[0])
    half = len(song) // 2
    room.playback.play(song[:8])
    room.play_live(song[8:half])
    device.pass_time(5.0)
    room.playback.play([Restart(), *song[half : half + 8]])
    room.play_live([*song[half + 8 :], EndOfStream(None)])
    device.pass_time(1.0)
    room.speaker.close()

    frames = len(song) * 3 * 1152 - song[0].message.skip_samples
    hearing = ear.compare(room.heard, reference_pcm(SAMPLE)[: frames * PCM.frame_bytes])
    assert hearing.missing_at_start_s == hearing.missing_at_end_s == 0
    (fault,) = hearing.faults
    assert (fault.kind, fault.missing_s) == ("gap", 0)
    assert 5.0 - LEAD_S < fault.added_s < 5.0 + 2 * LEAD_S
    assert room.speaker.underruns == 0


def test_who_dials_the_volume_after_an_outage_hears_nothing_twice(
    device: SimpleAudio, stream: list[Playable], song: list[Ready]
) -> None:
    room = Room(device, stream[0])
    room.playback.play(song[:8])
    room.play_live(song[8:20])
    before = room.speaker._tape.written_frames
    device.pass_time(5.0)
    room.playback.play([Restart(), song[20]])
    room.playback.fader.wanted = room.playback.fader.wanted.louder(-6.0)
    assert room.playback.fader.follow()
    again = room.speaker._tape.written_frames - 3 * 1152
    device.pass_time(1.0)
    room.speaker.cancel()
    room.speaker.close()

    silence = room.heard[before * PCM.frame_bytes : again * PCM.frame_bytes]
    assert len(silence) > 4.5 * PCM.frame_rate_hz * PCM.frame_bytes
    assert not any(silence)
    assert any(room.heard[again * PCM.frame_bytes :])


class Lengths(Null):
    """Keeps how many frames were written at a time."""

    def __init__(self) -> None:
        self.frames: list[int] = []

    def write(self, audio: object) -> None:
        self.frames.append(int(audio.frame_count()))  # type: ignore[attr-defined]


@pytest.mark.parametrize("sign", [1, -1])
def test_however_much_the_delay_moves_at_once_the_pitch_moves_by_what_nobody_hears(
    stream: list[Playable], song: list[Ready], sign: int
) -> None:
    lengths = {}
    for longer_s in (0.0, 0.2 * sign):
        output = Lengths()
        playback = Playback(output, 0.0)
        playback.play([stream[0], song[0]._replace(longer_s=longer_s), *song[1:]])
        playback.finish()
        lengths[longer_s] = output.frames
    plain, moved = lengths.values()
    for before, after in zip(plain, moved, strict=True):
        # Half a per cent, nine hundredths of a semitone.
        assert abs(after - before) <= before / 200
    assert (sum(moved) - sum(plain)) * sign > sum(plain) / 250


def test_silence_that_is_inserted_in_a_gap_moves_all_that_follows_and_is_not_counted(
    device: SimpleAudio, stream: list[Playable], song: list[Ready]
) -> None:
    room = Room(device, stream[0])
    room.playback.play(song[:10])
    room.playback.play([Gap(), InsertedSilence(0.5)])
    room.playback.play([song[10], EndOfStream(None)])
    written_s = room.speaker._tape.written_frames / PCM.frame_rate_hz
    room.speaker.cancel()
    room.speaker.close()

    intact_s, repaired_s, concealed_s = room.playback.audio_s
    assert written_s == pytest.approx(intact_s + concealed_s + 0.5, abs=1e-4)
    assert repaired_s == 0
    assert 0 < concealed_s < 0.2
