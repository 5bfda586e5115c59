"""The log file: rotating, and written by a thread of its own, so that it never delays audio."""

from __future__ import annotations

import contextlib
import logging
import logging.handlers
import os
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from queue import SimpleQueue

from shell.text import one_line
from wire.log import Line, get_logger

FORMAT = "%(asctime)s - %(levelname)s - %(message)s"

# A record that is not asked for them need not find out its thread and process.
logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False

ROTATE_BYTES = 5 << 20
ROTATIONS = 3
"""5 MiB is about an hour and a half of 128 kbit/s, a line for each message."""

WRITE_EVERY_S = 1.0
"""Lines wait so long to be written together: to wake a thread for each costs more than to write it
(0.15 ms where 0.04 would do), and it would be the thread that sends who pays."""

FIRST_WRITE_S = 0.05
"""So long the first lines wait, the next twice as long: who starts a program looks at once."""

MANY_LINES = 500
"""When so many wait they are written at once: thousands take memory that does not come back."""

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
            file = _File(path, maxBytes=ROTATE_BYTES, backupCount=ROTATIONS, encoding="utf-8")
        except OSError as error:
            raise LogError(f"no log: cannot write {path}: {error.strerror}") from None
        file.setFormatter(_OneLine(FORMAT))
        lines: SimpleQueue[Line] = SimpleQueue()
        self._path = path
        self._file = file
        self._writer = _Writer(name, lines, file)
        self._logger = get_logger(name)
        self._logger.setLevel(logging.DEBUG if verbose else logging.INFO)
        self._logger.capacity = QUEUE_LINES
        self._logger.many = MANY_LINES
        self._logger.call_writer = self._writer.call
        self._logger.lines = lines
        self._writer.start()

    def close(self) -> str | None:
        """Write what is queued, and let go of the file; why lines are missing, if they are."""
        self._logger.lines = None
        self._writer.stop()
        fault = self._file.fault
        if fault is None:
            return None
        return f"lines are missing in the log: cannot write {self._path}: {fault.strerror}"


class _OneLine(logging.Formatter):
    """A message is one line, whatever names of files are in it; a traceback follows on others."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        return one_line(super().formatMessage(record))


class _File(logging.handlers.RotatingFileHandler):
    """Takes many lines at a time: the size is looked at, and the system called, once for all."""

    fault: OSError | None = None
    """Why lines were lost, the first time."""

    def write(self, lines: Iterable[logging.LogRecord]) -> None:
        """Append `lines`; a disk that is full, or gone, loses them."""
        text = "".join(self.format(line) + self.terminator for line in lines)
        if not text:
            return
        with self._noting_faults():
            if self.stream is None:
                self.stream = self._open()
            if self.stream.seek(0, os.SEEK_END) + len(text) > self.maxBytes:
                self.doRollover()
            self.stream.write(text)
            self.stream.flush()

    def close(self) -> None:
        """Let go of the file, whatever the disk says."""
        with self._noting_faults():
            super().close()

    @contextlib.contextmanager
    def _noting_faults(self) -> Iterator[None]:
        try:
            # ValueError: a stream that failed when it was closed is closed all the same.
            with contextlib.suppress(ValueError):
                yield
        except OSError as error:
            self.fault = self.fault or error


class _Writer(threading.Thread):
    """Writes what has come in, every `WRITE_EVERY_S`."""

    def __init__(self, logger_name: str, lines: SimpleQueue[Line], file: _File) -> None:
        super().__init__(name="log")
        self._logger_name = logger_name
        self._lines = lines
        self._file = file
        self._called = threading.Event()
        self._stopping = False

    def run(self) -> None:
        """Until `stop`."""
        pause_s = FIRST_WRITE_S
        while not self._stopping:
            self._called.wait(pause_s)
            self._called.clear()
            self._write()
            pause_s = min(WRITE_EVERY_S, 2 * pause_s)
        self._write()

    def call(self) -> None:
        """Any thread: write now."""
        self._called.set()

    def stop(self) -> None:
        """Write what is left, and end."""
        self._stopping = True
        self._called.set()
        self.join()
        self._file.close()

    def _write(self) -> None:
        # One record at a time: those of a thousand lines together take more than a megabyte.
        waiting = range(self._lines.qsize())
        self._file.write(self._record(self._lines.get_nowait()) for _ in waiting)

    def _record(self, line: Line) -> logging.LogRecord:
        record = logging.LogRecord(
            self._logger_name, line.level, "", 0, line.text, line.arguments, line.fault
        )
        record.created = line.said_at
        record.msecs = int(line.said_at % 1 * 1000)
        return record
