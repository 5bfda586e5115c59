"""The two logs of a program: what happened, and each message that was sent or received.

Each is rotated. One thread writes both, so that a slow disk never delays audio.
"""

from __future__ import annotations

import contextlib
import logging
import logging.handlers
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from io import TextIOWrapper
from pathlib import Path
from queue import SimpleQueue
from typing import Any, TextIO

from shell.command_line.arguments import STANDARD_ERROR, TellingOptions, default_log
from shell.terminal.text import one_line

FORMAT = f"%(asctime)s - {os.getpid()} - %(levelname)s - %(message)s"

# No line names the thread or the place in the code, and the process stays the same: no record need
# find them out ("Optimization" in the documentation of logging).
logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
logging._srcfile = None

ROTATE_BYTES = 5_000_000
"""Size at which a file is set aside: an hour and a half of 128 kbit/s, one line a message."""

ROTATIONS = 3
"""Files kept beside the current one: 20 MB for each of the two logs."""

WRITE_EVERY_S = 1.0
"""Interval between writes. Waking the writer for each line costs the sending thread 0.15 ms,
writing it 0.04 ms."""

FIRST_WRITE_S = 0.05
"""Delay of the first write, doubled for each further one: people look soon after the start."""

MANY_LINES = 500
"""Queued lines that are written at once: the memory that thousands take is not given back."""

QUEUE_LINES = 10_000
"""Queued lines beyond this are dropped when the disk stands still: audio goes before the log."""

STOP_S = 2.0
"""Longest wait at the end for a disk, or for whoever reads the log."""

UNENCODABLE = "backslashreplace"
"""How half of a surrogate pair, in the name of a file, is written."""

_OFF = logging.CRITICAL + 1


class Logs:
    """The logger `NAME` and all others in one file, `NAME.messages` in another."""

    def __init__(self, name: str, where: str, *, messages: bool, verbose: bool) -> None:
        """`where`: a path, or STANDARD_ERROR; `messages`: whether to log each message, too.

        The messages go beside the path, or to their default place. If another process logs to
        the same path, `-2` (or `-3` …) is appended to the stems of both names.
        """
        self._name = name
        self.fault: str | None = None
        """Why there is no log, or lines are missing in it: one line for the user."""
        self._files: list[tuple[logging.Logger, _File]] = []
        self._writer = _Writer()
        self._lock: TextIO | None = None
        self._usual_records = logging.getLogRecordFactory()
        logging.setLogRecordFactory(_Record)
        level = logging.DEBUG if verbose else logging.INFO
        is_file = where != STANDARD_ERROR
        path = Path(where) if is_file else Path(default_log(name))
        # A device or a pipe takes both logs, of any number of processes.
        if (is_file or messages) and not _is_special(path):
            path = self._claim(path)
        message_log = logging.getLogger(f"{name}.messages")
        message_log.propagate = False
        message_log.setLevel(_OFF)
        if self._add(logging.getLogger(), path if is_file else None):
            logging.getLogger(name).setLevel(level)
            if messages and self._add(message_log, _beside(path)):
                message_log.setLevel(level)
        self._writer.start()

    def close(self) -> str | None:
        """Write what is queued, and close the files; why lines are missing, if they are."""
        logging.setLogRecordFactory(self._usual_records)
        for logger, file in self._files:
            logger.removeHandler(file)
        for used in (logging.getLogger(self._name), logging.getLogger(f"{self._name}.messages")):
            used.setLevel(logging.NOTSET)
            used.propagate = True
        if not self._writer.stop():
            return f"lines are missing in the log: {self._files[0][1].path} takes nothing"
        if self._lock is not None:
            _unlock(self._lock)
        for _, file in self._files:
            if file.fault is not None:
                return (
                    f"lines are missing in the log: cannot write {file.path}: {file.fault.strerror}"
                )
        return None

    def reopen(self) -> None:
        """Write to new files from now on if the old ones were moved away, as logrotate does."""
        for _, file in self._files:
            file.is_moved = True
        self._writer.call()

    def _add(self, logger: logging.Logger, path: Path | None) -> bool:
        """Whether the file could be opened."""
        try:
            file = _File(path, self._writer.call)
        except OSError as error:
            self.fault = f"no log: cannot write {path or 'standard error'}: {error.strerror}"
            return False
        self._files.append((logger, file))
        self._writer.files.append(file)
        logger.addHandler(file)
        return True

    def _claim(self, path: Path) -> Path:
        """The first of `x.log`, `x-2.log` and so on that no other process writes, locked.

        The lock is a file of its own, for a log is renamed when it is full. Where nothing can be
        locked (in a folder that is read-only) it is `path` itself.
        """
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            own, number = path, 1
            while True:
                lock = own.with_name(f".{own.name}.lock").open("a")
                if not _is_locked(lock):
                    number += 1
                    own = path.with_stem(f"{path.stem}-{number}")
                # Its last owner may have removed it since it was opened.
                elif os.fstat(lock.fileno()).st_nlink:
                    self._lock = lock
                    return own
                lock.close()
        except OSError:
            return path


def log_files(name: str, telling: TellingOptions) -> Iterator[Path]:
    """Files that `Logs` may write, full ones included."""
    is_file = telling.log_file != STANDARD_ERROR
    path = Path(telling.log_file) if is_file else Path(default_log(name))
    both = [path] if is_file else []
    if telling.message_log:
        both.append(_beside(path))
    for file in both:
        if _is_special(file):
            continue
        yield file
        for number in range(1, ROTATIONS + 1):
            yield file.with_name(f"{file.name}.{number}")


