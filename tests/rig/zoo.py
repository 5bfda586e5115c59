"""Every kind of file that the server may be given, made when a test asks for it.

The MP3 comes from PyAV's LAME, and from surgery on its bytes where no encoder makes such files.
Each is one to three seconds of a signal with tones, beats and noise, so that no two frames sound
alike and a sample in the wrong place is seen. Everything is seeded: a file is the same each time.
"""

from __future__ import annotations

import atexit
import functools
import itertools
import math
import random
import shutil
import struct
import tempfile
from array import array
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import av
from av.audio.stream import AudioStream

_LAYOUTS = {1: "mono", 2: "stereo", 6: "5.1"}
_CRC_POLYNOMIAL = 0x8005

PERIOD_S = 3.0


@functools.cache
def signal(sample_rate_hz: int, channels: int, samples: int) -> bytes:
    """Signed 16-bit PCM: two tones, one of them rising, and a burst of noise each 0.3 s.

    What is longer than `PERIOD_S` begins anew: it takes long to make.
    """
    period = round(PERIOD_S * sample_rate_hz)
    if samples > period:
        whole, rest = divmod(samples, period)
        one = signal(sample_rate_hz, channels, period)
        return one * whole + one[: rest * channels * 2]
    values = array("h", bytes(2 * samples * channels))
    for channel, voice in zip(range(channels), itertools.cycle(_voices(sample_rate_hz, samples))):
        values[channel::channels] = voice
    return values.tobytes()


@functools.cache
def _voices(sample_rate_hz: int, samples: int) -> tuple[array[int], array[int]]:
    """What is in the channels by turns."""
    noise = random.Random(sample_rate_hz)
    even, odd = array("h"), array("h")
    for index in range(samples):
        time_s = index / sample_rate_hz
        beat = math.exp(-25 * (time_s % 0.3)) * noise.uniform(-1, 1)
        tone = math.sin(2 * math.pi * 330 * time_s)
        rising = math.sin(2 * math.pi * (200 + 400 * time_s) * time_s)
        even.append(round(32767 * (0.2 * tone + 0.2 * rising + 0.4 * beat)))
        odd.append(round(32767 * (0.3 * tone + 0.2 * rising + 0.4 * beat)))
    return even, odd


def encode(
    path: Path,
    *,
    codec: str = "libmp3lame",
    container: str | None = None,
    sample_rate_hz: int = 44100,
    channels: int = 2,
    duration_s: float = 1.5,
    kbps: int | None = 128,
    vbr_quality: int | None = None,
    codec_options: dict[str, str] | None = None,
    container_options: dict[str, str] | None = None,
    tags: dict[str, str] | None = None,
) -> list[bytes]:
    """Write `signal` to `path` as any codec in any container; returns the encoder's packets."""
    samples = round(duration_s * sample_rate_hz)
    layout = _LAYOUTS[channels]
    with av.open(str(path), "w", format=container, options=container_options or {}) as output:
        output.metadata.update(tags or {})
        stream = output.add_stream(
            codec, rate=sample_rate_hz, layout=layout, options=codec_options or {}
        )
        assert isinstance(stream, AudioStream)
        if kbps is not None:
            stream.bit_rate = kbps * 1000
        if vbr_quality is not None:
            stream.codec_context.qscale = True
            stream.codec_context.global_quality = vbr_quality * 118  # FF_QP2LAMBDA
        frame = av.AudioFrame("s16", layout, samples)
        frame.sample_rate, frame.pts = sample_rate_hz, 0
        frame.planes[0].update(signal(sample_rate_hz, channels, samples))
        packets = [*stream.encode(frame), *stream.encode(None)]
        contents = [bytes(packet) for packet in packets]
        for packet in packets:
            output.mux(packet)
    return contents


def reference_pcm(path: Path) -> bytes:
    """What FFmpeg decodes the file to, as signed 16-bit PCM."""
    resampler = av.AudioResampler("s16")
    parts = []
    with av.open(str(path), metadata_errors="replace") as container:
        for frame in container.decode(audio=0):
            for converted in resampler.resample(frame):
                size = 2 * converted.layout.nb_channels * converted.samples
                parts.append(bytes(converted.planes[0])[:size])
    return b"".join(parts)


