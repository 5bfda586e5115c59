"""Any audio that FFmpeg decodes -> packets of MP3, on the fly, with LAME.

Packets in, packets out, lazily. The first and the last packets that come out carry the encoder's
delay and padding as side data, just as those of an MP3 file do, so that exactly as many samples
are heard as went in.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import NamedTuple, TypeAlias

import av
from av.audio.codeccontext import AudioCodecContext
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream

from audio.mpeg_audio import SAMPLE_RATES_HZ

# For each channel in MPEG-1, as in 192 kbit/s stereo; LAME's upper bounds for two channels in
# MPEG-2, and for any number in MPEG-2.5.
_BPS_A_CHANNEL = 96_000
_MAX_BPS_MPEG2 = 160_000
_MAX_BPS_MPEG25 = 64_000

AvPacket: TypeAlias = "av.Packet[AudioStream]"

_LAYOUTS = {1: "mono", 2: "stereo"}


class Mp3Format(NamedTuple):
    """Format of encoded audio."""

    sample_rate_hz: int
    channels: int
    bit_rate_bps: int


def mp3_format(sample_rate_hz: int, channels: int) -> Mp3Format:
    """The MP3 format closest to audio of this sample rate and number of channels.

    A rate that MP3 does not have becomes the next higher one; above 48 kHz, the one of 44.1 and
    48 kHz that divides it, else 48 kHz. More than two channels are mixed down to two.
    """
    if sample_rate_hz <= 48_000:
        rate_hz = next(rate for rate in SAMPLE_RATES_HZ if rate >= sample_rate_hz)
    else:
        rate_hz = 44_100 if sample_rate_hz % 44_100 == 0 else 48_000
    channels = min(max(channels, 1), 2)
    most_bps = 320_000
    if rate_hz < 16_000:
        most_bps = _MAX_BPS_MPEG25
    elif rate_hz < 32_000:
        most_bps = _MAX_BPS_MPEG2
    return Mp3Format(rate_hz, channels, min(_BPS_A_CHANNEL * channels, most_bps))


def transcoded(packets: Iterator[AvPacket], target: Mp3Format) -> Iterator[AvPacket]:
    """Packets of one MP3 frame each from packets of any audio; raises what `packets` raises.

    A packet that cannot be decoded is left out.
    """
    return _encoded(_resampled(_decoded(packets), target), target)


def _decoded(packets: Iterator[AvPacket]) -> Iterator[AudioFrame]:
    for packet in packets:
        try:
            yield from packet.decode()
        except av.InvalidDataError:
            continue


def _resampled(frames: Iterator[AudioFrame], target: Mp3Format) -> Iterator[AudioFrame]:
    """`frames` in the format that the encoder takes. Their own may change on the way."""
    resampler, form = None, None
    for frame in frames:
        frame.pts = None  # Samples follow each other, whatever the time stamps say.
        if resampler is None or form != (frame.format.name, frame.layout.name, frame.sample_rate):
            if resampler is not None:
                yield from resampler.resample(None)
            resampler = AudioResampler("fltp", _LAYOUTS[target.channels], target.sample_rate_hz)
            form = (frame.format.name, frame.layout.name, frame.sample_rate)
        yield from resampler.resample(frame)
    if resampler is not None:
        yield from resampler.resample(None)


def _encoded(frames: Iterator[AudioFrame], target: Mp3Format) -> Iterator[AvPacket]:
    encoder = _encoder(target)
    for frame in frames:
        yield from encoder.encode(frame)
    yield from encoder.encode(None)


def _encoder(target: Mp3Format) -> AudioCodecContext:
    encoder = av.CodecContext.create("libmp3lame", "w")
    encoder.sample_rate = target.sample_rate_hz
    encoder.layout = _LAYOUTS[target.channels]
    encoder.format = "fltp"
    encoder.bit_rate = target.bit_rate_bps
    encoder.time_base = Fraction(1, target.sample_rate_hz)
    # Without the bit reservoir a lost frame does not spoil those that follow it.
    encoder.options = {"reservoir": "0"}
    encoder.open()
    return encoder
