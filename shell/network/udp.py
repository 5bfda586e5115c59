"""UDP sockets of both families, and the addresses behind a name. I/O; decides nothing."""

from __future__ import annotations

import contextlib
import ipaddress
import select
import socket
import struct
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Generic, TextIO, TypeVar

from wire.address import Address, Local, arriving_at

MAX_DATAGRAM_BYTES = 65_535

SOCKET_BUFFER_BYTES = 4 << 20
"""Size asked for in both directions; the kernel gives what it allows. Room for a second of
30 Mbit/s while the process waits for a core."""

FREE_PORT_ATTEMPTS = 20
"""Attempts to find a port that is free for IPv6 and for IPv4."""

SOL_UDP, UDP_GRO = 17, 104
"""linux/udp.h: receive consecutive datagrams of one size in one call."""


_IP_PKTINFO, _IPV6_RECVPKTINFO = 8, 49
"""linux/in.h, linux/in6.h: let the kernel tell which of our addresses a datagram was sent to."""

_SO_TIMESTAMPNS = 35
"""asm-generic/socket.h: let the kernel tell when it received a datagram."""

_TIMESPEC = struct.Struct("@qq")

BELIEVED_S = 1.0
"""A stamp that is older, or of the future, is not believed: it is of the clock of the day, which
may have been set since."""

_ANCILLARY_BYTES = 128
"""Room for the control messages that tell them."""


class AddressError(Exception):
    """An address or port that cannot be used; the text is one line for the user."""

    status = 1
    """Exit status of a program that ends because of it."""
    may_pass = False
    """Whether it may go better soon, as when the network is there."""


class NoRoute(AddressError):
    """An address that cannot be reached from here now."""

    may_pass = True


class UnknownHost(AddressError):
    """A host name that cannot be resolved."""

    status = 2


def open_server_sockets(host: str | None, port: int) -> list[socket.socket]:
    """Sockets bound to `host`, or to every IPv6 and IPv4 address; raises AddressError."""
    if host is not None:
        addresses = _look_up(host, port, socket.AI_PASSIVE)[:1]
        return [_bound(*addresses[0])]
    if not _has_ipv6():
        return [_bound(socket.AF_INET, ("0.0.0.0", port))]  # noqa: S104 - asked for
    attempts = 1 if port else FREE_PORT_ATTEMPTS
    while True:
        attempts -= 1
        ipv6 = _bound(socket.AF_INET6, ("::", port, 0, 0))
        try:
            ipv4 = _bound(socket.AF_INET, ("0.0.0.0", ipv6.getsockname()[1]))  # noqa: S104
        except AddressError:
            ipv6.close()
            if not attempts:
                raise
        else:
            return [ipv6, ipv4]


def server_addresses(host: str, port: int) -> list[Address]:
    """The addresses of `host` that can be reached from here, best first; raises AddressError."""
    reachable = routes(host, port)
    if not reachable:
        raise NoRoute(f"no route to {host}: is this machine connected to its network?")
    return reachable


def routes(host: str, port: int) -> list[Address]:
    """The addresses of `host` that can be reached from here, if any; raises UnknownHost."""
    reachable: list[Address] = []
    for family, address in _look_up(host, port, 0):
        # Connecting sends nothing, but asks the routing table: no route, no candidate. It also
        # replaces the unspecified address by the one that answers will come from.
        with contextlib.suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect(address)
            peer = probe.getpeername()
            if peer not in reachable:
                reachable.append(peer)
    return reachable


def has_network() -> bool:
    """Whether there is a route to elsewhere. Sends nothing."""
    return bool(routes("192.0.2.1", 9) or routes("2001:db8::1", 9))


def is_refused(address: Address) -> bool:
    """Whether nothing listens on `address`, a loopback; False for all others, or if unknown."""
    if not ipaddress.ip_address(address[0].partition("%")[0]).is_loopback:
        return False
    try:
        tables = [Path("/proc/net", name).read_text() for name in ("udp", "udp6")]
    except OSError:
        return False
    # The second column is the local address, in hexadecimal: ADDRESS:PORT.
    return not any(
        f":{address[1]:04X} " in row[:46] for table in tables for row in table.split("\n")
    )


