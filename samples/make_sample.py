"""Synthesise the sample programme: half a minute of music, written as an MP3.

    python samples/make_sample.py [OUTPUT]          (default: sample.mp3 beside this script)

The piece is twelve bars in D major for vibraphone, felt piano, strings, bass and light percussion.
Nothing in it is recorded or sampled: the score stands below, and every sound is computed from it.
It needs no package but `av`, takes about twenty seconds, and gives the same bytes on every run of
the same versions of Python and PyAV.

It is made for tests as well, by ear and by machine: it lasts exactly 30 s, sounds from its first
milliseconds to its last, and never falls silent in between. A gap that is heard was not in it.

The data passes through this file from top to bottom:

    score         harmony and melody, in beats and pitch names
    instruments   a note    -> its sound: decaying sine partials under an envelope
    arrangement   the score -> when each instrument plays what
    mixing        sounds    -> left, right and a send to the hall (the reverberation)
    mastering     the mix   -> stereo at its final loudness, with a beginning and an end
    encoding      stereo    -> MP3, 128 kbit/s, tagged, with the gapless lengths in its Info header
"""

import argparse
import cmath
import math
import random
from array import array
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from itertools import accumulate, pairwise, repeat
from operator import add, mul
from pathlib import Path
from typing import TypeAlias

import av

OUTPUT = Path(__file__).with_name("sample.mp3")
TAGS = {
    "title": "In Every Room",
    "artist": "The Datagrams",
    "genre": "Ambient",
    "comment": "Synthesised by samples/make_sample.py",
    "copyright": "Made by this project's samples/make_sample.py, under the licence of that script",
}
RATE_HZ = 44_100
BIT_RATE_BPS = 128_000
BEAT_S = 0.625  # 96 beats a minute: a bar of four beats takes 2.5 s, so twelve bars take 30 s
BAR_BEATS = 4
BARS = 12
FRAMES = round(BARS * BAR_BEATS * BEAT_S * RATE_HZ)

Sound: TypeAlias = "array[float]"  # mono samples at RATE_HZ


# --- score ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Chord:
    beats: int
    bass: str
    tones: str  # four pitches, low to high


HARMONY = (
    Chord(4, "D2", "F#3 A3 C#4 E4"),
    Chord(4, "G2", "F#3 A3 B3 D4"),
    Chord(4, "D2", "F#3 A3 D4 E4"),
    Chord(4, "B1", "F#3 A3 B3 D4"),
    Chord(4, "G2", "G3 B3 D4 F#4"),
    Chord(2, "A2", "A3 D4 E4 A4"),
    Chord(2, "A2", "A3 C#4 E4 A4"),
    Chord(4, "F#2", "A3 D4 F#4 A4"),
    Chord(4, "G2", "B3 D4 F#4 A4"),
    Chord(4, "E2", "G3 B3 D4 F#4"),
    Chord(4, "A1", "G3 B3 D4 E4"),
    Chord(2, "G2", "G3 B3 D4 E4"),
    Chord(2, "G2", "G3 Bb3 D4 E4"),
    Chord(4, "D2", "F#3 A3 D4 E4"),
)

# One line a bar; each note is a pitch (- is a rest) and its length in beats.
MELODY = """
    -:4
    -:3     A4:0.5  B4:0.5
    F#5:1.5 E5:0.5  D5:1    A4:1
    B4:1.5  D5:0.5  F#5:2
    A5:1.5  G5:0.5  F#5:1   D5:1
    E5:2.5  C#5:0.5 D5:0.5  E5:0.5
    F#5:1   A5:1    D6:1.5  C#6:0.5
    B5:1.5  A5:0.5  F#5:1   D5:1
    G5:1.5  F#5:0.5 E5:1    B4:1
    D5:1.5  E5:0.5  F#5:1   E5:1
    D5:1    B4:1    D5:1    Bb4:1
    A4:1.5  D5:2.5
"""

SEMITONES = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
ACCIDENTALS = {"": 0, "#": 1, "b": -1}


def pitch_semitones(name: str) -> int:
    """The semitones of a pitch above A4: "A4" is 0, "Bb4" is 1, "F#3" is -15."""
    letter, accidental, octave = name[0], name[1:-1], int(name[-1])
    return SEMITONES[letter] + ACCIDENTALS[accidental] + 12 * (octave - 4) - SEMITONES["A"]


# --- instruments ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Partial:
    ratio: float  # its frequency, in multiples of the note's
    level: float
    decay_s: float  # the time in which it falls to 1/e, for the note A4


