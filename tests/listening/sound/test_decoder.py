"""MP3 frames -> PCM: exact to the bit without a loss, exact in time and in place with one."""

import dataclasses
import itertools
import random
import subprocess
import sys
import time
from array import array
from collections.abc import Collection, Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import av
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audio.mpeg_audio import split_frames
from broadcasting.source.segments import Segment, read_segments
from listening.sound.concealment import ECHO_S, FADE_S
from listening.sound.converter import Converter
from listening.sound.decoder import Decoder
from listening.sound.pcm import PcmFormat, audio_segment
from listening.sound.splicer import RING_S, Splicer
from tests.rig.luck import examples
from tests.rig.zoo import MP3_NAMES, encode, reference_pcm, zoo_file

AudioSegment = Any
"""pydub has no types."""

MAX_DATA_BYTES = 1316

# FFmpeg itself refuses to decode these, or decodes half a frame at the end.
NO_REFERENCE = {"tails.mp3", "cut-in-frame.mp3", "garbage-between.mp3", "garbage-after.mp3"}


@cache
def segments_of(*names: str, max_data_bytes: int = MAX_DATA_BYTES) -> list[Segment]:
    return list(read_segments([zoo_file(name).path for name in names], max_data_bytes))


@cache
def pcm_of(name: str) -> bytes:
    """What the file itself decodes to."""
    return reference_pcm(zoo_file(name).path)


def end_us(segments: Sequence[Segment]) -> int:
    return segments[-1].media_time_us + segments[-1].duration_us


def decode(decoder: Decoder, segment: Segment, **how: bool) -> list[AudioSegment]:
    return decoder.decode(
        split_frames(segment.data),
        segment.media_time_us,
        segment.track.number,
        segment.skip_samples,
        segment.discard_samples,
        **{"contiguous": True, **how},
    )


def play(
    segments: Sequence[Segment],
    lost: Collection[int] = (),
    start_time_us: int | None = None,
    decoder: Decoder | None = None,
    told: bool = False,
) -> list[AudioSegment]:
    """What a listener hears who never gets the messages `lost`.

    `told`: the decoder hears of it before it is known that something follows.
    """
    decoder = decoder or Decoder(start_time_us)
    heard, arrived = [], -1
    # Later than this, what dies away would outlast the stream.
    told_until_us = end_us(segments) - RING_S * 1e6 if told else 0
    for number, segment in enumerate(segments):
        if number not in lost:
            heard += decode(decoder, segment, contiguous=arrived == number - 1)
            arrived = number
        elif segment.media_time_us < told_until_us:
            heard += decoder.gap()
    return heard + decoder.finish(end_us(segments))


def joined(audio: Iterable[AudioSegment]) -> bytes:
    return b"".join(piece.raw_data for piece in audio)


def seconds(data: bytes, segment: Segment) -> float:
    return len(data) / (2 * segment.track.channels * segment.track.frame_rate_hz)


@pytest.mark.parametrize("name", sorted(set(MP3_NAMES) - NO_REFERENCE))
def test_without_a_loss_every_sample_is_the_files_own(name: str) -> None:
    decoder = Decoder(0)
    assert joined(play(segments_of(name), decoder=decoder)) == pcm_of(name)
    assert decoder.audio_time.concealed_s == 0.0
    assert decoder.audio_time.intact_s == seconds(pcm_of(name), segments_of(name)[0])


@pytest.mark.parametrize("max_data_bytes", [1, 200, 5000])
def test_it_does_not_matter_how_frames_are_grouped(max_data_bytes: int) -> None:
    for name in ("vbr.mp3", "mpeg25-12.mp3"):
        segments = segments_of(name, max_data_bytes=max_data_bytes)
        assert joined(play(segments)) == pcm_of(name)


