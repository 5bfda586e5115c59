"""Threads, and how one wakes another."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable


class Alarm:
    """Lets one thread sleep until another wakes it. A ring while it is awake is not lost.

    A bare lock costs half of what a condition does, which makes a lock for each wait.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lock.acquire()

    def ring(self) -> None:
        """Wake the thread that waits, or the next that will."""
        with contextlib.suppress(RuntimeError):
            self._lock.release()

    def wait(self, timeout_s: float | None) -> None:
        """Sleep until it rings, or for `timeout_s`; None: until it rings."""
        self._lock.acquire(timeout=-1 if timeout_s is None else max(0.0, timeout_s))


class Worker(threading.Thread):
    """Starts `work` in a thread of its own, and says when it is over.

    The program can end although `work` never does.

    `over` finds `is_working` false. `is_alive` would still be true: a thread that has ended can
    tell nobody.
    """

    def __init__(
        self,
        name: str,
        work: Callable[[], None],
        *,
        over: Callable[[], None] = lambda: None,
        failed: Callable[[Exception], None] | None = None,
    ) -> None:
        """`over` is called in the thread after `work`, `failed` before it if `work` raises."""
        super().__init__(name=name, daemon=True)
        self.is_working = True
        self._work = work
        self._over = over
        self._failed = failed
        self.start()

    def run(self) -> None:
        """Work, in the thread itself."""
        try:
            self._work()
        except Exception as error:
            if self._failed is None:
                raise
            self._failed(error)
        finally:
            self.is_working = False
            self._over()
