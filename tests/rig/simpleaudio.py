"""A pretended simpleaudio, in virtual time: what its device heard is kept to the sample."""

from __future__ import annotations

import mmap
import sys
from types import SimpleNamespace

import pytest

from listening.outputs import reel, speaker

READ_AHEAD_S = 0.1
"""How far the pretended device reads ahead of what it plays."""


class Handle:
    """One buffer that is being played, by a device with a crystal and a clock of its own."""

    def __init__(self, buffer: mmap.mmap, now: float) -> None:
        self.started_s = now
        self.stopped = False
        self.stood_still_s = 0.0
        self._buffer = buffer
        self._heard = bytearray()

    @property
    def heard(self) -> bytes:
        return bytes(self._heard)

    def read(self, end_byte: int) -> None:
        self._heard += self._buffer[len(self._heard) : end_byte]

    def is_playing(self) -> bool:
        return not self.stopped

    def stop(self) -> None:
        self.stopped = True


class SimpleAudio:
    """Stands in for the module simpleaudio, with one device in virtual time."""

    def __init__(self) -> None:
        self.now = 100.0
        self.bytes_per_s = 0
        self.handles: list[Handle] = []
        self.busy = False
        self.drift = 0.0
        self.gone = False
        self.refuses = False
        self.stands_still = False

    def play_buffer(self, buffer: mmap.mmap, channels: int, width: int, rate_hz: int) -> Handle:
        assert width == 2
        self.bytes_per_s = rate_hz * channels * width
        if self.busy and any(handle.is_playing() for handle in self.handles):
            raise AssertionError("would wait for the device for ever")
        if self.refuses:
            raise RuntimeError("Error setting parameters. -- CODE: -5 -- MSG: Input/output error")
        self.handles.append(Handle(buffer, self.now))
        return self.handles[-1]

    def why_not(self) -> str | None:
        if self.gone:
            return "No such device"
        playing = any(handle.is_playing() for handle in self.handles)
        return "Device or resource busy" if self.busy and playing else None

    def pass_time(self, duration_s: float) -> None:
        self.now += duration_s
        for handle in self.handles:
            if handle.is_playing():
                handle.stood_still_s += duration_s if self.stands_still else 0.0
                elapsed_s = (self.now - handle.started_s) * (1 + self.drift) - handle.stood_still_s
                read_bytes = round((elapsed_s + READ_AHEAD_S) * self.bytes_per_s / 4) * 4
                handle.read(read_bytes)

    def wait(self, duration_s: float) -> bool:
        """In place of Event.wait(): nobody cancels."""
        self.pass_time(duration_s)
        return False


def pretended(monkeypatch: pytest.MonkeyPatch) -> SimpleAudio:
    """Put a pretended simpleaudio, and its ALSA, in the place of the real ones."""
    device = SimpleAudio()
    # Without a look at its memory the device is taken to keep time, and all is exact.
    monkeypatch.setattr(reel._Pagemap, "is_readable", lambda: False)
    monkeypatch.setitem(sys.modules, "simpleaudio", device)
    monkeypatch.setattr(
        speaker, "alsa", SimpleNamespace(be_quiet=lambda: None, why_not=device.why_not)
    )
    return device
