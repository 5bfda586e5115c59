"""The output that nobody hears: everything is done as for a loudspeaker, but for the sound."""

from __future__ import annotations

from typing import TYPE_CHECKING

from listening.pcm import PcmFormat

if TYPE_CHECKING:
    from pydub import AudioSegment


class Null:
    """Takes PCM, so that what is measured with it includes the decoder, and forgets it."""

    takes_frames = False
    lead_s = 0.0
    waits = False
    any_speed = True
    underruns = 0
    trouble = None
    unheard_s = 0.0
    changeable_frames = 0

    def prepare(self) -> None:
        """Nothing to do."""

    def open(self, pcm: PcmFormat, duration_s: float | None) -> PcmFormat:
        """Takes any format."""
        return pcm

    def write(self, audio: AudioSegment) -> None:
        """Forget it."""

    def write_frames(self, frames: bytes) -> None:
        """Forget them."""

    def take_back(self, most_frames: int) -> int:
        """Nothing can be changed any more."""
        return 0

    def resync(self) -> None:
        """Nothing to do: it follows on what was written before."""

    def flush(self) -> None:
        """Nothing to do."""

    def close(self) -> None:
        """Nothing to wait for."""

    def cancel(self) -> None:
        """Nobody waits."""
