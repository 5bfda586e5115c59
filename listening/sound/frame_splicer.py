"""MP3 frames and holes -> one stream of frames that any player decodes, and that keeps its time.

Frames are given out as they were sent. A hole is filled with silent frames of its length. The
frames behind it may begin in main data that is lost (the bit reservoir, ISO/IEC 11172-3, 2.4.2.7);
a player takes what stands there instead, and squeals. So they are silent, too, and their main data
stays for those behind them, until `main_data_begin` reaches back no further than what came.

Where nothing is missing every byte is as it was sent, at the start too: before its first frame a
player has nothing to take.

Pure. One thread may use a FrameSplicer at a time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from audio.mpeg_audio import Frame, muted
from listening.sound.decoder import MAX_GAP_S, AudioTime, media_ticks

_PIECE_FRAMES = 40
"""A silence of hours is many pieces of about a second."""


class FrameSplicer:
    """The frames of one stream, in order of sequence."""

    def __init__(self, start_time_us: int, audio_time: AudioTime, *, is_first: bool) -> None:
        """The timeline begins at `start_time_us` of media time.

        What is given out is counted in `audio_time`, which may be that of an earlier stream.
        `is_first`: nothing was written before.
        """
        self._audio_time = audio_time
        self._position_ticks = media_ticks(start_time_us)
        """Media time at the end of all that was given out."""
        self._last: Frame | None = None
        self._track: int | None = None
        self._starts = is_first
        self._reservoir_bytes: int | None = None
        """Bytes of main data since the hole; None once a frame could be decoded."""

    def splice(
        self,
        frames: Sequence[Frame],
        media_time_us: int,
        track: int,
        skip_samples: int,
        discard_samples: int,
        *,
        contiguous: bool,
        repaired: bool,
    ) -> Iterator[bytes]:
        """Whole frames to write for one message; arguments as in `Decoder.decode`."""
        if not contiguous:
            for silence in self._hole(media_time_us, frames[0]):
                self._starts = False
                yield silence
            self._reservoir_bytes = None if self._starts else 0
        elif track != self._track and self._reservoir_bytes is not None:
            self._reservoir_bytes = 0
        self._starts = False
        self._track, self._last = track, frames[-1]
        start, end = skip_samples, sum(one.header.samples for one in frames) - discard_samples
        written = []
        for frame in frames:
            samples = frame.header.samples
            kept = max(0, min(end, samples) - max(start, 0))
            ticks = kept * frame.header.duration_ticks // samples
            self._position_ticks += ticks
            start, end = start - samples, end - samples
            if self._is_whole(frame):
                self._audio_time.add_sound(ticks, repaired=repaired)
                written.append(frame.data)
            else:
                self._audio_time.concealed_ticks += ticks
                written.append(muted(frame, keeps_main_data=True))
        yield b"".join(written)

    def finish(self, end_time_us: int | None) -> Iterator[bytes]:
        """Silence for what is missing up to `end_time_us`; None: the stream ends here."""
        if end_time_us is not None and self._last is not None:
            yield from self._hole(end_time_us, self._last)

    def _is_whole(self, frame: Frame) -> bool:
        """Whether all main data of `frame` is there."""
        if self._reservoir_bytes is not None:
            if frame.main_data_begin > self._reservoir_bytes:
                self._reservoir_bytes += frame.header.main_data_bytes
                return False
            self._reservoir_bytes = None
        return True

    def _hole(self, media_time_us: int, like: Frame) -> Iterator[bytes]:
        """Silent frames in the shape of `like` up to `media_time_us`, as near as frames come."""
        frame_ticks = like.header.duration_ticks
        missing_ticks = media_ticks(media_time_us) - self._position_ticks
        count = max(0, round(missing_ticks / frame_ticks))
        if count > MAX_GAP_S * like.header.sample_rate_hz // like.header.samples:
            self._position_ticks, count = media_ticks(media_time_us), 0
        self._position_ticks += count * frame_ticks
        self._audio_time.concealed_ticks += count * frame_ticks
        silence = muted(like, keeps_main_data=False)
        for written in range(0, count, _PIECE_FRAMES):
            yield silence * min(_PIECE_FRAMES, count - written)
