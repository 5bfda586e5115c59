"""A network of one's own, which has this machine's loopback and nothing else.

    on_an_island(lambda: run(tmp_path, "client.py"))

Nobody else's servers are there, and what is said there leaves the machine no more than it comes
in. The programs that the function starts are on the island, too. Linux, and root.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import socket
import struct
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Found = TypeVar("Found")

CLONE_NEWNET = 0x40000000
SIOCSIFFLAGS = 0x8914
IFF_UP = 1


def on_an_island(body: Callable[[], Found]) -> Found:
    """What `body` gives, or raises."""
    # The namespace is the thread's, and ends with it and what it has started.
    with ThreadPoolExecutor(1, initializer=_leave) as thread:
        return thread.submit(body).result()


def _leave() -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNET):
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", IFF_UP))
