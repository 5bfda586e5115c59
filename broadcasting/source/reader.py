"""Reads segments in a thread of its own: a disk, a pipe or a decoder may take as long as it likes.

The broadcaster takes what is there and never waits. Little is kept here, for the broadcaster has a
store of its own: reading stops when that is full, and nothing is opened before the first `take`.
Segments are handed over many at a time, as waking a thread costs as much as reading one.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator

from broadcasting.source.segments import Segment

MOST_S = 1.0
"""Media read and not taken, at speed 1."""

MOST_BYTES = 256 << 10
"""Bytes read and not taken, at any speed: six seconds of 320 kbit/s."""

MOST_AT_ONCE = 32
"""Segments of one `take`: numbering and packing them takes less than a millisecond."""

STOP_S = 1.0
"""Wait for the end of the thread. A dead network disk lets nobody go: it is left behind."""

log = logging.getLogger("server")


class Reader:
    """Segments as they come; `take` and `stop` are for one other thread each."""

    def __init__(
        self, segments: Iterator[Segment], interrupt: Callable[[], None], speed: float = 1.0
    ) -> None:
        """`interrupt` ends a wait in `segments`, `speed` is that at which they are taken."""
        self.news: Callable[[], None] = lambda: None
        """Called in the reading thread when there is something to take after there was nothing."""
        self.fault: Exception | None = None
        """A fault of our own that ended the segments before their time."""
        self._segments = segments
        self._interrupt = interrupt
        self._most_us = round(MOST_S * 1e6 * max(1.0, speed))
        self._came: deque[Segment] = deque()
        self._came_us = self._came_bytes = 0
        self._change = threading.Condition()
        # Media for which `news` is called; None: nobody waits for it.
        self._awaited_us: int | None = None
        self._ended = self._stopped = False
        self._thread: threading.Thread | None = None

    def take(self, *, at_once: bool) -> list[Segment] | None:
        """The next segments; an empty list if none is there yet, None at the end.

        After an empty list `news` is called, with `at_once` as soon as there is one segment, else
        when there are so many that waking up is worth while.
        """
        if self._thread is None:
            # A daemon: the program can end although a read never does.
            self._thread = threading.Thread(target=self._read, name="source", daemon=True)
            self._thread.start()
        with self._change:
            if not self._came:
                self._awaited_us = 0 if at_once else self._most_us // 2
                return None if self._ended else []
            taken = [self._came.popleft() for _ in range(min(MOST_AT_ONCE, len(self._came)))]
            self._came_us -= sum(one.duration_us for one in taken)
            self._came_bytes -= sum(len(one.data) for one in taken)
            if 2 * self._came_us < self._most_us and 2 * self._came_bytes < MOST_BYTES:
                self._change.notify()
            return taken

    def stop(self) -> None:
        """Read nothing more, and wait for the end of the thread, `STOP_S` at most."""
        with self._change:
            self._stopped = True
            self._change.notify()
        until = time.monotonic() + STOP_S
        while self._thread is not None and self._thread.is_alive():
            if time.monotonic() >= until:
                log.warning("the source hangs: it is left behind")
                return
            # Again and again: it may begin another wait just after this.
            self._interrupt()
            self._thread.join(0.1)

    def _read(self) -> None:
        try:
            for segment in self._segments:
                if not self._put(segment):
                    return
        except Exception as error:
            log.exception("reading failed")
            self.fault = error
        with self._change:
            self._ended = True
        self.news()

    def _put(self, segment: Segment) -> bool:
        with self._change:
            while self._is_full and not self._stopped:
                self._change.wait()
            if self._stopped:
                return False
            self._came.append(segment)
            self._came_us += segment.duration_us
            self._came_bytes += len(segment.data)
            awaited_us = self._awaited_us
            rings = awaited_us is not None and (self._came_us >= awaited_us or self._is_full)
            if rings:
                self._awaited_us = None
        if rings:
            self.news()
        return True

    @property
    def _is_full(self) -> bool:
        return self._came_us >= self._most_us or self._came_bytes >= MOST_BYTES
