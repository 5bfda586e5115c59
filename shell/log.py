"""The log file: rotating, and written by a thread of its own, so that it never delays audio."""

from __future__ import annotations

import logging
import logging.handlers
import queue
from pathlib import Path

FORMAT = "%(asctime)s - %(levelname)s - %(message)s"

ROTATE_BYTES = 5 << 20
ROTATIONS = 3
"""5 MiB is about an hour and a half of 128 kbit/s, a line for each message."""

QUEUE_LINES = 10_000
"""When the disk stands still, lines beyond this are dropped: audio goes before the log."""


class LogError(Exception):
    """The log file cannot be written; the text is one line for the user."""


class LogFile:
    """A logger by name whose lines end up in `path`."""

    def __init__(self, name: str, path: Path, *, verbose: bool) -> None:
        """Raises LogError if `path` cannot be written."""
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            file = logging.handlers.RotatingFileHandler(
                path, maxBytes=ROTATE_BYTES, backupCount=ROTATIONS, encoding="utf-8"
            )
        except OSError as error:
            raise LogError(f"no log: cannot write {path}: {error.strerror}") from None
        file.setFormatter(logging.Formatter(FORMAT))
        # A disk that fills up later costs lines, not the broadcast.
        logging.raiseExceptions = False
        lines: queue.Queue[logging.LogRecord] = queue.Queue(QUEUE_LINES)
        self._handler = _DroppingQueueHandler(lines)
        self._listener = logging.handlers.QueueListener(lines, file)
        self._file = file
        self._logger = logging.getLogger(name)
        self._logger.setLevel(logging.DEBUG if verbose else logging.INFO)
        self._logger.propagate = False
        self._logger.addHandler(self._handler)
        self._listener.start()

    def close(self) -> None:
        """Write what is queued, and let go of the file."""
        self._logger.removeHandler(self._handler)
        self._listener.stop()
        self._file.close()


class _DroppingQueueHandler(logging.handlers.QueueHandler):
    """Drops a line when the queue is full, instead of saying so on standard error."""

    def enqueue(self, record: logging.LogRecord) -> None:
        try:
            self.queue.put_nowait(record)
        except queue.Full:
            return