@dataclass(frozen=True)
class Instrument:
    partials: tuple[Partial, ...]
    attack_s: float
    release_s: float  # sounds on for so long after the note's own length
    level: float
    hall: float  # how much of it is sent to the hall, beside what is heard directly


VIBRAPHONE = Instrument(
    (
        Partial(1, 1.0, 1.3),
        Partial(1.004, 0.2, 1.3),  # beats with the first: the slow tremolo
        Partial(2, 0.12, 0.8),
        Partial(4, 0.22, 0.35),
        Partial(10, 0.04, 0.06),
    ),
    attack_s=0.003,
    release_s=0.6,
    level=0.30,
    hall=0.30,
)
PIANO = Instrument(
    tuple(Partial(n * (1 + 0.0004 * n * n), 0.6 ** (n - 1), 0.9 / n) for n in range(1, 9)),
    attack_s=0.004,
    release_s=0.3,
    level=0.15,
    hall=0.25,
)
STRINGS = Instrument(
    tuple(Partial(n, n**-1.5, 30.0) for n in range(1, 9)),
    attack_s=0.25,
    release_s=0.7,
    level=0.05,
    hall=0.35,
)
BASS = Instrument(
    (Partial(1, 1.0, 0.6), Partial(2, 0.35, 0.3), Partial(3, 0.12, 0.15), Partial(4, 0.05, 0.1)),
    attack_s=0.006,
    release_s=0.12,
    level=0.34,
    hall=0.03,
)


@cache
def play(instrument: Instrument, semitones: float, length_s: float) -> Sound:
    """The sound of one note, at full velocity and before the instrument's level.

    A partial is a complex number that is turned, and shrunk a little, from each sample to the next.
    """
    frequency_hz = 440.0 * 2 ** (semitones / 12)
    frames = round((length_s + instrument.release_s) * RATE_HZ)
    wave: Iterable[complex] = repeat(0j, frames)
    for partial in instrument.partials:
        decay_s = partial.decay_s * math.sqrt(440.0 / frequency_hz)  # low strings ring longer
        turn = cmath.exp(complex(-1 / decay_s, math.tau * frequency_hz * partial.ratio) / RATE_HZ)
        tone = accumulate(repeat(turn, frames - 1), mul, initial=complex(partial.level))
        wave = map(add, wave, tone)
    return shape(array("d", (value.imag for value in wave)), instrument)


def shape(sound: Sound, instrument: Instrument) -> Sound:
    """Fade a sound in over the instrument's attack and out over its release, in place."""
    attack_frames = round(instrument.attack_s * RATE_HZ)
    release_frames = round(instrument.release_s * RATE_HZ)
    for index in range(attack_frames):
        sound[index] *= ease(index / attack_frames)
    for index in range(release_frames):
        sound[-1 - index] *= ease(index / release_frames)
    return sound


def ease(position: float) -> float:
    """A smooth way from 0 to 1 (half a cosine), as the position goes from 0 to 1."""
    return 0.5 - 0.5 * math.cos(math.pi * position)


@cache
def drum() -> Sound:
    """A soft low drum: a sine that falls from 130 to 48 Hz while it dies away."""
    frames = round(0.4 * RATE_HZ)
    sound, phase = array("d"), 0.0
    for index in range(frames):
        phase += math.tau * (48 + 82 * math.exp(-index / (0.03 * RATE_HZ))) / RATE_HZ
        sound.append(math.sin(phase) * ease(1 - index / frames) ** 3)
    return sound


def shaker(dice: random.Random, length_s: float) -> Sound:
    """A breath of bright noise that swells for a fifth of its length, then dies away."""
    frames = round(length_s * RATE_HZ)
    noise = (dice.uniform(-1, 1) for _ in range(frames + 1))
    swell_frames = frames / 5
    return array(
        "d",
        (
            (after - before) * ease(min(1, index / swell_frames)) * ease(1 - index / frames) ** 3
            for index, (before, after) in enumerate(pairwise(noise))
        ),
    )


# --- arrangement ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Note:
    beat: float  # since the beginning of the piece
    beats: float
    semitones: float  # above A4
    velocity: float = 1.0
    pan: float = 0.0  # -1 is left, 1 is right


LAST_BAR_BEAT = (BARS - 1) * BAR_BEATS
DRUMS_BEATS = range(2 * BAR_BEATS, LAST_BAR_BEAT)  # not in the first two bars, nor the last
ARPEGGIO = (0, 2, 3, 4, 5, 4, 3, 2)  # a chord's tones in half beats; 4 is the lowest, an octave up