def open_client_sockets(addresses: Sequence[Address]) -> list[socket.socket]:
    """One unbound socket for each family among `addresses`; raises AddressError.

    A family that this machine does not have is left out, if there is another.
    """
    sockets: list[socket.socket] = []
    fault: AddressError | None = None
    for family in sorted(set(map(family_of, addresses))):
        try:
            sockets.append(_prepared(family))
        except AddressError as error:
            fault = error
    if fault is not None and not sockets:
        raise fault
    if sys.platform == "linux":
        for sock in sockets:
            # One wake-up for what the server sends together, such as half a second of
            # `--interval 0.5`.
            with contextlib.suppress(OSError):
                sock.setsockopt(SOL_UDP, UDP_GRO, 1)
            _ask_for_times(sock)
    return sockets


def family_of(address: Address) -> socket.AddressFamily:
    """The address family: IPv6 addresses are tuples of four."""
    return socket.AF_INET6 if len(address) == 4 else socket.AF_INET


def receive(sock: socket.socket) -> tuple[bytes, Address, float] | None:
    """One datagram that is ready in `sock`; None if there is none. Does not wait.

    Its address knows which of ours it wrote to (`wire.address.local_of`), where that is told. The
    last is the monotonic time at which it came. After one, wait for the next: a call in vain costs
    more than waiting where something is ready.
    """
    try:
        if sys.platform != "linux":
            return *sock.recvfrom(MAX_DATAGRAM_BYTES), time.monotonic()
        data, ancillary, _, address = sock.recvmsg(MAX_DATAGRAM_BYTES, _ANCILLARY_BYTES)
        came_at = _came_at(ancillary)
        for told in ancillary:
            if told[0] != socket.SOL_SOCKET:
                return data, arriving_at(_local(told))(address), came_at
        return data, address, came_at
    except OSError:
        # BlockingIOError: its checksum was wrong. Others: an ICMP error of an earlier send to
        # one peer (Windows, BSD), which the others have nothing to do with.
        return None


def _came_at(ancillary: Iterable[Local]) -> float:
    """When a datagram came, as the kernel says, else now; on the monotonic clock."""
    now = time.monotonic()
    for level, kind, value in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, _SO_TIMESTAMPNS) and len(value) == _TIMESPEC.size:
            seconds, nanoseconds = _TIMESPEC.unpack(value)
            age_s = time.time() - seconds - nanoseconds * 1e-9
            return now - age_s if 0 <= age_s < BELIEVED_S else now
    return now


def _local(told: Local) -> Local:
    """The control message for an answer from the address that `told` is of."""
    level, kind, info = told
    if level == socket.IPPROTO_IP:
        # in_pktinfo: interface, local address, destination. Any interface may lead back.
        return level, kind, bytes(4) + info[4:8] + bytes(4)
    # in6_pktinfo: address, interface, which matters to link-local addresses alone.
    is_link_local = info[0] == 0xFE and info[1] & 0xC0 == 0x80
    return level, kind, info if is_link_local else info[:16] + bytes(4)


def receive_train(sock: socket.socket) -> tuple[Sequence[bytes], Address, float] | None:
    """The datagrams that are ready together in a socket of `open_client_sockets`, without waiting.

    With them the monotonic time at which they came. None if there are none.
    """
    with contextlib.suppress(OSError):
        if not hasattr(sock, "recvmsg"):  # Windows
            data, address = sock.recvfrom(MAX_DATAGRAM_BYTES)
            return [data], address, time.monotonic()
        data, ancillary, _, address = sock.recvmsg(MAX_DATAGRAM_BYTES, _ANCILLARY_BYTES)
        came_at = _came_at(ancillary)
        sizes = [
            int.from_bytes(value[:4], sys.byteorder)
            for level, kind, value in ancillary
            if (level, kind) == (SOL_UDP, UDP_GRO)
        ]
        if not sizes:
            return [data], address, came_at
        return [data[at : at + sizes[0]] for at in range(0, len(data), sizes[0])], address, came_at
    return None


class Bell:
    """Wakes a thread that waits for sockets. Any thread may call `ring`."""

    def __init__(self) -> None:
        self._out, self._in = socket.socketpair()
        self._out.setblocking(False)
        self._in.setblocking(False)

    @property
    def readable(self) -> socket.socket:
        """The socket to wait for, beside others."""
        return self._in

    @property
    def writable(self) -> socket.socket:
        """The socket to write a byte to, for `signal.set_wakeup_fd`."""
        return self._out

    def ring(self, byte: int = 0) -> None:
        """Wake the waiting thread, now or as soon as it waits. `byte` is what it hears."""
        # Full, or closed before a thread that was left behind.
        with contextlib.suppress(OSError):
            self._out.send(bytes((byte,)))

    def heard(self) -> bytes:
        """The bytes rung with since the last call."""
        with contextlib.suppress(BlockingIOError):
            return self._in.recv(4096)
        return b""

    def close(self) -> None:
        """Close both ends."""
        self._out.close()
        self._in.close()


