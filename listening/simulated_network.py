"""A simulated network between the sockets and the client's core (`--simulate`).

It has the core's methods: datagrams from the sockets reach the core late, twice or never, and so do
datagrams of the core. Without it the sockets call the core itself, so it costs nothing when unused.

Sans-I/O: no socket, no thread, no clock. The owner calls from one thread at a time.
"""

from __future__ import annotations

from listening.listen import Listen
from message import SEALED, TYPE_NAMES
from simulation.link_conditions import LinkConditions
from simulation.simulated_link import SimulatedLink, fates
from wire.address import Address

TYPE_OFFSET = 3
"""Offset of the type in a datagram, in every version of the protocol."""


class SimulatedNetwork:
    """Two simulated links, one to `core` and one from it."""

    def __init__(self, core: Listen, conditions: LinkConditions) -> None:
        self.conditions = conditions
        self.to_us = SimulatedLink(fates(conditions, "to the client"), type_of)
        self.from_us = SimulatedLink(fates(conditions, "to the server"), type_of)
        self._core = core

    def receive_datagram(
        self, data: bytes, address: Address, now: float, came_at: float | None = None
    ) -> None:
        """Take a datagram from `address`; the core gets it when it is due."""
        self.to_us.receive_datagram(data, address, now)
        self._deliver(now)

    def datagrams_to_send(self, now: float) -> list[tuple[bytes, Address]]:
        """Datagrams to send now, and where to."""
        for data, address in self._core.datagrams_to_send(now):
            self.from_us.receive_datagram(data, address, now)
        return self.from_us.datagrams_to_send(now)

    def departed(self, at: float) -> None:
        """Datagrams have left at `at`: they left the core when they came into the link."""

    def next_due(self) -> float | None:
        """When `on_due` wants to be called next; None when all is over."""
        times = [self.from_us.next_due()]
        if not self._core.closed:
            times += [self._core.next_due(), self.to_us.next_due()]
        return min((t for t in times if t is not None), default=None)

    def on_due(self, now: float) -> None:
        """Do what is due, here and in the core."""
        self._deliver(now)
        self._core.on_due(now)

    def _deliver(self, now: float) -> None:
        # A listener that has left hears nothing more.
        if not self._core.closed:
            for data, address in self.to_us.datagrams_to_send(now):
                self._core.receive_datagram(data, address, now)


def type_of(datagram: bytes) -> str:
    """Name of the message's type, for the counters."""
    known = len(datagram) > TYPE_OFFSET
    return TYPE_NAMES.get(datagram[TYPE_OFFSET] & ~SEALED, "other") if known else "other"