def chords() -> Iterator[tuple[int, Chord, list[int]]]:
    """Each chord with the beat it begins on and the semitones of its tones."""
    beat = 0
    for chord in HARMONY:
        yield beat, chord, [pitch_semitones(name) for name in chord.tones.split()]
        beat += chord.beats


def melody_notes() -> Iterator[Note]:
    beat = 0.0
    for word in MELODY.split():
        pitch, length = word.split(":")
        if pitch != "-":
            yield Note(beat, float(length), pitch_semitones(pitch), pan=0.1)
        beat += float(length)


def piano_notes() -> Iterator[Note]:
    """Broken chords that wander from left to right and back; the last is strummed, and rings."""
    for beat, chord, tones in chords():
        reach = tones + [tone + 12 for tone in tones]
        if beat == LAST_BAR_BEAT:
            for step, tone in enumerate(reach):
                yield Note(beat + step / 4, 4, tone, 0.9 - 0.05 * step, pan=step / 7 - 0.5)
            continue
        for step in range(2 * chord.beats):
            position = ARPEGGIO[step % len(ARPEGGIO)]
            velocity = 1.0 if step % 4 == 0 else 0.75
            yield Note(beat + step / 2, 1.5, reach[position], velocity, pan=position / 5 - 0.5)


def strings_notes() -> Iterator[Note]:
    """Whole chords, each tone twice: a little flat on the left, a little sharp on the right."""
    for beat, chord, tones in chords():
        for tone in tones:
            yield Note(beat, chord.beats, tone - 0.05, pan=-0.7)
            yield Note(beat, chord.beats, tone + 0.05, pan=0.7)


def bass_notes() -> Iterator[Note]:
    for beat, chord, _ in chords():
        root = pitch_semitones(chord.bass)
        if beat == LAST_BAR_BEAT:
            yield Note(beat, chord.beats, root)
            continue
        yield Note(beat, 1.5, root)
        yield Note(beat + 1.5, 0.5, root, 0.6)
        if chord.beats == BAR_BEATS:
            yield Note(beat + 2, 1.5, root, 0.9)
            yield Note(beat + 3.5, 0.5, root + 12, 0.5)


# --- mixing --------------------------------------------------------------------------------------


def silence() -> Sound:
    return array("d", bytes(8 * FRAMES))


@dataclass
class Mix:
    left: Sound = field(default_factory=silence)
    right: Sound = field(default_factory=silence)
    hall: Sound = field(default_factory=silence)

    def add(self, sound: Sound, at_s: float, level: float, pan: float, hall: float) -> None:
        """Place a sound; what would go on after the end of the piece is left out."""
        angle = (pan + 1) * math.pi / 4  # equal power, wherever it stands
        blend(self.left, sound, at_s, level * math.cos(angle))
        blend(self.right, sound, at_s, level * math.sin(angle))
        blend(self.hall, sound, at_s, level * hall)


def blend(track: Sound, sound: Sound, at_s: float, gain: float) -> None:
    start = round(at_s * RATE_HZ)
    under = track[start : start + len(sound)]
    track[start : start + len(under)] = array(
        "d", (below + gain * above for below, above in zip(under, sound, strict=False))
    )


def perform(mix: Mix, instrument: Instrument, notes: Iterable[Note], dice: random.Random) -> None:
    """Play the notes as people do: up to 8 ms late, and never twice equally loud."""
    for note in notes:
        late_s = dice.uniform(0, 0.008) if note.beat > 0 else 0.0
        level = instrument.level * note.velocity * dice.uniform(0.9, 1.1)
        sound = play(instrument, note.semitones, note.beats * BEAT_S)
        mix.add(sound, note.beat * BEAT_S + late_s, level, note.pan, instrument.hall)


def perform_drums(mix: Mix, dice: random.Random) -> None:
    for beat in DRUMS_BEATS:
        back_beat = beat % 2 == 1
        if not back_beat:
            mix.add(drum(), beat * BEAT_S, 0.35, pan=0.0, hall=0.05)
        stroke = shaker(dice, 0.22 if back_beat else 0.1)
        mix.add(stroke, beat * BEAT_S, 0.07, pan=-0.3, hall=0.3)
        mix.add(shaker(dice, 0.1), (beat + 0.5) * BEAT_S, 0.05, pan=0.3, hall=0.3)


def mixdown() -> Mix:
    mix, dice = Mix(), random.Random(96)
    perform(mix, VIBRAPHONE, melody_notes(), dice)
    perform(mix, PIANO, piano_notes(), dice)
    perform(mix, STRINGS, strings_notes(), dice)
    perform(mix, BASS, bass_notes(), dice)
    perform_drums(mix, dice)
    return mix