Source = TypeVar("Source", bound=socket.socket | TextIO)


class Waiter(Generic[Source]):
    """Waits until some of several sockets are readable (or, except on Windows, other files)."""

    def __init__(self, sources: Sequence[Source]) -> None:
        self._sources: dict[int, Source] = {}
        self._poll = select.poll() if hasattr(select, "poll") else None  # not on Windows
        for source in sources:
            self.add(source)

    def add(self, source: Source) -> None:
        """Wait for `source`, too."""
        self._sources[source.fileno()] = source
        if self._poll is not None:
            self._poll.register(source, select.POLLIN)

    def remove(self, source: Source) -> None:
        """Wait for `source` no more, if it was waited for."""
        if self._sources.pop(source.fileno(), None) is not None and self._poll is not None:
            self._poll.unregister(source)

    def wait(self, timeout_s: float | None) -> list[Source]:
        """The readable ones, as soon as there are any; none after `timeout_s` (and up to 1 ms)."""
        left_s = None if timeout_s is None else max(0.0, timeout_s)
        if self._poll is None:
            return select.select(self._sources.values(), [], [], left_s)[0]
        ready = self._poll.poll(None if left_s is None else left_s * 1e3)
        return [self._sources[descriptor] for descriptor, _ in ready]


class BlockingPoll:
    """In place of select.poll on Windows, which cannot ask a pipe: reading waits instead."""

    def __init__(self) -> None:
        self._descriptors: list[int] = []

    def register(self, descriptor: int, events: int) -> None:
        """Report `descriptor` from now on."""
        self._descriptors.append(descriptor)

    def poll(self, timeout_ms: float | None) -> list[tuple[int, int]]:
        """All descriptors, at once, as if they were readable."""
        return [(descriptor, 1) for descriptor in self._descriptors]


def _look_up(host: str, port: int, flags: int) -> list[tuple[socket.AddressFamily, Address]]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM, flags=flags)
    except (socket.gaierror, UnicodeError) as error:
        unknown = UnknownHost(f"unknown host {host!r}: check the name, or give its address")
        unknown.may_pass = error.args[0] == socket.EAI_AGAIN
        raise unknown from None
    return [(family, address) for family, _, _, _, address in found]  # type: ignore[misc]


def _has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
            probe.bind(("::", 0))
    except OSError:
        return False
    return True


def _bound(family: socket.AddressFamily, address: Address) -> socket.socket:
    sock = _prepared(family)
    try:
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind(address)
        if sys.platform == "linux":
            level, option = (
                (socket.IPPROTO_IPV6, _IPV6_RECVPKTINFO)
                if family == socket.AF_INET6
                else (socket.IPPROTO_IP, _IP_PKTINFO)
            )
            sock.setsockopt(level, option, 1)
            _ask_for_times(sock)
    except OSError as error:
        sock.close()
        raise AddressError(why_not_bound(address, error)) from None
    return sock


def _ask_for_times(sock: socket.socket) -> None:
    """Let the kernel tell when each datagram came (Linux)."""
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)


def _prepared(family: socket.AddressFamily) -> socket.socket:
    try:
        sock = socket.socket(family, socket.SOCK_DGRAM)
    except OSError as error:
        raise AddressError(f"no socket: {error.strerror}") from None
    sock.setblocking(False)
    for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, option, SOCKET_BUFFER_BYTES)
    return sock


def why_not_bound(address: Address, error: OSError, option: str = "--host") -> str:
    """The reason in one line, for the user who gave `address` with `option`."""
    host, port = address[0], address[1]
    if isinstance(error, PermissionError):
        return f"port {port} is not allowed here: choose one above 1023"
    if error.errno in (98, 48, 10048):  # EADDRINUSE on Linux, BSD, Windows
        return f"port {port} is in use: stop the program that has it, or choose another port"
    if error.errno in (99, 49, 10049):  # EADDRNOTAVAIL
        return f"{host} is not an address of this machine: check {option}"
    return f"cannot listen on {host} port {port}: {error.strerror}"
