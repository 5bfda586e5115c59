"""Sources that are not files: standard input, and a capture device by the program that records it.

Each gives bytes as they come, which FFmpeg takes apart as it does a file's. Whoever reads waits,
so a thread of its own reads (`reader`); `interrupt` ends that wait, from any thread. To find out
what a source holds takes at most `PROBE_S`. What goes wrong is an OSError with a plain word.
"""

from __future__ import annotations

import contextlib
import os
import select
import sys
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

import av

from shell.udp import Bell

if TYPE_CHECKING:
    import subprocess

    from av.container import InputContainer

PROBE_S = 10.0
"""From the opening of a source until FFmpeg knows what it is: Icecast sends a burst, and MP3 of
8 kbit/s that comes no faster than it sounds has 10 kB by then."""

_OPTIONS = {
    # What comes is data, and names no other place to read from.
    "protocol_whitelist": "none",
    # FFmpeg would wait for 5 s of a stream to estimate a bit rate that nobody asks for.
    "analyzeduration": "500000",
    "probesize": "262144",
}

RATE_HZ, CHANNELS = 44_100, 2
"""What is recorded: the sound system converts from what the device has."""


class LiveSource(Protocol):
    """One source that is no file, which may be opened, closed and opened again."""

    name: str
    """As the user typed it."""
    returns: bool
    """Whether it is worth while to open it again when it has ended early."""

    @property
    def fault(self) -> OSError | None:
        """What made it end, if it should have gone on."""

    def open(self) -> InputContainer:
        """What it holds; raises OSError or FFmpegError. Takes `PROBE_S` at most."""

    def close(self) -> None:
        """Let go of what `open` has taken."""

    def interrupt(self) -> None:
        """Let whoever opens it or reads from it come to an end. Any thread may call."""

    def title_at(self, position_bytes: int | None) -> str | None:
        """What the source calls what it sends there; None if it does not say."""


def open_stream(file: object, **how: Any) -> InputContainer:
    """What FFmpeg finds in an object with `read`."""
    options = {**_OPTIONS, **how.pop("options", {})}
    container: InputContainer = av.open(file, metadata_errors="replace", options=options, **how)
    return container


class Pipe:
    """Reads a descriptor as its bytes come; ends when that does, or when it is told to."""

    def __init__(self, descriptor: int, *, endless: bool = False) -> None:
        """`endless`: an end is a fault."""
        self._endless = endless
        self.deadline: float | None = None
        """Until when something must come, if not for ever."""
        self.fault: OSError | None = None
        """Why there was an end where none should be."""
        self.has_read = False
        """Whether anything came at all."""
        self._descriptor = descriptor
        self._head = b""
        self._bell = Bell()
        self._poll = select.poll()
        for one in (descriptor, self._bell.readable.fileno()):
            self._poll.register(one, select.POLLIN)
        self._interrupted = False

    def read(self, size: int) -> bytes:
        """Some bytes, `size` at most; none at the end. Raises OSError."""
        if self._head:
            head, self._head = self._head[:size], self._head[size:]
            return head
        while not self._interrupted:
            left_s = None if self.deadline is None else self.deadline - time.monotonic()
            if left_s is not None and left_s <= 0:
                raise TimeoutError(0, f"sends nothing that can be played within {PROBE_S:g} s")
            ready = self._poll.poll(None if left_s is None else left_s * 1e3)
            if any(descriptor == self._descriptor for descriptor, _ in ready):
                data = os.read(self._descriptor, size)
                self.has_read = self.has_read or bool(data)
                if not data and self._endless:
                    self.fault = ConnectionError(0, "nothing more comes")
                return data
        return b""

    def wait(self) -> None:
        """Until something comes; raises OSError if nothing does."""
        self._head = self.read(4096)

    def interrupt(self) -> None:
        """End `read`, now and from now on."""
        self._interrupted = True
        self._bell.ring()

    def close(self) -> None:
        """Let go of what is ours; the descriptor is not."""
        self._bell.close()


