"""A real sound server for tests: a private PulseAudio whose only loudspeaker is recorded.

    with pulse.server(tmp_path) as sound:
        subprocess.run([...], env=sound.environment, check=True)
        heard = sound.recording()            # PCM, signed 16 bit little-endian, interleaved

or, when only the sound matters and a busy machine must not spoil it,

    heard = pulse.record(tmp_path, lambda sound: subprocess.run([...], env=sound.environment))

The loudspeaker is a null sink with the rate and the channels of the stream, so PulseAudio converts
nothing and the recording is the sent PCM, bit for bit. The user's own sound set-up is neither read
nor started nor used. Every wait ends when something is ready, or fails with what the programs
said.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

READY_WITHIN_S = 20.0
"""Longest wait for a program to start or end; an idle machine takes 0.1 s."""
POLL_S = 0.01
LONGEST_SOCKET_PATH_BYTES = 107
"""sockaddr_un.sun_path on Linux holds 108 bytes, one of them the final zero."""

UNDERRUN = "underrun of '"
"""Part of what PulseAudio logs: "Implicit underrun of 'ALSA Playback'"."""

NICE = -11
"""Priority that PulseAudio gives itself where that is permitted. A player needs it as much: what
simpleaudio hands over lasts 0.1 s."""

MOST_ATTEMPTS = 4

ALSA_CONFIGURATION = "pcm.!default { type pulse }\nctl.!default { type pulse }\n"


class SoundServer:
    """A running server; made by `server()`."""

    def __init__(self, folder: Path, frame_rate_hz: int, channels: int) -> None:
        self.frame_rate_hz = frame_rate_hz
        self.channels = channels
        self._folder = folder
        self._socket = folder / "native"
        self._starts = 0
        self._server: subprocess.Popen[bytes] | None = None
        self._recorder: subprocess.Popen[bytes] | None = None
        for needed in ("pulseaudio", "parec"):
            if shutil.which(needed) is None:
                raise RuntimeError(
                    f"{needed} is not installed: apt install pulseaudio-utils"
                    " pulseaudio libasound2-plugins"
                )
        if len(os.fsencode(self._socket)) > LONGEST_SOCKET_PATH_BYTES:
            raise RuntimeError(f"the path is too long for a socket: {self._socket}")

    @property
    def environment(self) -> dict[str, str]:
        """The environment in which a program's default sound device is this server."""
        # With DISPLAY set, PulseAudio would look there for a server and start a D-Bus.
        inherited = {name: value for name, value in os.environ.items() if name != "DISPLAY"}
        return {
            **inherited,
            "PULSE_SERVER": f"unix:{self._socket}",
            "PULSE_RUNTIME_PATH": str(self._folder),
            "PULSE_STATE_PATH": str(self._folder),
            "PULSE_COOKIE": str(self._folder / "cookie"),
            "XDG_RUNTIME_DIR": str(self._folder),
            "ALSA_CONFIG_PATH": str(self._folder / "alsa.conf"),
        }

    def recording(self) -> bytes:
        """Everything the loudspeaker played from the start until this call, silence included."""
        # The tape is in order: once a stretch that was rendered after this call is on it,
        # so is everything before. The stretch is longer than what the recorder may hold back.
        self._wait_for_tape(self._tape_bytes() + self._bytes_of(0.5))
        frame_bytes = 2 * self.channels
        recording = self._tape.read_bytes()
        return recording[: len(recording) // frame_bytes * frame_bytes]

    @property
    def underruns(self) -> int:
        """How often a program that was playing did not deliver in time.

        simpleaudio always delivers, if only silence: an underrun of it means that the machine was
        too busy, and that the recording tells nothing about the program.
        """
        return self._log("pulseaudio").read_text(errors="replace").count(UNDERRUN)

    def start(self) -> None:
        """Start the server and its recorder, and wait until both work."""
        (self._folder / "alsa.conf").write_text(ALSA_CONFIGURATION)
        self._starts += 1
        # A sink that rewinds puts audio where silence has been recorded already, and its first
        # block lasts 2 s.
        sink = f"rate={self.frame_rate_hz} channels={self.channels} format=s16le norewinds=1"
        self._server = self._spawn(
            "pulseaudio", "-n", "--daemonize=no", "--use-pid-file=no", "--exit-idle-time=-1",
            "--log-level=debug", "--disable-shm=yes",
            f"--load=module-null-sink sink_name=ear {sink}",
            f"--load=module-native-protocol-unix auth-anonymous=1 socket={self._socket}",
        )  # fmt: skip
        self._wait_until(self._answers, "PulseAudio did not open its socket")
        self._recorder = self._spawn(
            "parec", "--device=ear.monitor", "--raw", "--latency-msec=50", "--format=s16le",
            f"--rate={self.frame_rate_hz}", f"--channels={self.channels}", str(self._tape),
        )  # fmt: skip
        self._wait_for_tape(1)

    def stop(self) -> None:
        """End both programs, and keep what was recorded."""
        for process in (self._recorder, self._server):
            if process is not None and process.poll() is None:
                process.terminate()
                try:
                    process.wait(READY_WITHIN_S)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()

    def die(self) -> bytes:
        """Kill the server, as in a crash; returns what it played. `start` starts another."""
        assert self._server is not None, "start() comes first"
        assert self._recorder is not None, "start() comes first"
        recording = self.recording()
        self._server.kill()
        # With it ends the recorder, which has lost its server.
        for process in (self._server, self._recorder):
            process.wait(READY_WITHIN_S)
        self._server = self._recorder = None
        return recording

    @property
    def _tape(self) -> Path:
        return self._folder / f"recording{self._starts}.raw"

    def _spawn(self, *command: str) -> subprocess.Popen[bytes]:
        with self._log(command[0]).open("wb") as log:
            return subprocess.Popen(
                command, env=self.environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )

    def _log(self, program: str) -> Path:
        return self._folder / f"{program}.log"

    def _answers(self) -> bool:
        try:
            with socket.socket(socket.AF_UNIX) as caller:
                caller.connect(str(self._socket))
        except OSError:
            return False
        return True

    def _bytes_of(self, duration_s: float) -> int:
        return int(duration_s * self.frame_rate_hz) * self.channels * 2

    def _tape_bytes(self) -> int:
        return self._tape.stat().st_size if self._tape.exists() else 0

    def _wait_for_tape(self, size_bytes: int) -> None:
        self._wait_until(lambda: self._tape_bytes() >= size_bytes, "the recording does not grow")

    def _wait_until(self, ready: Callable[[], bool], complaint: str) -> None:
        deadline = time.monotonic() + READY_WITHIN_S
        while not ready():
            ended = any(
                p is not None and p.poll() is not None for p in (self._server, self._recorder)
            )
            if ended or time.monotonic() > deadline:
                said = "".join(
                    log.read_text(errors="replace") for log in sorted(self._folder.glob("*.log"))
                )
                raise RuntimeError(f"{complaint}:\n{said}")
            time.sleep(POLL_S)


@contextlib.contextmanager
def server(folder: Path, frame_rate_hz: int = 44_100, channels: int = 2) -> Iterator[SoundServer]:
    """Start a sound server that keeps its files in `folder`; stop it at the end, whatever happens.

    Programs started within the block have priority where that is permitted, as it is to root: a
    busy machine must not spoil the sound.

    Raises RuntimeError when PulseAudio is not installed or does not start.
    """
    sound = SoundServer(folder, frame_rate_hz, channels)
    with _priority():
        try:
            sound.start()
            yield sound
        finally:
            sound.stop()


@contextlib.contextmanager
def _priority() -> Iterator[None]:
    """Priority `NICE` for this thread and the processes it starts, where that is permitted."""
    before = os.getpriority(os.PRIO_PROCESS, 0)
    with contextlib.suppress(PermissionError):
        os.setpriority(os.PRIO_PROCESS, 0, min(before, NICE))
    try:
        yield
    finally:
        os.setpriority(os.PRIO_PROCESS, 0, before)


def record(
    folder: Path,
    play: Callable[[SoundServer], object],
    frame_rate_hz: int = 44_100,
    channels: int = 2,
) -> bytes:
    """What is heard while `play` runs; it runs again when the machine was too busy.

    Raises RuntimeError when it always was.
    """
    for attempt in range(MOST_ATTEMPTS):
        attempt_folder = folder / f"sound{attempt}"
        attempt_folder.mkdir()
        with server(attempt_folder, frame_rate_hz, channels) as sound:
            play(sound)
            recording = sound.recording()
            if not sound.underruns:
                return recording
    raise RuntimeError("this machine is too busy to play sound without a gap")
