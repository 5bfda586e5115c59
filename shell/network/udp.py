"""UDP sockets of both families, and the addresses behind a name. I/O; decides nothing."""

from __future__ import annotations

import contextlib
import select
import socket
import sys
from collections.abc import Sequence
from typing import Generic, TextIO, TypeVar

from wire.address import Address

MAX_DATAGRAM_BYTES = 65_535

SOCKET_BUFFER_BYTES = 4 << 20
"""Asked for in both directions; the kernel gives what it allows. Room for a second of 30 Mbit/s
while the process waits for a core."""

FREE_PORT_ATTEMPTS = 20
"""The system chooses a port that is free for IPv6; somebody else may have it for IPv4."""

SOL_UDP, UDP_GRO = 17, 104
"""linux/udp.h: hand over datagrams of one size that came in a row as one."""


class AddressError(Exception):
    """An address or port that cannot be used; the text is one line for the user."""

    status = 1
    """The exit status that fits."""


class UnknownHost(AddressError):
    """A name that means nothing: what was typed cannot be used."""

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
        raise AddressError(f"no route to {host}: is this machine connected to its network?")
    return reachable


def routes(host: str, port: int) -> list[Address]:
    """The addresses of `host` that can be reached from here, if any; raises UnknownHost."""
    reachable: list[Address] = []
    for family, address in _look_up(host, port, 0):
        # Connecting sends nothing, but asks the routing table: no route, no candidate. And it
        # turns the unspecified address into the one that answers will come from.
        with contextlib.suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect(address)
            peer = probe.getpeername()
            if peer not in reachable:
                reachable.append(peer)
    return reachable


def open_client_sockets(addresses: Sequence[Address]) -> list[socket.socket]:
    """One unbound socket for each family among `addresses`."""
    sockets = [_prepared(family) for family in sorted(set(map(family_of, addresses)))]
    if sys.platform == "linux":
        for sock in sockets:
            # What the server sends together then comes together, where the kernel can: one
            # wake-up for half a second of `--interval 0.5`.
            with contextlib.suppress(OSError):
                sock.setsockopt(SOL_UDP, UDP_GRO, 1)
    return sockets


def family_of(address: Address) -> socket.AddressFamily:
    """IPv6 addresses are tuples of four."""
    return socket.AF_INET6 if len(address) == 4 else socket.AF_INET


def receive(sock: socket.socket) -> tuple[bytes, Address] | None:
    """One datagram that lies ready in `sock`, without waiting.

    Whoever has one waits for the next: to look in vain costs more than to wait where something is.
    """
    try:
        return sock.recvfrom(MAX_DATAGRAM_BYTES)
    except OSError:
        # BlockingIOError: its checksum was wrong. Others: an ICMP error of an earlier send
        # (Windows, BSD); whoever it was, others go on.
        return None


def receive_train(sock: socket.socket) -> tuple[Sequence[bytes], Address] | None:
    """The datagrams that lie ready together in one of `open_client_sockets`, without waiting."""
    if not hasattr(sock, "recvmsg"):  # Windows
        came = receive(sock)
        return None if came is None else ([came[0]], came[1])
    with contextlib.suppress(OSError):
        data, ancillary, _, address = sock.recvmsg(MAX_DATAGRAM_BYTES, socket.CMSG_SPACE(4))
        sizes = [
            int.from_bytes(value[:4], sys.byteorder)
            for level, kind, value in ancillary
            if (level, kind) == (SOL_UDP, UDP_GRO)
        ]
        if not sizes:
            return [data], address
        return [data[at : at + sizes[0]] for at in range(0, len(data), sizes[0])], address
    return None


class Bell:
    """Wakes a thread that waits for sockets. Any thread may ring."""

    def __init__(self) -> None:
        self._out, self._in = socket.socketpair()
        self._out.setblocking(False)
        self._in.setblocking(False)

    @property
    def readable(self) -> socket.socket:
        """What to wait for beside other sockets."""
        return self._in

    @property
    def writable(self) -> socket.socket:
        """What a byte may be written to, for `signal.set_wakeup_fd`."""
        return self._out

    def ring(self) -> None:
        """Wake the waiting thread, now or as soon as it waits."""
        with contextlib.suppress(BlockingIOError):
            self._out.send(b"\0")

    def heard(self) -> bytes:
        """What was rung with since the last call."""
        with contextlib.suppress(BlockingIOError):
            return self._in.recv(4096)
        return b""

    def close(self) -> None:
        """Let go of both ends."""
        self._out.close()
        self._in.close()


Source = TypeVar("Source", bound=socket.socket | TextIO)


class Waiter(Generic[Source]):
    """Waits for something to come to any of some sockets (or, but on Windows, other files)."""

    def __init__(self, sources: Sequence[Source]) -> None:
        self._sources: dict[int, Source] = {}
        self._poll = select.poll() if hasattr(select, "poll") else None  # not on Windows
        for source in sources:
            self.add(source)

    def add(self, source: Source) -> None:
        """Wait for this one, too."""
        self._sources[source.fileno()] = source
        if self._poll is not None:
            self._poll.register(source, select.POLLIN)

    def remove(self, source: Source) -> None:
        """Wait for this one no more, if it was among them."""
        if self._sources.pop(source.fileno(), None) is not None and self._poll is not None:
            self._poll.unregister(source)

    def wait(self, timeout_s: float | None) -> list[Source]:
        """Those that have something, after `timeout_s` (and up to 1 ms more) at the latest."""
        left_s = None if timeout_s is None else max(0.0, timeout_s)
        if self._poll is None:
            return select.select(self._sources.values(), [], [], left_s)[0]
        ready = self._poll.poll(None if left_s is None else left_s * 1e3)
        return [self._sources[descriptor] for descriptor, _ in ready]


def _look_up(host: str, port: int, flags: int) -> list[tuple[socket.AddressFamily, Address]]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM, flags=flags)
    except (socket.gaierror, UnicodeError):
        raise UnknownHost(f"unknown host {host!r}: check the name, or give its address") from None
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
    except OSError as error:
        sock.close()
        raise AddressError(why_not_bound(address, error)) from None
    return sock


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
    """In one line, for the user who gave `address` with `option`."""
    host, port = address[0], address[1]
    if isinstance(error, PermissionError):
        return f"port {port} is not allowed here: choose one above 1023"
    if error.errno in (98, 48, 10048):  # EADDRINUSE on Linux, BSD, Windows
        return f"port {port} is in use: stop the program that has it, or choose another port"
    if error.errno in (99, 49, 10049):  # EADDRNOTAVAIL
        return f"{host} is not an address of this machine: check {option}"
    return f"cannot listen on {host} port {port}: {error.strerror}"
