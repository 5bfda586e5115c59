"""The loggers of both wings: to log a line costs its caller no more than to queue it.

A logger of the standard library makes a record of each line, with all that may ever be asked of
it: 90 µs for a thread that has slept, where queueing takes 25, and a line is written for every
message. So here a line is queued as it was said, and whoever writes it makes the record. Without a
queue these are the standard library's loggers.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Mapping
from queue import SimpleQueue
from types import TracebackType
from typing import Any, NamedTuple, cast

ExceptionInfo = tuple[type[BaseException], BaseException, TracebackType | None]


class Line(NamedTuple):
    """What was said: `text % arguments`, at `said_at` (seconds since the epoch)."""

    said_at: float
    level: int
    text: object
    arguments: tuple[object, ...] | Mapping[str, object]
    fault: ExceptionInfo | None


class QueueLogger(logging.Logger):
    """A logger that queues its lines while `lines` is set."""

    lines: SimpleQueue[Line] | None = None

    capacity = 0
    """Lines that may wait; others are dropped, for audio goes before the log."""

    many = 0
    call_writer: Callable[[], None] | None = None
    """Called when so many wait."""

    def _log(
        self,
        level: int,
        msg: object,
        args: tuple[object, ...] | Mapping[str, object],
        exc_info: Any = None,
        extra: Mapping[str, object] | None = None,
        stack_info: bool = False,
        stacklevel: int = 1,
    ) -> None:
        lines = self.lines
        if lines is None:
            super()._log(level, msg, args, exc_info, extra, stack_info, stacklevel + 1)
        elif (waiting := lines.qsize()) < self.capacity:
            fault = cast(ExceptionInfo, sys.exc_info()) if exc_info else None
            lines.put(Line(time.time(), level, msg, args, fault))
            if waiting == self.many and self.call_writer is not None:
                self.call_writer()


def get_logger(name: str) -> QueueLogger:
    """The one logger of that name; what nobody writes down is not shown anywhere else."""
    usual = logging.getLoggerClass()
    logging.setLoggerClass(QueueLogger)
    try:
        logger = cast(QueueLogger, logging.getLogger(name))
    finally:
        logging.setLoggerClass(usual)
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())
    return logger
