"""A sound device by its name: first a pretended one, in virtual time, then real sound, recorded."""

from __future__ import annotations

import csv
import importlib
import re
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from listening.outputs import OutputError, device, make_output
from listening.outputs.device import BUFFER_S, LEAD_S, RING_S, Device
from listening.sound.pcm import PcmFormat
from tests.listening.outputs.test_speaker import player
from tests.rig import ear, pulse
from tests.rig.luck import once
from tests.rig.player import noise, segments
from tests.rig.programs import SAMPLE, client, end, run, server
from tests.rig.zoo import frames_in, reference_pcm

pytestmark = once

STEREO = PcmFormat(44_100, 2)
MONO = PcmFormat(24_000, 1)


class PortAudioError(Exception):
    pass


class PortAudio:
    """Stands in for the module sounddevice, with one device that has a crystal of its own."""

    PortAudioError = PortAudioError

    def __init__(self) -> None:
        self.now = 100.0
        self.drift = 0.0
        self.plays: Callable[[int, int], bool] = lambda rate_hz, channels: True
        self._heard = bytearray()
        self.active = False
        self.flags = SimpleNamespace(output_underflow=False)
        self._read_frames = 0
        self._started_s = 0.0

    @property
    def heard(self) -> bytes:
        return bytes(self._heard)

    def query_devices(self, name: str, kind: str) -> dict[str, Any]:
        if name != "Card":
            raise ValueError(f"No output device matching {name!r}\nand more")
        return {"default_samplerate": 48_000.0}

    def check_output_settings(self, *, samplerate: int, channels: int, **_: Any) -> None:
        if not self.plays(samplerate, channels):
            raise PortAudioError("Invalid sample rate")

    def RawOutputStream(self, **how: Any) -> PortAudio:  # noqa: N802 - its name there
        self._how = SimpleNamespace(**how)
        return self

    def start(self) -> None:
        self.active, self._started_s = True, self.now
        self.pass_time(0.0)

    def abort(self, *, ignore_errors: bool) -> None:
        self.active = False

    def close(self, *, ignore_errors: bool) -> None:
        pass

    def wait(self, duration_s: float) -> bool:
        self.pass_time(duration_s)
        return False

    def pass_time(self, duration_s: float) -> None:
        """The device calls whenever it has room in its buffer."""
        end_s = self.now + duration_s
        while self.active:
            ahead_s = self._read_frames / (self._how.samplerate * (1 + self.drift)) - BUFFER_S
            if self._started_s + ahead_s > end_s:
                break
            self.now = max(self.now, self._started_s + ahead_s)
            frames = self._how.samplerate // 40
            wanted = bytearray(frames * self._how.channels * 2)
            # Its own clock counts from elsewhere.
            times = SimpleNamespace(currentTime=7.0, outputBufferDacTime=7.0 + BUFFER_S)
            self._how.callback(wanted, frames, times, self.flags)
            self._heard += wanted
            self._read_frames += frames
        self.now = end_s


@pytest.fixture
def card(monkeypatch: pytest.MonkeyPatch) -> PortAudio:
    card = PortAudio()
    monkeypatch.setattr(device, "load", lambda: card)
    return card


def opened(card: PortAudio, pcm: PcmFormat = STEREO) -> Device:
    one = Device("Card", clock=lambda: card.now)
    one._cancelled.wait = card.wait  # type: ignore[method-assign, assignment]
    assert one.open(pcm, None) == pcm
    return one


def play_live(one: Device, card: PortAudio, sound: bytes, pcm: PcmFormat = STEREO) -> None:
    for segment in segments(sound, pcm):
        one.write(segment)
        one.flush()
        card.pass_time(segment.frame_count() / pcm.frame_rate_hz)


def test_everything_is_heard_once_and_in_order(card: PortAudio) -> None:
    one, sound = opened(card), noise(STEREO, 3)
    play_live(one, card, sound)
    one.close()
    assert ear.compare(card.heard, sound)
    assert one.underruns == 0
    assert not card.active


