"""The output without sound: everything is done as for a loudspeaker, then forgotten."""

from __future__ import annotations

from typing import TYPE_CHECKING

from listening.outputs import Output

if TYPE_CHECKING:
    from pydub import AudioSegment


class Null(Output):
    """Takes PCM, so that what is measured with it includes the decoder."""

    any_speed = True

    def write(self, audio: AudioSegment) -> None:
        """Forget it."""
