"""Reads segments in a thread of its own, a few ahead: for sources that let one wait.

The broadcaster takes what is there and never waits. What is not taken is not read: a source that is
faster than it sounds is held back, and one that is live is not even opened before the first call.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from typing import Final

from broadcasting.source import Segment
from wire.log import get_logger

MOST_SEGMENTS = 8
"""Read and not taken: half a second. The broadcaster keeps what it wants to have in store."""

log = get_logger("server")


class NotYet:
    """Nothing is there, but something will be."""


NOT_YET: Final = NotYet()


class Reader:
    """Segments, as they come; `take` and `stop` are for one other thread each."""

    def __init__(self, segments: Iterator[Segment], interrupt: Callable[[], None]) -> None:
        """`interrupt` makes whoever waits in `segments` come to an end."""
        self.news: Callable[[], None] = lambda: None
        """Called, in the thread, when something is there after nothing was."""
        self._segments = segments
        self._interrupt = interrupt
        self._came: deque[Segment | None] = deque()
        self._change = threading.Condition()
        self._stopped = False
        self._thread: threading.Thread | None = None

    def take(self) -> Segment | NotYet | None:
        """The next segment, if it is there; None when there is no next one."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._read, name="source")
            self._thread.start()
        with self._change:
            if not self._came:
                return NOT_YET
            if self._came[0] is None:
                return None
            self._change.notify()
            return self._came.popleft()

    def is_beyond(self, track: int) -> bool:
        """Whether something of a later track is there already."""
        with self._change:
            return any(one is not None and one.track.number > track for one in self._came)

    def stop(self) -> None:
        """Read nothing more, and end the thread."""
        with self._change:
            self._stopped = True
            self._change.notify()
        if self._thread is not None:
            while self._thread.is_alive():
                # It may have begun to wait anew just after this.
                self._interrupt()
                self._thread.join(0.1)

    def _read(self) -> None:
        try:
            for segment in self._segments:
                if not self._put(segment):
                    return
        except Exception:
            log.exception("reading failed")
        self._put(None)

    def _put(self, segment: Segment | None) -> bool:
        with self._change:
            while len(self._came) >= MOST_SEGMENTS and not self._stopped:
                self._change.wait()
            if self._stopped:
                return False
            first = not self._came
            self._came.append(segment)
        if first:
            self.news()
        return True


class Direct:
    """Segments of files, read when they are wanted: a disk does not let one wait."""

    def __init__(self, segments: Iterator[Segment]) -> None:
        self.news: Callable[[], None] = lambda: None
        self._segments = segments

    def take(self) -> Segment | NotYet | None:
        """The next segment; None when there is no next one."""
        return next(self._segments, None)

    def is_beyond(self, track: int) -> bool:
        """Nothing is read before it is taken."""
        return False

    def stop(self) -> None:
        """Nothing is under way."""