def frames_in(path: Path) -> list[bytes]:
    """The MP3 frames of a file as FFmpeg finds them, without tags and Info frame."""
    with av.open(str(path)) as container:
        return [bytes(packet) for packet in container.demux(audio=0) if packet.size]


Surgery = tuple[bytes, list[bytes]]
"""The bytes of a file, and the frames that are in them."""


class ZooFile(NamedTuple):
    """A file, and the MP3 frames that are in it (none if it is not MP3)."""

    path: Path
    frames: list[bytes]


def with_crc(frame: bytes) -> bytes:
    """`frame` with a check word, for which the last two bytes make room (11172-3, 2.4.3.1)."""
    protected = frame[:1] + bytes([frame[1] & 0xFE]) + frame[2:]
    side_info_bytes = 17 if frame[3] >> 6 == 3 else 32
    crc = 0xFFFF
    for byte in protected[2 : 4 + side_info_bytes]:
        crc ^= byte << 8
        for _ in range(8):
            crc = (crc << 1 ^ (_CRC_POLYNOMIAL if crc & 0x8000 else 0)) & 0xFFFF
    return protected[:4] + crc.to_bytes(2) + protected[4:-2]


def id3v2(content: bytes) -> bytes:
    """An ID3v2.3 tag with one attached picture of `content`."""
    picture = b"\0image/jpeg\0\3\0" + content
    frame = b"APIC" + struct.pack(">IH", len(picture), 0) + picture
    size = bytes(len(frame) >> shift & 0x7F for shift in (21, 14, 7, 0))
    return b"ID3\3\0\0" + size + frame


def id3v1(title: str) -> bytes:
    """The 128 bytes at the end of an old file."""
    return b"TAG" + title.encode("latin-1").ljust(124, b"\0") + b"\xff"


def ape_tag(title: bytes) -> bytes:
    """An APEv2 tag with one item, without the optional header."""
    item = struct.pack("<II", len(title), 0) + b"Title\0" + title
    footer = b"APETAGEX" + struct.pack("<IIII8x", 2000, len(item) + 32, 1, 0)
    return item + footer


def noise(size: int, seed: int) -> bytes:
    """Bytes that mean nothing."""
    return random.Random(seed).randbytes(size)


_MP3: dict[str, dict[str, Any]] = {
    "cbr-128.mp3": {},
    "cbr-320.mp3": {"kbps": 320},
    "cbr-32-mono.mp3": {"kbps": 32, "channels": 1, "sample_rate_hz": 32000},
    "vbr.mp3": {"kbps": None, "vbr_quality": 4, "duration_s": 3},
    "abr.mp3": {"codec_options": {"abr": "1"}, "sample_rate_hz": 48000},
    "mono.mp3": {"kbps": 64, "channels": 1},
    "not-joint.mp3": {"codec_options": {"joint_stereo": "0"}},
    "no-reservoir.mp3": {"codec_options": {"reservoir": "0"}},
    "no-xing.mp3": {"container_options": {"write_xing": "0"}},
    "vbr-no-xing.mp3": {
        "kbps": None,
        "vbr_quality": 2,
        "container_options": {"write_xing": "0"},
    },
    "mpeg2-24.mp3": {"kbps": 64, "sample_rate_hz": 24000},
    "mpeg2-22-mono.mp3": {"kbps": 32, "sample_rate_hz": 22050, "channels": 1},
    "mpeg2-16.mp3": {"kbps": 160, "sample_rate_hz": 16000},
    "mpeg25-12.mp3": {"kbps": 32, "sample_rate_hz": 12000},
    "mpeg25-11.mp3": {"kbps": 48, "sample_rate_hz": 11025},
    "mpeg25-8-mono.mp3": {"kbps": 8, "sample_rate_hz": 8000, "channels": 1, "duration_s": 3},
    "short.mp3": {"duration_s": 0.01},
    "tagged.mp3": {"tags": {"title": "Wiegenlied", "artist": "J. Brahms"}},
    "in-matroska.mkv": {"container": "matroska"},
    "in-mp4.mp4": {"container": "mp4"},
    "in-wav.wav": {"container": "wav"},
}

