"""From options to the parts of a client: first what can fail, before anything is logged."""

from __future__ import annotations

import contextlib
import logging
import random
import secrets
import socket
import sys
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from listening.arguments import LOOK_AGAIN_S, LOOK_S, ClientOptions
from listening.listen import Listen
from listening.lookup import look_up
from listening.outputs import DEVICE, NAMED, Output, OutputError, make_output, names_no_file
from listening.playback import Playback
from message import SALT_BYTES
from shell.command_line.key_file import read_key
from shell.command_line.result import check_writable
from shell.command_line.separate_files import (
    NamedFile,
    check_separate,
    key_file,
    output_file,
    telling_files,
)
from shell.network.udp import family_of, open_client_sockets
from shell.terminal.live import complain
from shell.terminal.printing import print_line
from shell.terminal.text import one_line
from wire.address import Address

if TYPE_CHECKING:
    from listening.session.seal import ClientSeal
    from listening.simulated_network import SimulatedNetwork
    from reporting.record import Record

QUICK_S = 1.0
"""A lookup within this takes nothing of --timeout; after a long one this much is left at least."""

log = logging.getLogger("client")


class Opened(NamedTuple):
    """What was checked and opened; `closing` closes the sockets."""

    looked_s: float
    """Time that it took to find out the addresses of the server, without that to choose one."""
    addresses: Sequence[Address]
    sockets: Sequence[socket.socket]
    output: Output
    seal: ClientSeal | None
    record: Record | None
    closing: contextlib.ExitStack


class Parts(NamedTuple):
    """What the threads of the client work on."""

    listen: Listen
    simulated: SimulatedNetwork | None
    """Stands between the sockets and `listen`."""
    playback: Playback
    output: Output


def open_all(options: ClientOptions, started_at: float) -> Opened:
    """Check and open what `options` name. Raises ValueError, OutputError and AddressError."""
    check_separate(_written(options), key_file(options.key_file))
    seal = _seal(options.key_file)
    output = make_output(options.output)
    telling = options.telling
    if telling.json is not None:
        check_writable(telling.json)
    record = None
    if telling.report is not None or telling.csv is not None:
        # Rarely wanted, so not imported by every start.
        from reporting.record import Record

        record = Record(telling.report, telling.csv, server=False, begun_at=started_at)
    addresses, looked_s = look_up(options, started_at)
    with contextlib.ExitStack() as closing:
        sockets = open_client_sockets(addresses)
        for sock in sockets:
            closing.enter_context(sock)
        families = {sock.family for sock in sockets}
        addresses = [one for one in addresses if family_of(one) in families]
        return Opened(
            looked_s,
            addresses,
            sockets,
            output,
            seal,
            record,
            closing.pop_all(),
        )


def assemble(options: ClientOptions, opened: Opened) -> Parts:
    """Put the parts together, and log what was chosen."""
    output = opened.output
    listen = Listen(
        opened.addresses,
        nonce=secrets.token_hex(8),
        timeout_s=_left_s(options.timeout_s or LOOK_S, opened.looked_s),
        patience_s=options.timeout_s or LOOK_AGAIN_S,
        buffer_s=options.buffer_s,
        lead_s=output.lead_s,
        waits=output.waits,
        random=random.Random(),  # noqa: S311 - spreads pauses, guards nothing
        now=time.monotonic(),
        seal=opened.seal,
    )
    if options.key_file is not None:
        log.info("sealed with the key in %s", options.key_file)
    simulated = None
    if options.simulate is not None:
        from listening.simulated_network import SimulatedNetwork

        log.warning("simulated network: %s", options.simulate)
        simulated = SimulatedNetwork(listen, options.simulate)
    return Parts(listen, simulated, Playback(output, options.volume_db), output)


def _left_s(timeout_s: float, looked_s: float) -> float:
    """Time left to look for the server, of which a start takes next to nothing."""
    return timeout_s if looked_s < QUICK_S else max(QUICK_S, round(timeout_s - looked_s, 0))


def list_servers(timeout_s: float | None) -> int:
    """Print the servers that announce themselves, one a line; the exit status.

    `timeout_s`: as in ClientOptions. Raises AddressError.
    """
    from listening import choosing

    return choosing.list_servers(timeout_s)


def list_outputs() -> int:
    """Print what --output may be, one a line; the exit status."""
    from listening.outputs.device import device_names

    print_line("\n".join(NAMED), sys.stdout)
    try:
        for name in device_names():
            print_line(one_line(DEVICE + name), sys.stdout)
    except OutputError as error:
        complain("client.py", f"no devices by name: {error}")
    return 0


def _written(options: ClientOptions) -> Iterator[NamedFile]:
    yield from telling_files("client", options.telling)
    if not names_no_file(options.output):
        yield output_file("--output", options.output)


def _seal(key_file: str | None) -> ClientSeal | None:
    if key_file is None:
        return None
    secret, warning = read_key(key_file)
    if warning is not None:
        complain("client.py", warning)
    # Without a key nobody has to wait for this import.
    from listening.session.seal import ClientSeal
    from wire.seal import Key

    return ClientSeal(Key(secret), lambda: secrets.token_bytes(SALT_BYTES))
