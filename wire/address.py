"""A UDP address as Python's sockets give it, and as people write it (RFC 3986, RFC 5952)."""

from __future__ import annotations

Address = tuple[str, int] | tuple[str, int, int, int]
"""(host, port) for IPv4; (host, port, flow, scope) for IPv6."""


def address_text(address: Address) -> str:
    """`192.0.2.10:4501` or `[2001:db8::1]:4501`."""
    host, port = address[0], address[1]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def network_of(address: Address) -> str:
    """What one household may have: an IPv4 address, or the first 64 bits of an IPv6 one.

    A host takes what addresses it likes from its 64 bits (RFC 8981, section 2). Link-local
    addresses share theirs with all hosts of all links, so that each is for itself.
    """
    host = address[0]
    if ":" not in host:
        return host
    import ipaddress  # IPv6 listeners alone need it

    whole = ipaddress.IPv6Address(host.partition("%")[0])
    if whole.is_link_local:
        return f"{whole}%{address[-1]}"
    return str(ipaddress.IPv6Address(int(whole) >> 64 << 64)) + "/64"
