"""Log of the messages that the server exchanges with single listeners, one line each.

With many listeners the frequent types are written at DEBUG; a message of an address that has proved
nothing counts as a line of the rate-limited log.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import NamedTuple

from broadcasting.audience.rate_limited_log import RateLimitedLog
from broadcasting.audience.registry import Registry
from broadcasting.statistics import ServerStatistics
from broadcasting.stream.history import Packet
from message import TYPE_NAMES, Message, Type
from wire.address import Address, address_text

LOGGED_LISTENERS = 64
"""With more listeners than this REPORT, REQUEST and their answers are logged with -v only."""

_OFTEN = frozenset((Type.REPORT, Type.REQUEST, Type.STATUS, Type.REPEAT, Type.CLOCK, Type.TIME))

_RECEIVED = "received %s %d, %d bytes, from %s"
_SENT = "sent %s %d, %d bytes, to %s"

log = logging.getLogger("server.messages")


class Incoming(NamedTuple):
    """A message that came, opened."""

    message: Message
    size_bytes: int
    """Size of its datagram: no answer to an unproved address is longer."""
    address: Address
    now: float
    came_at: float | None = None
    """When it came, if the system says; `now` is a little later."""


class MessageLog:
    """Writes what comes from listeners and goes to them."""

    def __init__(self, registry: Registry, statistics: ServerStatistics) -> None:
        self.limited = RateLimitedLog(statistics)
        """For what is told of addresses that have proved nothing."""
        self._registry = registry

    def received(self, came: Incoming, name: str) -> None:
        """A message came from a registered listener."""
        message, type_ = came.message, came.message.type
        level = self._level(type_)
        log.log(level, _RECEIVED, TYPE_NAMES[type_], message.sequence, came.size_bytes, name)

    def sent(self, type_: int, sequence: int, size: int, name: str) -> None:
        """A registered listener is sent `size` bytes."""
        log.log(self._level(type_), _SENT, TYPE_NAMES[type_], sequence, size, name)

    def sent_burst(self, burst: Sequence[Packet], name: str) -> None:
        """A listener is sent the AUDIO of the last second at once."""
        log.info("sent AUDIO %d to %d at once to %s", burst[0].sequence, burst[-1].sequence, name)

    def received_unproved(self, came: Incoming) -> None:
        """A message came from an address that has proved nothing."""
        self._write_unproved(_RECEIVED, came.message, came.size_bytes, came)

    def sent_unproved(self, message: Message, size_bytes: int, came: Incoming) -> None:
        """`message` answers what came from an address that has proved nothing."""
        self._write_unproved(_SENT, message, size_bytes, came)

    def _write_unproved(self, text: str, message: Message, size: int, came: Incoming) -> None:
        name, where = TYPE_NAMES[message.type], address_text(came.address)
        self.limited.write(came.now, log, logging.INFO, text, name, message.sequence, size, where)

    def _level(self, type_: int) -> int:
        often = type_ in _OFTEN and len(self._registry) > LOGGED_LISTENERS
        return logging.DEBUG if often else logging.INFO
