"""Course of the measurement: one server, a thousand listeners, and one flood after another.

Lateness is that of every copy of every AUDIO message to a listener: when the kernel had it (on
loopback, when the server sent it), less its media time, compared with the most punctual one. Loss
is what the listeners were promised and did not get.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bench.compiler import compiled
from bench.crowd import Count, Crowd
from bench.flood.attacker import Attacker, Sent
from bench.flood.attacks import ATTACKS, leave, register
from bench.processes import Failed, Server
from bench.workshop import SAMPLE, Workshop


@dataclass(frozen=True, slots=True)
class Plan:
    """Durations and sizes of the measurement."""

    listeners: int = 1000
    datagrams: int = 100_000
    per_second: float = 20_000.0
    quiet_s: float = 4.0
    """Time before and after each flood."""
    settled_s: float = 3.0
    """Time after which the burst at the start is over."""


@dataclass(frozen=True, slots=True)
class Window:
    """Figures of the listeners and the server over some seconds."""

    late_p99_ms: float | None
    late_max_ms: float | None
    lost: int
    received: int
    seconds: float
    cpu_s: float
    """Processor time of the server, in seconds."""

    @property
    def cpu_percent(self) -> float:
        """Processor time of the server, in per cent of one core."""
        return self.cpu_s / self.seconds * 100


@dataclass(frozen=True, slots=True)
class Course:
    """One flood: before, during, after."""

    name: str
    before: Window
    during: Window
    after: Window
    sent: Sent
    kernel_dropped: int
    """Datagrams, hostile or not, that found the server's socket full."""
    memory_bytes: tuple[int, int]
    """Resident memory of the server, before and after."""

    @property
    def each_us(self) -> float:
        """Processor time of the server for one hostile datagram, in µs."""
        usual_s = self.before.cpu_s / self.before.seconds * self.during.seconds
        return (self.during.cpu_s - usual_s) / self.sent.datagrams * 1e6

    def as_json(self) -> dict[str, Any]:
        return {
            **asdict(self),
            "sent": self.sent._asdict(),
            "per_second": self.sent.datagrams / self.sent.seconds,
            "each_us": self.each_us,
        }


class Measured:
    """Courses, each when it is over; `server` is the server's JSON at the end."""

    def __init__(self, workshop: Workshop, plan: Plan) -> None:
        self.server: dict[str, Any] = {}
        self._workshop = workshop
        self._plan = plan

    def courses(self, names: Sequence[str] = tuple(ATTACKS)) -> Iterator[Course]:
        """Run the floods; raises Failed."""
        plan = self._plan
        library = compiled(self._workshop, "crowd.c", shared=True)
        wanted = ("--max-clients", str(plan.listeners + 1), "--wait-for", str(plan.listeners))
        with self._workshop.server(str(SAMPLE), "--loop", *wanted) as server:
            with (
                Crowd(library, plan.listeners, server.port, every_copy=True) as crowd,
                Attacker(server.port) as attacker,
            ):
                time.sleep(plan.settled_s)
                watch = _Watch(server, crowd)
                for name in names:
                    yield self._course(name, watch, server, attacker)
            self.server = {n: v for n, v in server.stop().items() if n != "listeners"}

    def _course(self, name: str, watch: _Watch, server: Server, attacker: Attacker) -> Course:
        plan, attack = self._plan, ATTACKS[name]
        known = register(attacker)
        memory_bytes = server.memory_bytes()
        watch.begin()
        time.sleep(plan.quiet_s)
        before = watch.seen()
        dropped = dropped_at(server.port)
        sent = attacker.flood(attack.datagrams(known), plan.datagrams, plan.per_second)
        during = watch.seen()
        dropped = dropped_at(server.port) - dropped
        time.sleep(plan.quiet_s)
        after = watch.seen()
        leave(attacker, known)
        memory = (memory_bytes, server.memory_bytes())
        return Course(attack.title, before, during, after, sent, dropped, memory)


class _Watch:
    """Observer of the crowd and the server, from one moment to the next."""

    def __init__(self, server: Server, crowd: Crowd) -> None:
        self._server = server
        self._crowd = crowd
        self.begin()

    def begin(self) -> None:
        self._began = time.monotonic()
        self._cpu_s = self._server.cpu_s()
        self._count = self._crowd.count()

    def seen(self) -> Window:
        """Figures since `begin`, or the last call."""
        count, before = self._counted(), self._count
        cpu_s, now = self._server.cpu_s(), time.monotonic()
        seconds, used_s = now - self._began, cpu_s - self._cpu_s
        self._began, self._cpu_s, self._count = now, cpu_s, count
        received = count.received - before.received
        return Window(
            late_p99_ms=count.late_ms["p99"],
            late_max_ms=count.late_ms["max"],
            lost=count.expected - before.expected - received,
            received=received,
            seconds=seconds,
            cpu_s=used_s,
        )

    def _counted(self) -> Count:
        count = self._crowd.count()
        if count.dropped:
            raise Failed(f"the crowd itself has dropped {count.dropped} datagrams")
        return count


def dropped_at(port: int) -> int:
    """Datagrams dropped by the full socket of `port`."""
    for line in Path("/proc/net/udp").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[1].endswith(f":{port:04X}"):
            return int(fields[12])
    raise Failed(f"nobody has port {port}")