# --- mastering -----------------------------------------------------------------------------------

# Schroeder's reverberator with damped echoes. The lengths are those of Jezar's Freeverb, which is
# in the public domain: chosen for 44.1 kHz so that the echoes do not fall together.
ECHO_FRAMES = (1116, 1188, 1277, 1356, 1422, 1491, 1557, 1617)
DIFFUSER_FRAMES = (556, 441, 341, 225)
RIGHT_EXTRA_FRAMES = 23  # the right side's lines are longer: that is what makes the hall wide
ECHO_FEEDBACK = 0.84
ECHO_DAMPING = 0.3
DIFFUSER_FEEDBACK = 0.5
HALL_GAIN = 0.045

PEAK = 0.84  # of full scale: -1.5 dBFS, which leaves room for what MP3 adds
DRIVE = 0.9  # how far the loudest moment is pressed into the soft limiter
FADE_OUT_S = 2.0
FADE_OUT_LEVEL = 0.3  # audible to the end,
LAST_RAMP_S = 0.004  # and then down to nothing without a click


def echo(sound: Iterable[float], delay_frames: int) -> Iterator[float]:
    """Repetitions that grow softer and duller: a comb filter with a low-pass in its loop."""
    line, dull = deque([0.0] * delay_frames), 0.0
    for sample in sound:
        delayed = line.popleft()
        dull = delayed + ECHO_DAMPING * (dull - delayed)
        line.append(sample + ECHO_FEEDBACK * dull)
        yield delayed


def diffuse(sound: Iterable[float], delay_frames: int) -> Iterator[float]:
    """Repetitions so dense that they melt together: an all-pass filter."""
    line = deque([0.0] * delay_frames)
    for sample in sound:
        delayed = line.popleft()
        line.append(sample + DIFFUSER_FEEDBACK * delayed)
        yield delayed - sample


def reverberate(sound: Sound, extra_frames: int) -> Iterator[float]:
    hall: Iterator[float] = repeat(0.0, len(sound))
    for delay_frames in ECHO_FRAMES:
        hall = map(add, hall, echo(sound, delay_frames + extra_frames))
    for delay_frames in DIFFUSER_FRAMES:
        hall = diffuse(hall, delay_frames + extra_frames)
    return hall


def master(mix: Mix) -> tuple[Sound, Sound]:
    """Left and right with the hall around them, at their final loudness, with a proper end."""
    sides = [
        array("d", (dry + HALL_GAIN * wet for dry, wet in zip(side, hall, strict=True)))
        for side, hall in (
            (mix.left, reverberate(mix.hall, 0)),
            (mix.right, reverberate(mix.hall, RIGHT_EXTRA_FRAMES)),
        )
    ]
    loudest = max(abs(sample) for side in sides for sample in side)
    left, right = (limit(side, DRIVE / loudest) for side in sides)
    return fade_out(left), fade_out(right)


def limit(sound: Sound, gain: float) -> Sound:
    """Raise a sound's level and round its peaks off, so that DRIVE comes out as PEAK."""
    scale = PEAK / math.tanh(DRIVE)
    return array("d", (scale * math.tanh(gain * sample) for sample in sound))


def fade_out(sound: Sound) -> Sound:
    fade_frames = round(FADE_OUT_S * RATE_HZ)
    ramp_frames = round(LAST_RAMP_S * RATE_HZ)
    for index in range(fade_frames):
        level = FADE_OUT_LEVEL + (1 - FADE_OUT_LEVEL) * ease(index / fade_frames)
        sound[-1 - index] *= level * ease(min(1, index / ramp_frames))
    return sound


# --- encoding ------------------------------------------------------------------------------------


def write_mp3(path: Path, left: Sound, right: Sound) -> None:
    frame = av.AudioFrame(format="fltp", layout="stereo", samples=len(left))
    frame.sample_rate = RATE_HZ
    for plane, side in zip(frame.planes, (left, right), strict=True):
        plane.update(array("f", side).tobytes())
    with av.open(str(path), "w", format="mp3") as container:
        container.metadata.update(TAGS)
        stream = container.add_stream("mp3", rate=RATE_HZ, layout="stereo", bit_rate=BIT_RATE_BPS)
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def main() -> None:
    parser = argparse.ArgumentParser(description="Synthesise the sample programme as an MP3.")
    parser.add_argument("output", nargs="?", type=Path, default=OUTPUT, help="default: %(default)s")
    path: Path = parser.parse_args().output
    write_mp3(path, *master(mixdown()))
    print(f"{path}: {FRAMES / RATE_HZ:g} s, {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
