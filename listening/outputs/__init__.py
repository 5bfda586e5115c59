"""The outputs: one interface, and one file for each member of the family.

PCM or MP3 frames go in, in the order in which they are heard; sound, a file or a pipe comes out.
One thread makes all calls, the playback thread, with two exceptions: `prepare()` may be called
earlier from another thread, and `cancel()` from any thread at any time. Importing this package
loads neither simpleaudio nor pydub: that would delay the first sound.

Order of calls: `prepare()` once, `open()` once, then batches of `write()` or `write_frames()`, each
followed by `flush()`, then `close()`. `close()` may be called at any point, and again. When another
stream follows, its audio is converted to the format of the first.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from listening.sound.pcm import SAMPLE_BYTES, PcmFormat

if TYPE_CHECKING:
    from pydub import AudioSegment

DEVICE = "device:"
"""Prefix of a sound device's name in --output."""

NAMED = ("speaker", "null", "-", "FILE.wav", "FILE.mp3")


class OutputError(Exception):
    """The output cannot continue. Its text is one line for the user and says what to do."""


class OutputEnded(OutputError):
    """The program that reads the pipe has ended: not a failure."""


class Output:
    """The interface, and its defaults: nothing to prepare, to take back or to wait for."""

    takes_frames = False
    """True: takes MP3 frames as sent (`write_frames`). False: takes PCM (`write`)."""

    lead_s = 0.0
    """Seconds between the time when the output needs audio and its playout time."""

    waits = False
    """True: nobody listens along, so late audio is better than none."""

    any_speed = False
    """True: audio may come faster or slower than it is heard."""

    @property
    def underruns(self) -> int:
        """How often the output needed audio that had not been written yet."""
        return 0

    @property
    def trouble(self) -> str | None:
        """Why nothing is heard now, in one line for the user; None: the output works."""
        return None

    @property
    def unheard_s(self) -> float:
        """Seconds of audio taken while nothing could be heard."""
        return 0.0

    @property
    def changeable_frames(self) -> int:
        """Frames at the end of what was flushed that `take_back` can still remove."""
        return 0

    def take_back(self, most_frames: int) -> int:
        """Remove up to this many changeable frames; returns how many were removed.

        The next write takes their place.
        """
        return 0

    def prepare(self) -> None:
        """Do what takes time and needs no format: imports, a look at the device or the path.

        Nothing is heard and no file is changed. Raises OutputError.
        """

    def open(self, pcm: PcmFormat, duration_s: float | None) -> PcmFormat:
        """Get ready for a stream of this format, `duration_s` long (None: unknown or endless).

        Returns the format that `write` must be given: this one, or the nearest that the output can
        play. Raises OutputError.
        """
        return pcm

    def write(self, audio: AudioSegment) -> None:
        """Append audio in the format that `open` returned. Raises OutputError.

        Audio is contiguous: the caller writes silence for what is missing.
        """
        raise NotImplementedError

    def write_frames(self, frames: bytes) -> None:
        """Append whole MP3 frames as they were sent. Raises OutputError."""
        raise NotImplementedError

    def resync(self) -> None:
        """Begin a new timeline: what follows is wanted as soon as possible. Raises OutputError.

        What was written before keeps its place.
        """

    def flush(self) -> None:
        """Let what was written be heard or seen. Raises OutputError.

        An output that may recover by itself does not raise: it reports `trouble`.
        """

    def close(self) -> None:
        """Wait until everything written has been heard or is on disk. Raises OutputError."""

    def cancel(self) -> None:
        """Make every call that waits in this output return at once, now and later."""


def check_format(audio: AudioSegment, pcm: PcmFormat) -> None:
    """Raise ValueError unless `audio` has the format that `open` returned."""
    given = (audio.frame_rate, audio.channels, audio.sample_width)
    if given != (pcm.frame_rate_hz, pcm.channels, SAMPLE_BYTES):
        raise ValueError(f"{given} is not the format that open() returned, {pcm}")


def names_no_file(where: str) -> bool:
    """Whether `where`, of the command line, is neither a file nor standard output."""
    return where in ("speaker", "null") or where.startswith(DEVICE)


def make_output(where: str) -> Output:
    """The output named on the command line: speaker, device:NAME, null, -, FILE.wav or FILE.mp3.

    "-" is MP3 to standard output. No file is changed yet. Raises ValueError, with one line for the
    user, for any other name, and OutputError when the file cannot be written.
    """
    # Each member is imported only when it is chosen: its libraries take time to load.
    if where == "speaker":
        from listening.outputs.speaker import Speaker

        return Speaker()
    if where == "null":
        from listening.outputs.null import Null

        return Null()
    if where == "-":
        from listening.outputs.mp3_file import StandardOutput

        return StandardOutput()
    if where.startswith(DEVICE):
        from listening.outputs.device import Device

        return Device(where.removeprefix(DEVICE))
    kind = Path(where).suffix.lower()
    if kind == ".wav":
        from listening.outputs.wav_file import WavFile

        return WavFile(Path(where))
    if kind == ".mp3":
        from listening.outputs.mp3_file import Mp3File

        return Mp3File(Path(where))
    raise ValueError(
        f"cannot tell what to do with --output {where!r}:"
        " give speaker, device:NAME, null, - or a name that ends in .wav or .mp3"
    )
