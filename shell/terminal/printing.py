"""Writing to standard output and standard error, which may be closed, full, gone or stuck.

A terminal may be held (Ctrl-S) and a pipe may have a reader that does not read. Nothing here blocks
longer than the caller allows, except on Windows, where a pipe cannot be asked.
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import sys
import time
from collections.abc import Callable, Iterator
from typing import TextIO

PIECE_BYTES = getattr(select, "PIPE_BUF", 512)
"""Bytes that a pipe takes without blocking once it is reported writable (POSIX: ≥ 512)."""

LOOK_S = 0.05
"""Pause between two questions whether to go on waiting."""

LINE_PATIENCE_S = 1.0
"""Longest wait for whoever reads single lines."""

MayWait = Callable[[float], bool]
"""Whether to wait on, given the seconds since the last byte was taken."""

GONE = (errno.EPIPE, errno.EIO, errno.EBADF, errno.EINVAL)
"""Errors of a reader that has gone, a terminal that was closed, and a stream that is closed."""

_lost: dict[int, OSError] = {}
"""Why the last text for a descriptor was lost."""


def keep_standard_streams() -> None:
    """Open those that are closed (`>&-`) on the null device, in the direction that fails.

    Otherwise the next socket would get the number of standard output, and with it what is printed.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            # The lowest free number is the one that was closed.
            os.open(os.devnull, os.O_RDONLY if descriptor else os.O_WRONLY)
    if sys.stdout is None:
        sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    if sys.stderr is None:
        sys.stderr = open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115


def at_once(since_s: float) -> bool:
    """Wait for nobody."""
    return False


def for_ever(since_s: float) -> bool:
    """Wait until it is taken."""
    return True


def briefly(since_s: float) -> bool:
    """Wait for `LINE_PATIENCE_S`."""
    return since_s < LINE_PATIENCE_S


def print_line(text: str, stream: TextIO, may_wait: MayWait = briefly) -> bool:
    """Print `text` and a line feed; whether it was taken. Errors are kept for `lost_output`."""
    return print_text(f"{text}\n", stream, may_wait)


def print_text(text: str, stream: TextIO, may_wait: MayWait) -> bool:
    """Print `text`; whether it was taken. Errors are kept for `lost_output`."""
    try:
        descriptor = stream.fileno()
    except OSError:  # a stream of a test
        descriptor = -1
    try:
        if descriptor < 0 or sys.platform == "win32":
            stream.write(text)
            stream.flush()
        else:
            errors = stream.errors or "backslashreplace"
            write(descriptor, text.encode(stream.encoding or "utf-8", errors), may_wait)
    except TimeoutError:
        return False
    except OSError as error:
        _lost[descriptor] = error
        if descriptor >= 0 and (error.errno in GONE or sys.platform == "win32"):
            _discard(descriptor)
        return False
    _lost.pop(descriptor, None)
    return True


def lost_output() -> OSError | None:
    """Why the last text for standard output is lost; None if it is not, or nobody wants it."""
    error = _lost.get(1)
    return None if error is None or error.errno in GONE else error


def write(descriptor: int, data: bytes, may_wait: MayWait) -> None:
    """Write all of `data`; raises OSError, TimeoutError when nobody takes it."""
    if write_some(descriptor, data, may_wait) < len(data):
        raise TimeoutError(errno.ETIMEDOUT, "nobody reads it")


def write_some(descriptor: int, data: bytes, may_wait: MayWait) -> int:
    """Write `data` as far as it is taken; the number of bytes that were. Raises OSError."""
    rest = memoryview(data)
    if sys.platform == "win32":
        while rest:
            rest = rest[os.write(descriptor, rest) :]
        return len(data)
    moved_at = time.monotonic()
    with _not_blocking(descriptor) as target:
        poll = select.poll()
        poll.register(target, select.POLLOUT)
        while rest:
            try:
                if poll.poll(0):
                    rest = rest[os.write(target, rest[:PIECE_BYTES]) :]
                    moved_at = time.monotonic()
                    continue
            except BlockingIOError:
                time.sleep(LOOK_S)
            if not may_wait(time.monotonic() - moved_at):
                break
            poll.poll(LOOK_S * 1e3)
    return len(data) - len(rest)


@contextlib.contextmanager
def _not_blocking(descriptor: int) -> Iterator[int]:
    """`descriptor`, or of a terminal another one that never blocks.

    A terminal that has little room left blocks, unlike a pipe. To change the descriptor itself
    would change that of other programs.
    """
    own = None
    if os.isatty(descriptor):
        # OSError: a terminal of another user, or of another name space.
        with contextlib.suppress(OSError):
            name = os.ttyname(descriptor)
            own = os.open(name, os.O_WRONLY | os.O_NOCTTY | os.O_NONBLOCK)
    try:
        yield descriptor if own is None else own
    finally:
        if own is not None:
            os.close(own)


def _discard(descriptor: int) -> None:
    """Discard what is buffered, and what is written later: Python would complain of it."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, descriptor)
    os.close(nowhere)
