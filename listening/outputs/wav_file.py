"""A WAV file that is valid after every flush(): PCM in, file out.

It can be played while it grows, and after the program has died. The format is that of Multimedia
Programming Interface and Data Specifications 1.0 (IBM and Microsoft 1991), chapter 3.

The header is packed here, not by the module `wave`: a Wave_write whose disk is full raises a second
time in its finalizer.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import TYPE_CHECKING

from listening.outputs import Output, OutputError
from listening.outputs.target_file import TargetFile
from listening.sound.pcm import SAMPLE_BYTES, PcmFormat

if TYPE_CHECKING:
    from pydub import AudioSegment

HEADER = struct.Struct("<4sL4s4sLHHLLHH4sL")
RIFF_SIZE_BEFORE_DATA = HEADER.size - 8
"""Bytes that the RIFF chunk's size counts before the audio: all that follow the size itself."""
FORMAT_CHUNK_BYTES = 16
FORMAT_TAG_PCM = 1
LARGEST_AUDIO_BYTES = 2**32 - 1 - RIFF_SIZE_BEFORE_DATA
"""Sizes in the header have 32 bits, which is 6 h 45 min of 44.1 kHz stereo."""


def pack_header(pcm: PcmFormat, audio_bytes: int) -> bytes:
    """The 44-byte header of a file with `audio_bytes` of PCM."""
    return HEADER.pack(
        b"RIFF",
        RIFF_SIZE_BEFORE_DATA + audio_bytes,
        b"WAVE",
        b"fmt ",
        FORMAT_CHUNK_BYTES,
        FORMAT_TAG_PCM,
        pcm.channels,
        pcm.frame_rate_hz,
        pcm.frame_rate_hz * pcm.frame_bytes,
        pcm.frame_bytes,
        8 * SAMPLE_BYTES,
        b"data",
        audio_bytes,
    )


class WavFile(Output):
    """Writes what is heard to a file. Raises OutputError when `path` cannot be written."""

    waits = True
    any_speed = True

    def __init__(self, path: Path, largest_audio_bytes: int = LARGEST_AUDIO_BYTES) -> None:
        self._file = TargetFile(path)
        self._largest_audio_bytes = largest_audio_bytes
        self._pcm = PcmFormat(0, 0)
        self._audio_bytes = 0
        self._header_audio_bytes = 0

    def prepare(self) -> None:
        """Check again that the file can be written; raises OutputError."""
        self._file.check()

    def open(self, pcm: PcmFormat, duration_s: float | None) -> PcmFormat:
        """Create or empty the file; raises OutputError. Any format is taken."""
        self._pcm = pcm
        self._file.open()
        self._file.write(pack_header(pcm, 0))
        return pcm

    def write(self, audio: AudioSegment) -> None:
        """Append; raises OutputError, when the file is full after closing it in a valid state."""
        pcm = bytes(audio.raw_data)
        room_bytes = self._largest_audio_bytes - self._audio_bytes
        fitting_bytes = min(len(pcm), room_bytes - room_bytes % self._pcm.frame_bytes)
        self._file.write(pcm[:fitting_bytes])
        self._audio_bytes += fitting_bytes
        if fitting_bytes < len(pcm):
            self.close()
            raise OutputError(
                f"{self._file.path} is full: a WAV file holds 4 GiB;"
                " use --output FILE.mp3 for what is longer"
            )

    def flush(self) -> None:
        """Bring the header up to date; raises OutputError."""
        if self._header_audio_bytes != self._audio_bytes:
            self._file.rewrite_start(pack_header(self._pcm, self._audio_bytes))
            self._header_audio_bytes = self._audio_bytes

    def close(self) -> None:
        """Update the header and close the file; raises OutputError."""
        try:
            self.flush()
        finally:
            self._file.close()