def test_audio_that_comes_too_late_is_unheard_and_what_follows_keeps_its_time(
    card: PortAudio,
) -> None:
    one, sound = opened(card), noise(STEREO, 4)
    begin, end = len(sound) // 2, len(sound) // 2 + STEREO.frame_bytes * 20_000
    play_live(one, card, sound[:begin])
    card.pass_time(20_000 / 44_100)
    for segment in segments(sound[begin:end], STEREO):
        one.write(segment)
    one.flush()
    play_live(one, card, sound[end:])
    one.close()
    (fault,) = ear.compare(card.heard, sound).faults
    assert fault.kind == "silence"
    assert fault.at_s == pytest.approx(2.0, abs=0.001)
    assert fault.missing_s == fault.added_s == pytest.approx(0.3, abs=0.06)
    assert one.underruns == 1


def test_a_device_that_ran_dry_by_itself_is_counted(card: PortAudio) -> None:
    one, sound = opened(card), noise(STEREO, 1)
    play_live(one, card, sound)
    assert one.underruns == 0
    card.flags.output_underflow = True
    card.pass_time(0.025)
    card.flags.output_underflow = False
    card.pass_time(0.1)
    assert one.underruns == 1


@pytest.mark.parametrize("drift", [0.0002, -0.0002])
def test_a_drifting_device_is_followed(card: PortAudio, drift: float) -> None:
    card.drift = drift
    one = opened(card, MONO)
    play_live(one, card, noise(MONO, 600), MONO)
    ahead_s = one._tape.written_frames / 24_000 - one._ring.read_bytes / 2 / 24_000
    one.close()
    assert one.underruns == 0
    # The lead less the buffer and up to a call's frames, and what drift is tolerated.
    assert ahead_s == pytest.approx(LEAD_S - BUFFER_S, abs=0.09)
    stretched = one._tape.written_frames - 600 * 24_000
    assert stretched / drift == pytest.approx(600 * 24_000, rel=0.6)


def test_a_new_timeline_is_heard_soon(card: PortAudio) -> None:
    one, sound = opened(card), noise(STEREO, 4)
    half = len(sound) // 2
    play_live(one, card, sound[:half])
    card.pass_time(5.0)
    one.resync()
    play_live(one, card, sound[half:])
    one.close()
    (fault,) = ear.compare(card.heard, sound).faults
    assert (fault.kind, fault.missing_s) == ("gap", 0)


def test_who_writes_far_ahead_waits_for_room(card: PortAudio) -> None:
    one, sound = opened(card, MONO), noise(MONO, RING_S + 5)
    for segment in segments(sound, MONO):
        one.write(segment)
    one.flush()
    one.close()
    assert ear.compare(card.heard, sound, 24_000, 1)


@pytest.mark.parametrize(
    ("plays", "given", "wanted"),
    [
        (lambda rate_hz, channels: True, PcmFormat(12_000, 1), PcmFormat(12_000, 1)),
        (lambda rate_hz, channels: channels == 2, PcmFormat(32_000, 1), PcmFormat(32_000, 2)),
        (lambda rate_hz, channels: rate_hz >= 44_100, PcmFormat(22_050, 2), STEREO),
        (lambda rate_hz, channels: rate_hz == 48_000, STEREO, PcmFormat(48_000, 2)),
    ],
)
def test_what_the_device_refuses_is_played_with_the_least_change(
    card: PortAudio, plays: Callable[[int, int], bool], given: PcmFormat, wanted: PcmFormat
) -> None:
    card.plays = plays
    assert Device("Card").open(given, None) == wanted


def test_a_device_that_plays_nothing_that_we_have_is_one_line(card: PortAudio) -> None:
    card.plays = lambda rate_hz, channels: False
    with pytest.raises(OutputError, match=r"'Card' cannot be used \(Invalid sample rate\): "):
        Device("Card").open(STEREO, None)


