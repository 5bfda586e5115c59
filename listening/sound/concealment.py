"""Sound on both sides of a hole -> what may have been in it.

Waveform substitution, as in ITU-T G.711 Appendix I, for music and from both sides. The sound
beside the hole is compared with all that is near (normalised cross-correlation); from the place
that is most alike it is continued, again and again, as an echo that dies away. So it goes on from
what came before the hole, and, the same with time reversed, back from what comes after it. In a
short hole the two are cross-faded, and of what is further away than `ECHO_S` nothing is known:
there is silence. Every seam is a cross-fade, so nothing clicks.

The cost is bounded, and only a hole has it: for each side a search through `NEAR_S` of sound, a
million multiplications in C at 48 kHz, and two passes over `ECHO_S` of it. Together that was
measured as 8 ms at 44.1 kHz in stereo, and a hole lasts 22 ms at the least (decoder.py).

Pure computation on signed 16-bit PCM. Nothing here is called where nothing is missing.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence

from listening.pcm import SAMPLE_BYTES, PcmFormat

FADE_S = 0.005
"""Long enough not to click, short beside the shortest frame (24 ms at 48 kHz)."""

TEMPLATE_S = 0.010
"""So much sound beside the hole is compared."""

NEAR_S = 0.060
"""With so much, itself included."""

LEAST_S = TEMPLATE_S + 2 * FADE_S
"""With less there is nothing to compare: it only fades."""

ECHO_S = 0.100
"""So long an echo takes to die away. What is lost most often, one datagram of 128 kbit/s, is a hole
of 102 ms or a little more."""


def bridge(before: bytes, samples: int, after: bytes, pcm: PcmFormat) -> tuple[bytes, int, bytes]:
    """What stands for the end of `before`, for `samples` that are missing, and for `after`'s start.

    Of `before` and `after` that is `FADE_S`, or all if they are shorter: they may be empty. The
    middle part is so many samples of silence.
    """
    lasts = min(samples, round(ECHO_S * pcm.frame_rate_hz))
    out = _echo(before, lasts, pcm)
    into = _reversed(_echo(_reversed(after), lasts, pcm))
    both = max(0, 2 * lasts - samples) * pcm.frame_bytes
    cut = len(out) - both
    return out[:cut], max(0, samples - 2 * lasts), _sum(out[cut:], into[:both]) + into[both:]


def _echo(past: bytes, samples: int, pcm: PcmFormat) -> bytes:
    """The last `FADE_S` of `past`, and `samples` that go on from there and die away."""
    width = pcm.frame_bytes
    fade = round(FADE_S * pcm.frame_rate_hz)
    seam = past[-fade * width :]
    if samples == 0 or len(past) < round(LEAST_S * pcm.frame_rate_hz) * width:
        return _scaled(seam, _ramp(len(seam) // width)[::-1], pcm) + bytes(samples * width)
    near = past[-round(NEAR_S * pcm.frame_rate_hz) * width :]
    lag, sign = _likeness(_mono(near, pcm), round(TEMPLATE_S * pcm.frame_rate_hz), fade)
    # What followed on the place that is most alike, and its end as it leads there again.
    turned = _times(near, sign)
    rising = _ramp(fade)
    end = _sum(
        _scaled(seam, rising[::-1], pcm),
        _scaled(turned[-(lag + fade) * width : -lag * width], rising, pcm),
    )
    period = near[-lag * width : -fade * width] + end
    two = _times(period, sign) + period
    size = samples * width
    repeated = (two * (size // len(two) + 1))[:size]
    return end + _scaled(repeated, _ramp(samples)[::-1], pcm)


def _likeness(mono: bytes, template: int, least: int) -> tuple[int, int]:
    """How many samples before its end, `least` or more, `mono` is most like its end.

    And the sign: -1 where it is most alike turned over, else 1.
    """
    import audioop

    end = mono[-template * SAMPLE_BYTES :]
    offset, factor = audioop.findfit(mono[: -least * SAMPLE_BYTES], end)
    return len(mono) // SAMPLE_BYTES - template - offset, -1 if factor < 0 else 1


def _mono(data: bytes, pcm: PcmFormat) -> bytes:
    """The mean of both channels, or half their difference if that is louder."""
    import audioop

    if pcm.channels == 1:
        return data
    middle = audioop.tomono(data, SAMPLE_BYTES, 0.5, 0.5)
    side = audioop.tomono(data, SAMPLE_BYTES, 0.5, -0.5)
    return max(middle, side, key=lambda mono: audioop.rms(mono, SAMPLE_BYTES))


def _reversed(data: bytes) -> bytes:
    """The last sample first, and the right channel for the left."""
    import audioop

    return audioop.reverse(data, SAMPLE_BYTES)


def _times(data: bytes, factor: int) -> bytes:
    import audioop

    return audioop.mul(data, SAMPLE_BYTES, factor)


def _sum(one: bytes, other: bytes) -> bytes:
    """Two pieces of one length at once; what is too loud is clipped."""
    import audioop

    return audioop.add(one, other, SAMPLE_BYTES)


def _ramp(samples: int) -> list[float]:
    """Gains that rise over `samples`; 0 and 1 would be the samples before and after."""
    return [step / (samples + 1) for step in range(1, samples + 1)]


def _scaled(data: bytes, gains: Sequence[float], pcm: PcmFormat) -> bytes:
    """`data` with one of `gains` for each sample of every channel."""
    values = array("h", data)
    for index, value in enumerate(values):
        values[index] = round(value * gains[index // pcm.channels])
    return values.tobytes()
