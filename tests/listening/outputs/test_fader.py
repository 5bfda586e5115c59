"""Loudness while it plays: soon, without a click, and what is counted as paused."""

from __future__ import annotations

from array import array

import pytest

from listening.outputs.fader import FADE_S, LEAST_DB, MOST_DB, Fader, Loudness
from listening.outputs.null import Null
from listening.sound.pcm import PcmFormat, audio_segment

PCM = PcmFormat(44_100, 2)
LOUD = 20_000
PIECE = 1152
"""Frames of PCM at a time: one MP3 frame."""

SLOPE = LOUD / (FADE_S * PCM.frame_rate_hz)
"""Step between two samples of a channel in a fade from full loudness to silence."""


class Memory(Null):
    """Remembers what was written; the last `changeable_frames` of it can be taken back."""

    changeable_frames = 0

    def __init__(self, changeable_frames: int) -> None:
        self.changeable_frames = changeable_frames
        self.pcm = b""

    def write(self, audio: object) -> None:
        self.pcm += audio.raw_data  # type: ignore[attr-defined]

    def take_back(self, most_frames: int) -> int:
        frames = min(most_frames, self.changeable_frames, len(self.pcm) // PCM.frame_bytes)
        self.pcm = self.pcm[: len(self.pcm) - frames * PCM.frame_bytes]
        return frames

    @property
    def samples(self) -> array[int]:
        return array("h", self.pcm)

    @property
    def steps(self) -> list[int]:
        """From each sample to the next of its channel."""
        samples = self.samples
        return [b - a for a, b in zip(samples, samples[2:], strict=False)]


def play(fader: Fader, pieces: int) -> None:
    for _ in range(pieces):
        fader.write(audio_segment(array("h", [LOUD, -LOUD] * PIECE).tobytes(), PCM))
    fader.flush()


@pytest.mark.parametrize("changeable", [0, 5 * PIECE, 100 * PIECE])
def test_a_change_is_heard_as_soon_as_the_output_allows_and_never_clicks(changeable: int) -> None:
    output = Memory(changeable)
    fader = Fader(output, 0.0)
    play(fader, 30)
    choices = (
        Loudness(0.0, paused=True),
        Loudness(0.0),
        Loudness(-6.0),
        Loudness(-6.0, muted=True),
        Loudness(1.0),
    )
    for wanted in choices:
        written = len(output.pcm)
        fader.wanted = wanted
        assert fader.follow()
        assert not fader.follow()
        # What was taken back was written anew, just as long.
        assert len(output.pcm) == written
        play(fader, 10)
        changed = min(changeable, written // PCM.frame_bytes)
        fade_bytes = round(FADE_S * PCM.frame_rate_hz) * PCM.frame_bytes
        after = output.pcm[written - changed * PCM.frame_bytes + fade_bytes :]
        assert set(array("h", after)) == {
            int(LOUD * wanted.gain // 1), int(-LOUD * wanted.gain // 1)
        }  # fmt: skip
    assert max(map(abs, output.steps)) <= 1.2 * SLOPE + 1


def test_what_is_made_too_loud_is_clipped_and_never_turned_over() -> None:
    output = Memory(5 * PIECE)
    fader = Fader(output, 0.0)
    play(fader, 10)
    fader.wanted = Loudness(6.0)
    assert fader.follow()
    play(fader, 10)
    samples = output.samples
    assert (min(samples), max(samples)) == (-32_768, 32_767)
    assert min(samples[::2]) == LOUD
    assert max(samples[1::2]) == -LOUD
    assert max(map(abs, output.steps)) <= SLOPE + 1


def test_a_change_in_the_middle_of_another_goes_on_from_there() -> None:
    output = Memory(3 * PIECE)
    fader = Fader(output, 0.0)
    play(fader, 10)
    fader.wanted = Loudness(0.0, muted=True)
    fader.follow()
    output.changeable_frames = 3 * PIECE - round(FADE_S / 2 * PCM.frame_rate_hz)
    fader.wanted = Loudness(0.0)
    fader.follow()
    play(fader, 3)
    assert max(map(abs, output.steps)) <= SLOPE + 1
    assert 0.4 * LOUD < min(map(abs, output.samples)) < 0.6 * LOUD


def test_without_a_change_no_sample_is_touched() -> None:
    output = Memory(5 * PIECE)
    fader = Fader(output, 0.0)
    play(fader, 8)
    for wanted in (Loudness(-3.0), Loudness(0.0)):
        fader.wanted = wanted
        fader.follow()
        output.changeable_frames = 0
    play(fader, 8)
    piece = array("h", [LOUD, -LOUD] * PIECE).tobytes()
    assert output.pcm.startswith(3 * piece)
    assert output.pcm.endswith(7 * piece)


def test_a_volume_that_was_given_holds_from_the_first_sample() -> None:
    for volume_db, paused in ((-6.0, False), (0.0, True)):
        output = Memory(0)
        fader = Fader(output, volume_db)
        fader.wanted = fader.wanted._replace(paused=paused)
        fader.follow()
        play(fader, 1)
        assert len(set(output.samples)) == (1 if paused else 2)


@pytest.mark.parametrize("changeable", [0, 3 * PIECE])
def test_what_is_silent_because_of_a_pause_is_counted_to_the_frame(changeable: int) -> None:
    output = Memory(changeable)
    fader = Fader(output, 0.0)
    play(fader, 10)
    fader.wanted = Loudness(paused=True)
    fader.follow()
    play(fader, 7)
    # A volume that is dialled meanwhile changes nothing of it.
    fader.wanted = Loudness(-4.0, paused=True)
    fader.follow()
    play(fader, 1)
    fader.wanted = Loudness(-4.0)
    fader.follow()
    play(fader, 5)
    # What was taken back at the beginning is silent, what was taken back at the end is not.
    assert fader.paused_s == pytest.approx(8 * PIECE / PCM.frame_rate_hz)


def test_what_is_kept_is_no_more_than_what_can_be_changed() -> None:
    output = Memory(5 * PIECE)
    fader = Fader(output, 0.0)
    for _ in range(100):
        play(fader, 3)
        assert len(fader._unheard._pieces) <= 6
    output.changeable_frames = 0
    play(fader, 1)
    assert not fader._unheard.frames


def test_the_volume_has_bounds_but_what_was_asked_for_stays() -> None:
    assert Loudness(11.0).louder(2.0).volume_db == MOST_DB
    assert Loudness(-59.0).louder(-2.0).volume_db == LEAST_DB
    assert Loudness(40.0).louder(2.0).volume_db == 40.0
    assert Loudness(40.0).louder(-2.0).volume_db == 38.0
    assert Loudness(-100.0).louder(-2.0).volume_db == -100.0
