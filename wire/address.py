"""A UDP address as Python's sockets give it, and as people write it (RFC 3986, RFC 5952)."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

Local = tuple[int, int, bytes]
"""One of the addresses of this machine: the control message (level, type, content) of the kernel
that makes a datagram leave from it (IP_PKTINFO in ip(7), IPV6_PKTINFO in RFC 3542)."""

MOST_LOCALS = 256
"""Addresses of this machine that are kept as kinds of Address."""

Address = tuple[str, int] | tuple[str, int, int, int]
"""(host, port) for IPv4; (host, port, flow, scope) for IPv6."""


@functools.lru_cache(maxsize=MOST_LOCALS)
def arriving_at(local: Local) -> Callable[[Address], Address]:
    """The kind of Address that wrote to `local`, which may be one of several of this machine.

    What is sent to such an address leaves from there: a firewall or a NAT knows no other answer.
    It is equal to the plain address, and as small: a listener is where it is, whatever it calls.
    """
    kind: Any = type("ArrivingAddress", (tuple,), {"__slots__": (), "local": local})
    return kind  # type: ignore[no-any-return]


def local_of(address: Address) -> Local | None:
    """What `address` wrote to, as in `arriving_at`; None if that is not known."""
    return getattr(address, "local", None)


def address_text(address: Address) -> str:
    """`192.0.2.10:4501` or `[2001:db8::1]:4501`."""
    host, port = address[0], address[1]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def network_of(address: Address) -> str:
    """The part that one household has: an IPv4 address, or the first 64 bits of an IPv6 address.

    A host can take any address within its 64 bits (RFC 8981, section 2). Link-local addresses
    share theirs with all hosts of all links, so each counts for itself.
    """
    host = address[0]
    if ":" not in host:
        return host
    if host.startswith(("fe8", "fe9", "fea", "feb")):
        return f"{host.partition('%')[0]}%{address[-1]}"
    return _first_64_bits(host)


@functools.lru_cache(maxsize=1024)
def _first_64_bits(host: str) -> str:
    """The first four groups of an IPv6 address, as the system writes it.

    A library that takes any form needs three times as long, for each datagram of a flood.
    """
    head, gap, tail = host.partition("::")
    groups = tail.count(":") + 1 + ("." in tail)
    if gap:
        # Eight groups in all, and at most four of them after the zeros do not reach the first four.
        head = head or "0"
        head += ":0" * (7 - head.count(":") - max(groups, 4))
        host = f"{head}:{tail}" if groups > 4 else head
    return ":".join(host.split(":", 4)[:4])
