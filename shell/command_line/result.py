"""How a program ends: what it has promised, exit status, and one line for what went wrong."""

from __future__ import annotations

import errno
import json
import logging
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from shell.terminal.live import complain
from shell.terminal.printing import MayWait, briefly, write

FAILED, WRONG_USAGE = 1, 2
"""Exit status."""


class ResultError(ValueError):
    """The JSON cannot be written; the text is one line for the user."""


class Ending:
    """What went wrong in the main thread. Context manager of each part of a program.

    What a part raises is logged, and the parts after it are done all the same.
    """

    def __init__(self, name: str) -> None:
        """`name` is that of the program's log."""
        self._name = name
        self._faults: dict[str, None] = {}

    @property
    def first_fault(self) -> str | None:
        """What went wrong first, in one line for the user; None if nothing did."""
        return next(iter(self._faults), None)

    def add(self, fault: str | None) -> None:
        """Something went wrong, if it is not None: the text is one line for the user."""
        if fault is not None:
            self._faults[fault] = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        if isinstance(error, ResultError):
            self.add(str(error))
        elif isinstance(error, Exception):
            logging.getLogger(self._name).error("the main thread failed", exc_info=error)
            self.add(stopped_by(error))
        return isinstance(error, Exception)

    def status(self) -> int:
        """Complain of all faults; the exit status."""
        for fault in self._faults:
            failed(f"{self._name}.py", fault)
        return FAILED if self._faults else 0


def stopped_by(error: Exception) -> str:
    """What the user is told of a fault of ours."""
    return f"stopped by a fault, see the log: {error}"


def write_json(where: str, content: dict[str, Any], may_wait: MayWait = briefly) -> None:
    """Write `content` to the path `where` (`-` is standard output); raises ResultError."""
    # JSON is UTF-8 wherever it goes (RFC 8259, 8.1); half of a surrogate pair, which UTF-8 cannot
    # hold, is escaped as JSON escapes it.
    text = json.dumps(content, ensure_ascii=False, indent=2) + "\n"
    data = text.encode(errors="backslashreplace")
    try:
        if where == "-":
            write(sys.stdout.fileno(), data, may_wait)
        else:
            Path(where).write_bytes(data)
    except OSError as error:
        raise _not_written(where, error) from None


def check_writable(where: str) -> None:
    """Fail at the start, not at the end, if `where` cannot be written; raises ResultError."""
    path = Path(where)
    if where == "-":
        return
    try:
        existed = path.exists()
        if existed and not (path.is_file() or path.is_dir()):
            return  # the reader of a pipe would take its end for the end of the JSON
        with path.open("a", encoding="utf-8"):
            pass
        if not existed:
            # Nothing is left of a program that does not begin.
            path.unlink()
    except OSError as error:
        raise _not_written(where, error) from None


def failed(program: str, text: str, status: int = FAILED) -> int:
    """Complain of `text` on standard error; the exit status."""
    complain(program, text)
    return status


def _not_written(where: str, error: OSError) -> ResultError:
    reason = "it is closed" if error.errno == errno.EBADF else error.strerror
    return ResultError(f"cannot write {where}: {reason}")