def test_a_change_between_mono_and_stereo_within_a_file_loses_nothing(tmp_path: Path) -> None:
    parts = [
        encode(
            tmp_path / f"{channels}.mp3", channels=channels, container_options={"write_xing": "0"}
        )
        for channels in (2, 1)
    ]
    path = tmp_path / "both.mp3"
    path.write_bytes(b"".join(parts[0] + parts[1] + parts[0] + parts[1]))
    segments = list(read_segments([path], MAX_DATA_BYTES))
    assert {segment.track.number for segment in segments} == {1}
    heard = play(segments, decoder=(decoder := Decoder(0)))
    # What FFmpeg makes of the file with one codec, which is the player of the file.
    wanted = []
    with av.open(str(path)) as container:
        for frame in container.decode(audio=0):
            (one,) = av.AudioResampler("s16").resample(frame)
            wanted.append(bytes(one.planes[0])[: 2 * one.layout.nb_channels * one.samples])
    assert joined(heard) == b"".join(wanted)
    assert [channels for channels, _ in itertools.groupby(one.channels for one in heard)] == [
        *(2, 1, 2, 1)
    ]
    assert decoder.audio_time.concealed_s == 0.0


def test_each_track_begins_and_ends_clean() -> None:
    names = ("cbr-128.mp3", "mpeg2-22-mono.mp3", "cbr-128.mp3", "vbr.mp3")
    heard = play(segments_of(*names))
    by_format = itertools.groupby(heard, lambda audio: (audio.frame_rate, audio.channels))
    assert [joined(group) for _, group in by_format] == [
        pcm_of("cbr-128.mp3"),
        pcm_of("mpeg2-22-mono.mp3"),
        pcm_of("cbr-128.mp3") + pcm_of("vbr.mp3"),
    ]


@pytest.mark.parametrize("second", ["no-xing.mp3", "cut-at-start.mp3"])
def test_nothing_of_one_track_is_left_in_the_next(second: str) -> None:
    # Neither has a delay that would hide it. The second reaches back into what is not there.
    heard = play(segments_of("no-xing.mp3", second))
    assert joined(heard) == pcm_of("no-xing.mp3") + pcm_of(second)


def test_track_that_follows_on_a_concealed_end_begins_at_once() -> None:
    segments = segments_of("vbr.mp3", "no-xing.mp3")
    change = next(i for i, segment in enumerate(segments) if segment.track.number == 2)
    heard = joined(play(segments, {change - 2}))
    assert heard.endswith(pcm_of("no-xing.mp3"))
    assert not any(heard[-len(pcm_of("no-xing.mp3")) - 4000 : -len(pcm_of("no-xing.mp3"))])


@pytest.mark.parametrize("name", ["pcm.wav", "pcm-mono-8.wav", "flac.flac"])
def test_what_was_encoded_on_the_way_is_heard_at_its_place(name: str) -> None:
    original = array("h", pcm_of(name))
    heard = array("h", joined(play(segments_of(name))))
    assert len(heard) == len(original)
    channels = segments_of(name)[0].track.channels

    def difference(shift: int) -> int:
        shifted = heard[shift * channels : shift * channels + 20_000]
        return sum((h - o) ** 2 for h, o in zip(shifted, original, strict=False))

    assert min(range(6), key=difference) == 0
    assert difference(0) < 0.2 * sum(value**2 for value in original[:20_000])


# Losses.


def damage(segments: Sequence[Segment], lost: Collection[int]) -> list[tuple[int, int]]:
    """The spans of kept samples that cannot be heard when `lost` never come.

    A model of its own: the standard's reservoir, then a granule of overlap (576 samples) and
    the synthesis filterbank's memory (480).
    """
    spans: list[tuple[int, int]] = []
    kept = 0
    reservoir: int | None = None
    stale = 0
    for number, segment in enumerate(segments):
        if number in lost:
            reservoir, stale = 0, 1056
        start = kept
        position = kept - segment.skip_samples
        frames = split_frames(segment.data)
        total = sum(frame.header.samples for frame in frames)
        kept += total - segment.skip_samples - segment.discard_samples
        if number in lost:
            spans.append((start, kept))
            continue
        for frame in frames:
            samples = frame.header.samples
            if reservoir is not None and frame.main_data_begin <= reservoir:
                reservoir = None
            if reservoir is not None:
                reservoir += frame.header.main_data_bytes
                wrong = samples
            else:
                wrong = min(stale, samples)
                stale -= wrong
            low, high = max(position, start), min(position + wrong, kept)
            if low < high:
                spans.append((low, high))
            position += samples
    return merged(spans)


