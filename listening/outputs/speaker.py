"""The loudspeaker, through simpleaudio: one long tape that is filled while it is being played.

In goes PCM in batches (write ... write, flush), each a lead ahead of its time; out comes sound
without a seam. simpleaudio plays one buffer at a time, and opens and closes the device for each; so
there is one buffer, hours long (reel.py), and the playback thread keeps filling it ahead of the
device. Where on it audio belongs is for tape.py to say; here is only what touches the device.

A reel ends after 3.4 hours of 44.1 kHz stereo. Then a second one is started, in silence, next to
the first, and audio goes on there. The seam is as exact as two starts of the device are alike:
through PulseAudio the two were 1 to 35 ms apart or overlapped. A device that serves one player at a
time is stopped and started again instead, which is a short silence.

A device that goes away while it plays (unplugged, the sound server has ended) is looked for until
it is back, and then started on a new reel, at the place of the tape that is to be heard then: the
timeline goes on. The same is done with one that has stood still.
"""

from __future__ import annotations

import importlib
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from listening.outputs import OutputError, alsa, check_format
from listening.outputs.reel import LARGEST_BYTES, Reel
from listening.outputs.tape import Tape
from listening.pcm import SAMPLE_BYTES, PcmFormat
from listening.stretch import SMALLEST_STRETCHED_FRAMES, stretched
from wire.log import get_logger

if TYPE_CHECKING:
    from pydub import AudioSegment

LEAD_S = 0.3
"""At a start PulseAudio 16 takes 0.2 s of audio at once, and reads 0.12 s ahead from then on: with
a lead of 0.19 s nothing was lost, with 0.16 s something was. The rest is for a playback thread that
wakes up late: by 0.1 s at the start, and by 0.18 s from then on."""

FRAME_RATES_HZ = (8000, 11025, 16000, 22050, 24000, 32000, 44100, 48000, 88200, 96000, 192000)
MOST_CHANNELS = 2
"""What simpleaudio 1.0.4 and simpleaudio-patched 1.0.5 take (simpleaudio.c, _play_buffer)."""

SPARE_S = 60.0
"""A reel is so much longer than the stream is said to be: its length may be an estimate."""
WARM_UP_S = 4.0
HAND_OVER_S = 2.0
"""How long before the end of a reel the next one is started, and when audio moves over to it: no
single piece of audio is longer."""

FIRST_LOOK_S = 0.25
LOOK_GROWTH = 1.5
LONGEST_LOOK_S = 1.0
"""Pauses between two looks for a device that is gone. To look in vain takes 1 ms."""

DRAIN_S = 3.0
"""How long a device may take to play what it holds: the longest buffers seen hold 2 s."""
DRAIN_LOOK_S = 0.01
TAIL_S = 0.05
"""Of silence after the last frame, for a device that drops what it holds when it is stopped."""

log = get_logger("client")


class NoDevice(OutputError):
    """No sound device can be used; `reason` is what the system says."""

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"no sound device can be used ({reason}):"
            " connect one, or choose --output FILE.wav, FILE.mp3 or null"
        )
        self.reason = reason


def nearest_format(pcm: PcmFormat) -> PcmFormat:
    """What simpleaudio plays with the least change: a multiple of the rate, or the next higher."""
    multiples = [rate for rate in FRAME_RATES_HZ if rate % pcm.frame_rate_hz == 0]
    higher = [rate for rate in FRAME_RATES_HZ if rate > pcm.frame_rate_hz]
    rate_hz = (multiples or higher or FRAME_RATES_HZ[-1:])[0]
    return PcmFormat(rate_hz, min(pcm.channels, MOST_CHANNELS))


@dataclass(slots=True)
class _Side:
    """A reel in its place on the tape."""

    reel: Reel
    first_frame: int = 0
    last_frame: int = 0
    """Where its audio ends, once audio goes to the next one."""
    handle: Any = None
    """simpleaudio's PlayObject, as soon as it plays."""

    @property
    def is_playing(self) -> bool:
        return self.handle is not None and bool(self.handle.is_playing())

    def stop(self) -> None:
        """What the device has taken is still played, and a little of what follows."""
        if self.handle is not None:
            self.handle.stop()


@dataclass(slots=True)
class _Absence:
    """The device is gone; when it is looked for next, and how long to wait after that."""

    look_at_s: float
    pause_s: float = FIRST_LOOK_S
    reason: str | None = None
    """Why it was looked for in vain; None before that."""


