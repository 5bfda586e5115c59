"""The loudspeaker, through simpleaudio: one long tape that is filled while it is being played.

simpleaudio plays one buffer at a time, and opens and closes the device for each. So there is one
buffer, hours long (reel.py), which the playback thread keeps filling ahead of the device.

A reel ends after 3.4 hours of 44.1 kHz stereo. A second one is then started, in silence, beside the
first, and audio moves over to it. The seam is as exact as two starts of the device: through
PulseAudio they were 1 to 35 ms apart or overlapped. A device that serves one player at a time is
stopped and started again instead, which is a short silence.
"""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from listening.outputs import OutputError, alsa
from listening.outputs.live_output import DRAIN_S, MOST_CHANNELS, TAIL_S, LiveOutput, NoDevice
from listening.outputs.reel import LARGEST_BYTES, Reel
from listening.sound.pcm import SAMPLE_BYTES, PcmFormat

LEAD_S = 0.3
"""PulseAudio 16 takes 0.2 s of audio at once when it starts, and then reads 0.12 s ahead: with a
lead of 0.19 s nothing was lost, with 0.16 s something was. The rest covers a playback thread that
wakes up late: by up to 0.1 s at the start, by 0.18 s later."""

FRAME_RATES_HZ = (8000, 11025, 16000, 22050, 24000, 32000, 44100, 48000, 88200, 96000, 192000)
"""Rates of simpleaudio 1.0.4 and simpleaudio-patched 1.0.5 (simpleaudio.c, _play_buffer), which
play one or two channels."""

SPARE_S = 60.0
"""A reel is longer than the stream's announced duration by this, as that may be an estimate."""
WARM_UP_S = 4.0
"""The next reel is started this long before the end of the current one."""
HAND_OVER_S = 2.0
"""Audio moves over to it this long before that end: no single piece of audio is longer."""

DRAIN_LOOK_S = 0.01
"""Pause between two looks whether a device that was stopped still plays."""


def nearest_format(pcm: PcmFormat) -> PcmFormat:
    """What simpleaudio plays with the least change: a multiple of the rate, or the next higher."""
    multiples = [rate for rate in FRAME_RATES_HZ if rate % pcm.frame_rate_hz == 0]
    higher = [rate for rate in FRAME_RATES_HZ if rate > pcm.frame_rate_hz]
    rate_hz = (multiples or higher or FRAME_RATES_HZ[-1:])[0]
    return PcmFormat(rate_hz, min(pcm.channels, MOST_CHANNELS))


@dataclass(slots=True)
class _Side:
    """A reel and its place on the tape."""

    reel: Reel
    first_frame: int = 0
    last_frame: int = 0
    """End of its audio, once audio goes to the next one."""
    handle: Any = None
    """simpleaudio's PlayObject, once it plays."""

    @property
    def is_playing(self) -> bool:
        return self.handle is not None and bool(self.handle.is_playing())

    def stop(self) -> None:
        """Stop the device; it still plays what it has taken, and a little of what follows."""
        if self.handle is not None:
            self.handle.stop()


class Speaker(LiveOutput):
    """Plays on the default sound device.

    Tests make reels short (`reel_s`) and the clock their own (`clock`).
    """

    lead_s = LEAD_S

    def __init__(
        self, reel_s: float | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__(clock)
        self._reel_s = reel_s
        self._simpleaudio: Any = None
        self._side: _Side
        """The reel that is written; set by open()."""
        self._next_side: _Side | None = None
        self._last_side: _Side | None = None

    @property
    def changeable_frames(self) -> int:
        """Frames at the end of the tape that the device will not take before they are changed."""
        if self._absence is not None:
            # They are counted as unheard already.
            return 0
        return max(0, self._tape.written_frames - self._tape.fixed_frames(self._clock()))

    def take_back(self, most_frames: int) -> int:
        """Move the end of the tape back; returns by how many frames."""
        frames = min(most_frames, self.changeable_frames)
        self._tape.written_frames -= frames
        return frames

    def prepare(self) -> None:
        """Load simpleaudio and try the device (10 ms with PulseAudio); raises OutputError."""
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
        self._require_device()

    # The driver.

    def _playable(self, pcm: PcmFormat) -> PcmFormat:
        return nearest_format(pcm)

    def _open_device(self, duration_s: float | None) -> None:
        if self._reel_s is None and duration_s is not None:
            self._reel_s = duration_s + SPARE_S
        self._side = self._new_side()

    def _start(self) -> None:
        self._play(self._side)

    def _watch(self, now: float) -> None:
        side = self._side
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
        else:
            self._dispose_of_heard(now)

    def _put(self, pcm: bytes, begin: int, end: int, now: float) -> None:
        # After a long silence most of it is past, and needs no memory.
        if end > self._tape.heard_frames(now):
            side = self._side_for(begin, end)
            side.reel.write((begin - side.first_frame) * self._pcm.frame_bytes, pcm)

    def _play_out(self) -> None:
        end_s = self._tape.heard_at(self._tape.written_frames) + TAIL_S
        self._cancelled.wait(max(0.0, end_s - self._clock()))

    def _abandon(self) -> None:
        for side in self._sides():
            side.stop()
        self._last_side = self._next_side = None

    def _restart(self) -> None:
        self._wait_for_silence([self._side])
        self._require_device()
        self._side = self._started_side(anew=True)

    def _close_device(self) -> None:
        sides = self._sides()
        self._abandon()
        self._wait_for_silence(sides)

    # Reels.

    def _sides(self) -> list[_Side]:
        return [one for one in (self._last_side, self._side, self._next_side) if one]

    def _require_device(self) -> None:
        if (reason := alsa.why_not()) is not None:
            raise NoDevice(reason)

    def _dispose_of_heard(self, now: float) -> None:
        kept_from = self._tape.disposable_frames(now) - self._side.first_frame
        self._side.reel.dispose(kept_from * self._pcm.frame_bytes)
        last = self._last_side
        if last is not None and self._tape.heard_frames(now - TAIL_S) >= last.last_frame:
            last.stop()
            self._last_side = None

    def _new_side(self) -> _Side:
        frames = LARGEST_BYTES // self._pcm.frame_bytes
        if self._reel_s is not None:
            frames = min(frames, int(self._reel_s * self._pcm.frame_rate_hz))
        try:
            return _Side(Reel(frames * self._pcm.frame_bytes))
        except OSError as error:
            raise NoDevice(f"no memory for its audio: {error.strerror}") from error

    def _play(self, side: _Side, *, anew: bool = False) -> None:
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
        self._play(side, anew=anew)
        return side

    def _wait_for_silence(self, sides: list[_Side]) -> None:
        give_up_s = time.monotonic() + DRAIN_S
        while any(side.is_playing for side in sides) and time.monotonic() < give_up_s:
            if self._cancelled.wait(DRAIN_LOOK_S):
                return
