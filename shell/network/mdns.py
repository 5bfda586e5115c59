"""Announcing a server on the local network, and finding one: multicast DNS (RFC 6762, RFC 6763).

A server that is bound to one address is announced with that address, and on its network alone: one
on the loopback is found on this machine and nowhere else. zeroconf takes 0.1 s to import, so this
module is imported only where that delays nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import secrets
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, NamedTuple

import ifaddr
from zeroconf import (
    DNSQuestionType,
    Error,
    InterfaceChoice,
    IPVersion,
    ServiceStateChange,
    Zeroconf,
)
from zeroconf.asyncio import AsyncServiceBrowser, AsyncServiceInfo, AsyncZeroconf

from shell.network.udp import Bell
from wire.announcement import SERVICE, Announcement

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address

CHECK_S = 10.0
"""Interval of checking the title and the addresses of this machine: 0.3 ms of work each time."""

MOST_FOUND = 100
"""Answers looked at: what comes from the network has bounds."""

MOST_ADDRESSES = 8
"""Addresses of one server that are tried."""

MOST_HOST_CHARACTERS = 40
"""Characters of this machine's name in the record of its addresses: a label has 63 at most."""

LABEL_BYTES = 8
"""Random bytes in it."""

RESOLVE_MS = 1500
"""Time-out of resolving one server."""

TO_ALL = DNSQuestionType.QM
"""Ask for answers by multicast. Programs of one machine share the port, and an answer by unicast
would reach only one of them."""

log = logging.getLogger("server")


def _as_one_line(record: logging.LogRecord) -> bool:
    """Keep the warning, drop its traceback: it shows zeroconf's own code."""
    record.exc_info = None
    return True


# zeroconf warns once of each socket that cannot send, such as IPv6 multicast on a loopback that
# has no route for it, and goes on with the others.
logging.getLogger("zeroconf").addFilter(_as_one_line)


class Found(NamedTuple):
    """A server that announces itself."""

    announcement: Announcement
    addresses: tuple[str, ...]
    """At least one, as text."""
    port: int


class NoNetwork(Exception):
    """The local network cannot be used; the text says why."""


def announce(
    describe: Callable[[], Announcement], bound: Sequence[str], port: int, stop: Bell
) -> None:
    """Announce what `describe` returns until `stop` rings; then withdraw it.

    `bound`: the addresses that the server listens on. Failures are logged, and tried again.
    """
    with asyncio.Runner() as runner:
        runner.get_loop().set_exception_handler(_log_fault)
        runner.run(_Announcer(describe, bound, port).run(stop))


def find(least_s: float, most_s: float) -> list[Found]:
    """The servers that answer within `least_s`, by name. Raises NoNetwork.

    The search goes on for up to `most_s` while none, or only the name of one, is known.
    """
    with asyncio.Runner() as runner:
        runner.get_loop().set_exception_handler(lambda loop, context: None)
        return runner.run(_find(least_s, most_s))


def own_addresses(bound: Sequence[str]) -> list[str]:
    """The addresses at which a server bound to `bound` can be reached, the most useful first.

    Loopback and link-local addresses are given only if there are no others.
    """
    wildcards = {one.version for one in map(ipaddress.ip_address, bound) if one.is_unspecified}
    found = [ipaddress.ip_address(text) for text in bound]
    found = [one for one in found if not one.is_unspecified]
    if wildcards:
        found += [one for adapter in _adapters() for one in adapter if one.version in wildcards]
    ranked = sorted(dict.fromkeys(found), key=_distance)
    nearest = [one for one in ranked if _distance(one) == _distance(ranked[0])]
    routed = [one for one in ranked if not (one.is_loopback or one.is_link_local)]
    return [str(one) for one in (routed or nearest)][:MOST_ADDRESSES]


def _adapters() -> list[list[IPAddress]]:
    """The addresses of each network interface."""
    return [
        [ipaddress.ip_address(one.ip if isinstance(one.ip, str) else one.ip[0]) for one in its.ips]
        for its in ifaddr.get_adapters()
    ]


def _distance(address: IPAddress) -> tuple[bool, bool, int]:
    return address.is_loopback, address.is_link_local, address.version