_OTHER: dict[str, dict[str, Any]] = {
    "pcm.wav": {"codec": "pcm_s16le"},
    "pcm-mono-8.wav": {"codec": "pcm_s16le", "sample_rate_hz": 8000, "channels": 1},
    "pcm-96.wav": {"codec": "pcm_s16le", "sample_rate_hz": 96000},
    "pcm-5.1.wav": {"codec": "pcm_s16le", "channels": 6},
    "flac.flac": {"codec": "flac", "tags": {"TITLE": "Gavotte"}},
    "vorbis.ogg": {
        "codec": "vorbis",
        "codec_options": {"strict": "-2"},
        "tags": {"title": "Bourrée"},
    },
    "opus.opus": {"codec": "libopus", "container": "ogg", "sample_rate_hz": 48000},
    "aac.m4a": {"codec": "aac", "container": "mp4"},
    "layer2.mp2": {"codec": "mp2"},
}


def _picture(frames: list[bytes]) -> Surgery:
    return id3v2(noise(2_000_000, 1)) + b"".join(frames), frames


def _tails(frames: list[bytes]) -> Surgery:
    return b"".join(frames) + ape_tag(b"Largo") + id3v1("Presto"), frames


def _cut_in_frame(frames: list[bytes]) -> Surgery:
    return b"".join(frames)[: -len(frames[-1]) // 2], frames[:-1]


def _cut_at_start(frames: list[bytes]) -> Surgery:
    # Its first frames reach back into a reservoir that is gone.
    return b"".join(frames[9:]), frames[9:]


def _garbage_before(frames: list[bytes]) -> Surgery:
    return noise(3000, 2) + b"".join(frames), frames


def _garbage_between(frames: list[bytes]) -> Surgery:
    parts = []
    for number, frame in enumerate(frames):
        parts.append(frame)
        if number % 8 == 7:
            parts.append(noise(40 * number, number))
    return b"".join(parts), frames


def _garbage_after(frames: list[bytes]) -> Surgery:
    return b"".join(frames) + noise(5000, 3), frames


def _check_words(frames: list[bytes]) -> Surgery:
    protected = [with_crc(frame) for frame in frames]
    return b"".join(protected), protected


def _damaged(frames: list[bytes]) -> Surgery:
    changed = list(frames)
    for number in (20, 21, 30):
        changed[number] = changed[number][:40] + noise(len(changed[number]) - 40, number)
    return b"".join(changed), changed


_SURGERY: dict[str, tuple[Callable[[list[bytes]], Surgery], dict[str, Any]]] = {
    "picture.mp3": (_picture, {}),
    "tails.mp3": (_tails, {}),
    "cut-in-frame.mp3": (_cut_in_frame, {}),
    "cut-at-start.mp3": (_cut_at_start, {"kbps": 96}),
    "garbage-before.mp3": (_garbage_before, {}),
    "garbage-between.mp3": (_garbage_between, {}),
    "garbage-after.mp3": (_garbage_after, {}),
    # Plenty of bits for a plain signal: the last bytes of a frame are stuffing.
    "check-words.mp3": (
        _check_words,
        {"kbps": 320, "sample_rate_hz": 32000, "codec_options": {"reservoir": "0"}},
    ),
    "damaged.mp3": (_damaged, {}),
}

MP3_NAMES = (*_MP3, *_SURGERY)
OTHER_NAMES = (*_OTHER,)


@functools.cache
def zoo_file(name: str) -> ZooFile:
    """The file of this name, made the first time and removed at the end of the process."""
    path = _folder() / name
    if name in _SURGERY:
        change, options = _SURGERY[name]
        content, frames = change(encode(path, **options))
        path.write_bytes(content)
        return ZooFile(path, frames)
    if name in _MP3:
        return ZooFile(path, encode(path, **_MP3[name]))
    encode(path, kbps=None, **_OTHER[name])
    return ZooFile(path, [])


@functools.cache
def _folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="zoo-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder
