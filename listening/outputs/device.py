"""A sound device by its name, through PortAudio (sounddevice, which is an extra).

PortAudio calls for audio when the device wants it, and says when it will be heard: on Linux to a
tenth of a millisecond. So it is known how far the device is, and how its crystal drifts from this
computer's clock. The playback thread writes into a ring, from which PortAudio's thread reads.
"""

from __future__ import annotations

import importlib
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from listening.outputs import OutputError, alsa
from listening.outputs.live_output import DRAIN_S, MOST_CHANNELS, TAIL_S, LiveOutput
from listening.sound.pcm import PcmFormat

BUFFER_S = 0.1
"""Buffer asked of the device. Its callback needs the interpreter, which may be busy for 50 ms."""

LEAD_S = 0.3
"""The device's buffer, and the rest for a playback thread that wakes up late."""

RING_S = 10.0
"""Length of the ring. Only a long concealed silence is written so far ahead; the writer waits."""

LOOK_S = 0.02
"""Pause between two looks at what the device has read."""

USUAL_RATES_HZ = (44_100, 48_000, 88_200, 96_000, 192_000)
"""Rates to try when the device refuses the programme's own."""


class Ring:
    """Memory that one thread writes ahead of another, which reads it at its own pace.

    Places are counted in bytes from the start and never wrap. What was not written is read as
    silence; what is written after its place was read is lost.
    """

    def __init__(self, size_bytes: int) -> None:
        self.size_bytes = size_bytes
        self.read_bytes = 0
        """Everything before this place has been read."""
        self._memory = bytearray(size_bytes)
        self._lock = threading.Lock()

    @property
    def end_byte(self) -> int:
        """End of the room for writing, for now."""
        return self.read_bytes + self.size_bytes

    def write(self, begin_byte: int, pcm: bytes) -> None:
        """Write audio to its place; the caller makes sure that it ends before `end_byte`."""
        with self._lock:
            audio = memoryview(pcm)[max(0, self.read_bytes - begin_byte) :]
            at = (begin_byte + len(pcm) - len(audio)) % self.size_bytes
            before_seam = audio[: self.size_bytes - at]
            after_seam = audio[len(before_seam) :]
            self._memory[at : at + len(before_seam)] = before_seam
            self._memory[: len(after_seam)] = after_seam

    def read(self, wanted_bytes: int) -> bytes:
        """Take the next `wanted_bytes`, at most `size_bytes`, and leave silence there."""
        with self._lock:
            at = self.read_bytes % self.size_bytes
            audio = bytes(self._memory[at : at + wanted_bytes])
            self._memory[at : at + len(audio)] = bytes(len(audio))
            rest = wanted_bytes - len(audio)
            audio += self._memory[:rest]
            self._memory[:rest] = bytes(rest)
            self.read_bytes += wanted_bytes
            return audio


