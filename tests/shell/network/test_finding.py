"""Servers and listeners that find each other, as real programs on a network of their own."""

from __future__ import annotations

import contextlib
import ctypes
import re
import signal
import socket
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path

from zeroconf import DNSIncoming  # type: ignore[attr-defined] # it does not list it

from tests.rig.island import by_its_own_root, on_an_island
from tests.rig.luck import once
from tests.rig.programs import SAMPLE, Program, Server, end, run
from tests.rig.terminals import terminal, watch
from wire.announcement import SERVICE

pytestmark = once

MDNS_PORT = 5353
MDNS_TO_MDNS = MDNS_PORT.to_bytes(2, "big") * 2

ETH_P_IP = 0x0800
IP_AND_UDP_BYTES = 28
PORTS_AT = 20
"""Offset of the UDP ports in a packet whose IPv4 header has no options."""

SO_ATTACH_FILTER = 26
FILTER = b"".join(
    struct.pack("=HBBI", *instruction)
    for instruction in (
        (0x20, 0, 0, PORTS_AT),  # load both ports
        (0x15, 0, 1, int.from_bytes(MDNS_TO_MDNS)),  # if it is not these, skip one
        (0x06, 0, 0, 65_535),  # take all of the packet
        (0x06, 0, 0, 0),  # take nothing of it
    )
)
"""Program for the kernel's packet filter, bpf(4)."""


def serving(folder: Path, *arguments: str) -> Server:
    return Server(folder, "server.py", (SAMPLE, 0, "--loop", "--name", *arguments))


def looking(folder: Path, *arguments: str) -> Program:
    return Program(folder, "client.py", ("--output", "null", *arguments))


@by_its_own_root
def test_the_only_server_is_found_and_played_two_are_told_apart_and_none_is_told(
    tmp_path: Path,
) -> None:
    def body() -> None:
        # Bound to IPv6 alone, and to both: either is found.
        with overheard() as said, serving(tmp_path, "Kitchen", "--host", "::1") as first:
            with looking(tmp_path) as listener, serving_soon(tmp_path, listener, first) as second:
                assert_two(tmp_path, first, second)
                for one in (first, second):
                    one.send(signal.SIGINT)
                end(first, second, listener)
            assert withdrawn(said) == {"Kitchen", "Cellar"}

    with on_an_island(lambda: looking(tmp_path)) as alone:
        on_an_island(body)
        assert_that_nobody_is_found(alone)


@contextlib.contextmanager
def serving_soon(folder: Path, listener: Program, first: Server) -> Iterator[Server]:
    """A second server, when the first was found."""
    listener.wait_for_log(rf"sent CONNECT 1, .* to \[::1\]:{first.port}")
    with serving(folder, "Cellar") as second:
        second.wait_for_log("announced as Cellar at 127.0.0.1 port")
        yield second


def assert_two(folder: Path, first: Server, second: Server) -> None:
    """A script is told of both, a name is one of them, and a person may choose."""
    with (
        looking(folder) as script,
        looking(folder, "--name", "cellar", "--timeout", "0") as by_name,
        terminal(folder, "client.py", "--output", "null") as person,
    ):
        assert script.wait() == 2
        assert script.stdout.splitlines() == [
            f"127.0.0.1 {second.port}  Cellar (In Every Room)",
            f"::1 {first.port}  Kitchen (In Every Room)",
        ]
        assert script.stderr == (
            "client.py: 2 servers found: give HOST and PORT of one, or --name\n"
        )
        watch(lambda: "Which one? [1-2] " in person.text, person)
        person.press(b"1\n")
        second.wait_until(lambda: len(re.findall("registered", second.log)) == 2, "both")
        for process in (by_name.process, person.process):
            process.send_signal(signal.SIGINT)
        watch(person.has_ended, person)
        end(by_name)


def assert_that_nobody_is_found(alone: Program) -> None:
    assert alone.wait() == 1
    assert alone.stdout == ""
    assert alone.stderr == (
        "client.py: no server announces itself on this network:"
        " give HOST and PORT, such as 192.0.2.10 4501\n"
    )


@by_its_own_root
def test_two_machines_of_one_name_and_port_are_told_apart_and_listed(tmp_path: Path) -> None:
    """Copies of one card: only their addresses differ."""

    def body() -> None:
        subprocess.run(["ip", "addr", "add", "127.0.0.2/8", "dev", "lo"], check=True)
        with serving(tmp_path, "Kitchen", "--host", "127.0.0.1") as first:
            port = first.port
            twin = (SAMPLE, port, "--loop", "--name", "Cellar", "--host", "127.0.0.2")
            with Server(tmp_path, "server.py", twin) as second:
                for one in (first, second):
                    one.wait_for_log("announced as")
                listed = run(tmp_path, "client.py", "--list")
                assert listed.stdout.splitlines() == [
                    f"127.0.0.2 {port}  Cellar (In Every Room)",
                    f"127.0.0.1 {port}  Kitchen (In Every Room)",
                ]
                assert (listed.status, listed.stderr) == (0, "")

    on_an_island(body)


@by_its_own_root
def test_a_network_that_cannot_be_told_is_no_error_of_the_server(tmp_path: Path) -> None:
    def body() -> None:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as taken:
            taken.bind(("::", MDNS_PORT))
            with serving(tmp_path, "Kitchen") as server:
                server.wait_for_log("not announced on the local network: .* in use")
                server.send(signal.SIGINT)
                end(server)
                assert server.stderr == ""

    on_an_island(body)


@contextlib.contextmanager
def overheard() -> Iterator[socket.socket]:
    """A socket that hears every multicast DNS packet of IPv4."""
    program = ctypes.create_string_buffer(FILTER)
    with socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ETH_P_IP)) as ear:
        attached = struct.pack("HP", len(FILTER) // 8, ctypes.addressof(program))
        ear.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, attached)
        ear.setblocking(False)
        yield ear


def withdrawn(said: socket.socket) -> set[str]:
    """The names of the servers that said that they are no more."""
    names = set()
    with contextlib.suppress(BlockingIOError):
        while True:
            packet = said.recv(65_535)
            for record in DNSIncoming(packet[IP_AND_UDP_BYTES:]).answers():
                if record.ttl == 0 and record.name.endswith(SERVICE):
                    names.add(record.name.partition(".")[0])
    return names - {SERVICE.partition(".")[0]}
