"""What all loudspeakers share: writing ahead, being late, losing the device and finding it again.

PCM comes in batches (write ... write, flush), each `lead_s` ahead of its time. tape.py decides
where on the timeline a batch belongs; a driver (speaker.py, device.py) puts it there and is all
that touches the device.

A driver whose device may come back reports it lost with `_lose`: from then on the device is looked
for, and what was to be heard meanwhile is counted. When it is back it starts at the place on the
timeline that is to be heard then. A driver whose device cannot come back raises OutputError.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from listening.outputs import Output, OutputError, check_format
from listening.outputs.tape import Tape
from listening.sound.pcm import PcmFormat
from listening.sound.stretch import SMALLEST_STRETCHED_FRAMES, stretched

if TYPE_CHECKING:
    from pydub import AudioSegment

MOST_CHANNELS = 2

FIRST_LOOK_S = 0.25
"""Pause after the first vain look for a device that is gone. A look takes 1 ms."""
LOOK_GROWTH = 1.5
"""Each further pause is longer by this factor."""
LONGEST_LOOK_S = 1.0
"""Longest pause between two looks."""

DRAIN_S = 3.0
"""Longest wait for a device to play what it holds: the longest buffers seen hold 2 s."""
TAIL_S = 0.05
"""Silence played after the last frame: some devices drop what they hold when they are stopped."""

log = logging.getLogger("client")


class NoDevice(OutputError):
    """No sound device can be used; `reason` is what the system says."""

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"no sound device can be used ({reason}):"
            " connect one, or choose --output FILE.wav, FILE.mp3 or null"
        )
        self.reason = reason


@dataclass(slots=True)
class _Absence:
    """The device is gone: time of the next look for it, and the pause after that look."""

    look_at_s: float
    pause_s: float = FIRST_LOOK_S
    reason: str | None = None
    """Why the last look was in vain; None before the first."""


class LiveOutput(Output):
    """An output that is heard while it is written. A driver defines the methods at the end."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._cancelled = threading.Event()
        self._is_open = False
        self._pcm = PcmFormat(44_100, MOST_CHANNELS)
        self._tape = Tape(self._pcm.frame_rate_hz, self.lead_s)
        self._batch: list[AudioSegment] = []
        self._absence: _Absence | None = None
        self._unheard_frames = 0

    @property
    def underruns(self) -> int:
        """How often audio came after the device had passed its place."""
        return self._tape.underruns

    @property
    def trouble(self) -> str | None:
        """The device is gone, and why; None while it is there, or may be."""
        if self._absence is None or self._absence.reason is None:
            return None
        return (
            f"the sound device is gone ({self._absence.reason}):"
            " the stream goes on, and is heard again when the device is back"
        )

    @property
    def unheard_s(self) -> float:
        """Seconds of audio for which there was no device."""
        return self._unheard_frames / self._pcm.frame_rate_hz

    def open(self, pcm: PcmFormat, duration_s: float | None) -> PcmFormat:
        """Open the device; raises OutputError. The first flush() with a lead of audio starts it."""
        self.prepare()
        self._pcm = self._playable(pcm)
        self._tape = Tape(self._pcm.frame_rate_hz, self.lead_s)
        self._open_device(duration_s)
        self._is_open = True
        return self._pcm

    def write(self, audio: AudioSegment) -> None:
        """Keep `audio` until flush(). Raises ValueError when it has another format."""
        check_format(audio, self._pcm)
        self._batch.append(audio)

    def resync(self) -> None:
        """Let what follows be heard as soon as possible; raises OutputError."""
        self.flush()
        self._tape.resync(self._clock())

    def flush(self) -> None:
        """Place the batch, and start the device if it is not playing yet; raises OutputError."""
        if not self._is_open:
            return
        now = self._clock()
        if self._tape.is_started:
            if self._absence is None:
                self._watch(now)
            if self._absence is not None and now >= self._absence.look_at_s:
                self._look_for_device(self._absence, now)
        try:
            self._place_batch(now)
        except NoDevice as error:
            self._lose(error.reason, self._tape.heard_frames(now), now)
        if self._tape.may_start:
            self._start()

    def close(self) -> None:
        """Wait until the last frame has been heard; after cancel() fall silent at once.

        Raises OutputError.
        """
        try:
            if not self._cancelled.is_set():
                self.flush()
                if self._is_open and self._absence is None and self._tape.written_frames:
                    if not self._tape.is_started:
                        self._start()
                    self._play_out()
        finally:
            if self._is_open:
                self._is_open = False
                self._close_device()

    def cancel(self) -> None:
        """Let close() and every other wait end."""
        self._cancelled.set()

    def _place_batch(self, now: float) -> None:
        batch, self._batch = self._batch, []
        if batch and batch[-1].frame_count() >= SMALLEST_STRETCHED_FRAMES:
            frames = self._tape.stretch_frames()
            if frames:
                batch[-1] = stretched(batch[-1], frames)
        pieces = [bytes(audio.raw_data) for audio in batch]
        if not pieces:
            return
        frames = sum(map(len, pieces)) // self._pcm.frame_bytes
        begin = self._tape.place(frames, now, self._read_frames())
        if self._absence is not None:
            self._unheard_frames += frames
            return
        for pcm in pieces:
            end = begin + len(pcm) // self._pcm.frame_bytes
            self._put(pcm, begin, end, now)
            begin = end

    def _lose(self, reason: str, heard_frames: int, now: float) -> None:
        """The device is gone: nothing written after `heard_frames` will be heard."""
        log.warning("the sound device is lost: %s", reason)
        self._unheard_frames += max(0, self._tape.written_frames - heard_frames)
        self._absence = _Absence(look_at_s=now)
        self._abandon()

    def _look_for_device(self, absence: _Absence, now: float) -> None:
        try:
            self._restart()
        except NoDevice as error:
            absence.reason = error.reason
            absence.look_at_s = now + absence.pause_s
            absence.pause_s = min(LONGEST_LOOK_S, LOOK_GROWTH * absence.pause_s)
        else:
            log.warning("the sound device is back")
            self._absence = None

    # The driver.

    def _playable(self, pcm: PcmFormat) -> PcmFormat:
        """The format nearest to `pcm` that the device plays; raises OutputError."""
        raise NotImplementedError

    def _open_device(self, duration_s: float | None) -> None:
        """Get memory and device ready for `self._pcm`; raises OutputError."""
        raise NotImplementedError

    def _start(self) -> None:
        """Start the device, and the tape with it; raises OutputError."""
        raise NotImplementedError

    def _watch(self, now: float) -> None:
        """See how far the device is, and whether it is lost; raises OutputError."""

    def _read_frames(self) -> int | None:
        """Frames that the device has taken; None: unknown."""
        return None

    def _put(self, pcm: bytes, begin: int, end: int, now: float) -> None:
        """Write PCM to frames `begin` to `end` of the tape; raises OutputError."""
        raise NotImplementedError

    def _play_out(self) -> None:
        """Wait until the last frame has been heard, or cancel()."""
        raise NotImplementedError

    def _abandon(self) -> None:
        """Let go of a device that is lost."""

    def _restart(self) -> None:
        """Start anew on a device that is back; raises NoDevice."""

    def _close_device(self) -> None:
        """Fall silent, and give everything back."""
        raise NotImplementedError