class Device(LiveOutput):
    """Plays on the output device with this name, or the only one whose name contains it."""

    lead_s = LEAD_S

    def __init__(self, name: str, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(clock)
        self._name = name
        self._sounddevice: Any = None
        self._stream: Any = None
        self._ring = Ring(0)
        self._heard_at: tuple[int, float] | None = None
        """A frame and the time at which it is heard, as the device said last."""
        self._starved = 0
        """Times that PortAudio itself was called too late, or gave the device too little."""

    @property
    def underruns(self) -> int:
        """How often audio came too late for its place, or the device ran dry by itself."""
        return super().underruns + self._starved

    def prepare(self) -> None:
        """Load PortAudio and look for the device; raises OutputError."""
        if self._sounddevice is None:
            self._sounddevice = load()
            self._query()

    # PortAudio's thread.

    def _fill(self, wanted: Any, frames: int, times: Any, status: Any) -> None:
        now = self._clock()
        first_frame = self._ring.read_bytes // self._pcm.frame_bytes
        wanted[:] = self._ring.read(len(wanted))
        # Only the difference of the two times counts: somebody may set PortAudio's clock. A host
        # API that does not know the difference reports a constant, which serves as well.
        in_s = max(0.0, times.outputBufferDacTime - times.currentTime)
        self._heard_at = first_frame, now + in_s
        self._starved += bool(status.output_underflow)

    # The driver.

    def _open_device(self, duration_s: float | None) -> None:
        self._ring = Ring(self._pcm.frames(RING_S) * self._pcm.frame_bytes)
        try:
            self._stream = self._sounddevice.RawOutputStream(
                samplerate=self._pcm.frame_rate_hz,
                channels=self._pcm.channels,
                dtype="int16",
                device=self._name,
                latency=BUFFER_S,
                callback=self._fill,
            )
        except self._sounddevice.PortAudioError as error:
            raise self._failed(error) from error

    def _start(self) -> None:
        try:
            self._stream.start()
        except self._sounddevice.PortAudioError as error:
            raise self._failed(error) from error
        self._tape.start(self._clock())

    def _watch(self, now: float) -> None:
        if not self._stream.active:
            raise self._failed("it has stopped by itself")
        if self._heard_at is not None:
            self._tape.observe_heard(*self._heard_at)

    def _read_frames(self) -> int:
        return self._ring.read_bytes // self._pcm.frame_bytes

    def _put(self, pcm: bytes, begin: int, end: int, now: float) -> None:
        frame_bytes = self._pcm.frame_bytes
        while end * frame_bytes > self._ring.end_byte:
            if not self._tape.is_started:
                self._start()
            if not self._stream.active or self._cancelled.wait(LOOK_S):
                return
        self._ring.write(begin * frame_bytes, pcm)

    def _play_out(self) -> None:
        last_frame = self._tape.written_frames
        give_up_s = self._tape.heard_at(last_frame) + DRAIN_S
        while self._read_frames() < last_frame and self._clock() < give_up_s:
            if not self._stream.active or self._cancelled.wait(LOOK_S):
                return
        if self._heard_at is not None:
            frame, at = self._heard_at
            end_s = at + (last_frame - frame) / self._pcm.frame_rate_hz + TAIL_S
            self._cancelled.wait(max(0.0, end_s - self._clock()))

    def _close_device(self) -> None:
        self._stream.abort(ignore_errors=True)
        self._stream.close(ignore_errors=True)

    def _playable(self, pcm: PcmFormat) -> PcmFormat:
        for one in _nearest(pcm, int(self._query()["default_samplerate"])):
            try:
                self._sounddevice.check_output_settings(
                    device=self._name,
                    channels=one.channels,
                    dtype="int16",
                    samplerate=one.frame_rate_hz,
                )
            except self._sounddevice.PortAudioError as error:
                failure = error
            else:
                return one
        raise self._failed(failure)

    def _query(self) -> Any:
        try:
            return self._sounddevice.query_devices(self._name, "output")
        except (ValueError, self._sounddevice.PortAudioError) as error:
            raise OutputError(
                f"no sound device {self._name!r} ({_first_line(error)}):"
                " client.py --list-outputs names those that there are"
            ) from error

    def _failed(self, reason: object) -> OutputError:
        return OutputError(
            f"the sound device {self._name!r} cannot be used ({_first_line(reason)}):"
            " connect it, or choose another --output"
        )


def load() -> Any:
    """Import sounddevice; raises OutputError if it or PortAudio is not installed."""
    alsa.be_quiet()
    try:
        return importlib.import_module("sounddevice")
    except ImportError as error:
        raise OutputError(
            "sounddevice is not installed: pip install sounddevice, or choose --output speaker"
        ) from error
    except OSError as error:
        raise OutputError(
            "PortAudio is not installed (on Debian the package libportaudio2):"
            " install it, or choose --output speaker"
        ) from error


def device_names() -> list[str]:
    """Names that a Device can be given; raises OutputError."""
    sounddevice = load()
    apis = [api["name"] for api in sounddevice.query_hostapis()]
    found = [one for one in sounddevice.query_devices() if one["max_output_channels"] > 0]
    names = [one["name"] for one in found]
    return [
        name if names.count(name) == 1 else f"{name}, {apis[one['hostapi']]}"
        for one, name in zip(found, names, strict=True)
    ]


def _nearest(pcm: PcmFormat, usual_rate_hz: int) -> Iterator[PcmFormat]:
    """Formats to try, least change first: a multiple of the rate, the device's own, others."""
    channels = min(pcm.channels, MOST_CHANNELS)
    multiples = [rate for rate in USUAL_RATES_HZ if rate % pcm.frame_rate_hz == 0]
    for rate_hz in dict.fromkeys((pcm.frame_rate_hz, *multiples, usual_rate_hz, *USUAL_RATES_HZ)):
        for count in dict.fromkeys((channels, MOST_CHANNELS)):
            yield PcmFormat(rate_hz, count)


def _first_line(reason: object) -> str:
    return str(reason).strip().partition("\n")[0]
