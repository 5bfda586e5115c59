"""A sound device by its name, through PortAudio (sounddevice, which is an extra).

PortAudio calls for audio when the device wants it, and says when it will be heard. So it is known
at any time how far the device is, to a tenth of a millisecond on Linux, and how its crystal drifts
from this computer's clock. The playback thread puts audio into a ring, ahead of the device; where
it belongs is for tape.py to say, as with simpleaudio.
"""

from __future__ import annotations

import importlib
import threading
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from listening.outputs import OutputError, alsa, check_format
from listening.outputs.ring import Ring
from listening.outputs.tape import Tape
from listening.pcm import PcmFormat
from listening.stretch import SMALLEST_STRETCHED_FRAMES, stretched

if TYPE_CHECKING:
    from pydub import AudioSegment

BUFFER_S = 0.1
"""Asked of the device. Its calls come to Python, which may be busy for some hundredths."""

LEAD_S = 0.3
"""The buffer, and the rest for a playback thread that wakes up late."""

RING_S = 10.0
"""Nothing is handed over so far ahead, but after a long silence; then the writer waits."""

LOOK_S = 0.02
DRAIN_S = 3.0
"""How long after its time a device may call for the last frame."""

TAIL_S = 0.05
"""Of silence after the last frame: PortAudio drops what the device holds when it is stopped."""

USUAL_RATES_HZ = (44_100, 48_000, 88_200, 96_000, 192_000)
MOST_CHANNELS = 2


