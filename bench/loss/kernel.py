"""One row with the real programs in two network namespaces, joined by a cable: the kernel drops.

The losses are not ours: nftables on each side drop on arrival, and count by type of message what
came and what was dropped. The kernel here cannot delay: the client simulates that.

Linux, root, iproute2 and nftables.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from types import TracebackType
from typing import Any, Self

from bench.loss.case import Case, Counted, Run
from bench.loss.programs import listen
from bench.loss.virtual import programme
from bench.processes import Failed
from bench.workshop import Workshop
from listening.simulated_network import TYPE_OFFSET
from message import TYPE_NAMES
from simulation.simulated_link import LinkCounts

TOOLS = {"ip": "iproute2", "nft": "nftables"}

SERVER, CLIENT = "192.0.2.1", "192.0.2.2"

IP_AND_UDP_BYTES = 20 + 8
"""Headers that the kernel counts and we do not."""

UDP_BITS = 8 * 8

_numbers = itertools.count(1)


def why_not() -> str | None:
    """What this machine lacks; None if nothing."""
    if os.geteuid() != 0:
        return "only root makes network namespaces"
    missing = [package for tool, package in TOOLS.items() if shutil.which(tool) is None]
    return f"needs {' and '.join(missing)}" if missing else None


def run(workshop: Workshop, case: Case) -> Run:
    """Listen to the programme over a network whose kernel drops; raises Failed."""
    conditions = case.conditions
    options = ["--simulate", f"delay={conditions.delay_s * 1e3:g}ms"] if conditions.delay_s else []
    percent = round(100 * conditions.loss)
    name = f"loss-{os.getpid()}-{next(_numbers)}"
    with (
        Namespace(f"{name}-server", percent) as server,
        Namespace(f"{name}-client", percent) as client,
    ):
        server.join(client)
        result, exact = listen(
            workshop,
            case,
            options,
            host=SERVER,
            server_within=server.within,
            client_within=client.within,
        )
        return Run(result, client.counted(), server.counted(), exact, programme())


class Namespace:
    """Network namespace that loses `percent` of the UDP that arrives."""

    def __init__(self, name: str, percent: int) -> None:
        self.within = ("ip", "netns", "exec", name)
        self._name = name
        self._percent = percent

    def __enter__(self) -> Self:
        _call("ip", "netns", "add", self._name)
        try:
            _call(*self.within, "nft", "-f", "-", text=_rules(self._percent))
        except Failed:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with contextlib.suppress(Failed):
            _call("ip", "netns", "delete", self._name)

    def join(self, other: Namespace) -> None:
        """Connect this namespace, the server's, with the client's."""
        _call("ip", "-n", self._name, "link", "add", "cable", "type", "veth",
              "peer", "cable", "netns", other._name)  # fmt: skip
        for one, address in ((self, SERVER), (other, CLIENT)):
            _call("ip", "-n", one._name, "address", "add", f"{address}/24", "dev", "cable")
            # One packet for each datagram, even if the server hands the kernel many at once.
            _call("ip", "-n", one._name, "link", "set", "cable", "gso_max_segs", "1", "up")

    def counted(self) -> Counted:
        """Datagrams that came and that were dropped, by type of message."""
        told = json.loads(_call(*self.within, "nft", "--json", "list", "ruleset"))
        counted: dict[str, LinkCounts] = {}
        for what, name, counter in _counters(told["nftables"]):
            one = counted.setdefault(name, LinkCounts())
            packets = int(counter["packets"])
            if what == "came":
                one.came = packets
                one.came_bytes = int(counter["bytes"]) - packets * IP_AND_UDP_BYTES
            else:
                one.dropped = packets
        for one in counted.values():
            one.delivered = one.came - one.dropped
        return {name: one for name, one in counted.items() if one.came}


def _rules(percent: int) -> str:
    """Rules that count each type of message, drop at random, and count what is dropped."""
    at = f"@th,{UDP_BITS + 8 * TYPE_OFFSET},8"

    def counters(what: str) -> str:
        rules = (
            f'meta l4proto udp {at} {number} counter comment "{what} {name}"'
            for number, name in TYPE_NAMES.items()
        )
        return "\n".join(rules)

    return f"""
table inet loss {{
    chain lost {{
        {counters("dropped")}
        drop
    }}
    chain arriving {{
        type filter hook input priority 0
        {counters("came")}
        meta l4proto udp numgen random mod 100 < {percent} jump lost
    }}
}}
"""


def _counters(ruleset: list[dict[str, Any]]) -> Iterator[tuple[str, str, dict[str, int]]]:
    """Counters of the rules: what is counted, of which type, and the count."""
    for item in ruleset:
        rule = item.get("rule", {})
        for expression in rule.get("expr", []):
            if "counter" in expression:
                what, name = rule["comment"].split()
                yield what, name, expression["counter"]


def _call(*command: str, text: str | None = None) -> str:
    """Output of `command`; raises Failed."""
    called = subprocess.run(command, input=text, check=False, capture_output=True, text=True)
    if called.returncode != 0:
        said = called.stderr.strip().splitlines() or [f"status {called.returncode}"]
        raise Failed(f"{' '.join(command[:3])}: {said[0]}")
    return called.stdout
