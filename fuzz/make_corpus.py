"""Make the corpus, with which the fuzzer begins, from a real broadcast.

    python -m fuzz.make_corpus

Server and client run for some seconds, with parity, and with a relay between them that loses some
datagrams. The shortest and the longest message of each type are kept as they came, for `unpack`.
For the two cores they become inputs: single messages, and several in their order, with the names
that the cores know in place of those of that broadcast.
"""

from __future__ import annotations

import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from audio.mpeg_audio import split_frames
from fuzz import client_core, server_core
from fuzz.datagrams import Known
from fuzz.targets import CORPUS
from message import AUDIO_TYPES, TYPE_NAMES, Accept, Connect, Message, Type
from wire.address import Address

ROOT = Path(__file__).resolve().parent.parent
SONG = ROOT / "samples" / "sample.mp3"

FIRST_TRACK_BYTES = 32_000

SECONDS = 3.0
PATIENCE_S = 10.0
LOST, OF = 5, 20
"""Datagrams lost in a row, of this many from the server: more than parity can rebuild."""

HANDSHAKE = (Type.CONNECT, Type.ACCEPT)
HANDSHAKE_AT_SERVER = b"\0\1"
"""The choices of a step: the first of the other listeners is registered, at once."""
AT_SERVER = Known(nonce=f"{0:016x}", session=f"{63:016x}", stream=server_core.STREAM)
"""Names by which the server's core knows it then."""


class Passed(NamedTuple):
    """A datagram that passed the relay."""

    from_server: bool
    datagram: bytes

    @property
    def message(self) -> Message:
        return Message.unpack(self.datagram)


def main() -> None:
    """Write the files."""
    passed = record()
    for name, inputs in {
        "unpack": dict(of_each_type(passed)),
        "server": dict(for_a_core(passed, from_server=False)),
        "client": dict(for_a_core(passed, from_server=True)),
    }.items():
        folder = CORPUS / name
        folder.mkdir(parents=True, exist_ok=True)
        for old in folder.iterdir():
            old.unlink()
        for title, content in inputs.items():
            (folder / title).write_bytes(content)


def record() -> list[Passed]:
    """All that passes in a short broadcast."""
    with tempfile.TemporaryDirectory() as folder, socket_of() as front, socket_of() as back:
        server_port = free_port()
        song = Path(folder) / "first.mp3"
        # A second of it, so that another track begins.
        song.write_bytes(SONG.read_bytes()[:FIRST_TRACK_BYTES])
        server = start(
            folder, "server.py", str(song), str(SONG), str(server_port), "--no-announce",
            "--fec", "4+2",
        )  # fmt: skip
        wait_for(Path(folder) / "server.py.log", "listening")
        client = start(
            folder, "client.py", "127.0.0.1", str(front.getsockname()[1]), "--output", "null"
        )
        try:
            return list(relay(front, back, server_port, server, client))
        finally:
            for program in (client, server):
                program.kill()
                program.wait()


def relay(
    front: socket.socket,
    back: socket.socket,
    server_port: int,
    server: subprocess.Popen[bytes],
    client: subprocess.Popen[bytes],
) -> Iterator[Passed]:
    """Pass on what comes, until both have ended; the server is told to after `SECONDS`."""
    listener: Address | None = None
    began, stopped, from_server = time.monotonic(), False, 0
    while client.poll() is None:
        if not stopped and time.monotonic() > began + SECONDS:
            server.send_signal(signal.SIGINT)
            stopped = True
        for sock in select.select([front, back], [], [], 0.05)[0]:
            datagram, address = sock.recvfrom(65_535)
            yield Passed(sock is back, datagram)
            if sock is front:
                listener = address
                back.sendto(datagram, ("127.0.0.1", server_port))
            elif listener is not None:
                from_server += 1
                if from_server % OF < OF - LOST:
                    front.sendto(datagram, listener)


def of_each_type(passed: Sequence[Passed]) -> Iterator[tuple[str, bytes]]:
    """The shortest and the longest datagram of each type, by the name of a file."""
    for kind, name in TYPE_NAMES.items():
        of_kind = sorted((p.datagram for p in passed if p.message.type == kind), key=len)
        for place, datagram in zip(
            ("short", "long"), of_kind[:: max(1, len(of_kind) - 1)], strict=False
        ):
            # Without padding.
            yield f"{name.lower()}-{place}", Message.unpack(datagram).pack()


def for_a_core(passed: Sequence[Passed], *, from_server: bool) -> Iterator[tuple[str, bytes]]:
    """Inputs for the core that hears this side, each with the connection at its start."""
    if from_server:
        known, together, start = client_core.KNOWN, client_core.STEPS, b"\0\0"
    else:
        known, together, start = AT_SERVER, server_core.STEPS - 1, b"\0" + HANDSHAKE_AT_SERVER
    renamed = known_names(passed, known)
    steps = [
        step(renamed(one.message), from_server=from_server)
        for one in passed
        if one.from_server == from_server
    ]
    for number, one in enumerate(one_of_each_length(steps)):
        yield f"message-{number:02}", start + one
    for number in range(0, min(len(steps), 3 * together), together):
        yield f"several-{number:02}", start + b"".join(steps[number : number + together])
    yield "the-end", start + b"".join(steps[-together:])


def one_of_each_length(steps: Sequence[bytes]) -> list[bytes]:
    """One of each length, so that few are alike."""
    return [*{len(one) // 4: one for one in steps}.values()][:24]


def step(datagram: bytes, *, from_server: bool) -> bytes:
    """The choices for this datagram: sender, time, kind of change; its length and bytes."""
    first = b"\4" if from_server else b"\x10\4"
    return first + b"\0" + len(datagram).to_bytes(2, "big") + datagram


def known_names(passed: Sequence[Passed], known: Known) -> Callable[[Message], bytes]:
    """A function that gives a message the names that a core knows."""
    first = {kind: next(p.message for p in passed if p.message.type == kind) for kind in HANDSHAKE}
    nonce = Connect.from_message(first[Type.CONNECT]).nonce
    session = Accept.from_message(first[Type.ACCEPT]).session

    def renamed(message: Message) -> bytes:
        data = message.data.replace(nonce.encode(), known.nonce.encode())
        data = data.replace(session.encode(), known.session.encode())
        if message.type in AUDIO_TYPES:
            # One frame: the others are alike.
            data = split_frames(data)[0].data
        return message._replace(data=data, stream=message.stream and known.stream).pack()

    return renamed


# The programs.


def start(folder: str, script: str, *arguments: str) -> subprocess.Popen[bytes]:
    log = Path(folder) / f"{script}.log"
    return subprocess.Popen(
        [sys.executable, str(ROOT / script), *arguments, "--log-file", str(log), "-q"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )


def wait_for(log: Path, text: str) -> None:
    give_up_at = time.monotonic() + PATIENCE_S
    while not (log.exists() and text in log.read_text()):
        assert time.monotonic() < give_up_at, f"no {text!r} in {log}"
        time.sleep(0.02)


def socket_of() -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1", 0))
    return sock


def free_port() -> int:
    with socket_of() as sock:
        port: int = sock.getsockname()[1]
        return port


if __name__ == "__main__":
    main()