def merged(spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    result: list[tuple[int, int]] = []
    for low, high in spans:
        if result and result[-1][1] == low:
            result[-1] = (result[-1][0], high)
        elif low < high:
            result.append((low, high))
    return result


def assert_only_damage(
    heard: bytes, reference: bytes, spans: Sequence[tuple[int, int]], pcm: PcmFormat
) -> None:
    """`heard` is `reference` but in `spans` and where it fades beside them.

    Of what is far within a span nothing is heard.
    """
    echo = round(ECHO_S * pcm.frame_rate_hz)
    fade = round(FADE_S * pcm.frame_rate_hz)
    width = pcm.frame_bytes
    total = len(reference) // width
    assert len(heard) == len(reference)
    clean_from = 0
    for low, high in [*spans, (total + fade, total + fade)]:
        clean_to = min(max(clean_from, low - fade), total)
        clean = slice(clean_from * width, clean_to * width)
        assert heard[clean] == reference[clean]
        assert not any(heard[(low + echo) * width : max(0, high - echo) * width])
        clean_from = min(high + fade, total)


LOSSY_NAMES = (
    "cbr-128.mp3",
    "vbr.mp3",
    "no-xing.mp3",
    "check-words.mp3",
    "mono.mp3",
    "mpeg2-24.mp3",
    "mpeg25-8-mono.mp3",
)


@settings(deadline=None, max_examples=examples(60))
@given(st.sampled_from(LOSSY_NAMES), st.sampled_from([1, MAX_DATA_BYTES]), st.booleans(), st.data())
def test_after_any_loss_time_is_exact_and_sound_is_the_files_own(
    name: str, max_data_bytes: int, told: bool, data: st.DataObject
) -> None:
    segments = segments_of(name, max_data_bytes=max_data_bytes)
    lost = data.draw(st.sets(st.integers(1, len(segments) - 1), max_size=8))
    decoder = Decoder(0)
    heard = joined(play(segments, lost, decoder=decoder, told=told))
    track = segments[0].track
    pcm = PcmFormat(track.frame_rate_hz, track.channels)
    spans = damage(segments, lost)
    assert_only_damage(heard, pcm_of(name), spans, pcm)
    concealed = sum(high - low for low, high in spans)
    assert decoder.audio_time.concealed_s == pytest.approx(concealed / pcm.frame_rate_hz)
    assert decoder.audio_time.intact_s + decoder.audio_time.concealed_s == pytest.approx(
        seconds(heard, segments[0])
    )


@pytest.mark.parametrize("name", LOSSY_NAMES)
@pytest.mark.parametrize("first", [1, 2, 5])
def test_late_join_begins_at_its_message_and_is_soon_exact(name: str, first: int) -> None:
    segments = segments_of(name, max_data_bytes=1)[first:]
    decoder = Decoder()
    heard = []
    for number, segment in enumerate(segments):
        heard += decode(decoder, segment, contiguous=number > 0)
    heard += decoder.finish(end_us(segments))
    track = segments[0].track
    pcm = PcmFormat(track.frame_rate_hz, track.channels)
    start = round(segments[0].media_time_us * pcm.frame_rate_hz / 1e6) * pcm.frame_bytes
    # The message before the first is the one that is lost, and is no part of what is heard.
    whole = segments_of(name, max_data_bytes=1)[first - 1 :]
    lost = damage(whole, {0})
    before = whole[0].duration_us * pcm.frame_rate_hz / 1e6
    spans = [(max(0, low - round(before)), high - round(before)) for low, high in lost]
    assert_only_damage(joined(heard), pcm_of(name)[start:], spans, pcm)


def test_sound_that_dies_away_may_outlast_the_stream_but_not_by_more() -> None:
    segments = segments_of("mpeg2-24.mp3", max_data_bytes=1)
    decoder = Decoder(0)
    heard = [part for one in segments[:-2] for part in decode(decoder, one)]
    heard += decoder.gap()
    heard += decode(decoder, segments[-1], contiguous=False)
    heard += decoder.finish(end_us(segments))
    width, died_away = 4, round(RING_S * 24_000)
    until_gap = round(segments[-2].media_time_us * 24_000 / 1e6)
    assert len(joined(heard)) == (until_gap + died_away) * width
    assert len(joined(heard)) > len(pcm_of("mpeg2-24.mp3"))


def test_timeline_begins_where_it_is_told_to() -> None:
    segments = segments_of("cbr-128.mp3")
    heard = joined(play(segments, lost={0, 1, 2}, start_time_us=0))
    assert len(heard) == len(pcm_of("cbr-128.mp3"))


def test_loss_across_tracks_keeps_the_time() -> None:
    segments = segments_of("cbr-128.mp3", "mpeg2-22-mono.mp3", "vbr.mp3")
    change = next(i for i, segment in enumerate(segments) if segment.track.number == 2)
    heard = play(segments, range(change - 3, change + 3))
    total_s = sum(piece.frame_count() / piece.frame_rate for piece in heard)
    assert total_s == pytest.approx(end_us(segments) / 1e6, abs=2e-6 + 1 / 22050)
    assert joined(heard).endswith(pcm_of("vbr.mp3"))


def test_repaired_sound_is_counted_apart() -> None:
    segments = segments_of("no-xing.mp3")
    decoder = Decoder(0)
    for number, segment in enumerate(segments):
        decode(decoder, segment, repaired=number in {3, 7})
    decoder.finish(None)
    repaired_us = segments[3].duration_us + segments[7].duration_us
    assert decoder.audio_time.repaired_s == pytest.approx(repaired_us / 1e6, abs=2e-6)
    assert decoder.audio_time.intact_s + decoder.audio_time.repaired_s == pytest.approx(
        end_us(segments) / 1e6, abs=1e-6
    )
    assert decoder.audio_time.concealed_s == 0.0


# Edges.


def test_five_milliseconds_are_held_back_until_it_is_known_what_follows() -> None:
    segments = segments_of("no-xing.mp3")
    decoder = Decoder(0)
    heard = joined(decode(decoder, segments[0]) + decode(decoder, segments[1]))
    reference = pcm_of("no-xing.mp3")[: 6 * 1152 * 4]
    held = round(FADE_S * 44100) * 4
    assert heard == reference[:-held]
    assert joined(decoder.finish(None)) == reference[-held:]


def test_gap_of_unknown_length_dies_away_and_what_was_given_out_is_not_given_again() -> None:
    segments = segments_of("no-xing.mp3")
    reference = pcm_of("no-xing.mp3")
    known, ring = 3 * 1152, round(RING_S * 44100)
    decoder = Decoder(0)
    heard = joined(decode(decoder, segments[0]) + decoder.gap())
    assert len(heard) == (known + ring) * 4
    assert decoder.audio_time.concealed_s == pytest.approx(RING_S)
    ringing = array("h", heard[known * 4 :])
    assert max(map(abs, ringing[:1000])) > 1000 > max(map(abs, ringing[-100:]))
    assert decoder.gap() == []
    # It is not continued, whatever is said of it. Nothing was missing but what cannot be decoded.
    rest = decode(decoder, segments[1]) + decode(decoder, segments[2]) + decoder.finish(None)
    heard += joined(rest)
    assert len(heard) == 3 * known * 4
    exact = (known + ring + 1056 + 220) * 4
    assert heard[exact:] == reference[exact : len(heard)]
    assert decoder.audio_time.intact_s + decoder.audio_time.concealed_s == pytest.approx(
        len(heard) / 4 / 44100
    )


@pytest.mark.parametrize("max_data_bytes", [1, MAX_DATA_BYTES])
def test_gap_that_was_none_moves_nothing(max_data_bytes: int) -> None:
    # No frame lasts as long as what was given out in the place of the first two.
    segments = segments_of("no-xing.mp3", max_data_bytes=max_data_bytes)
    decoder = Decoder(0)
    heard = []
    for number, segment in enumerate(segments):
        heard += decode(decoder, segment)
        if number % 20 == 9:
            heard += decoder.gap()
    heard += decoder.finish(end_us(segments))
    data, reference = joined(heard), pcm_of("no-xing.mp3")
    assert len(data) == len(reference)
    assert data[-4 * 1152 :] == reference[-4 * 1152 :]
    assert decoder.audio_time.intact_s + decoder.audio_time.concealed_s == pytest.approx(
        len(data) / 4 / 44100
    )


def assert_ramp(faded: Sequence[int], reference: Sequence[int], channels: int = 2) -> None:
    """From silence at the start to full volume at the end, in even steps."""
    steps = len(faded) // channels + 1
    for index, (value, full) in enumerate(zip(faded, reference, strict=True)):
        assert abs(value - full * (index // channels + 1) / steps) <= 1


def test_end_that_is_later_than_the_sound_is_soon_silence() -> None:
    segments = segments_of("no-xing.mp3")[:4]
    decoder = Decoder(0)
    heard = [piece for segment in segments for piece in decode(decoder, segment)]
    data = joined(heard + decoder.finish(end_us(segments) + 2_500_000))
    assert len(data) == (12 * 1152 + 110250) * 4
    assert not any(data[(12 * 1152 + round(ECHO_S * 44100)) * 4 :])
    assert decoder.audio_time.concealed_s == 2.5


@pytest.mark.parametrize("time_us", [0, 2**64 - 1])
def test_end_that_cannot_be_cuts_nothing_and_adds_nothing(time_us: int) -> None:
    segments = segments_of("no-xing.mp3")[:4]
    decoder = Decoder(0)
    heard = [piece for segment in segments for piece in decode(decoder, segment)]
    assert joined(heard + decoder.finish(time_us)) == pcm_of("no-xing.mp3")[: 12 * 1152 * 4]


def test_nothing_comes_of_nothing() -> None:
    decoder = Decoder()
    assert decoder.gap() == []
    assert decoder.finish(1_000_000) == []


def test_silence_of_an_hour_costs_one_second_of_memory() -> None:
    segments = segments_of("no-xing.mp3")
    decoder = Decoder(0)
    decode(decoder, segments[0])
    late = segments[1].media_time_us + 3_600_000_000
    began = time.process_time()
    heard = decoder.decode(split_frames(segments[1].data), late, 1, 0, 0, contiguous=False)
    assert time.process_time() - began < 0.5
    assert sum(int(piece.frame_count()) for piece in heard) >= 3600 * 44100
    assert max(piece.duration_seconds for piece in heard) <= 1.0
    assert sum(len(data) for data in {id(p): p.raw_data for p in heard}.values()) < 1_000_000
    assert decoder.audio_time.concealed_s == pytest.approx(3600 + 1056 / 44100, abs=0.1)


@pytest.mark.parametrize("jump_us", [-3_000_000, 10**12, 2**64 - 1 - 10**7])
def test_jump_that_is_no_gap_begins_the_timeline_anew(jump_us: int) -> None:
    segments = segments_of("no-xing.mp3")
    decoder = Decoder(5_000_000)
    for segment in segments[:3]:
        time_us = segment.media_time_us + 5_000_000
        decoder.decode(split_frames(segment.data), time_us, 1, 0, 0, contiguous=True)
    heard = decoder.decode(
        split_frames(segments[3].data), 5_000_000 + jump_us, 1, 0, 0, contiguous=False
    )
    frames = split_frames(segments[3].data)
    held = 220 * 4
    assert len(joined(heard + decoder.finish(None))) == len(frames) * 1152 * 4 + held


def test_hole_in_another_format_fades_out_the_sound_before_it() -> None:
    splicer = Splicer()
    splicer.sound(array("h", [10_000] * 1000).tobytes(), PcmFormat(8000, 1))
    splicer.conceal(500, PcmFormat(16000, 2))
    splicer.join()
    sound, silence = splicer.take()
    assert (sound.frame_rate, silence.frame_rate) == (8000, 16000)
    assert_ramp(array("h", sound.raw_data)[-40:][::-1], [10_000] * 40, channels=1)


# What a server that is not ours may send.


@settings(deadline=None, max_examples=examples(100))
@given(
    media_time_us=st.integers(0, 2**64 - 1),
    track=st.integers(0, 65535),
    skip_samples=st.integers(0, 65535),
    discard_samples=st.integers(0, 65535),
    contiguous=st.booleans(),
)
def test_numbers_that_cannot_be_are_played_for_what_they_are(**fields: Any) -> None:
    segments = segments_of("no-xing.mp3")
    decoder = Decoder(0)
    heard = decode(decoder, segments[0])
    heard += decoder.decode(split_frames(segments[1].data), **fields)
    heard += decoder.finish(None)
    counted_s = decoder.audio_time.intact_s + decoder.audio_time.concealed_s
    assert counted_s == pytest.approx(sum(piece.frame_count() for piece in heard) / 44_100)
    kept = max(0, 3 * 1152 - fields["skip_samples"] - fields["discard_samples"])
    assert (3 * 1152 + kept) / 44_100 >= decoder.audio_time.intact_s


@settings(deadline=None, max_examples=examples(100))
@given(st.integers(0, 2**32), st.integers(0, 3000), st.integers(0, 3000))
def test_frames_of_noise_never_raise_and_keep_the_time(seed: int, skip: int, discard: int) -> None:
    chance = random.Random(seed)
    segments = segments_of("no-xing.mp3")
    decoder = Decoder(0)
    heard = decode(decoder, segments[0])
    parts = []
    for frame in split_frames(segments[1].data):
        kept = chance.choice([4, 6, 36, 100])
        parts.append(frame.data[:kept] + chance.randbytes(len(frame.data) - kept))
    frames = split_frames(b"".join(parts))
    noise_us = segments[1].media_time_us
    heard += decoder.decode(frames, noise_us, 1, skip, discard, contiguous=True)
    heard += decoder.finish(None)
    samples = 3 * 1152 + max(0, 3 * 1152 - skip - discard)
    assert len(joined(heard)) == samples * 4
    assert decoder.audio_time.intact_s + decoder.audio_time.concealed_s == pytest.approx(
        samples / 44100
    )


@pytest.mark.parametrize("name", LOSSY_NAMES)
def test_frame_that_is_refused_is_as_good_as_lost(
    name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    segments = list(segments_of(name, max_data_bytes=1))
    bad = segments[9]
    # Side information of ones: 511 big values, where 288 are the most (11172-3, 2.4.2.7).
    data = bad.data[:6] + b"\xff" * 40 + bad.data[46:]
    segments[9] = dataclasses.replace(bad, data=data[: len(bad.data)])
    track = bad.track
    heard = joined(play(segments))
    spans = damage(segments_of(name, max_data_bytes=1), {9})
    assert_only_damage(heard, pcm_of(name), spans, PcmFormat(track.frame_rate_hz, track.channels))
    assert capfd.readouterr() == ("", "")


def test_change_of_format_without_a_new_track_is_played() -> None:
    decoder = Decoder(0)
    # Both begin their files: their frames need none that came before.
    first, second = segments_of("no-xing.mp3")[0], segments_of("mpeg2-22-mono.mp3")[0]
    heard = decode(decoder, first) + decode(decoder, second) + decode(decoder, first)
    heard += decoder.finish(None)
    formats = itertools.groupby((piece.frame_rate, piece.channels) for piece in heard)
    assert [pcm for pcm, _ in formats] == [(44100, 2), (22050, 1), (44100, 2)]
    assert decoder.audio_time.concealed_s == 0.0


# Imports.


def test_import_is_cheap_and_preparing_is_quiet() -> None:
    program = (
        "import sys, listening.sound.decoder as d, listening.sound.converter\n"
        "assert not {'av', 'pydub'} & set(sys.modules)\n"
        "d.prepare()\n"
        "assert {'av', 'pydub'} <= set(sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "always", "-c", program], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


# Conversion to the format of an output.


def pieces_of(data: bytes, pcm: PcmFormat, sizes: Iterable[int]) -> list[AudioSegment]:
    """`data` in pieces of these sizes in samples, repeated."""
    pieces: list[AudioSegment] = []
    at = 0
    for size in itertools.cycle(sizes):
        if at >= len(data):
            return pieces
        pieces.append(audio_segment(data[at : at + size * pcm.frame_bytes], pcm))
        at += size * pcm.frame_bytes
    return pieces


def convert(converter: Converter, pieces: Iterable[AudioSegment]) -> list[AudioSegment]:
    return [
        *itertools.chain.from_iterable(map(converter.convert, pieces)),
        *converter.flush(),
    ]


def test_audio_of_the_right_format_passes_unchanged() -> None:
    pieces = pieces_of(pcm_of("cbr-128.mp3"), PcmFormat(44100, 2), [3456])
    assert convert(Converter(44100, 2), pieces) == pieces


@pytest.mark.parametrize(("rate_in", "rate_out"), [(44100, 48000), (48000, 44100), (12000, 48000)])
def test_conversion_has_no_seams_and_keeps_the_time(rate_in: int, rate_out: int) -> None:
    data = pcm_of("cbr-128.mp3")[: 4 * 60_001]
    pcm = PcmFormat(rate_in, 2)
    at_once = convert(Converter(rate_out, 2), [audio_segment(data, pcm)])
    in_pieces = convert(Converter(rate_out, 2), pieces_of(data, pcm, [1152, 1, 700, 221]))
    assert joined(in_pieces) == joined(at_once)
    assert {(p.frame_rate, p.channels) for p in in_pieces} == {(rate_out, 2)}
    assert len(joined(in_pieces)) // 4 == round(60_001 * rate_out / rate_in)


def test_rounding_does_not_add_up_over_tracks_of_other_rates() -> None:
    converter = Converter(44100, 1)
    out = []
    for _ in range(50):
        out += converter.convert(audio_segment(bytes(2 * 1001), PcmFormat(48000, 1)))
        out += converter.convert(audio_segment(bytes(2 * 500), PcmFormat(44100, 1)))
        out += converter.convert(audio_segment(bytes(2 * 333), PcmFormat(11025, 1)))
    out += converter.flush()
    exact = 50 * (1001 * 44100 / 48000 + 500 + 333 * 4)
    assert abs(len(joined(out)) // 2 - exact) <= 0.5


def test_mono_is_as_loud_in_both_channels() -> None:
    mono = pcm_of("mono.mp3")
    stereo = joined(convert(Converter(44100, 2), [audio_segment(mono, PcmFormat(44100, 1))]))
    assert array("h", stereo)[::2] == array("h", stereo)[1::2] == array("h", mono)


def test_last_of_a_rate_comes_out_before_the_next_rate() -> None:
    converter = Converter(48000, 1)
    loud = audio_segment(array("h", [8000] * 4410).tobytes(), PcmFormat(44100, 1))
    silent = audio_segment(bytes(2 * 4800), PcmFormat(48000, 1))
    out = array("h", joined(convert(converter, [loud, silent])))
    assert len(out) == 9600
    assert min(out[100:4700]) > 7900
    assert not any(out[4800:])
