"""What has the name of a file and is none: FIFOs, devices, pipes that the shell has made."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from broadcasting.source import pipe
from broadcasting.source.live_source import LiveSource
from broadcasting.source.playlist import find
from broadcasting.source.probing import look_at
from broadcasting.source.segments import read_segments
from tests.rig.luck import once
from tests.rig.programs import client, end, run, server
from tests.rig.zoo import encode, frames_in

pytestmark = once

FAST = ("--speed", "20")


@pytest.fixture
def song(tmp_path: Path) -> Path:
    """Longer than a pipe holds, and without a Xing frame."""
    path = tmp_path / "song.mp3"
    encode(path, duration_s=10, container_options={"write_xing": "0"})
    assert path.stat().st_size > 1 << 17
    return path


@contextlib.contextmanager
def written(place: Path | int, content: bytes) -> Iterator[None]:
    """Somebody opens `place` for writing, writes, and closes it, in time with its reader."""

    def write() -> None:
        descriptor = place if isinstance(place, int) else os.open(place, os.O_WRONLY)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)

    writer = threading.Thread(target=write)
    writer.start()
    yield
    writer.join()


def descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def played(inputs: list[str | LiveSource]) -> bytes:
    return b"".join(one.data for one in read_segments(inputs, 1300))


def test_all_that_is_written_to_a_fifo_is_played(song: Path, tmp_path: Path) -> None:
    fifo = tmp_path / "radio.mp3"
    os.mkfifo(fifo)
    with written(fifo, song.read_bytes()):
        looked = look_at([str(fifo)])
        assert looked.faults == []
        assert played(looked.inputs) == b"".join(frames_in(song))


def test_all_of_a_pipe_that_the_shell_has_made_is_played(song: Path) -> None:
    """`server.py <(cat song.mp3)`."""
    reading, writing = os.pipe()
    with written(writing, song.read_bytes()):
        looked = look_at([f"/dev/fd/{reading}"])
        os.close(reading)
        assert played(looked.inputs) == b"".join(frames_in(song))


def test_another_name_of_standard_input_is_standard_input(
    song: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reading, writing = os.pipe()
    keep = os.dup(0)
    os.dup2(reading, 0)
    os.close(reading)
    try:
        with open(0, closefd=False) as piped, written(writing, song.read_bytes()):
            monkeypatch.setattr("sys.stdin", piped)
            looked = look_at(["/dev/stdin", "-", "/dev/fd/0"])
            assert len(set(looked.inputs)) == 1
            assert played(looked.inputs[:1]) == b"".join(frames_in(song))
    finally:
        os.dup2(keep, 0)
        os.close(keep)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("/dev/null", "ended at once"),
        ("/dev/zero", "sends nothing that can be played"),
        ("/dev/urandom", "(sends nothing that can be played|has no audio)"),
        ("socket.mp3", "is a socket"),
        ("terminal", "is a terminal: pipe audio into it"),
    ],
)
def test_a_device_without_audio_is_a_line(name: str, says: str, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as sock, contextlib.ExitStack() as closing:
        sock.bind(str(tmp_path / "socket.mp3"))
        main, terminal = os.openpty()
        for descriptor in (main, terminal):
            closing.callback(os.close, descriptor)
        at = os.ttyname(terminal) if name == "terminal" else str(tmp_path / name)
        before = descriptors()
        looked = look_at([at])
        assert looked.inputs == []
        assert [bool(re.search(says, str(fault))) for fault in looked.faults] == [True]
        assert str(looked.faults[0]).startswith(f"{at}: ")
        assert descriptors() == before


def test_a_fifo_that_nobody_writes_to_keeps_nobody_waiting_and_can_be_left(tmp_path: Path) -> None:
    fifo = tmp_path / "radio.mp3"
    os.mkfifo(fifo)
    began = time.monotonic()
    (source,) = look_at([str(fifo)]).inputs
    assert isinstance(source, pipe.Piped)
    assert source.is_awaited
    assert time.monotonic() - began < 1
    leave = threading.Timer(0.1, source.interrupt)
    leave.start()
    assert played([source]) == b""
    leave.join()


@pytest.mark.parametrize("is_awaited", [False, True])
def test_a_fifo_is_opened_once_played_once_and_closed(
    is_awaited: bool, song: Path, tmp_path: Path
) -> None:
    fifo = tmp_path / "radio.mp3"
    os.mkfifo(fifo)
    before = descriptors()
    inputs = look_at([str(fifo)]).inputs if is_awaited else []
    with written(fifo, song.read_bytes()):
        inputs = inputs or look_at([str(fifo)]).inputs
        assert played(inputs) == b"".join(frames_in(song))
    assert descriptors() == before
    assert played(inputs) == b""


def test_in_a_folder_a_fifo_waits_for_its_writer_and_everything_is_played(
    song: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    fifo = folder / "b.mp3"
    os.mkfifo(fifo)
    for name in ("a.mp3", "c.mp3"):
        (folder / name).write_bytes(song.read_bytes())
    (folder / "d.mp3").symlink_to("/dev/zero")
    assert len(find([str(folder)]).names) == 4
    with (
        server(tmp_path, folder, *FAST) as broadcast,
        client(tmp_path, broadcast, "--output", "heard.mp3") as listener,
    ):
        assert broadcast.stderr.splitlines() == [
            f"server.py: {folder / 'd.mp3'}: sends nothing that can be played",
            f"server.py: {fifo}: waits until something is written to it",
        ]
        broadcast.wait_for_log("b.mp3: waits until something is written to it")
        broadcast.wait_for_log("the source stalls")
        with written(fifo, song.read_bytes()):
            end(listener, broadcast)
        heard = frames_in(listener.folder / "heard.mp3")
        assert [one for one in heard if len(one) > 200] == 3 * frames_in(song)
        assert listener.result["lost"] == 0
        assert [one["title"] for one in listener.result["tracks"]] == ["a", "b", "c"]
        assert broadcast.result["source_stalls"] == 1


def test_a_server_that_waits_for_a_fifo_ends_when_it_is_told_to(tmp_path: Path) -> None:
    fifo = tmp_path / "radio.mp3"
    os.mkfifo(fifo)
    with server(tmp_path, fifo, "--wait-for", 0) as broadcast:
        broadcast.wait_for_log("waits until something is written to it")
        began = time.monotonic()
        broadcast.send(signal.SIGINT)
        assert broadcast.wait() == 0
        assert time.monotonic() - began < 2
        assert "left behind" not in broadcast.log


def test_a_pipe_of_no_audio_is_refused(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    with written(writing, b"hello\n"):
        finished = run(tmp_path, "server.py", "/dev/stdin", 0, stdin=reading)
        os.close(reading)
    assert (finished.status, finished.stdout) == (2, "")
    assert finished.stderr == "server.py: standard input: sends nothing that can be played\n"
