"""How long the server's lock is held, with ten thousand listeners, for what concerns all of them.

The server's core in one process, without sockets; log lines are made and queued, as by the server.
Processor time, not time on the clock: other work of the machine does not count. Nor does Python's
garbage collector, which stops all threads wherever they are, with or without the lock.
"""

from __future__ import annotations

import gc
import itertools
import logging
import logging.handlers
import queue
import time
from collections.abc import Callable, Iterator

from bench.table import Result, Row, below
from bench.workshop import QUICK, SAMPLE, Workshop
from broadcasting.audience.listener import Listener
from broadcasting.broadcast import Broadcast, Step
from broadcasting.display.views import Views
from broadcasting.settings import Settings
from broadcasting.source.segments import read_segments
from broadcasting.stream.parity_control import AUTO, Loss
from message import Report
from wire.address import Address, address_text

LISTENERS = 10_000
SCREENS = 10
ROUNDS = 5
LIMIT_MS = 2.0
BEGIN_S, SENT_UNTIL_S, END_S, SILENT_S = 1000.0, 1003.0, 1003.5, 1010.0
DATA_BYTES = 1_320


def measure(workshop: Workshop) -> Iterator[Result]:
    found = [_longest_ms() for _ in range(1 if workshop.effort.rounds <= QUICK.rounds else ROUNDS)]
    for name in found[0]:
        values = [one[name] for one in found]
        yield Row(f"lock, {name}", "longest hold", values, "ms", below(LIMIT_MS))


class _Lock:
    """Knows how long it was held at most, in seconds of processor time."""

    def __init__(self) -> None:
        self.longest_s = 0.0
        self._began_s = 0.0

    def __enter__(self) -> None:
        self._began_s = time.thread_time()

    def __exit__(self, *error: object) -> None:
        self.longest_s = max(self.longest_s, time.thread_time() - self._began_s)


class _Made(logging.handlers.QueueHandler):
    """Makes lines, and drops them."""

    def enqueue(self, record: logging.LogRecord) -> None:
        pass


def _longest_ms() -> dict[str, float]:
    """The longest hold of each, in ms."""
    server = _Server()
    found: dict[str, float] = {}

    def note(name: str, work: Callable[[], object]) -> None:
        server.lock.longest_s = 0.0
        work()
        found[name] = server.lock.longest_s * 1e3

    gc.collect()
    gc.disable()
    root, handler = logging.getLogger(), _Made(queue.SimpleQueue())
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    try:
        note("sending, with --fec auto", server.send)
        for name, work in (
            ("status page", server.views.status),
            ("live view", lambda: [server.views.live(40) for _ in range(SCREENS)]),
            ("final figures", server.views.everyone),
        ):
            server.report()
            note(name, work)
        server.report()
        note("END", server.end)
        note("expiry", server.expire)
    finally:
        gc.enable()
        root.removeHandler(handler)
        root.setLevel(level)
    return found


class _Server:
    def __init__(self) -> None:
        tokens = itertools.count()
        self.core = Broadcast(
            Settings(
                max_clients=LISTENERS, max_clients_per_address=LISTENERS, fec=AUTO, timeout_s=5.0
            ),
            stream_id=1,
            secret=b"secret",
            token=lambda: f"{next(tokens):032x}",
        )
        for number in range(LISTENERS):
            self.core.registry.add(_listener(number))
        self._programme = read_segments([str(SAMPLE)], DATA_BYTES, loop=True)
        self.lock = _Lock()
        self.views = Views(self.core, self.lock)  # type: ignore[arg-type]

    def report(self) -> None:
        """Everyone has sent a REPORT."""
        for number, listener in enumerate(self.core.registry):
            listener.unread = Report(
                session=listener.session,
                clock_us=123_456_789_012,
                expected=12_345,
                received=12_340,
                intact=12_300,
                retransmitted=40,
                lost=number % 7,
                jitter_ms=1.234,
                rtt_ms=20.123,
                buffer_s=0.512,
                played_s=961.1,
                concealed_s=0.39,
            ).to_message()

    def send(self) -> None:
        now = BEGIN_S
        while now < SENT_UNTIL_S:
            due = self.steps(now).due
            now = max(now, SENT_UNTIL_S if due is None else due)

    def end(self) -> None:
        with self.lock:
            self.core.stop(END_S)
        self.steps(END_S)

    def expire(self) -> None:
        now = SILENT_S
        while self.core.registry:
            now = self.steps(now).due or now

    def steps(self, now: float) -> Step:
        """Steps until nothing is due any more; the last."""
        while True:
            with self.lock:
                step = self.core.step(now)
            if step.wants_segment:
                segment = next(self._programme)  # as the server: read without the lock
                with self.lock:
                    self.core.add_segment(segment)
            elif step.finished or step.due is None or step.due > now:
                return step


def _listener(number: int) -> Listener:
    address: Address = (f"10.{number >> 8}.{number & 255}.1", 10_000)
    return Listener(
        address=address,
        nonce="nonce",
        session=f"{number:032x}",
        joined_at=BEGIN_S,
        heard_at=BEGIN_S,
        first_sequence=0,
        first_time_us=0,
        live_time_us=0,
        name=address_text(address),
        loss=Loss(share=number % 10 / 1000),
    )
