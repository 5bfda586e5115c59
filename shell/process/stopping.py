"""How a program is asked to end, and that it does.

A first request (Ctrl-C, SIGTERM, a closed terminal, `quit`) ends it in order. After the second
one it has `HURRY_S` left, whatever hangs. A thread of its own counts them, since the main thread
may be in a call that no signal interrupts.

A handler may interrupt the main thread while that holds a lock. So the handlers do nothing: the
number of the signal is written to a socket, from which that thread reads it.
"""

from __future__ import annotations

import contextlib
import math
import os
import signal
import socket
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType, TracebackType
from typing import NoReturn, TextIO, TypeVar

from shell.network.udp import Bell, Waiter
from shell.process import children
from shell.process.threads import Worker
from shell.process.timers import ask_for_fine_timers
from shell.terminal.printing import at_once, keep_standard_streams, lost_output, print_line
from shell.terminal.text import program_name

HURRY_S = 0.8
"""Time from the second request to the end of the process: people expect it within a second."""

PATIENCE_S = (math.inf, 0.5, 0.0)
"""Longest wait for something that hangs at the end, by the number of requests so far."""

BOUNCE_S = 0.2
"""Time after the second request in which others mean the same: some wrappers send each twice."""

LEAVE_S = 0.1
"""Wait for the threads of a program that hurries, of which some may hang."""

LOOK_S = 0.02
"""Pause between looks for a second request, while a thread is waited for."""

_STOPS = {signal.SIGINT, signal.SIGTERM}
if sys.platform == "win32":
    _STOPS.add(signal.SIGBREAK)

T = TypeVar("T")


class Stopped(Exception):
    """A request to end came before what was waited for."""


