"""Inputs -> segments of whole MP3 frames, each with its media time.

Everything is read lazily: memory does not depend on the length of a file. A segment belongs to
one track, and the media time runs on from track to track.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from typing import NamedTuple

from audio.mpeg_audio import TICKS_PER_S, FrameHeader
from broadcasting.source.tracks import NO_AUDIO, Input, SourceError, Track, opened
from broadcasting.source.trimming import TrimmedFrame

MAX_SEGMENT_S = 0.2
"""Longest segment. RFC 3551 section 4.2: a receiver should accept packets of 0 to 200 ms."""

_TICKS_PER_MS = TICKS_PER_S // 1000


@dataclass(frozen=True, slots=True)
class Segment:
    """Whole MP3 frames to be sent together.

    `skip_samples` are to be dropped from the start of what decodes out of `data`, and
    `discard_samples` from its end; what is left is kept, and may be nothing.
    """

    data: bytes
    media_time_us: int
    """Time of the first sample that is kept, from the start of the stream."""
    duration_us: int
    """Duration of the samples that are kept: the next segment's media time less this one's."""
    track: Track
    skip_samples: int
    discard_samples: int


def read_segments(
    sources: Iterable[Input],
    max_data_bytes: int,
    loop: bool = False,
    on_skipped: Callable[[SourceError], None] = lambda error: None,
    max_segment_s: float = MAX_SEGMENT_S,
    is_unwanted: Callable[[int | None], bool] = lambda track: False,
) -> Iterator[Segment]:
    """The segments of `sources`, one input after another; with `loop` again and again.

    Each round iterates `sources` anew. When `is_unwanted` says so the next input follows at once.
    It is told the number of the track after each segment, and None where an input fails.
    A segment holds as many frames as fit `max_data_bytes` and `max_segment_s`; a longer frame goes
    alone. An input that cannot be played, or not to its end, is handed to `on_skipped`, and the
    next one follows. Ends when a round gave no sound.
    """
    clock = _Clock()
    limits = _Limits(max_data_bytes, round(max_segment_s * TICKS_PER_S))
    number = 0
    while True:
        round_start_us = clock.now_us
        for source in sources:
            try:
                with closing(_track_segments(source, number + 1, limits, clock)) as segments:
                    for segment in segments:
                        number = segment.track.number
                        yield segment
                        if is_unwanted(number):
                            break
            except SourceError as error:
                if not is_unwanted(None):
                    on_skipped(error)
        if not loop or clock.now_us == round_start_us:
            return


class _Limits(NamedTuple):
    """Upper bounds of one segment."""

    data_bytes: int
    ticks: int


class _Clock:
    """The media time, kept in ticks that every sample rate divides: it never drifts."""

    def __init__(self) -> None:
        self._ticks = 0

    @property
    def now_us(self) -> int:
        return self._ticks * 1000 // _TICKS_PER_MS

    def advance(self, samples: int, header: FrameHeader) -> None:
        self._ticks += samples * (TICKS_PER_S // header.sample_rate_hz)


def _track_segments(
    source: Input, number: int, limits: _Limits, clock: _Clock
) -> Generator[Segment, None, None]:
    """The segments of one input; raises SourceError after those that could be read."""
    with opened(source) as found:
        track = None
        for group in _groups(found.frames(), limits):
            # Only now, as FFmpeg knows more of a file when it has read some of it.
            track = track or found.track(number)
            title = group[0].title
            if title is not None and title != track.title:
                track = replace(track, title=title)
            start_us = clock.now_us
            clock.advance(sum(item.kept_samples for item in group), group[0].frame.header)
            yield Segment(
                data=b"".join(item.frame.data for item in group),
                media_time_us=start_us,
                duration_us=clock.now_us - start_us,
                track=track,
                skip_samples=sum(item.skip_samples for item in group),
                discard_samples=sum(item.discard_samples for item in group),
            )
        if found.fault is not None:
            raise found.fault
        if track is None:
            raise SourceError(found.path, NO_AUDIO)


def _groups(frames: Iterator[TrimmedFrame], limits: _Limits) -> Iterator[list[TrimmedFrame]]:
    """`frames`, those together that make one segment."""
    group: list[TrimmedFrame] = []
    data_bytes = ticks = 0
    for item in frames:
        header = item.frame.header
        data_bytes += header.frame_bytes
        ticks += header.duration_ticks
        too_much = data_bytes > limits.data_bytes or ticks > limits.ticks
        if group and (too_much or not _may_follow(group, item)):
            yield group
            group = []
            data_bytes, ticks = header.frame_bytes, header.duration_ticks
        group.append(item)
    if group:
        yield group


def _may_follow(group: list[TrimmedFrame], item: TrimmedFrame) -> bool:
    """Whether one skip and one discard can still describe the group with `item` at its end."""
    last, header = group[-1].frame.header, item.frame.header
    return (
        (header.sample_rate_hz, header.channels) == (last.sample_rate_hz, last.channels)
        and item.title == group[-1].title
        and (item.skip_samples == 0 or all(before.kept_samples == 0 for before in group))
        and (item.kept_samples == 0 or all(before.discard_samples == 0 for before in group))
    )