class Speaker:
    """Plays on the default sound device. `reel_s` makes reels short, and `clock` strange: tests."""

    takes_frames = False
    lead_s = LEAD_S
    waits = False
    any_speed = False

    def __init__(
        self, reel_s: float | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._reel_s = reel_s
        self._clock = clock
        self._simpleaudio: Any = None
        self._cancelled = threading.Event()
        self._pcm = PcmFormat(FRAME_RATES_HZ[0], 1)
        self._tape = Tape(self._pcm.frame_rate_hz, self.lead_s)
        self._batch: list[AudioSegment] = []
        self._side: _Side | None = None
        self._next_side: _Side | None = None
        self._last_side: _Side | None = None
        self._absence: _Absence | None = None
        self._unheard_frames = 0

    @property
    def underruns(self) -> int:
        """How often audio came after the device had passed its place."""
        return self._tape.underruns

    @property
    def trouble(self) -> str | None:
        """That the device is gone, and why; None while it is there, or may be."""
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

    @property
    def changeable_frames(self) -> int:
        """What the device will not take before it can have been changed."""
        if self._absence is not None:
            # It is counted as unheard already.
            return 0
        fixed_frames = self._tape.fixed_frames(self._clock())
        return max(0, self._tape.written_frames - fixed_frames)

    def take_back(self, most_frames: int) -> int:
        """What is written next is put in its place on the tape."""
        frames = min(most_frames, self.changeable_frames)
        self._tape.written_frames -= frames
        return frames

    def prepare(self) -> None:
        """Load simpleaudio and try the device: 10 ms with PulseAudio."""
        if self._simpleaudio is not None:
            return
        try:
            self._simpleaudio = importlib.import_module("simpleaudio")
        except ImportError as error:
            raise OutputError(
                "cannot play sound, simpleaudio is missing: pip install -r requirements.txt,"
                " or choose --output FILE.wav"
            ) from error
        alsa.be_quiet()
        reason = alsa.why_not()
        if reason is not None:
            raise NoDevice(reason)

    def open(self, pcm: PcmFormat, duration_s: float | None) -> PcmFormat:
        """Get the tape ready. The device is started by the first flush() with a lead of audio."""
        self.prepare()
        if self._reel_s is None and duration_s is not None:
            self._reel_s = duration_s + SPARE_S
        self._pcm = nearest_format(pcm)
        self._tape = Tape(self._pcm.frame_rate_hz, self.lead_s)
        self._side = self._new_side()
        return self._pcm

    def write(self, audio: AudioSegment) -> None:
        """Kept until flush()."""
        check_format(audio, self._pcm)
        self._batch.append(audio)

    def write_frames(self, frames: bytes) -> None:
        """Never called: takes_frames is False."""
        raise NotImplementedError

    def resync(self) -> None:
        """What was written before keeps its place; what follows is heard as soon as it can be."""
        self.flush()
        self._tape.resync(self._clock())

    def flush(self) -> None:
        """Put the batch on the tape, and start the device if it is not yet playing."""
        side = self._side
        if side is None:
            return
        now = self._clock()
        if side.handle is None:
            self._put_on_tape(now)
            if self._tape.may_start:
                self._start(side)
            return
        if self._absence is None:
            self._watch(side, now)
        if self._absence is not None and now >= self._absence.look_at_s:
            self._look_for_device(self._absence, now)
        try:
            self._put_on_tape(now)
        except NoDevice as error:
            self._lose(error.reason, self._tape.heard_frames(now), now)
        self._let_go(now)

    def close(self) -> None:
        """Wait until the last frame has left the loudspeaker; after cancel() fall silent."""
        try:
            if not self._cancelled.is_set():
                self.flush()
                self._play_out()
        finally:
            sides = [one for one in (self._last_side, self._side, self._next_side) if one]
            self._last_side = self._side = self._next_side = None
            for one in sides:
                one.stop()
            self._wait_for_silence(sides)

    def cancel(self) -> None:
        """close() does not wait any more."""
        self._cancelled.set()

    def _watch(self, side: _Side, now: float) -> None:
        """See where the device is, if it still is there."""
        heard_frames = self._tape.heard_frames(now)
        read_bytes = side.reel.read_bytes()
        if read_bytes is not None:
            read_frames = side.first_frame + read_bytes // self._pcm.frame_bytes
            self._tape.observe(read_frames, now)
            heard_frames = min(heard_frames, read_frames)
        if not side.is_playing:
            # Unplugged, or the sound server has ended; another device may have taken its place.
            self._lose("it has stopped", heard_frames, now)
        elif self._tape.device_stood_still:
            self._lose("it stood still", heard_frames, now)

    def _lose(self, reason: str, heard_frames: int, now: float) -> None:
        """The device is of no use any more: what lies behind `heard_frames` will not be heard."""
        log.warning("the sound device is lost: %s", reason)
        self._unheard_frames += max(0, self._tape.written_frames - heard_frames)
        self._absence = _Absence(look_at_s=now)
        for side in (self._last_side, self._side, self._next_side):
            if side is not None:
                side.stop()
        self._last_side = self._next_side = None

    def _look_for_device(self, absence: _Absence, now: float) -> None:
        """Play on, from what is to be heard now, if there is a device again."""
        assert self._side is not None, "open() comes first"
        self._wait_for_silence([self._side])
        try:
            if (reason := alsa.why_not()) is not None:
                raise NoDevice(reason)
            self._side = self._started_side(anew=True)
        except NoDevice as error:
            absence.reason = error.reason
            absence.look_at_s = now + absence.pause_s
            absence.pause_s = min(LONGEST_LOOK_S, LOOK_GROWTH * absence.pause_s)
        else:
            log.warning("the sound device is back")
            self._absence = None

    def _let_go(self, now: float) -> None:
        """Give back what has been heard."""
        side = self._side
        assert side is not None, "open() comes first"
        kept_from = self._tape.disposable_frames(now) - side.first_frame
        side.reel.dispose(kept_from * self._pcm.frame_bytes)
        if self._last_side is not None and self._has_been_heard(self._last_side, now):
            self._last_side.stop()
            self._last_side = None

    def _play_out(self) -> None:
        if self._side is None or self._absence is not None or not self._tape.written_frames:
            return
        if self._side.handle is None:
            self._start(self._side)
        end_s = self._tape.heard_at(self._tape.written_frames) + TAIL_S
        self._cancelled.wait(max(0.0, end_s - self._clock()))

    def _put_on_tape(self, now: float) -> None:
        batch, self._batch = self._batch, []
        if batch and batch[-1].frame_count() >= SMALLEST_STRETCHED_FRAMES:
            frames = self._tape.stretch_frames()
            if frames:
                batch[-1] = stretched(batch[-1], frames)
        pieces = [bytes(audio.raw_data) for audio in batch]
        if not pieces:
            return
        frame_bytes = self._pcm.frame_bytes
        frames = sum(map(len, pieces)) // frame_bytes
        end = begin = self._tape.place(frames, now)
        if self._absence is not None:
            self._unheard_frames += frames
            return
        for pcm in pieces:
            begin, end = end, end + len(pcm) // frame_bytes
            # After a long silence most of it is past, and needs no memory.
            if end > self._tape.heard_frames(now):
                side = self._side_for(begin, end)
                side.reel.write((begin - side.first_frame) * frame_bytes, pcm)

    def _new_side(self) -> _Side:
        frames = LARGEST_BYTES // self._pcm.frame_bytes
        if self._reel_s is not None:
            frames = min(frames, int(self._reel_s * self._pcm.frame_rate_hz))
        try:
            return _Side(Reel(frames * self._pcm.frame_bytes))
        except OSError as error:
            raise NoDevice(f"no memory for its audio: {error.strerror}") from error

    def _start(self, side: _Side, *, anew: bool = False) -> None:
        try:
            side.handle = self._simpleaudio.play_buffer(
                side.reel.readable, self._pcm.channels, SAMPLE_BYTES, self._pcm.frame_rate_hz
            )
        except Exception as error:  # simpleaudio does not export its class
            raise NoDevice(str(error).rpartition("MSG: ")[2]) from error
        start = self._tape.restart if anew else self._tape.start
        side.first_frame = start(self._clock())

    def _side_for(self, begin: int, end: int) -> _Side:
        """The side for these frames: near the end of a reel, the next one."""
        side = self._side
        assert side is not None, "open() comes first"
        side_frames = side.reel.size_bytes // self._pcm.frame_bytes
        left_s = (side.first_frame + side_frames - end) / self._pcm.frame_rate_hz
        if side.handle is None or left_s > WARM_UP_S:
            return side
        if self._next_side is None and alsa.why_not() is None:
            self._next_side = self._started_side()
        return side if left_s > HAND_OVER_S else self._hand_over(side, begin)

    def _hand_over(self, side: _Side, begin: int) -> _Side:
        """From this frame on audio goes to the next side."""
        if self._next_side is None:  # the device is there for one player at a time
            side.stop()
            self._wait_for_silence([side])
            self._next_side = self._started_side()
        if self._last_side is not None:
            self._last_side.stop()
        side.last_frame = begin
        self._last_side, self._side, self._next_side = side, self._next_side, None
        return self._side

    def _started_side(self, *, anew: bool = False) -> _Side:
        side = self._new_side()
        self._start(side, anew=anew)
        return side

    def _has_been_heard(self, side: _Side, now: float) -> bool:
        return self._tape.heard_frames(now - TAIL_S) >= side.last_frame

    def _wait_for_silence(self, sides: list[_Side]) -> None:
        give_up_s = time.monotonic() + DRAIN_S
        while any(side.is_playing for side in sides) and time.monotonic() < give_up_s:
            if self._cancelled.wait(DRAIN_LOOK_S):
                return
