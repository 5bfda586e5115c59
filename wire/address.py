"""A UDP address as Python's sockets give it, and as people write it (RFC 3986, RFC 5952)."""

from __future__ import annotations

Address = tuple[str, int] | tuple[str, int, int, int]
"""(host, port) for IPv4; (host, port, flow, scope) for IPv6."""


def address_text(address: Address) -> str:
    """`192.0.2.10:4501` or `[2001:db8::1]:4501`."""
    host, port = address[0], address[1]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
