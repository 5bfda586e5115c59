"""Listeners whose path is narrower than `--mtu`: who they are, and that IP may fragment for them.

Either the system refuses a datagram as too long for the path (a router has told it), or nobody
tells, and only the REPORTs show that short datagrams arrive while long ones do not. AUDIO has one
content for all, so it is fragmented by IP, never packed again. Sans-I/O.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence

from broadcasting.audience.listener import Listener, PathWatch
from broadcasting.audience.registry import Registry
from broadcasting.settings import Fragments
from broadcasting.statistics import ServerStatistics
from wire.address import Address

NARROW_MTU_BYTES = 1280
"""The MTU that every IPv6 path has (RFC 8200, section 5), and that tunnels choose."""

LONG_BYTES = NARROW_MTU_BYTES - 48
"""Datagrams that are longer do not fit it, with the headers of IPv6 and UDP."""

_RECEIVED = re.compile(rb'"received": ?([0-9]{1,15})')
"""The one figure that is needed of each REPORT: to read all takes 40 times as long."""

log = logging.getLogger("server")


class Paths:
    """The paths of all listeners."""

    def __init__(self, registry: Registry, statistics: ServerStatistics, mtu_bytes: int) -> None:
        self._registry = registry
        self._statistics = statistics
        self._mtu_bytes = mtu_bytes
        self._short = self._long = 0
        self._narrow: dict[Address, Fragments] = {}

    def sent(self, size: int) -> None:
        """AUDIO of `size` bytes was broadcast."""
        if size > LONG_BYTES:
            self._long += 1
        else:
            self._short += 1

    def report(self, listener: Listener, report: bytes) -> None:
        """Take what the newest REPORT of `listener`, not read yet, says of `received`."""
        if listener.fragments or (found := _RECEIVED.search(report)) is None:
            return
        watch = listener.path = listener.path or PathWatch()
        watch.report(int(found[1]), self._short, self._long)
        if watch.is_narrow:
            self._allow(listener, Fragments.ALWAYS, "only short datagrams arrive at it")

    def refused(self, addresses: Sequence[Address]) -> None:
        """The system says that AUDIO is too long for the paths to `addresses`."""
        for address in addresses:
            listener = self._registry.at(address)
            if listener is not None and not listener.fragments:
                self._allow(listener, Fragments.WHERE_KNOWN, "a router says that it is narrower")

    def take_narrow(self) -> dict[Address, Fragments]:
        """Listeners whose datagrams may be fragmented from now on, since the last call."""
        if not self._narrow:
            return {}
        narrow, self._narrow = self._narrow, {}
        return {one: how for one, how in narrow.items() if self._registry.at(one) is not None}

    def _allow(self, listener: Listener, how: Fragments, why: str) -> None:
        listener.fragments, listener.path = how, None
        self._narrow[listener.address] = how
        self._statistics.narrow_paths += 1
        log.warning(
            "the path to %s is too narrow for --mtu %d (%s): its datagrams are fragmented from"
            " now on; --mtu %d would fit",
            listener.name,
            self._mtu_bytes,
            why,
            NARROW_MTU_BYTES,
        )
