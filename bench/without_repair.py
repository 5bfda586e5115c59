"""A program of this project without its repair, to be measured beside the whole one.

    python bench/without_repair.py without client.py HOST PORT ...
    python bench/without_repair.py whole client.py HOST PORT ...

Both start here, because the order of imports changes the cost of a program by some per cent.
Requests, the answers to them, and concealment are replaced by stand-ins that do nothing. For
networks that lose nothing.
"""

from __future__ import annotations

import runpy
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

ROOT = Path(__file__).resolve().parent.parent
if __name__ == "__main__":
    sys.path[0] = str(ROOT)

import broadcasting.audience.sessions  # noqa: E402 - the folder must be known first
import listening.arrival.incoming_stream  # noqa: E402
import listening.sound.decoder  # noqa: E402
from listening.sound.pcm import audio_segment  # noqa: E402

if TYPE_CHECKING:
    from pydub import AudioSegment

    from listening.sound.pcm import PcmFormat


class NoRepair:
    """Stand-in for Repair that requests nothing."""

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
    """Stand-in for the splicer: silence in place of what is missing."""

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
    """Stand-in for Retransmission that answers nothing."""

    def __init__(self, *arguments: Any) -> None:
        pass

    def may_ask(self, *arguments: Any) -> bool:
        return False

    def answer(self, *arguments: Any) -> None:
        raise AssertionError("nobody may ask")

    def log_repairs(self, now: float) -> None:
        pass


def main() -> None:
    """Run the program named by the second argument."""
    for module, name, stand_in in (
        (listening.arrival.incoming_stream, "Repair", NoRepair),
        (listening.sound.decoder, "Splicer", NoConcealment),
        (broadcasting.audience.sessions, "Retransmission", NoRetransmission),
    ):
        assert hasattr(module, name), "it is there to be taken out"
        if sys.argv[1] == "without":
            setattr(module, name, stand_in)
    sys.argv = sys.argv[2:]
    runpy.run_path(str(ROOT / sys.argv[0]), run_name="__main__")


if __name__ == "__main__":
    main()
