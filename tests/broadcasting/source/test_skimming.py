"""Files with a hole: half a download, or an image of a disk, is zeros for as long as you like."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import pytest

from broadcasting.source.live_source import open_stream
from broadcasting.source.segments import read_segments
from broadcasting.source.skimming import Skimmed
from tests.rig.programs import ROOT
from tests.rig.zoo import encode, frames_in, zoo_file

HOLE_BYTES = 300 << 20

READ = """
import sys
from broadcasting.source.segments import read_segments
for segment in read_segments([sys.argv[1]], 1300):
    sys.stdout.buffer.write(segment.data)
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
print(status["VmHWM"].split()[0], file=sys.stderr)
"""


def test_a_hole_of_zeros_is_passed_over_and_takes_no_memory(tmp_path: Path) -> None:
    song = zoo_file("no-xing.mp3")
    path = tmp_path / "hole.mp3"
    content = b"".join(song.frames)
    with path.open("wb") as file:
        for _ in range(2):
            file.seek(HOLE_BYTES // 2, 1)
            file.write(content)
    read = subprocess.run(
        [sys.executable, "-c", READ, path], capture_output=True, cwd=ROOT, check=True
    )
    assert read.stdout == 2 * content
    most_kb = int(read.stderr)
    assert most_kb < 150_000


@pytest.mark.parametrize("size", [100, 1000, 5000, 100_000])
@pytest.mark.parametrize("between", [b"\0", b"text "])
def test_no_frame_is_lost_around_a_hole_of_any_size(
    between: bytes, size: int, tmp_path: Path
) -> None:
    song = zoo_file("vbr.mp3")
    path = tmp_path / "hole.mp3"
    content = b"".join(frames_in(song.path))
    path.write_bytes(content + between * (size // len(between)) + content)
    heard = b"".join(one.data for one in read_segments([path], 1300))
    assert heard == 2 * content


def test_silence_in_a_file_of_samples_is_heard(tmp_path: Path) -> None:
    path = tmp_path / "silence.wav"
    encode(path, codec="pcm_s16le", kbps=None, duration_s=10)
    header = path.read_bytes()[:1000]
    path.write_bytes(header.ljust(path.stat().st_size, b"\0"))
    heard_us = sum(one.duration_us for one in read_segments([path], 1300))
    assert heard_us == pytest.approx(10e6, abs=1000)


def test_a_hole_in_a_pipe_is_passed_over_and_the_rest_is_where_it_was() -> None:
    content = b"".join(zoo_file("no-xing.mp3").frames)
    between = bytes(1 << 20)
    stream = Skimmed(io.BytesIO(content + between + content))
    container = open_stream(stream)
    with container:
        packets = [one for one in container.demux() if one.size]
    assert max(one.size for one in packets) < 1 << 17
    last = packets[-1]
    assert last.pos is not None
    assert last.pos + stream.passed_bytes + last.size == 2 * len(content) + len(between)
