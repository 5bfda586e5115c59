"""The client, with a WAV file in the loudspeaker's place: as early, and it cannot wait either.

    python bench/loss/as_the_speaker.py client.py HOST PORT --output FILE.wav ...

What a loudspeaker plays cannot be compared sample by sample; what this file holds can.
"""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
if __name__ == "__main__":
    sys.path[0] = str(ROOT)

from listening.outputs.speaker import Speaker  # noqa: E402 - the folder must be known first
from listening.outputs.wav_file import WavFile  # noqa: E402


def main() -> None:
    """Run the program named by the first argument."""
    WavFile.lead_s, WavFile.waits = Speaker.lead_s, Speaker.waits
    sys.argv = sys.argv[1:]
    runpy.run_path(str(ROOT / sys.argv[0]), run_name="__main__")


if __name__ == "__main__":
    main()
