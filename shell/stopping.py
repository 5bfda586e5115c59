"""SIGINT and SIGTERM, and other signals, as something the main thread can wait for.

A handler that runs anywhere in the main thread could find a lock held by that very thread, so
the handlers do nothing: the signal's number arrives as a byte at the bell the thread waits for.
"""

from __future__ import annotations

import signal
import socket
import sys
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import NoReturn, TextIO

from shell.udp import Bell, Waiter

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Signals:
    """Context manager of the main thread; `wait` tells of signals and of `notify`."""

    def __init__(self, *, hang_up: bool = False) -> None:
        """`hang_up`: SIGHUP is told by `hang_ups`, and ends nothing."""
        self._numbers: tuple[signal.Signals, ...] = _SIGNALS
        if hang_up and hasattr(signal, "SIGHUP"):  # not on Windows
            self._numbers = (*_SIGNALS, signal.SIGHUP)
        self._hang_ups = 0
        self._bell = Bell()
        self._waiter = Waiter[socket.socket | TextIO]([self._bell.readable])
        self._acts: dict[int, Callable[[int], None] | None] = {}

    def __enter__(self) -> Signals:
        signal.set_wakeup_fd(self._bell.writable.fileno(), warn_on_full_buffer=False)
        for number in self._numbers:
            signal.signal(number, _do_nothing)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # The program has ended in order: what still comes must not end it in another way.
        for number in self._numbers:
            signal.signal(number, signal.SIG_IGN)
        for other in self._acts:
            signal.signal(other, signal.SIG_DFL)
        signal.set_wakeup_fd(-1)
        self._bell.close()

    def notify(self) -> None:
        """Wake the main thread. Any thread may call."""
        self._bell.ring()

    def on(self, number: int, act: Callable[[int], None] | None) -> None:
        """When signal `number` comes, `wait` returns, after `act` was called with it."""
        self._acts[number] = act
        signal.signal(number, _do_nothing)

    def watch(self, file: TextIO) -> None:
        """`wait` returns, too, when there is something to be read from `file`."""
        self._waiter.add(file)

    def unwatch(self, file: TextIO) -> None:
        """It does no more."""
        self._waiter.remove(file)

    def wait(self, timeout_s: float | None) -> int:
        """How many signals to stop came since the last call; waits for one, or a `notify`."""
        self._waiter.wait(timeout_s)
        heard = self._bell.heard()
        for number in heard:
            if (act := self._acts.get(number)) is not None:
                act(number)
        self._hang_ups += sum(byte in self._numbers[len(_SIGNALS) :] for byte in heard)
        return sum(byte in _SIGNALS for byte in heard)

    def hang_ups(self) -> int:
        """How many times SIGHUP came since the last call, as far as `wait` has seen."""
        count, self._hang_ups = self._hang_ups, 0
        return count


def run_program(main: Callable[[], int]) -> NoReturn:
    """Run `main` as the program; its result is the exit status.

    A Ctrl-C before there is anything to end in order is obeyed without a word.
    """
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(0)


def _do_nothing(number: int, frame: FrameType | None) -> None:
    """The byte has been written already."""
