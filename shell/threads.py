"""What threads say to one another beside what they share under a lock."""

from __future__ import annotations

import contextlib
import threading


class Alarm:
    """One thread sleeps, any thread wakes it. A ring while it is awake is not lost.

    A bare lock, for it costs half of what a condition does, which makes a lock for each wait.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lock.acquire()

    def ring(self) -> None:
        """Wake the thread that waits, or the next that will."""
        with contextlib.suppress(RuntimeError):
            self._lock.release()

    def wait(self, timeout_s: float | None) -> None:
        """Until it rings, or `timeout_s` have passed; None: until it rings."""
        self._lock.acquire(timeout=-1 if timeout_s is None else max(0.0, timeout_s))