def _beside(path: Path) -> Path:
    """Path of the messages' log, beside the other."""
    return path if _is_special(path) else path.with_stem(f"{path.stem}-messages")


def _is_locked(lock: TextIO) -> bool:
    """Lock it; False if another process has it. Raises OSError where nothing can be locked."""
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(lock.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):  # Windows: PermissionError
        return False
    return True


def _unlock(lock: TextIO) -> None:
    """Let go of it, and remove it."""
    if sys.platform == "win32":  # what is open cannot be removed
        lock.close()
    with contextlib.suppress(OSError):
        Path(lock.name).unlink()
    lock.close()


def _is_special(path: Path) -> bool:
    try:
        return path.exists() and not path.is_file()
    except OSError:  # in a folder that may not be looked into
        return False


@contextlib.contextmanager
def logging_to(
    name: str, telling: TellingOptions, complain: Callable[[str, str], None]
) -> Iterator[Logs]:
    """Log as `telling` says; `complain` is told, after `NAME.py`, what could not be written."""
    program = f"{name}.py"
    logs = Logs(name, telling.log_file, messages=telling.message_log, verbose=telling.verbose)
    if logs.fault is not None:
        complain(program, logs.fault)
    try:
        yield logs
    finally:
        if (fault := logs.close()) is not None:
            complain(program, fault)


class _OneLine(logging.Formatter):
    """A message is one line, whatever names of files are in it; a traceback follows on others."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        return one_line(super().formatMessage(record))


class _Record(logging.LogRecord):
    """A line as it was logged, and what formatters ask for.

    Finding out all else costs 60 µs of a thread that has slept, as it has before most lines.
    """

    exc_text = stack_info = None

    def __init__(
        self,
        name: str,
        level: int,
        path: str,
        line: int,
        msg: object,
        args: Any,
        exc_info: Any,
        *_: Any,
    ) -> None:
        self.created = now = time.time()
        self.msecs = now % 1 * 1e3 // 1
        self.name = name
        self.levelno = level
        self.levelname = logging.getLevelName(level)
        self.filename, self.lineno = path, line
        self.msg = msg
        is_mapping = len(args) == 1 and isinstance(args[0], dict)
        self.args = args[0] if is_mapping else args
        self.exc_info = exc_info


class _File(logging.handlers.RotatingFileHandler):
    """Queues records, which costs the logging thread no I/O; `write` is for the writer thread."""

    fault: OSError | None = None
    """Why lines were lost, the first time."""

    is_moved = False
    """Whether to open it anew before the next line."""

    def __init__(self, path: Path | None, call: Callable[[], None]) -> None:
        """None: standard error. `call` wakes the writer. Raises OSError."""
        self.path = "standard error" if path is None else path
        self._call = call
        self._records: SimpleQueue[logging.LogRecord] = SimpleQueue()
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
        super().__init__(
            self.path,
            # A pipe has no size.
            maxBytes=0 if path is None or _is_special(path) else ROTATE_BYTES,
            backupCount=ROTATIONS,
            encoding="utf-8",
            errors=UNENCODABLE,
        )
        self.setFormatter(_OneLine(FORMAT))

    def handle(self, record: logging.LogRecord) -> bool:
        """Queue `record`, unless `QUEUE_LINES` are waiting already. Needs no lock."""
        waiting = self._records.qsize()
        if waiting < QUEUE_LINES:
            self._records.put(record)
            if waiting == MANY_LINES:
                self._call()
        return True

    def write(self) -> None:
        """Append what is queued; a disk that is full, or gone, loses it."""
        while waiting := min(self._records.qsize(), MANY_LINES):
            records = (self._records.get_nowait() for _ in range(waiting))
            text = "".join(self.format(record) + self.terminator for record in records)
            with self._noting_faults():
                if self.is_moved and self.stream is not None:
                    self.is_moved = False
                    self.stream.close()
                    self.stream = None
                if self.stream is None:
                    self.stream = self._open()
                size_bytes = len(text.encode(errors=UNENCODABLE))
                if self.maxBytes and self.stream.seek(0, 2) + size_bytes > self.maxBytes:
                    self.doRollover()
                self.stream.write(text)
                self.stream.flush()

    def close(self) -> None:
        """Close the file, whatever the disk says."""
        with self._noting_faults():
            super().close()

    def _open(self) -> TextIOWrapper:
        if isinstance(self.path, Path):
            return super()._open()
        return open(sys.stderr.fileno(), "w", encoding="utf-8", errors=UNENCODABLE, closefd=False)

    @contextlib.contextmanager
    def _noting_faults(self) -> Iterator[None]:
        try:
            # ValueError: a stream that failed when it was closed is closed all the same.
            with contextlib.suppress(ValueError):
                yield
        except OSError as error:
            self.fault = self.fault or error


class _Writer(threading.Thread):
    """Writes both files every `WRITE_EVERY_S`."""

    def __init__(self) -> None:
        # A disk may take nothing, for ever.
        super().__init__(name="log", daemon=True)
        self.files: list[_File] = []
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
        """Write now. Any thread may call."""
        self._called.set()

    def stop(self) -> bool:
        """Write what is left, close the files, and end; False: a file takes nothing."""
        self._stopping = True
        self._called.set()
        self.join(STOP_S)
        if self.is_alive():
            return False
        for file in self.files:
            file.close()
        return True

    def _write(self) -> None:
        for file in self.files:
            file.write()