def test_a_device_that_stops_is_one_line(card: PortAudio) -> None:
    one = opened(card)
    play_live(one, card, noise(STEREO, 1))
    card.active = False
    with pytest.raises(OutputError, match=r"'Card' cannot be used .* choose another --output"):
        one.flush()


def test_a_device_that_is_not_there_is_one_line(card: PortAudio) -> None:
    with pytest.raises(OutputError) as caught:
        Device("Cart").prepare()
    assert str(caught.value) == (
        "no sound device 'Cart' (No output device matching 'Cart'):"
        " client.py --list-outputs names those that there are"
    )


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (ImportError, "sounddevice is not installed: pip install sounddevice"),
        (OSError, "PortAudio is not installed"),
    ],
)
def test_what_is_not_installed_is_one_line(
    error: type[Exception], says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def import_module(name: str) -> None:
        raise error

    monkeypatch.setattr(importlib, "import_module", import_module)
    with pytest.raises(OutputError, match=says):
        make_output("device:Card").prepare()


# Real sound.


def test_real_sound_is_the_sent_sound_bit_for_bit(tmp_path: Path) -> None:
    def play(sound: pulse.SoundServer) -> None:
        ended = subprocess.run(
            player(sound, device="default", duration_s=1.5),
            env=sound.environment,
            timeout=40,
            capture_output=True,
            check=False,
        )
        assert (ended.returncode, ended.stderr) == (0, b"")

    assert ear.compare(pulse.record(tmp_path, play), noise(STEREO, 1.5))


def test_real_sound_of_the_program_and_the_names_that_it_knows(tmp_path: Path) -> None:
    song = tmp_path / "song.mp3"
    song.write_bytes(b"".join(frames_in(SAMPLE)[:80]))

    def play(sound: pulse.SoundServer) -> None:
        environment = sound.environment
        listed = run(tmp_path, "client.py", "--list-outputs", environment=environment)
        assert (listed.status, listed.stderr) == (0, "")
        assert listed.stdout.splitlines()[:5] == ["speaker", "null", "-", "FILE.wav", "FILE.mp3"]
        assert "device:default" in listed.stdout.splitlines()[5:]
        output = ("--output", "device:default")
        with (
            server(tmp_path, song) as broadcast,
            client(tmp_path, broadcast, *output, environment=environment) as listener,
        ):
            end(listener, broadcast)
        assert (listener.result["lost"], listener.result["underruns"]) == (0, 0)

    assert ear.compare(pulse.record(tmp_path, play), reference_pcm(song))


def test_what_the_device_missed_is_in_the_json_and_in_the_csv(tmp_path: Path) -> None:
    with (
        pulse.server(tmp_path) as sound,
        server(tmp_path, SAMPLE, "--loop") as broadcast,
        client(
            tmp_path,
            broadcast,
            *("--output", "device:default", "--csv", "r.csv"),
            environment=sound.environment,
        ) as listener,
    ):
        listener.wait_for_log("received AUDIO 16,")
        listener.send(signal.SIGSTOP)
        # More than it has written ahead.
        sent = len(re.findall("sent AUDIO", broadcast.log))
        broadcast.wait_for_log(f"sent AUDIO {sent + 14},")
        listener.send(signal.SIGCONT)
        broadcast.wait_for_log(f"sent AUDIO {sent + 28},")
        listener.send(signal.SIGINT)
        end(listener)
        broadcast.send(signal.SIGINT)
        end(broadcast)
    assert listener.result["device_underruns"] > 0
    with (listener.folder / "r.csv").open(newline="") as file:
        rows = [*csv.DictReader(file)]
    missed = sum(int(row["device_underruns"]) for row in rows)
    assert missed == listener.result["device_underruns"]


def test_a_device_that_nobody_has_is_one_line(tmp_path: Path) -> None:
    with server(tmp_path, SAMPLE) as broadcast:
        finished = run(tmp_path, "client.py", "127.0.0.1", broadcast.port, "--output", "device:No")
    assert finished.status == 1
    assert finished.stderr.startswith("client.py: no sound device 'No' (")
    assert finished.stderr.count("\n") == 1
