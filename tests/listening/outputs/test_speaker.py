"""The loudspeaker: first on a pretended device, in virtual time, then real sound, recorded."""

import itertools
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from pydub import AudioSegment

from listening.outputs import OutputError, alsa, live_output, reel, speaker, tape
from listening.outputs.reel import Reel
from listening.outputs.speaker import Speaker, nearest_format
from listening.sound.pcm import PcmFormat, audio_segment
from tests.rig import ear, pulse, simpleaudio
from tests.rig.luck import once
from tests.rig.player import noise, segments
from tests.rig.simpleaudio import READ_AHEAD_S, SimpleAudio

pytestmark = once

ROOT = Path(__file__).parents[3]
STEREO = PcmFormat(44_100, 2)

# The formats.


@pytest.mark.parametrize("rate_hz", [8000, 11_025, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000])
@pytest.mark.parametrize("channels", [1, 2])
def test_what_simpleaudio_takes_is_left_as_it_is(rate_hz: int, channels: int) -> None:
    assert nearest_format(PcmFormat(rate_hz, channels)) == PcmFormat(rate_hz, channels)


@pytest.mark.parametrize(
    ("rate_hz", "channels", "nearest"),
    [
        (12_000, 1, PcmFormat(24_000, 1)),
        (44_100, 6, STEREO),
        (64_000, 2, PcmFormat(192_000, 2)),
        (47_999, 2, PcmFormat(48_000, 2)),
        (384_000, 2, PcmFormat(192_000, 2)),
    ],
)
def test_what_simpleaudio_refuses(rate_hz: int, channels: int, nearest: PcmFormat) -> None:
    assert nearest_format(PcmFormat(rate_hz, channels)) == nearest


# The tape on a pretended device.


IS_READABLE = reel._Pagemap.is_readable


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch) -> SimpleAudio:
    return simpleaudio.pretended(monkeypatch)


def play_live(
    one: Speaker,
    device: SimpleAudio,
    sound: bytes,
    pcm: PcmFormat = STEREO,
    meanwhile: Callable[[float], object] = lambda position_s: None,
) -> None:
    """Write each segment a lead ahead of its time; `meanwhile` is called before each."""
    begun_s, position_s = device.now, 0.0
    for segment in segments(sound, pcm):
        device.pass_time(max(0, begun_s + position_s - speaker.LEAD_S - device.now))
        meanwhile(position_s)
        one.write(segment)
        one.flush()
        position_s += segment.frame_count() / pcm.frame_rate_hz


def close(one: Speaker, device: SimpleAudio, after_s: float = 1.0) -> None:
    device.pass_time(after_s)
    one.close()
    assert not any(handle.is_playing() for handle in device.handles)


def opened(device: SimpleAudio, reel_s: float | None = None) -> Speaker:
    one = Speaker(reel_s, clock=lambda: device.now)
    assert one.open(STEREO, None) == STEREO
    return one


def test_the_device_starts_when_a_lead_of_audio_is_there(device: SimpleAudio) -> None:
    one = opened(device)
    for count, segment in enumerate(segments(noise(STEREO, 1), STEREO), 1):
        one.write(segment)
        assert len(device.handles) == (count > 4)
        one.flush()
    close(one, device, 2)

    assert ear.compare(device.handles[0].heard, noise(STEREO, 1))


