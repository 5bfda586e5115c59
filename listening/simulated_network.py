"""A bad network between the sockets and the client's core, for those who have none.

It answers the same questions as the core that it stands before: what comes from the sockets reaches
the core late, twice or never, and so does what the core sends. Without it the sockets meet the core
itself, so that it costs nothing when it is not used.

Sans-I/O: no socket, no thread, no clock. The owner calls from one thread at a time.
"""

from __future__ import annotations

from listening.listen import Listen
from message import SEALED, TYPE_NAMES
from wire.address import Address
from wire.link_conditions import LinkConditions
from wire.simulated_link import SimulatedLink, fates

TYPE_OFFSET = 3
"""Where a datagram says what it is, in every version of the protocol."""


class SimulatedNetwork:
    """Two links, each as bad as `conditions` say: one to `core`, one from it."""

    def __init__(self, core: Listen, conditions: LinkConditions) -> None:
        self.conditions = conditions
        self.to_us = SimulatedLink(fates(conditions, "to the client"), type_of)
        self.from_us = SimulatedLink(fates(conditions, "to the server"), type_of)
        self._core = core

    def receive_datagram(self, data: bytes, address: Address, now: float) -> None:
        """Take what came from `address`; the core gets it when it is due."""
        self.to_us.receive_datagram(data, address, now)
        self._deliver(now)

    def datagrams_to_send(self, now: float) -> list[tuple[bytes, Address]]:
        """What has to go out, since the last call."""
        for data, address in self._core.datagrams_to_send(now):
            self.from_us.receive_datagram(data, address, now)
        return self.from_us.datagrams_to_send(now)

    def next_due(self) -> float | None:
        """When `on_due` wants to be called next; None when all is over."""
        times = [self.from_us.next_due()]
        if not self._core.closed:
            times += [self._core.next_due(), self.to_us.next_due()]
        return min((t for t in times if t is not None), default=None)

    def on_due(self, now: float) -> None:
        """Do what time asks for, here and in the core."""
        self._deliver(now)
        self._core.on_due(now)

    def _deliver(self, now: float) -> None:
        # Who has left hears nothing more.
        if not self._core.closed:
            for data, address in self.to_us.datagrams_to_send(now):
                self._core.receive_datagram(data, address, now)


def type_of(datagram: bytes) -> str:
    """The name of the message's type, for the counts."""
    known = len(datagram) > TYPE_OFFSET
    return TYPE_NAMES.get(datagram[TYPE_OFFSET] & ~SEALED, "other") if known else "other"
