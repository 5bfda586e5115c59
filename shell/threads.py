"""Threads, and what they say to one another beside what they share under a lock."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable


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


class Worker(threading.Thread):
    """Works in a thread of its own, from its making on, and says when that is over.

    Who is told finds `is_working` false. `is_alive` would still be true: a thread that has ended
    can tell nobody.
    """

    def __init__(self, name: str, work: Callable[[], None], over: Callable[[], None]) -> None:
        """`over` is called in the thread, after `work`, whatever comes of that."""
        super().__init__(name=name)
        self.is_working = True
        self._work = work
        self._over = over
        self.start()

    def run(self) -> None:
        """For the thread itself."""
        try:
            self._work()
        finally:
            self.is_working = False
            self._over()