def test_a_stream_shorter_than_the_lead_is_heard_too(
    device: SimpleAudio, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = opened(device)
    one.write(next(segments(noise(STEREO, 0.05), STEREO)))
    one.flush()
    assert not device.handles
    monkeypatch.setattr(one._cancelled, "wait", device.wait)
    one.close()

    assert ear.compare(device.handles[0].heard, noise(STEREO, 0.05))


def test_nothing_written_nothing_played(device: SimpleAudio) -> None:
    one = Speaker(clock=lambda: device.now)
    one.flush()
    one.close()
    one = opened(device)
    one.flush()
    one.close()

    assert not device.handles


def test_a_batch_is_heard_only_after_flush(device: SimpleAudio) -> None:
    one = opened(device)
    for segment in segments(noise(STEREO, 1), STEREO):
        one.write(segment)

    assert not device.handles
    one.flush()
    assert len(device.handles) == 1


def test_what_the_device_has_not_taken_can_be_written_anew(device: SimpleAudio) -> None:
    """As when a listener pauses: what follows keeps its place."""
    rate_hz, frame_bytes = STEREO.frame_rate_hz, STEREO.frame_bytes
    sound = noise(STEREO, 4)
    one = opened(device)
    assert one.changeable_frames == one.take_back(rate_hz) == 0
    one.write(audio_segment(sound[: 2 * rate_hz * frame_bytes], STEREO))
    one.flush()
    device.pass_time(1.0)
    assert one.take_back(100) == 100
    taken = 100 + one.take_back(10 * rate_hz)
    # The device has read a second, and a little more.
    assert 0.8 * rate_hz < taken < (1 - READ_AHEAD_S) * rate_hz
    assert one.changeable_frames == 0
    one.write(audio_segment(bytes(taken * frame_bytes), STEREO))
    one.write(audio_segment(sound[2 * rate_hz * frame_bytes :], STEREO))
    one.flush()
    assert one.underruns == 0
    close(one, device, 5.0)

    (fault,) = ear.compare(device.handles[0].heard, sound).faults
    assert fault.kind == "silence"
    assert fault.missing_s == fault.added_s == taken / rate_hz
    assert fault.at_s == 2 - taken / rate_hz


def heard_of_all(device: SimpleAudio) -> bytes:
    """Everything that the handles played, each at its time; only one sounds at any time."""
    together = 0
    for handle in device.handles:
        begin = round((handle.started_s - device.handles[0].started_s) * 44_100) * 4
        together |= int.from_bytes(handle.heard, "little") << 8 * begin
    return together.to_bytes(30 * 44_100 * 4, "little")


@pytest.mark.parametrize("busy", [False, True])
def test_reels_follow_each_other(device: SimpleAudio, busy: bool) -> None:
    device.busy = busy
    sound = noise(STEREO, 20)
    one = opened(device, reel_s=12)
    play_live(one, device, sound)
    close(one, device)

    assert len(device.handles) == 3
    hearing = ear.compare(heard_of_all(device), sound)
    if busy:
        # What lay ready on the old reel when it was stopped is not heard: it is silence.
        assert {fault.kind for fault in hearing.faults} == {"silence"}
        assert max(fault.missing_s for fault in hearing.faults) < speaker.LEAD_S
    else:
        assert hearing
    assert one.underruns == 0


def test_memory_of_what_was_heard_long_ago_is_given_back(device: SimpleAudio) -> None:
    one = opened(device)
    play_live(one, device, noise(STEREO, 30))
    given_back_s = one._side.reel._disposed_bytes / STEREO.frame_bytes / STEREO.frame_rate_hz
    close(one, device)

    assert 30 - tape.KEPT_BEHIND_S - 7 < given_back_s <= 30 - tape.KEPT_BEHIND_S


def test_a_late_writer_leaves_silence_and_goes_on_in_time(device: SimpleAudio) -> None:
    one = opened(device)
    sound = noise(STEREO, 4)
    half = len(sound) // 2
    play_live(one, device, sound[:half])
    device.pass_time(1.0)
    for segment in segments(sound[half:], STEREO):
        one.write(segment)
    one.flush()
    close(one, device, 3)

    (fault,) = ear.compare(device.handles[0].heard, sound).faults
    assert fault.kind == "silence"
    assert fault.at_s == pytest.approx(2.0, abs=0.001)
    assert fault.missing_s == pytest.approx(1.0 - speaker.LEAD_S + 0.1, abs=0.1)
    assert one.underruns == 1


def test_a_new_timeline_is_heard_whole(device: SimpleAudio) -> None:
    one = opened(device)
    sound = noise(STEREO, 4)
    half = len(sound) // 2
    play_live(one, device, sound[:half])
    device.pass_time(5.0)
    one.resync()
    play_live(one, device, sound[half:])
    close(one, device)

    (fault,) = ear.compare(device.handles[0].heard, sound).faults
    assert fault.kind == "gap"
    assert fault.added_s == pytest.approx(5.0, abs=0.1)
    assert one.underruns == 0


def test_hours_of_silence_at_once_cost_no_memory(
    device: SimpleAudio, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = opened(device)
    play_live(one, device, noise(STEREO, 1))
    device.now += 3600
    written: list[int] = []
    monkeypatch.setattr(Reel, "write", lambda reel, begin, pcm: written.append(len(pcm)))
    second = AudioSegment(data=bytes(44_100 * 4), sample_width=2, frame_rate=44_100, channels=2)
    for _ in range(3600):
        one.write(second)
    one.flush()

    assert sum(written) <= 2 * 44_100 * 4


def test_after_cancel_close_does_not_wait(device: SimpleAudio) -> None:
    one = opened(device)
    for segment in segments(noise(STEREO, 30), STEREO):
        one.write(segment)
    one.flush()
    one.cancel()
    began_s = time.monotonic()
    one.close()
    one.close()

    assert time.monotonic() - began_s < 1
    assert device.handles[0].stopped


def test_a_device_that_stops_is_started_again(device: SimpleAudio) -> None:
    one = opened(device)
    sound = noise(STEREO, 4)
    half = len(sound) // 2
    play_live(one, device, sound[:half])
    device.handles[0].stop()
    play_live(one, device, sound[half:])
    close(one, device)

    assert len(device.handles) == 2
    hearing = ear.compare(device.handles[1].heard, sound[half:])
    assert not hearing.faults
    assert hearing.missing_at_start_s < 0.1


@pytest.mark.parametrize("whole", [False, True], ids=["refuses", "is gone"])
def test_a_device_that_was_gone_is_heard_again_on_the_timeline(
    device: SimpleAudio, whole: bool
) -> None:
    one = opened(device)
    troubles: set[str | None] = set()

    def meanwhile(position_s: float) -> None:
        troubles.add(one.trouble)
        away = 3 < position_s < 8
        device.refuses, device.gone = away, away and whole
        if away:
            device.handles[0].stop()

    sound = noise(STEREO, 14)
    play_live(one, device, sound, meanwhile=meanwhile)
    close(one, device)

    hearing = ear.compare(heard_of_all(device), sound)
    (fault,) = hearing.faults
    assert fault.kind == "silence"
    assert fault.missing_s == pytest.approx(fault.added_s)
    assert 5 < fault.missing_s < 5 + live_output.LONGEST_LOOK_S + 2 * speaker.LEAD_S
    assert one.unheard_s == pytest.approx(fault.missing_s, abs=READ_AHEAD_S)
    reason = "No such device" if whole else "Input/output error"
    (trouble,) = troubles - {None}
    assert trouble == (
        f"the sound device is gone ({reason}):"
        " the stream goes on, and is heard again when the device is back"
    )
    assert one.trouble is None
    assert one.underruns == 0


def test_a_device_that_is_gone_at_the_end_is_not_waited_for(device: SimpleAudio) -> None:
    one = opened(device)
    play_live(one, device, noise(STEREO, 2))
    device.handles[0].stop()
    device.gone = True
    one.flush()
    began_s = device.now
    one.close()

    assert device.now == began_s
    assert 0 < one.unheard_s < 2 * speaker.LEAD_S


def test_a_device_that_refuses_from_the_start_is_an_error(device: SimpleAudio) -> None:
    one = opened(device)
    device.refuses = True

    with pytest.raises(OutputError, match=r"no sound device .*Input/output.*--output FILE.wav"):
        play_live(one, device, noise(STEREO, 1))


def test_a_device_that_goes_away_when_a_reel_ends_is_waited_for(device: SimpleAudio) -> None:
    one = opened(device, reel_s=12)

    def meanwhile(position_s: float) -> None:
        device.refuses = 7 < position_s < 9

    sound = noise(STEREO, 14)
    play_live(one, device, sound, meanwhile=meanwhile)
    close(one, device)

    (fault,) = ear.compare(heard_of_all(device), sound).faults
    assert fault.missing_s == pytest.approx(fault.added_s)
    assert 0 < fault.missing_s < 3
    assert one.trouble is None


def test_a_device_that_stood_still_is_started_again_on_the_timeline(
    device: SimpleAudio, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reel._Pagemap, "is_readable", IS_READABLE)
    if not reel._Pagemap.is_readable():
        pytest.skip("this system has no pagemap")
    one = opened(device)

    def meanwhile(position_s: float) -> None:
        device.stands_still = 5 < position_s < 8

    sound = noise(STEREO, 14)
    play_live(one, device, sound, meanwhile=meanwhile)
    close(one, device)

    assert len(device.handles) == 2
    again_s = device.handles[1].started_s - device.handles[0].started_s
    assert 8 - speaker.LEAD_S < again_s < 9
    hearing = ear.compare(device.handles[1].heard, sound[round(again_s * 44_100) * 4 :])
    assert not hearing.faults
    assert hearing.begins_s == pytest.approx(0, abs=0.001)
    assert one.unheard_s == pytest.approx(3.5, abs=1)
    assert one.trouble is None


@pytest.mark.parametrize("drift", [0.0002, -0.0002])
def test_a_drifting_device_is_followed(
    device: SimpleAudio, drift: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reel._Pagemap, "is_readable", IS_READABLE)
    if not reel._Pagemap.is_readable():
        pytest.skip("this system has no pagemap")
    device.drift = drift
    pcm = PcmFormat(24_000, 1)
    one = Speaker(clock=lambda: device.now)
    one.open(pcm, None)
    play_live(one, device, noise(pcm, 600), pcm)
    device_frames = len(device.handles[0].heard) // pcm.frame_bytes - READ_AHEAD_S * 24_000
    close(one, device)

    assert one.underruns == 0
    clock_frames = round((device.now - 1 - device.handles[0].started_s) * 24_000)
    assert one._tape.heard_frames(device.now - 1) == pytest.approx(device_frames, abs=1000)
    assert abs(device_frames - clock_frames) > 2500
    stretched = one._tape.written_frames - 600 * 24_000
    assert 500 < stretched * drift / abs(drift) < 2880


def test_stretching_is_seamless(device: SimpleAudio) -> None:
    one = opened(device)
    one._tape.stretch_frames = lambda: 1  # type: ignore[method-assign]
    tone = b"".join(
        int(8000 * (frame % 441) / 441).to_bytes(2, "little", signed=True) * 2
        for frame in range(44_100)
    )
    play_live(one, device, tone)
    one._tape.stretch_frames = lambda: -1  # type: ignore[method-assign]
    play_live(one, device, tone)

    assert one._tape.written_frames == 2 * 44_100
    close(one, device)
    left = memoryview(device.handles[0].heard).cast("h")[: 44_100 * 2 : 2]
    steps = {right - left for left, right in itertools.pairwise(left)}
    # No sample is heard twice or left out: the ramp goes on by its own steps, or falls back once.
    assert all(16 <= step <= 20 or step < 0 for step in steps)


def test_audio_of_another_format_is_our_own_fault(device: SimpleAudio) -> None:
    one = opened(device)
    with pytest.raises(ValueError, match="format"):
        one.write(AudioSegment(data=bytes(8), sample_width=2, frame_rate=48_000, channels=2))


def test_no_simpleaudio(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "simpleaudio", None)

    with pytest.raises(OutputError, match="simpleaudio is missing: pip install"):
        Speaker().prepare()


def test_without_alsa_nobody_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alsa, "LIBRARY", "libnothing.so.0")
    alsa._library.cache_clear()
    try:
        alsa.be_quiet()
        assert alsa.why_not() is None
    finally:
        alsa._library.cache_clear()


# Real sound.


def player(sound: pulse.SoundServer, **options: object) -> list[str]:
    """The command that plays noise in the format of this sound server."""
    options = {"frame_rate_hz": sound.frame_rate_hz, "channels": sound.channels, **options}
    return [sys.executable, "-W", "ignore", "-m", "tests.rig.player", json.dumps(options)]


def played(sound: pulse.SoundServer, **options: object) -> dict[str, float]:
    """Run the player; returns the figures that it prints."""
    ended = subprocess.run(
        player(sound, **options),
        cwd=ROOT,
        env=sound.environment,
        timeout=40,
        text=True,
        capture_output=True,
        check=False,
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    result: dict[str, float] = json.loads(ended.stdout)
    return result


def heard(
    folder: Path, pcm: PcmFormat = STEREO, **options: object
) -> tuple[bytes, dict[str, float]]:
    """Run the player; returns the recording and the figures that it prints."""
    results = []
    recording = pulse.record(
        folder,
        lambda sound: results.append(played(sound, **options)),
        pcm.frame_rate_hz,
        pcm.channels,
    )
    return recording, results[-1]


def test_real_sound_is_the_sent_sound_bit_for_bit(tmp_path: Path) -> None:
    recording, result = heard(tmp_path, duration_s=5)

    assert ear.compare(recording, noise(STEREO, 5))
    assert result["underruns"] == 0
    assert result["closing_s"] < speaker.LEAD_S + 1


def test_real_sound_of_a_rate_that_the_device_refuses(tmp_path: Path) -> None:
    pcm = PcmFormat(24_000, 1)
    recording, _ = heard(tmp_path, pcm, source_hz=12_000, duration_s=2)

    assert ear.compare(recording, noise(pcm, 2), 24_000, 1)


def test_a_real_sound_shorter_than_the_lead(tmp_path: Path) -> None:
    recording, _ = heard(tmp_path, duration_s=0.1)

    assert ear.compare(recording, noise(STEREO, 0.1))


def test_the_seam_between_two_reels_is_short(tmp_path: Path) -> None:
    recording, result = heard(tmp_path, duration_s=8, reel_s=8)

    hearing = ear.compare(recording, noise(STEREO, 8))
    assert result["underruns"] == 0
    assert hearing.missing_at_start_s == hearing.missing_at_end_s == 0
    # One start of a device is never quite like another: the two reels overlap, or lie apart.
    assert len(hearing.faults) <= 1, hearing
    assert all(max(fault.missing_s, fault.added_s) < 0.15 for fault in hearing.faults), hearing


def test_real_sound_stops_at_once_when_cancelled(tmp_path: Path) -> None:
    with pulse.server(tmp_path) as sound:
        result = played(sound, duration_s=5, cancel_after_s=1)

    assert result["closing_s"] < 0.5


def test_no_sound_server_is_one_line(tmp_path: Path) -> None:
    sound = pulse.SoundServer(tmp_path, 44_100, 2)
    ended = subprocess.run(
        player(sound, duration_s=1),
        cwd=ROOT,
        env=sound.environment,
        timeout=20,
        text=True,
        capture_output=True,
        check=False,
    )

    assert ended.returncode == 1
    assert ended.stderr.startswith("no sound device can be used (")
    assert ended.stderr.endswith("connect one, or choose --output FILE.wav, FILE.mp3 or null\n")
    assert ended.stderr.count("\n") == 1
