"""What listeners reported: the last figures of each, of those that left, and the sums of all.

A REPORT is read when somebody wants its figures. Reading takes 0.04 ms, so whoever wants those of
many listeners reads a few at a time (`look`), and lets go of the lock in between.
"""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Iterator
from typing import Literal

from broadcasting.audience.listener import Listener
from broadcasting.audience.registry import Registry
from message import Report
from wire.address import Address

MAX_DEPARTED = 10_000
"""Listeners that left whose final figures are kept, the newest: a bound, for a server that runs
on."""

LISTENERS_A_LOOK = 256
"""Listeners that one look passes over at most: 1 ms, short enough that nothing due is late."""

REPORTS_A_LOOK = 24
"""REPORTs that one look reads at most, for the same reason."""

Leaving = Literal["goodbye", "silent", "replaced", "listening"]
"""How a listener left; "listening" has not."""


@dataclasses.dataclass(frozen=True, slots=True)
class ListenerFigures:
    """The last figures of a listener, registered or gone."""

    address: Address
    joined_at: float
    left_at: float
    """When it left; now, if it is registered."""
    how: Leaving
    report: Report | None
    """None if it has not reported."""


@dataclasses.dataclass(slots=True)
class Audience:
    """Sums over all listeners, with the names of a REPORT; they only grow.

    A listener that leaves, and one that starts to count anew, takes nothing back.
    """

    intact: int = 0
    retransmitted: int = 0
    rebuilt: int = 0
    lost: int = 0
    underruns: int = 0
    device_underruns: int = 0
    played_s: float = 0.0
    concealed_s: float = 0.0

    def add(self, before: Report | None, report: Report) -> None:
        """Add what a listener gained between `before` and `report`."""
        for name in _NAMES:
            gained = getattr(report, name) - (getattr(before, name) if before else 0)
            if gained > 0:
                setattr(self, name, getattr(self, name) + gained)


_TOLD = ("expected", "intact", "retransmitted", "rebuilt", "lost", "late", "underruns")
_NAMES = tuple(field.name for field in dataclasses.fields(Audience))


class AudienceFigures:
    """The figures of all listeners of one run of the server."""

    def __init__(self, registry: Registry) -> None:
        self.departed: deque[ListenerFigures] = deque(maxlen=MAX_DEPARTED)
        """Listeners that left, the newest last."""
        self.audience = Audience()
        self._registry = registry

    def read(self, listener: Listener) -> Report | None:
        """The last REPORT of `listener`; None if it has sent none."""
        if listener.unread is not None:
            self.take(listener, Report.from_message(listener.unread))
        return listener.report

    def take(self, listener: Listener, report: Report) -> None:
        """`report` holds the newest figures of `listener`."""
        self.audience.add(listener.report, report)
        listener.report, listener.unread = report, None

    def keep(self, listener: Listener, now: float, how: Leaving) -> ListenerFigures:
        """`listener` has left: keep its last figures, and return them."""
        last = self._of(listener, now, how)
        self.departed.append(last)
        return last

    def look(self, addresses: Iterator[Address]) -> tuple[list[Listener], bool]:
        """The next of `addresses` that are registered, with `report` read, and if more are left.

        They are as many as may be looked at while the lock is held.
        """
        seen: list[Listener] = []
        reports = 0
        for passed, address in enumerate(addresses, 1):
            listener = self._registry.at(address)
            if listener is not None:
                reports += listener.unread is not None
                self.read(listener)
                seen.append(listener)
            if passed == LISTENERS_A_LOOK or reports == REPORTS_A_LOOK:
                return seen, True
        return seen, False

    def present(
        self, addresses: Iterator[Address], now: float
    ) -> tuple[list[ListenerFigures], bool]:
        """The figures of the next of `addresses` that are registered, and if more are left."""
        seen, has_more = self.look(addresses)
        return [self._of(one, now, "listening") for one in seen], has_more

    def _of(self, listener: Listener, now: float, how: Leaving) -> ListenerFigures:
        report = self.read(listener)
        return ListenerFigures(listener.address, listener.joined_at, now, how, report)


def last_words(one: ListenerFigures) -> str:
    """The figures of `one` in a line of the log: enough to explain in the morning why it left."""
    after = f"after {one.left_at - one.joined_at:.0f} s"
    report = one.report
    if report is None:
        return f"{after}, no report"
    counts = ", ".join(f"{name} {getattr(report, name)}" for name in _TOLD)
    measured = (
        ("jitter", report.jitter_ms, "ms"),
        ("RTT", report.rtt_ms, "ms"),
        ("buffer", report.buffer_s, "s"),
    )
    rest = "".join(f", {name} {x:.1f} {unit}" for name, x, unit in measured if x is not None)
    return f"{after}, {counts}{rest}"
