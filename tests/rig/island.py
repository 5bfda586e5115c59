"""A network of one's own, which has this machine's loopback and nothing else.

    on_an_island(lambda: run(tmp_path, "client.py"))

Nobody else's servers are there, and what is said there leaves the machine no more than it comes
in. The programs that the function starts are on the island, too. Linux, and root: a test that is
marked with `by_its_own_root` becomes root in a user namespace if it is not.
"""

from __future__ import annotations

import ctypes
import fcntl
import functools
import os
import socket
import struct
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import pytest

from tests.rig.programs import ROOT, WAIT_S

Found = TypeVar("Found")
Test = Callable[..., None]

AS_ROOT = ("unshare", "--user", "--map-root-user")

CLONE_NEWNET = 0x40000000
SIOCSIFFLAGS = 0x8914
IFF_UP = 1


def on_an_island(body: Callable[[], Found]) -> Found:
    """What `body` gives, or raises."""
    # The namespace is the thread's, and ends with it and what it has started.
    with ThreadPoolExecutor(1) as thread:
        thread.submit(_leave).result()
        return thread.submit(body).result()


def by_its_own_root(test: Test) -> Test:
    """The test `test`, for an ordinary user in a process of its own; skipped where that is refused.

    A user namespace is for a process that has no threads yet, such as a Python that starts.
    """

    @functools.wraps(test)
    def tested(**fixtures: object) -> None:
        if _is_root():
            return test(**fixtures)
        if subprocess.run([*AS_ROOT, "true"], capture_output=True).returncode:
            pytest.skip("no network of one's own: an ordinary user gets no user namespace here")
        node, _, _ = os.environ["PYTEST_CURRENT_TEST"].rpartition(" ")
        again = subprocess.run(
            [*AS_ROOT, sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", node],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=2 * WAIT_S,
        )
        assert again.returncode == 0, again.stdout + again.stderr

    return tested


@functools.cache
def _is_root() -> bool:
    try:
        on_an_island(lambda: None)
    except PermissionError:
        return False
    return True


def _leave() -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNET):
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", IFF_UP))
