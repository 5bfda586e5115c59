"""A WAV file. In goes PCM, out comes a file that is whole after every flush().

So it can be played while it grows, and when the program has died. (The format: Multimedia
Programming Interface and Data Specifications 1.0, IBM and Microsoft 1991, chapter 3.)

The header is packed here, and not by the module `wave`, because a Wave_write whose disk is full
cannot be let go without a second complaint from its finalizer.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import TYPE_CHECKING

from listening.outputs import OutputError
from listening.outputs.target_file import TargetFile
from listening.pcm import SAMPLE_BYTES, PcmFormat

if TYPE_CHECKING:
    from pydub import AudioSegment

HEADER = struct.Struct("<4sL4s4sLHHLLHH4sL")
RIFF_SIZE_BEFORE_DATA = HEADER.size - 8
"""The size in the header counts everything after itself."""
FORMAT_CHUNK_BYTES = 16
FORMAT_TAG_PCM = 1
LARGEST_AUDIO_BYTES = 2**32 - 1 - RIFF_SIZE_BEFORE_DATA
"""Sizes in the header have 32 bits: 6 h 45 min of 44.1 kHz stereo."""


def pack_header(pcm: PcmFormat, audio_bytes: int) -> bytes:
    """The 44 bytes before `audio_bytes` of PCM."""
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


class WavFile:
    """Writes what is heard to `path`."""

    takes_frames = False
    lead_s = 0.0
    waits = True
    any_speed = True
    underruns = 0
    trouble = None
    unheard_s = 0.0
    changeable_frames = 0

    def __init__(self, path: Path, largest_audio_bytes: int = LARGEST_AUDIO_BYTES) -> None:
        self._file = TargetFile(path)
        self._largest_audio_bytes = largest_audio_bytes
        self._pcm = PcmFormat(0, 0)
        self._audio_bytes = 0
        self._header_audio_bytes = 0

    def prepare(self) -> None:
        """Look once more whether the file can be written."""
        self._file.check()

    def open(self, pcm: PcmFormat, duration_s: float | None) -> PcmFormat:
        """Takes any format."""
        self._pcm = pcm
        self._file.open()
        self._file.write(pack_header(pcm, 0))
        return pcm

    def write(self, audio: AudioSegment) -> None:
        """Append. When the file has all that a WAV file can hold, it is left whole."""
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

    def write_frames(self, frames: bytes) -> None:
        """Never called: takes_frames is False."""
        raise NotImplementedError

    def take_back(self, most_frames: int) -> int:
        """Nothing can be changed any more."""
        return 0

    def resync(self) -> None:
        """Nothing to do: it follows on what was written before."""

    def flush(self) -> None:
        """Bring the header up to date."""
        if self._header_audio_bytes != self._audio_bytes:
            self._file.rewrite_start(pack_header(self._pcm, self._audio_bytes))
            self._header_audio_bytes = self._audio_bytes

    def close(self) -> None:
        """The file is whole."""
        try:
            self.flush()
        finally:
            self._file.close()

    def cancel(self) -> None:
        """Nobody waits."""