class _Announcer:
    def __init__(
        self, describe: Callable[[], Announcement], bound: Sequence[str], port: int
    ) -> None:
        self._describe = describe
        self._bound = bound
        self._port = port
        # Machines copied from one card share a host name; one record of addresses for two servers
        # would send listeners to the wrong one.
        host = "".join(c if c.isascii() and c.isalnum() else "-" for c in _short_host_name())
        self._host = f"{host[:MOST_HOST_CHARACTERS]}-{secrets.token_hex(LABEL_BYTES)}.local."
        self._complaint = ""

    async def run(self, stop: Bell) -> None:
        loop = asyncio.get_running_loop()
        stopping = asyncio.ensure_future(loop.sock_recv(stop.readable, 1))
        while not stopping.done():
            announcing = asyncio.ensure_future(self._announce_here())
            await asyncio.wait([announcing, stopping], return_when=asyncio.FIRST_COMPLETED)
            announcing.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                try:
                    await announcing
                except (OSError, RuntimeError, NoNetwork, Error) as error:
                    self._complain(error)
                    await asyncio.wait([stopping], timeout=CHECK_S)

    async def _announce_here(self) -> None:
        """Until the addresses of this machine change."""
        addresses = own_addresses(self._bound)
        if not addresses:
            raise NoNetwork("this machine has no address")
        async with _opened(_interfaces(self._bound)) as zeroconf:
            said = self._describe()
            info = self._info(said, said.name, addresses)
            await (await zeroconf.async_register_service(info, allow_name_change=True))
            self._complaint = ""
            name = info.name.removesuffix(f".{SERVICE}")
            log.info("announced as %s at %s port %d", name, ", ".join(addresses), self._port)
            while own_addresses(self._bound) == addresses:
                await asyncio.sleep(CHECK_S)
                if (now := self._describe()) != said:
                    said = now
                    info = self._info(said, name, addresses)
                    await (await zeroconf.async_update_service(info))

    def _info(self, said: Announcement, name: str, addresses: Sequence[str]) -> AsyncServiceInfo:
        return AsyncServiceInfo(
            SERVICE,
            f"{name}.{SERVICE}",
            port=self._port,
            parsed_addresses=list(addresses),
            properties=said.texts(),
            server=self._host,
        )

    def _complain(self, error: Exception) -> None:
        complaint = str(error) or type(error).__name__
        if complaint != self._complaint:
            log.warning("not announced on the local network: %s", complaint)
        self._complaint = complaint


async def _find(least_s: float, most_s: float) -> list[Found]:
    loop = asyncio.get_running_loop()
    found: dict[str, Found] = {}
    asking: set[asyncio.Task[None]] = set()

    def heard(
        zeroconf: Zeroconf, service_type: str, name: str, state_change: ServiceStateChange
    ) -> None:
        if state_change is ServiceStateChange.Removed:
            found.pop(name, None)
        elif len(asking) < MOST_FOUND:
            task = loop.create_task(ask(zeroconf, name))
            asking.add(task)

    async def ask(zeroconf: Zeroconf, name: str) -> None:
        info = AsyncServiceInfo(SERVICE, name)
        if not await info.async_request(zeroconf, RESOLVE_MS, TO_ALL):
            return
        addresses = tuple(info.parsed_scoped_addresses()[:MOST_ADDRESSES])
        if addresses and info.port:
            said = Announcement.read(name.removesuffix(f".{SERVICE}"), info.decoded_properties)
            found[name] = Found(said, addresses, info.port)

    try:
        async with _opened(InterfaceChoice.All) as zeroconf:
            browser = AsyncServiceBrowser(
                zeroconf.zeroconf, SERVICE, handlers=[heard], question_type=TO_ALL
            )
            began = loop.time()
            while (looked_s := loop.time() - began) < least_s or (
                looked_s < most_s and not (found and all(task.done() for task in asking))
            ):
                await asyncio.sleep(0.05)
            await browser.async_cancel()
            for task in asking:
                task.cancel()
    except (OSError, RuntimeError) as error:
        raise NoNetwork(str(error)) from None
    return sorted(found.values(), key=lambda one: (one.announcement.name, one.port))


@contextlib.asynccontextmanager
async def _opened(interfaces: Any) -> AsyncIterator[AsyncZeroconf]:
    """A connection of both IP families where this machine has both."""
    try:
        zeroconf = AsyncZeroconf(interfaces=interfaces, ip_version=IPVersion.All)
    except OSError:
        zeroconf = AsyncZeroconf(interfaces=interfaces, ip_version=IPVersion.V4Only)
    try:
        yield zeroconf
    finally:
        await zeroconf.async_close()


def _interfaces(bound: Sequence[str]) -> Any:
    """The interfaces through which a server bound to `bound` can be reached."""
    addresses = {ipaddress.ip_address(one) for one in bound}
    if any(one.is_unspecified for one in addresses):
        return InterfaceChoice.All
    # Over both families: either tells of addresses of both (RFC 6762, section 20).
    return [str(one) for adapter in _adapters() if addresses & {*adapter} for one in adapter]


def _short_host_name() -> str:
    return socket.gethostname().partition(".")[0]


def _log_fault(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    log.warning("while announcing: %s", context.get("exception") or context["message"])
