"""What is heard in a hole: nearer to the music than silence, and without a click."""

import itertools
import math
from array import array
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from listening.sound.concealment import ECHO_S, FADE_S, bridge
from listening.sound.decoder import prepare
from listening.sound.pcm import PcmFormat
from tests.rig.likeness import NAMES, distance_db, places
from tests.rig.luck import LITTLE, examples, once

pytestmark = once

PCM = PcmFormat(44100, 2)

PLACES = 4 if LITTLE else 6
"""Holes in each file."""

prepare()  # It imports audioop without the warning that this is deprecated.


def tone(samples: int, start: int = 0, pcm: PcmFormat = PCM) -> bytes:
    """441 Hz, which is 100 samples, and its double, turned over in the right channel."""
    values = array("h")
    for index in range(start, start + samples):
        time = 2 * math.pi * 441 * index / pcm.frame_rate_hz
        value = round(6000 * math.sin(time) + 4000 * math.sin(2 * time + 1))
        values.extend([value, -value][: pcm.channels])
    return values.tobytes()


def organ(samples: int) -> bytes:
    """A pedal of 12.5 Hz and its odd partials: after half a period it is itself, turned over."""
    values = array("h")
    for index in range(samples):
        time = 2 * math.pi * 12.5 * index / PCM.frame_rate_hz
        value = sum(3000 * math.sin(partial * time + partial) for partial in (1, 3, 9, 15))
        values.extend([round(value)] * 2)
    return values.tobytes()


@pytest.mark.parametrize("hole_s", [0.03, 0.09])
def test_bass_whose_period_is_longer_than_what_is_searched_goes_on_turned_over(
    hole_s: float,
) -> None:
    hole, fade, width = PCM.frames(hole_s), PCM.frames(FADE_S), PCM.frame_bytes
    whole = organ(3000 + hole + 3000)
    out, silent, into = bridge(whole[: 3000 * width], hole, whole[(3000 + hole) * width :], PCM)
    assert silent == 0
    heard = array("h", out + into)
    wanted = array("h", whole[(3000 - fade) * width : (3000 + hole + fade) * width])
    assert max(abs(h - w) for h, w in zip(heard, wanted, strict=True)) < 500


@pytest.mark.parametrize("channels", [1, 2])
def test_tone_goes_on_through_a_short_hole_as_if_there_were_none(channels: int) -> None:
    pcm, hole, fade = PcmFormat(44100, channels), 2205, round(FADE_S * 44100)
    whole = tone(3000 + hole + 3000, pcm=pcm)
    width = pcm.frame_bytes
    out, silent, into = bridge(whole[: 3000 * width], hole, whole[(3000 + hole) * width :], pcm)
    assert silent == 0
    heard = array("h", out + into)
    wanted = array("h", whole[(3000 - fade) * width : (3000 + hole + fade) * width])
    assert len(heard) == len(wanted)
    assert max(abs(h - w) for h, w in zip(heard, wanted, strict=True)) < 500


def test_middle_of_a_long_hole_is_silence() -> None:
    sound, echo, fade = tone(3000), round(ECHO_S * 44100), round(FADE_S * 44100)
    out, silent, into = bridge(sound, 100_000, sound, PCM)
    assert silent == 100_000 - 2 * echo
    assert len(out) == len(into) == (fade + echo) * 4
    assert max(map(abs, array("h", out)[-200:])) < 500
    assert max(map(abs, array("h", into)[:200])) < 500


@settings(deadline=None, max_examples=examples(150))
@given(
    rate=st.sampled_from([8000, 11025, 44100, 48000]),
    channels=st.sampled_from([1, 2]),
    lengths=st.tuples(*3 * [st.integers(0, 6000) | st.integers(0, 300)]),
    loud=st.binary(min_size=4, max_size=64),
)
def test_it_is_as_long_as_what_it_stands_for_whatever_is_beside_it(
    rate: int, channels: int, lengths: tuple[int, int, int], loud: bytes
) -> None:
    pcm = PcmFormat(rate, channels)
    before, hole, after = lengths
    fade = round(FADE_S * rate)
    pieces = [(loud * 6000)[: samples * pcm.frame_bytes] for samples in (before, after)]
    out, silent, into = bridge(pieces[0], hole, pieces[1], pcm)
    samples = len(out + into) / pcm.frame_bytes + silent
    assert samples == min(before, fade) + hole + min(after, fade)


def largest_step(values: Sequence[int]) -> int:
    return max(abs(a - b) for a, b in itertools.pairwise(values))


@pytest.mark.parametrize("name", NAMES)
def test_lost_message_is_nearer_to_the_music_than_silence_in_every_place(name: str) -> None:
    seen = 0
    for place in places(name, PLACES):
        heard = distance_db(place.wanted, place.heard, place.frame_rate_hz)
        silence = distance_db(place.wanted, place.silent, place.frame_rate_hz)
        assert heard < silence
        seen += 1
    assert seen >= 3


@pytest.mark.parametrize("name", NAMES)
def test_nothing_clicks(name: str) -> None:
    for place in places(name, PLACES):
        assert largest_step(place.heard) <= 1.05 * largest_step(place.around)
