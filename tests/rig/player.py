"""Plays noise on the default sound device at the pace of a live stream, and prints how it went.

    python -m tests.rig.player '{"frame_rate_hz": 44100, "channels": 2, "duration_s": 5}'

It is a program because the environment chooses the sound card, and each test sets its own.
"""

import json
import random
import sys
import time
from collections.abc import Iterator

from pydub import AudioSegment

from listening.outputs import OutputError, speaker
from listening.outputs.device import Device
from listening.sound.pcm import PcmFormat

MESSAGE_FRAMES = 3 * 1152
"""Frames of PCM in one datagram at 128 kbit/s."""


def noise(pcm: PcmFormat, duration_s: float) -> bytes:
    """Noise: sound that never repeats itself."""
    return random.Random(7).randbytes(int(duration_s * pcm.frame_rate_hz) * pcm.frame_bytes)


def segments(sound: bytes, pcm: PcmFormat) -> Iterator[AudioSegment]:
    size = MESSAGE_FRAMES * pcm.frame_bytes
    for begin in range(0, len(sound), size):
        yield AudioSegment(
            data=sound[begin : begin + size],
            sample_width=2,
            frame_rate=pcm.frame_rate_hz,
            channels=pcm.channels,
        )


def main() -> None:
    """Play as the first argument says, and print the figures as JSON."""
    options = json.loads(sys.argv[1])
    pcm = PcmFormat(options["frame_rate_hz"], options["channels"])
    one: Device | speaker.Speaker = speaker.Speaker(options.get("reel_s"))
    if "device" in options:
        one = Device(options["device"])
    try:
        given = one.open(PcmFormat(options.get("source_hz", pcm.frame_rate_hz), pcm.channels), None)
        assert given == pcm
        begun_s, written_s = time.monotonic(), 0.0
        for segment in segments(noise(pcm, options["duration_s"]), pcm):
            one._cancelled.wait(begun_s + written_s - one.lead_s - time.monotonic())
            one.write(segment)
            one.flush()
            written_s += segment.frame_count() / pcm.frame_rate_hz
            if written_s > options.get("cancel_after_s", float("inf")):
                one.cancel()
                break
        closing_s = time.monotonic()
        one.close()
    except OutputError as error:
        sys.exit(str(error))
    print(json.dumps({"underruns": one.underruns, "closing_s": time.monotonic() - closing_s}))


if __name__ == "__main__":
    main()
