"""Where the sound goes: one interface, one file for each member of the family.

In go PCM or MP3 frames, in the order in which they are to be heard; out come sound, files, a pipe
or nothing. All calls come from one thread, the playback thread, except `prepare()`, which may come
earlier from another, and `cancel()`, which may come from any at any time. Importing this package
loads neither simpleaudio nor pydub: the time to the first sound counts.

The order of calls: `prepare()` once, `open()` once, then batches of `write()` or `write_frames()`,
each batch closed by `flush()`, then `close()`. `close()` may be called at any point, and again.
A stream that follows on another is converted to the format of the first.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from listening.pcm import SAMPLE_BYTES, PcmFormat

if TYPE_CHECKING:
    from pydub import AudioSegment

DEVICE = "device:"
"""What stands before the name of a sound device."""

NAMED = ("speaker", "null", "-", "FILE.wav", "FILE.mp3")


class OutputError(Exception):
    """The output cannot go on. The text is one line for the user and says what to do."""


class OutputEnded(OutputError):
    """The other side wants no more (the next program of the pipe has ended): not a failure."""


class Output(Protocol):
    """What every member of the family does."""

    takes_frames: bool
    """True: gets MP3 frames as sent, through write_frames(). False: gets PCM, through write()."""

    lead_s: float
    """How long before its playout time the output must have the audio. 0: when it is due."""

    waits: bool
    """True: nobody listens along, so that audio may come late, and rather late than never."""

    any_speed: bool
    """True: takes audio faster or slower than it is heard."""

    @property
    def underruns(self) -> int:
        """How often the output needed audio that had not been written yet."""

    @property
    def trouble(self) -> str | None:
        """Why nothing is heard now, in one line for the user; None if that is not its doing."""

    @property
    def unheard_s(self) -> float:
        """Seconds of audio that it took while it could not let them be heard."""

    @property
    def changeable_frames(self) -> int:
        """How much of the end of what was flushed is far from being heard. Files have none."""

    def take_back(self, most_frames: int) -> int:
        """Forget so much of the end of what was flushed, as far as it is changeable; how much.

        What is written next stands in its place.
        """

    def prepare(self) -> None:
        """Do what takes time and needs no format: imports, a look at the device or the path.

        Nothing is heard and no file is changed. Raises OutputError.
        """

    def open(self, pcm: PcmFormat, duration_s: float | None) -> PcmFormat:
        """Get ready for a stream of this format, `duration_s` long (None: unknown or endless).

        Returns the format that write() must be given: this one, or the nearest that the output
        can play. Raises OutputError.
        """

    def write(self, audio: AudioSegment) -> None:
        """Take audio in the format that open() returned.

        It follows without a gap on what was written before: what is missing is written as
        silence. Raises OutputError.
        """

    def write_frames(self, frames: bytes) -> None:
        """Take whole MP3 frames as they were sent. Raises OutputError."""

    def resync(self) -> None:
        """A new timeline begins: what follows is wanted as soon as it can be had.

        What was written before keeps its place. Raises OutputError.
        """

    def flush(self) -> None:
        """All that was due has been written: let it be heard, or seen. Raises OutputError.

        An output that may be able to go on later is not done for: that is a `trouble`.
        """

    def close(self) -> None:
        """Wait until everything written has been heard or is on disk. Raises OutputError."""

    def cancel(self) -> None:
        """From any thread: whoever waits in this output returns at once, now and later."""


def check_format(audio: AudioSegment, pcm: PcmFormat) -> None:
    """Raises ValueError if `audio` is not of the format that open() returned."""
    given = (audio.frame_rate, audio.channels, audio.sample_width)
    if given != (pcm.frame_rate_hz, pcm.channels, SAMPLE_BYTES):
        raise ValueError(f"{given} is not the format that open() returned, {pcm}")


def make_output(where: str) -> Output:
    """The output that the command line names: speaker, device:NAME, null, -, FILE.wav or FILE.mp3.

    - is MP3 to standard output. Raises ValueError, with one line for the user, when `where` is none
    of them, and OutputError when it cannot be written. No file is changed yet.
    """
    # Each member is imported when it is chosen, so that no one waits for another's libraries.
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
