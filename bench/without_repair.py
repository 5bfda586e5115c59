"""A program of this project with all that repairs taken out, to be measured beside the whole one.

    python bench/without_repair.py without client.py HOST PORT ...
    python bench/without_repair.py whole client.py HOST PORT ...

Both are started here: who imports what, and when, changes what a program costs by some hundredths.
In the place of requests, what answers them, and concealment are stand-ins that do nothing, and
have the same names. It is for networks that lose nothing.
"""

from __future__ import annotations

import runpy
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

ROOT = Path(__file__).resolve().parent.parent
if __name__ == "__main__":
    sys.path[0] = str(ROOT)

import broadcasting.reception  # noqa: E402 - the folder must be known first
import listening.decoder  # noqa: E402
import listening.listen  # noqa: E402
from listening.splicer import audio_segment  # noqa: E402

if TYPE_CHECKING:
    from pydub import AudioSegment

    from listening.pcm import PcmFormat


class NoRepair:
    """Sees no gap, and asks for nothing."""

    sent_before = 0

    def __init__(self, *arguments: Any, **options: Any) -> None:
        pass

    def resume(self, *arguments: Any) -> None:
        pass

    def arrived(self, *arguments: Any) -> None:
        pass

    def ended(self, *arguments: Any) -> None:
        pass

    def next_due(self) -> float:
        return float("inf")

    def take_due(self, now: float) -> list[int]:
        return []


class NoConcealment:
    """Gives out the sound that came, and silence for what did not."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._pcm: PcmFormat | None = None

    def sound(self, data: bytes, pcm: PcmFormat) -> None:
        self._parts.append(data)
        self._pcm = pcm

    def conceal(self, samples: int, pcm: PcmFormat) -> None:
        self.sound(bytes(samples * pcm.frame_bytes), pcm)

    def interrupt(self) -> None:
        pass

    def join(self) -> None:
        pass

    def ring_out(self) -> int:
        return 0

    def take(self) -> list[AudioSegment]:
        data = b"".join(self._parts)
        self._parts.clear()
        return [audio_segment(data, self._pcm)] if data and self._pcm else []


class NoRetransmission:
    """Lets nobody ask."""

    def __init__(self, *arguments: Any) -> None:
        pass

    def may_ask(self, *arguments: Any) -> bool:
        return False

    def answer(self, *arguments: Any) -> None:
        raise AssertionError("nobody may ask")

    def drop(self, *arguments: Any) -> None:
        pass

    def move(self, *arguments: Any) -> None:
        pass


def main() -> None:
    """Become the program that is named second."""
    for module, name, stand_in in (
        (listening.listen, "Repair", NoRepair),
        (listening.decoder, "Splicer", NoConcealment),
        (broadcasting.reception, "Retransmission", NoRetransmission),
    ):
        assert hasattr(module, name), "it is there to be taken out"
        if sys.argv[1] == "without":
            setattr(module, name, stand_in)
    sys.argv = sys.argv[2:]
    runpy.run_path(str(ROOT / sys.argv[0]), run_name="__main__")


if __name__ == "__main__":
    main()