class Device:
    """Plays on the output device called `name`, or whose name alone has that in it."""

    takes_frames = False
    lead_s = LEAD_S
    waits = False
    any_speed = False
    trouble = None
    unheard_s = 0.0
    changeable_frames = 0

    def __init__(self, name: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._name = name
        self._clock = clock
        self._sounddevice: Any = None
        self._stream: Any = None
        self._started = False
        self._cancelled = threading.Event()
        self._pcm = PcmFormat(USUAL_RATES_HZ[0], MOST_CHANNELS)
        self._tape = Tape(self._pcm.frame_rate_hz, self.lead_s)
        self._ring = Ring(0)
        self._batch: list[AudioSegment] = []
        self._heard_at: tuple[int, float] | None = None

    @property
    def underruns(self) -> int:
        """How often audio came after the device had passed its place."""
        return self._tape.underruns

    def take_back(self, most_frames: int) -> int:
        """Nothing: what was flushed is on its way to the device."""
        return 0

    def prepare(self) -> None:
        """Load PortAudio, and look for the device."""
        if self._sounddevice is None:
            self._sounddevice = load()
            self._query()

    def open(self, pcm: PcmFormat, duration_s: float | None) -> PcmFormat:
        """Open the device. It is started by the first flush() with a lead of audio."""
        self.prepare()
        self._pcm = self._playable(pcm)
        self._tape = Tape(self._pcm.frame_rate_hz, self.lead_s)
        self._ring = Ring(round(RING_S * self._pcm.frame_rate_hz) * self._pcm.frame_bytes)
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
        """Put the batch into the ring, and start the device if it is not yet playing."""
        if self._stream is None:
            return
        if self._started and not self._stream.active:
            raise self._failed("it has stopped by itself")
        if self._heard_at is not None:
            self._tape.observe_heard(*self._heard_at)
        self._put_into_ring()
        if not self._started and self._tape.may_start:
            self._start()

    def close(self) -> None:
        """Wait until the last frame has left the loudspeaker; after cancel() fall silent."""
        try:
            if not self._cancelled.is_set():
                self.flush()
                self._play_out()
        finally:
            stream, self._stream = self._stream, None
            if stream is not None:
                stream.abort(ignore_errors=True)
                stream.close(ignore_errors=True)

    def cancel(self) -> None:
        """close() does not wait any more."""
        self._cancelled.set()

    # PortAudio's thread.

    def _fill(self, wanted: Any, frames: int, times: Any, status: Any) -> None:
        now = self._clock()
        first_frame = self._ring.read_bytes // self._pcm.frame_bytes
        wanted[:] = self._ring.read(len(wanted))
        # Its own clock may be one that somebody sets; of two times only the distance counts. Where
        # it does not know that, it is always the same, which will do.
        in_s = max(0.0, times.outputBufferDacTime - times.currentTime)
        self._heard_at = first_frame, now + in_s

    # Within.

    def _put_into_ring(self) -> None:
        batch, self._batch = self._batch, []
        if batch and batch[-1].frame_count() >= SMALLEST_STRETCHED_FRAMES:
            frames = self._tape.stretch_frames()
            if frames:
                batch[-1] = stretched(batch[-1], frames)
        pieces = [bytes(audio.raw_data) for audio in batch]
        if not pieces:
            return
        frame_bytes = self._pcm.frame_bytes
        begin = frame_bytes * self._tape.place(
            sum(map(len, pieces)) // frame_bytes,
            self._clock(),
            self._ring.read_bytes // frame_bytes,
        )
        for pcm in pieces:
            if self._waited_for_room(begin + len(pcm)):
                self._ring.write(begin, pcm)
            begin += len(pcm)

    def _waited_for_room(self, end_byte: int) -> bool:
        """Whether there is room up to `end_byte`; waits for it while the device plays."""
        while end_byte > self._ring.end_byte:
            if not self._started:
                self._start()
            if not self._stream.active or self._cancelled.wait(LOOK_S):
                return False
        return True

    def _start(self) -> None:
        try:
            self._stream.start()
        except self._sounddevice.PortAudioError as error:
            raise self._failed(error) from error
        self._started = True
        self._tape.start(self._clock())

    def _play_out(self) -> None:
        if self._stream is None or not self._tape.written_frames:
            return
        if not self._started:
            self._start()
        last_frame = self._tape.written_frames
        last_byte = last_frame * self._pcm.frame_bytes
        give_up_s = self._tape.heard_at(last_frame) + DRAIN_S
        while self._ring.read_bytes < last_byte and self._clock() < give_up_s:
            if not self._stream.active or self._cancelled.wait(LOOK_S):
                return
        if self._heard_at is not None:
            frame, at = self._heard_at
            end_s = at + (last_frame - frame) / self._pcm.frame_rate_hz + TAIL_S
            self._cancelled.wait(max(0.0, end_s - self._clock()))

    def _playable(self, pcm: PcmFormat) -> PcmFormat:
        """`pcm`, or what the device plays with the least change."""
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
    """The module sounddevice; raises OutputError if it or PortAudio is not installed."""
    alsa.be_quiet()
    try:
        return importlib.import_module("sounddevice")
    except ImportError as error:
        raise OutputError(
            "sounddevice is not installed: pip install -r requirements-device.txt,"
            " or choose --output speaker"
        ) from error
    except OSError as error:
        raise OutputError(
            "PortAudio is not installed (on Debian the package libportaudio2):"
            " install it, or choose --output speaker"
        ) from error


def device_names() -> list[str]:
    """What may be given as the name of a Device; raises OutputError."""
    sounddevice = load()
    apis = [api["name"] for api in sounddevice.query_hostapis()]
    found = [one for one in sounddevice.query_devices() if one["max_output_channels"] > 0]
    names = [one["name"] for one in found]
    return [
        name if names.count(name) == 1 else f"{name}, {apis[one['hostapi']]}"
        for one, name in zip(found, names, strict=True)
    ]


def _nearest(pcm: PcmFormat, usual_rate_hz: int) -> Iterator[PcmFormat]:
    """Formats to try, the least change first: a multiple of the rate, the device's own, others."""
    channels = min(pcm.channels, MOST_CHANNELS)
    multiples = [rate for rate in USUAL_RATES_HZ if rate % pcm.frame_rate_hz == 0]
    for rate_hz in dict.fromkeys((pcm.frame_rate_hz, *multiples, usual_rate_hz, *USUAL_RATES_HZ)):
        for count in dict.fromkeys((channels, MOST_CHANNELS)):
            yield PcmFormat(rate_hz, count)


def _first_line(reason: object) -> str:
    return str(reason).strip().partition("\n")[0]
