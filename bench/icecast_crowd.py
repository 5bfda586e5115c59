"""Listeners of Icecast, and its source, in a process of their own.

    python -m bench.icecast_crowd PORT LISTENERS FILE

Each listener is a TCP connection that reads and drops, twice a second. The source sends in real
time, in pieces like our segments: three frames of MP3 every 78 ms, at absolute times. A line of
JSON on standard output says when all listen; one more answers each line on standard input with the
bytes that came to the listener with fewest. The process ends with its input.
"""

from __future__ import annotations

import base64
import json
import resource
import select
import socket
import sys
import threading
import time
from pathlib import Path

from bench.processes import HOST
from bench.programme import find_frames

MOUNT = "/stream"
PASSWORD = "benchmark"  # noqa: S105 - of a server that lives for seconds, on this machine
FRAMES_TOGETHER = 3
LOOK_EVERY_S = 0.5
PATIENCE_S = 20.0
PAUSE_S = 0.05
AT_ONCE = 64
CONNECT_EVERY_S = 0.0003
"""Connections opened at one time: Icecast's queue holds 5, and others retry after a second."""
TOO_MUCH = 1 << 16


def feed(port: int, path: Path) -> None:
    """Send as the source, in real time, until Icecast hangs up."""
    frames = find_frames(path.read_bytes())
    frame_s = frames[0].header.samples / frames[0].header.sample_rate_hz
    key = base64.b64encode(f"source:{PASSWORD}".encode()).decode()
    with _connected(port) as sock:
        sock.sendall(
            f"SOURCE {MOUNT} HTTP/1.0\r\nAuthorization: Basic {key}\r\n"
            "Content-Type: audio/mpeg\r\n\r\n".encode()
        )
        began = time.monotonic()
        for at in range(0, len(frames) - FRAMES_TOGETHER, FRAMES_TOGETHER):
            time.sleep(max(0.0, began + at * frame_s - time.monotonic()))
            try:
                sock.sendall(b"".join(one.data for one in frames[at : at + FRAMES_TOGETHER]))
            except OSError:
                return


def listen(port: int, count: int) -> list[socket.socket]:
    """Connections, answered."""
    request = f"GET {MOUNT} HTTP/1.0\r\n\r\n".encode()
    _wait_for_stream(port, request)
    sockets: dict[int, socket.socket] = {}
    poll = select.epoll()
    unanswered = 0
    give_up_at = time.monotonic() + PATIENCE_S + count * CONNECT_EVERY_S
    while len(sockets) < count or unanswered:
        if time.monotonic() > give_up_at:
            raise TimeoutError(f"{unanswered} listeners were not answered")
        if len(sockets) < count:
            sock = socket.socket()
            sock.setblocking(False)
            sock.connect_ex((HOST, port))
            sockets[sock.fileno()] = sock
            unanswered += 1
            poll.register(sock, select.EPOLLOUT)
        for descriptor, event in poll.poll(CONNECT_EVERY_S, AT_ONCE):
            if event & select.EPOLLOUT:
                sockets[descriptor].send(request)
                poll.modify(descriptor, select.EPOLLIN)
            else:
                poll.unregister(descriptor)
                unanswered -= 1
        time.sleep(CONNECT_EVERY_S)
    poll.close()
    return list(sockets.values())


def _wait_for_stream(port: int, request: bytes) -> None:
    give_up_at = time.monotonic() + PATIENCE_S
    while True:
        with _connected(port) as sock:
            sock.sendall(request)
            if b"200 OK" in sock.recv(100):
                return
        if time.monotonic() > give_up_at:
            raise TimeoutError("no stream")
        time.sleep(PAUSE_S)


def _connected(port: int) -> socket.socket:
    give_up_at = time.monotonic() + PATIENCE_S
    while True:
        try:
            return socket.create_connection((HOST, port), PATIENCE_S)
        except ConnectionRefusedError:
            if time.monotonic() > give_up_at:
                raise
            time.sleep(PAUSE_S)


def main() -> int:
    """Run source and listeners, and answer questions."""
    port, count, path = int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    threading.Thread(target=feed, args=(port, path), name="feed", daemon=True).start()
    sockets = listen(port, count)
    received = [0] * count
    print(json.dumps({"listeners": count}), flush=True)
    while True:
        for listener, sock in enumerate(sockets):
            try:
                # MSG_TRUNC on TCP: dropped in the kernel.
                received[listener] += len(sock.recv(TOO_MUCH, socket.MSG_TRUNC))
            except BlockingIOError:
                continue
        if select.select([sys.stdin], [], [], LOOK_EVERY_S)[0]:
            if not sys.stdin.readline():
                return 0
            print(json.dumps({"fewest_bytes": min(received)}), flush=True)


if __name__ == "__main__":
    sys.exit(main())
