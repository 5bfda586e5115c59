"""A server and a client with a router between them, whose way to the client carries 1,280 bytes.

    with narrow_path(tells=False) as path:
        with server(folder, song, within=path.server) as broadcast:
            with client(folder, broadcast, host=path.hosts[0], within=path.client) as listener:

The router says "fragmentation needed" and "packet too big", or (`tells=False`) is filtered.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import subprocess
from collections.abc import Iterator, Sequence
from typing import NamedTuple

MTU_BYTES = 1280
HOSTS = ("192.0.2.1", "2001:db8:1::1")

SILENCE = """
table inet silence {
    chain leaving {
        type filter hook output priority 0
        icmp type destination-unreachable drop
        icmpv6 type { destination-unreachable, packet-too-big } drop
    }
}
"""

_numbers = itertools.count(1)


class NarrowPath(NamedTuple):
    """What to put before the commands of the two programs, and where the server is."""

    server: Sequence[str]
    client: Sequence[str]
    hosts: Sequence[str] = HOSTS


@contextlib.contextmanager
def narrow_path(*, tells: bool) -> Iterator[NarrowPath]:
    """Three namespaces in a row. Root."""
    number = f"{os.getpid()}-{next(_numbers)}"
    near, router, far = (f"{name}-{number}" for name in ("near", "router", "far"))
    with contextlib.ExitStack() as made:
        for name in (near, router, far):
            _ip(f"netns add {name}")
            made.callback(_ip, f"netns delete {name}")
            _ip(f"-n {name} link set lo up")
        for end, ipv4, ipv6 in (
            (near, "192.0.2", "2001:db8:1:"),
            (far, "198.51.100", "2001:db8:2:"),
        ):
            side = "near" if end == near else "far"
            _ip(f"link add net netns {end} type veth peer name {side} netns {router}")
            for name, device, last in ((end, "net", 1), (router, side, 254)):
                _ip(f"-n {name} addr add {ipv4}.{last}/24 dev {device}")
                _ip(f"-n {name} addr add {ipv6}:{last}/64 dev {device} nodad")
                _ip(f"-n {name} link set {device} up")
            _ip(f"-n {end} route add default via {ipv4}.254")
            _ip(f"-n {end} -6 route add default via {ipv6}:254")
        _ip(f"-n {router} link set far mtu {MTU_BYTES}")
        _ip(f"-n {far} link set net mtu {MTU_BYTES}")
        within = ("ip", "netns", "exec", router)
        _call(*within, "sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1")
        if not tells:
            _call(*within, "nft", "-f", "-", text=SILENCE)
        yield NarrowPath(("ip", "netns", "exec", near), ("ip", "netns", "exec", far))


def _ip(words: str) -> None:
    _call("ip", *words.split())


def _call(*command: str, text: str | None = None) -> None:
    subprocess.run(command, input=text, check=True, capture_output=True, text=True)