class StandardInput:
    """A stream that somebody pipes in. It is opened once, and what was read is kept."""

    name = "standard input"
    returns = False
    fault = None

    def __init__(self) -> None:
        """Raises OSError if there is nothing to be read there."""
        if sys.stdin is None or sys.stdin.closed:
            raise OSError(0, "is closed: pipe audio into it")
        if sys.stdin.isatty():
            raise OSError(0, "is a terminal: pipe audio into it, such as `cat song.mp3 |`")
        self._pipe = Pipe(sys.stdin.fileno())
        self._container: InputContainer | None = None
        self._played = False

    def open(self) -> InputContainer:
        """What is piped in: found out at the first call, played at the second."""
        if self._container is not None:
            if self._played:
                raise OSError(0, "has been played, and cannot be played again")
            self._played = True
            return self._container
        self._pipe.deadline = time.monotonic() + PROBE_S
        try:
            self._container = open_stream(self._pipe)
        except (av.InvalidDataError, av.EOFError):
            said = "sends nothing that can be played" if self._pipe.has_read else "ended at once"
            raise OSError(0, said) from None
        self._pipe.deadline = None
        return self._container

    def close(self) -> None:
        """What was read must not be lost between the probe and the playing."""
        if self._played and self._container is not None:
            self._container.close()

    def interrupt(self) -> None:
        """Nothing more is read: there is no way back into the middle of a pipe."""
        self._pipe.interrupt()

    def title_at(self, position_bytes: int | None) -> str | None:
        """Nobody says."""
        return None


def _parec(device: str) -> list[str]:
    of = [] if device == "default" else [f"--device={device}"]
    return ["parec", "--raw", "--format=s16le", f"--rate={RATE_HZ}", f"--channels={CHANNELS}",
            "--latency-msec=50", *of]  # fmt: skip


def _arecord(device: str) -> list[str]:
    return ["arecord", "-q", "-D", device, "-t", "raw", "-f", "S16_LE", "-r", str(RATE_HZ),
            "-c", str(CHANNELS)]  # fmt: skip


class _Recorder:
    """A program that records a device to its standard output."""

    def __init__(self, command: Callable[[str], list[str]], package: str) -> None:
        self.command = command
        self.package = package


# FFmpeg in PyAV's wheel has no PulseAudio, and an ALSA that finds neither the machine's settings
# nor its plug-ins, so that it knows no `default`: the sound system's own programs do.
RECORDERS = {
    "pulse": _Recorder(_parec, "pulseaudio-utils"),
    "alsa": _Recorder(_arecord, "alsa-utils"),
}


class CaptureDevice:
    """What a sound card hears. Each time it is opened it begins with what is heard then."""

    returns = True

    def __init__(self, name: str, recorder: _Recorder, device: str) -> None:
        """Raises OSError if nothing here can record it."""
        import shutil

        self.name = name
        self._command = recorder.command(device)
        if shutil.which(self._command[0]) is None:
            raise OSError(0, f"needs {self._command[0]}: install {recorder.package}")
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._pipe: Pipe | None = None
        self._container: InputContainer | None = None

    def open(self) -> InputContainer:
        """What the device hears from now on."""
        import subprocess

        with self._lock:
            self._process = process = subprocess.Popen(  # noqa: S603 - one of ours
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                # Ctrl-C is for the server, which ends its recorder in order.
                start_new_session=True,
            )
            assert process.stdout is not None
            self._pipe = pipe = Pipe(process.stdout.fileno(), endless=True)
        pipe.deadline = time.monotonic() + PROBE_S
        how = {"sample_rate": str(RATE_HZ), "ch_layout": "stereo"}
        try:
            # It is known what comes, but not whether it does.
            pipe.wait()
            if pipe.fault is not None:
                raise pipe.fault
            self._container = open_stream(pipe, format="s16le", options=how)
        except OSError:
            raise OSError(0, self._complaint()) from None
        pipe.deadline = None
        return self._container

    @property
    def fault(self) -> OSError | None:
        """Why the recorder has ended."""
        return None if self._pipe is None else self._pipe.fault

    def close(self) -> None:
        """The recorder ends."""
        with self._lock:
            process, self._process = self._process, None
            pipe, self._pipe = self._pipe, None
        if self._container is not None:
            self._container.close()
            self._container = None
        if process is not None:
            process.terminate()
            process.communicate()
        if pipe is not None:
            pipe.close()

    def interrupt(self) -> None:
        """Nothing more is read until it is opened again."""
        with self._lock:
            if self._pipe is not None:
                self._pipe.interrupt()

    def title_at(self, position_bytes: int | None) -> str | None:
        """Nobody says."""
        return None

    def _complaint(self) -> str:
        """What the recorder said last."""
        process = self._process
        assert process is not None
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        _, said = process.communicate()
        lines = said.decode(errors="replace").strip().splitlines()
        return f"cannot be recorded: {lines[-1]}" if lines else "cannot be recorded"
