"""A network that can be cut and mended while programs speak over it.

    with cable() as wire:
        with server(folder, song, within=wire.within) as broadcast:
            with client(folder, wire.port_to(broadcast.port), within=wire.within) as listener:
                wire.cut(broadcast.port)
                wire.mend(broadcast.port)

Where the kernel lets us it is a network namespace, and its nftables drop what goes to a port and
what comes from it. Elsewhere each datagram goes through a relay, which drops it.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import os
import select
import socket
import subprocess
import threading
from collections.abc import Iterator, Sequence
from typing import Protocol

HOST = "127.0.0.1"

RULES = """
table inet cable {
    set cut { type inet_service; }
    chain arriving {
        type filter hook input priority 0
        udp dport @cut drop
        udp sport @cut drop
    }
}
"""

_numbers = itertools.count(1)


class Cable(Protocol):
    within: Sequence[str]
    """What to put before a command, so that it speaks over this network."""

    def port_to(self, port: int) -> int:
        """Where a client finds the server that listens on `port`."""

    def cut(self, port: int) -> None:
        """Nothing comes through to that server, nor from it."""

    def mend(self, port: int) -> None:
        """All comes through again."""


@contextlib.contextmanager
def cable() -> Iterator[Cable]:
    """The best network that can be had here."""
    with namespace() if has_namespaces() else relays() as made:
        yield made


@functools.cache
def has_namespaces() -> bool:
    """Whether we may make networks whose kernel drops."""
    with contextlib.suppress(OSError, subprocess.CalledProcessError), namespace():
        return True
    return False


@contextlib.contextmanager
def namespace() -> Iterator[Cable]:
    """A network of its own; raises if the tools or the rights for it are missing."""
    name = f"cable-{os.getpid()}-{next(_numbers)}"
    _call("ip", "netns", "add", name)
    try:
        _call("ip", "-n", name, "link", "set", "lo", "up")
        made = _Namespace(name)
        _call(*made.within, "nft", "-f", "-", text=RULES)
        yield made
    finally:
        _call("ip", "netns", "delete", name)


class _Namespace:
    def __init__(self, name: str) -> None:
        self.within: Sequence[str] = ("ip", "netns", "exec", name)

    def port_to(self, port: int) -> int:
        return port

    def cut(self, port: int) -> None:
        self._change("add", port)

    def mend(self, port: int) -> None:
        self._change("delete", port)

    def _change(self, how: str, port: int) -> None:
        _call(*self.within, "nft", how, "element", "inet", "cable", "cut", f"{{ {port} }}")


def _call(*command: str, text: str | None = None) -> None:
    subprocess.run(command, input=text, check=True, capture_output=True, text=True)


@contextlib.contextmanager
def relays() -> Iterator[Cable]:
    """A relay before each server."""
    made = _Relays()
    try:
        yield made
    finally:
        made.stop()


class _Relays:
    def __init__(self) -> None:
        self.within: Sequence[str] = ()
        self._relays: dict[int, _Relay] = {}

    def port_to(self, port: int) -> int:
        if port not in self._relays:
            self._relays[port] = _Relay(port)
        return self._relays[port].port

    def cut(self, port: int) -> None:
        self._relays[port].is_cut = True

    def mend(self, port: int) -> None:
        self._relays[port].is_cut = False

    def stop(self) -> None:
        for relay in self._relays.values():
            relay.stop()


class _Relay(threading.Thread):
    """Stands for a server; each client has a socket of its own behind it."""

    def __init__(self, port: int) -> None:
        super().__init__(name="relay")
        self.is_cut = False
        self._server = (HOST, port)
        self._front = _socket()
        self._front.bind((HOST, 0))
        self.port: int = self._front.getsockname()[1]
        self._behind: dict[tuple[str, int], socket.socket] = {}
        self._told, self._tell = socket.socketpair()
        self.start()

    def run(self) -> None:
        while True:
            clients = {behind: client for client, behind in self._behind.items()}
            for ready in select.select([self._told, self._front, *clients], [], [])[0]:
                if ready is self._told:
                    return
                with contextlib.suppress(OSError):
                    data, sender = ready.recvfrom(65_535)
                    if self.is_cut:
                        continue
                    if ready is self._front:
                        self._socket_of(sender).sendto(data, self._server)
                    else:
                        self._front.sendto(data, clients[ready])

    def stop(self) -> None:
        self._tell.close()
        self.join()
        for one in (self._told, self._front, *self._behind.values()):
            one.close()

    def _socket_of(self, client: tuple[str, int]) -> socket.socket:
        if client not in self._behind:
            self._behind[client] = _socket()
        return self._behind[client]


def _socket() -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.setblocking(False)
    return made
