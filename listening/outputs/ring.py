"""A ring of memory that one thread writes ahead of another, which reads it at its own pace.

Places are counted in bytes from the start, for ever. What nobody wrote is read as silence, and what
is written when it has been read already is lost: time has passed it.
"""

from __future__ import annotations

import threading


class Ring:
    """`size_bytes` of memory, all of it silence at first."""

    def __init__(self, size_bytes: int) -> None:
        self.size_bytes = size_bytes
        self.read_bytes = 0
        """Everything before this has been read."""
        self._memory = bytearray(size_bytes)
        self._lock = threading.Lock()

    @property
    def end_byte(self) -> int:
        """There is no room from here on, for now."""
        return self.read_bytes + self.size_bytes

    def write(self, begin_byte: int, pcm: bytes) -> None:
        """Put audio at its place; the caller has seen that it ends before `end_byte`."""
        with self._lock:
            audio = memoryview(pcm)[max(0, self.read_bytes - begin_byte) :]
            at = (begin_byte + len(pcm) - len(audio)) % self.size_bytes
            before_seam = audio[: self.size_bytes - at]
            after_seam = audio[len(before_seam) :]
            self._memory[at : at + len(before_seam)] = before_seam
            self._memory[: len(after_seam)] = after_seam

    def read(self, wanted_bytes: int) -> bytes:
        """The next `wanted_bytes`, at most all there is; what is read is silence from now on."""
        with self._lock:
            at = self.read_bytes % self.size_bytes
            audio = bytes(self._memory[at : at + wanted_bytes])
            self._memory[at : at + len(audio)] = bytes(len(audio))
            rest = wanted_bytes - len(audio)
            audio += self._memory[:rest]
            self._memory[:rest] = bytes(rest)
            self.read_bytes += wanted_bytes
            return audio