class Signals:
    """Context manager of the main thread; `wait` returns on signals and on `notify`."""

    def __init__(self) -> None:
        self.stops = 0
        """Requests to end so far: above 1 nothing is waited for."""
        self._stop_numbers = set(_STOPS)
        self._hurries_at: float | None = None
        self._acts: dict[int, Callable[[int], None] | None] = {}
        self._heard: deque[int] = deque()
        self._arriving, self._bell = Bell(), Bell()
        self._waiter = Waiter[socket.socket | TextIO]([self._bell.readable])

    def __enter__(self) -> Signals:
        # A program that was started by nohup stays deaf to it.
        if sys.platform != "win32" and signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
            if _has_terminal():
                self._stop_numbers.add(signal.SIGHUP)
            else:
                self.on(signal.SIGHUP, None)
        self._ended = False
        self._counter = Worker("signals", self._count)
        signal.set_wakeup_fd(self._arriving.writable.fileno(), warn_on_full_buffer=False)
        for number in self._stop_numbers:
            signal.signal(number, self._handle)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # The program has ended in order: a late signal must not end it in another way.
        for number in self._stop_numbers:
            signal.signal(number, signal.SIG_IGN)
        for other in self._acts:
            signal.signal(other, signal.SIG_DFL)
        signal.set_wakeup_fd(-1)
        self._ended = True
        self._arriving.ring()
        self._counter.join()
        self._arriving.close()
        self._bell.close()

    def notify(self) -> None:
        """Wake the main thread. Any thread may call."""
        self._bell.ring()

    def stop(self) -> None:
        """Ask the program to end, as SIGTERM does."""
        self._arriving.ring(signal.SIGTERM)

    def on(self, number: int, act: Callable[[int], None] | None) -> None:
        """On signal `number`, let `wait` call `act` with it, and return."""
        if number not in self._stop_numbers and signal.getsignal(number) != signal.SIG_IGN:
            self._acts[number] = act
            signal.signal(number, _do_nothing)

    def on_hang_up(self, act: Callable[[], None]) -> None:
        """Let `wait` call `act` on a SIGHUP that does not end the program: there is no terminal."""
        if sys.platform != "win32":
            self.on(signal.SIGHUP, lambda number: act())

    def on_user_signal(self, act: Callable[[], None]) -> None:
        """Let `wait` call `act` on SIGUSR1."""
        if sys.platform != "win32":
            self.on(signal.SIGUSR1, lambda number: act())

    def watch(self, file: TextIO) -> None:
        """Let `wait` return also when `file` is readable."""
        self._waiter.add(file)

    def unwatch(self, file: TextIO) -> None:
        """Undo `watch`."""
        self._waiter.remove(file)

    def wait(self, timeout_s: float | None) -> None:
        """Wait for a signal or a `notify`."""
        self._waiter.wait(timeout_s)
        self._bell.heard()
        while self._heard:
            number = self._heard.popleft()
            if (act := self._acts.get(number)) is not None:
                act(number)

    def result_of(self, work: Callable[[], T]) -> T:
        """What `work` returns or raises, in a thread that may hang; raises Stopped."""
        results: list[T] = []
        errors: list[Exception] = []
        worker = Worker(
            "opening",
            lambda: results.append(work()),
            over=self.notify,
            failed=errors.append,
        )
        while worker.is_working:
            if self.stops:
                raise Stopped
            self.wait(None)
        worker.join()
        if errors:
            raise errors[0]
        return results[0]

    def join(self, *workers: Worker) -> Sequence[Worker]:
        """Wait for their end, with a second request a moment only; those that hang."""
        hurries_at = None
        for worker in workers:
            while worker.is_alive():
                if self.stops > 1:
                    hurries_at = hurries_at or time.monotonic()
                    if time.monotonic() > hurries_at + LEAVE_S:
                        break
                worker.join(LOOK_S)
        return [worker for worker in workers if worker.is_alive()]

    def may_wait(self, since_s: float) -> bool:
        """Whether to wait at the end for something that has not moved for `since_s`."""
        return since_s < PATIENCE_S[min(self.stops, len(PATIENCE_S) - 1)]

    def _handle(self, number: int, frame: FrameType | None) -> None:
        """Take the default action on what follows the second request."""
        if self._hurries_at is not None and time.monotonic() > self._hurries_at + BOUNCE_S:
            children.kill_all()
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)

    # The counting thread.

    def _count(self) -> None:
        waiter = Waiter([self._arriving.readable])
        left_s = None
        while not self._ended:
            waiter.wait(left_s)
            for number in self._arriving.heard():
                self.stops += number in self._stop_numbers
                self._heard.append(number)
            self._bell.ring()
            now = time.monotonic()
            if self.stops > 1:
                self._hurries_at = self._hurries_at or now
                left_s = self._hurries_at + HURRY_S - now
            if left_s is not None and left_s <= 0:
                print_line(f"{_name()}: ended at once, for something hangs", sys.stderr, at_once)
                end_at_once(1)


def run_program(main: Callable[[], int], *, plays: bool = False) -> NoReturn:
    """Run `main` as the program; its result is the exit status.

    A Ctrl-C before there is anything to end in order exits silently, with status 0. `plays`: a
    thread of a C library may still be playing, and would crash where Python ends before it.
    """
    keep_standard_streams()
    ask_for_fine_timers()
    try:
        status = main()
    except KeyboardInterrupt:
        status = 0
    except SystemExit as end:  # argparse
        status = end.code if isinstance(end.code, int) else 0
    if not status and (error := lost_output()) is not None:
        print_line(f"{_name()}: cannot write standard output: {error.strerror}", sys.stderr)
        status = 1
    if plays or threading.active_count() > 1:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(AttributeError, OSError, ValueError):  # closed, or full
                stream.flush()
        end_at_once(status)
    sys.exit(status)


def end_at_once(status: int) -> NoReturn:
    """End the process, its children too, whatever its other threads do."""
    children.kill_all()
    os._exit(status)


def _name() -> str:
    """What the user calls the program."""
    return program_name(Path(sys.argv[0]).name)


def _has_terminal() -> bool:
    """Whether a terminal controls this process, and can be closed."""
    with contextlib.suppress(OSError):
        os.close(os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY))
        return True
    return False


def _do_nothing(number: int, frame: FrameType | None) -> None:
    """Nothing to do: the byte has been written already."""
