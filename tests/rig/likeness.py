"""How near to the undamaged music a concealed hole sounds, beside a silent one.

    python -m tests.rig.likeness

One message after another is lost, each by itself. Over the span that is concealed for it, short
spectra are compared band by band: the log-spectral distance in dB, RMS over the bands and mean over
the windows. A window lasts about 20 ms and a band is a third of an octave; everything 50 dB below
the loudest band of the span is inaudible and counts as equal. The signal-to-noise ratio over the
span is given, too; that of silence is 0 dB by definition. Stereo is measured in its left channel.
"""

from __future__ import annotations

import cmath
import functools
import itertools
import math
import operator
from array import array
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from audio.mpeg_audio import split_frames
from broadcasting.source.segments import Segment, read_segments
from listening.sound.decoder import Decoder
from listening.sound.pcm import PcmFormat
from tests.rig.programs import SAMPLE
from tests.rig.zoo import reference_pcm, zoo_file

NAMES = ("sample", "cbr-128.mp3", "vbr.mp3", "mono.mp3", "mpeg2-24.mp3", "mpeg25-8-mono.mp3")
MAX_DATA_BYTES = 1316
FLOOR_DB = 50
FADE_S = 0.005


class Place(NamedTuple):
    """One hole: the left channel of the span as heard, as in the file, and as silence."""

    heard: Sequence[int]
    wanted: Sequence[int]
    silent: Sequence[int]
    around: Sequence[int]
    """The span in the file, with 50 ms more on either side."""
    frame_rate_hz: int


class Likeness(NamedTuple):
    """Figures of all places of one file, in dB."""

    distances: Sequence[float]
    silence_distances: Sequence[float]
    ratios: Sequence[float]

    @property
    def nearer(self) -> int:
        """Number of places that are nearer than silence."""
        return sum(a < b for a, b in zip(self.distances, self.silence_distances, strict=True))


def places(name: str, most: int) -> Iterator[Place]:
    """Up to `most` holes of one lost message, spread over the file, where it is not silent."""
    path = SAMPLE if name == "sample" else zoo_file(name).path
    segments = list(read_segments([path], MAX_DATA_BYTES))
    reference = reference_pcm(path)
    track = segments[0].track
    pcm = PcmFormat(track.frame_rate_hz, track.channels)
    numbers = range(2, len(segments) - 5)
    for lost in numbers[:: max(1, len(numbers) // most)][:most]:
        place = _place(segments, lost, reference, pcm)
        if max(map(abs, place.wanted)) > 300:
            yield place


def measure(name: str, most: int) -> Likeness:
    """Measure up to `most` places of one file."""
    distances, silences, ratios = [], [], []
    for place in places(name, most):
        distances.append(distance_db(place.wanted, place.heard, place.frame_rate_hz))
        silences.append(distance_db(place.wanted, place.silent, place.frame_rate_hz))
        ratios.append(ratio_db(place.wanted, place.heard))
    return Likeness(distances, silences, ratios)


def distance_db(wanted: Sequence[int], heard: Sequence[int], frame_rate_hz: int) -> float:
    """The log-spectral distance of two pieces of one length."""
    pair = [_bands(one, frame_rate_hz) for one in (wanted, heard)]
    floor = max(map(max, pair[0])) * 10 ** (-FLOOR_DB / 10)
    return _mean(
        [
            math.sqrt(_mean([(10 * math.log10((a + floor) / (b + floor))) ** 2 for a, b in bands]))
            for bands in (list(zip(*both, strict=True)) for both in zip(*pair, strict=True))
        ]
    )


def ratio_db(wanted: Sequence[int], heard: Sequence[int]) -> float:
    """The signal-to-noise ratio of `heard`."""
    noise = sum((w - h) ** 2 for w, h in zip(wanted, heard, strict=True))
    return 10 * math.log10(sum(w * w for w in wanted) / max(noise, 1))


def _place(segments: list[Segment], lost: int, reference: bytes, pcm: PcmFormat) -> Place:
    decoder = Decoder(0)
    parts = []
    # Enough before it, and all that the damage of one message can reach.
    begin = max(0, lost - 4)
    for number in range(begin, min(lost + 6, len(segments))):
        one = segments[number]
        if number != lost:
            parts += decoder.decode(
                split_frames(one.data),
                one.media_time_us,
                one.track.number,
                one.skip_samples,
                one.discard_samples,
                contiguous=number not in (begin, lost + 1) or number == 0,
            )
    parts += decoder.finish(None)
    heard = array("h", b"".join(part.raw_data for part in parts))[:: pcm.channels]
    whole = array("h", reference)[:: pcm.channels]
    first = round(segments[lost].media_time_us * pcm.frame_rate_hz / 1e6)
    fade, more = (round(s * pcm.frame_rate_hz) for s in (FADE_S, 0.05))
    last = max(i for i in range(first, len(heard)) if heard[i] != whole[i])
    low, high = first - fade, last + 1
    silent = array("h", bytes(2 * (high - low)))
    return Place(
        heard[low - 1 : high + 1],
        whole[low - 1 : high + 1],
        array("h", [0, *silent, 0]),
        whole[max(0, low - more) : high + more],
        pcm.frame_rate_hz,
    )


def _bands(values: Sequence[int], frame_rate_hz: int) -> list[list[float]]:
    """The mean power in each band, for each window."""
    size = 2 ** round(math.log2(0.02 * frame_rate_hz))
    window = [math.sin(math.pi * (i + 0.5) / size) ** 2 for i in range(size)]
    edges = [0.0, *(200 * 2 ** (third / 3) for third in range(20))]
    bins = [round(edge / frame_rate_hz * size) for edge in edges]
    bands = [(a, b) for a, b in itertools.pairwise(bins) if a < b <= size // 2]
    result = []
    for at in range(0, len(values) - size + 1, size // 2):
        windowed = [v * w for v, w in zip(values[at : at + size], window, strict=True)]
        spectrum = _fourier(windowed)
        power = [abs(one) ** 2 for one in spectrum[: size // 2]]
        result.append([_mean(power[a:b]) for a, b in bands])
    return result


def _fourier(values: Sequence[complex]) -> list[complex]:
    """The discrete Fourier transform of a power of two of values."""
    size = len(values)
    if size == 1:
        return [complex(values[0])]
    even, odd = _fourier(values[::2]), _fourier(values[1::2])
    turned = list(map(operator.mul, _turns(size), odd))
    return [*map(operator.add, even, turned), *map(operator.sub, even, turned)]


@functools.cache
def _turns(size: int) -> list[complex]:
    return [cmath.exp(-2j * math.pi * k / size) for k in range(size // 2)]


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def main() -> None:
    """Print a line for each file."""
    for name in NAMES:
        one = measure(name, 40)
        print(
            f"{name:20} {len(one.distances):3} places, distance {_mean(one.distances):5.1f} dB,"
            f" of silence {_mean(one.silence_distances):5.1f} dB, nearer in {one.nearer};"
            f" signal to noise {_mean(one.ratios):4.1f} dB, of silence 0"
        )


if __name__ == "__main__":
    main()
