"""A capture device as a source, recorded by a program of the sound system.

FFmpeg in PyAV's wheel has no PulseAudio, and an ALSA that finds neither the machine's settings nor
its plug-ins, so that it knows no `default`. The sound system's own programs do.
"""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from broadcasting.source.live_source import PROBE_S, LiveSource, open_stream
from broadcasting.source.pipe import Pipe
from shell.process import children

if TYPE_CHECKING:
    import subprocess

    from av.container import InputContainer

RATE_HZ, CHANNELS = 44_100, 2
"""Format that is recorded: the sound system converts from the device's own."""


class Recorder(NamedTuple):
    """A program that records a device to its standard output."""

    command: Callable[[str], list[str]]
    package: str
    """Debian package that it comes with."""


def _parec(device: str) -> list[str]:
    of = [] if device == "default" else [f"--device={device}"]
    return ["parec", "--raw", "--format=s16le", f"--rate={RATE_HZ}", f"--channels={CHANNELS}",
            "--latency-msec=50", *of]  # fmt: skip


def _arecord(device: str) -> list[str]:
    return ["arecord", "-q", "-D", device, "-t", "raw", "-f", "S16_LE", "-r", str(RATE_HZ),
            "-c", str(CHANNELS)]  # fmt: skip


RECORDERS = {
    "pulse": Recorder(_parec, "pulseaudio-utils"),
    "alsa": Recorder(_arecord, "alsa-utils"),
}
"""By the scheme of an address."""


class CaptureDevice(LiveSource):
    """What a sound card hears. Each time it is opened it begins with what is heard then."""

    returns = True

    def __init__(self, name: str) -> None:
        """`name` is SCHEME:DEVICE. Raises OSError if nothing here can record it."""
        self.name = self.title = name
        scheme, _, device = name.partition(":")
        recorder = RECORDERS[scheme.lower()]
        self._command = recorder.command(device)
        if shutil.which(self._command[0]) is None:
            raise OSError(0, f"needs {self._command[0]}: install {recorder.package}")
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._pipe: Pipe | None = None
        self._container: InputContainer | None = None

    def open(self) -> InputContainer:
        """What the device hears from now on; raises OSError."""
        with self._lock:
            self._process = process = children.start(self._command)
            assert process.stdout is not None
            self._pipe = pipe = Pipe(process.stdout.fileno(), endless=True)
        pipe.deadline = time.monotonic() + PROBE_S
        how = {"sample_rate": str(RATE_HZ), "ch_layout": "stereo"}
        try:
            # The format is known, but not whether anything comes.
            pipe.wait()
            if pipe.fault is not None:
                raise pipe.fault
            self._container = open_stream(pipe, format="s16le", options=how)
        except OSError:
            raise OSError(0, _complaint(process)) from None
        pipe.deadline = None
        return self._container

    @property
    def fault(self) -> OSError | None:
        """Why the recorder has ended; None while it goes on."""
        return None if self._pipe is None else self._pipe.fault

    def close(self) -> None:
        """End the recorder."""
        with self._lock:
            process, self._process = self._process, None
            pipe, self._pipe = self._pipe, None
        if self._container is not None:
            self._container.close()
            self._container = None
        if process is not None:
            children.end(process)
        if pipe is not None:
            pipe.close()

    def interrupt(self) -> None:
        """Read nothing more until it is opened again."""
        with self._lock:
            if self._pipe is not None:
                self._pipe.interrupt()


def _complaint(process: subprocess.Popen[bytes]) -> str:
    """The last line that the recorder said, as a reason."""
    lines = children.end(process).decode(errors="replace").strip().splitlines()
    return f"cannot be recorded: {lines[-1]}" if lines else "cannot be recorded"
