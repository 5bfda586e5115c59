"""The addresses of the server, looked up until they are found, or --timeout is over.

At the start there may be no network yet: a cable that is not in, Wi-Fi that still connects, a
name server that does not answer. So whatever fails is tried again.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar

from listening.arguments import LOOK_S, ClientOptions
from shell.network.udp import (
    AddressError,
    UnknownHost,
    has_network,
    is_refused,
    routes,
    server_addresses,
)
from shell.terminal.live import complain, human_stream
from shell.terminal.printing import print_line
from wire.address import Address

PAUSE_S = 0.5
"""Pause before the next attempt."""

STARTING_S, STARTING_PAUSE_S = 2.0, 0.05
"""Wait for a server of this machine that does not listen: it may be starting at the same time."""

LEAST_S = 1.0
"""Time for one attempt, however short --timeout is: the start of the program takes a part of it."""

CLOSING_S = 2.0
"""Time for a search of the local network to end, beyond that for which it listens."""

Found = TypeVar("Found")


class LookedUp(NamedTuple):
    """The addresses of the server that can be reached, best first, and the time that it took."""

    addresses: Sequence[Address]
    took_s: float
    """Without the time that somebody took to choose."""


def look_up(options: ClientOptions, started_at: float) -> LookedUp:
    """Where the server is; raises AddressError."""
    until = started_at + (options.timeout_s or LOOK_S)
    while True:
        try:
            found = _look_up_once(options, started_at, until)
        except AddressError as error:
            if not _is_worth_another(error, options):
                raise
            if time.monotonic() + PAUSE_S >= until:
                error.status = 1
                raise
            time.sleep(PAUSE_S)
            continue
        if options.timeout_s is None:
            _wait_for_our_own(found.addresses)
        return found


def _wait_for_our_own(addresses: Sequence[Address]) -> None:
    """Give a server of this machine a moment to start; raises AddressError if it does not."""
    nothing = f"nothing listens on {addresses[0][0]} port {addresses[0][1]}"
    until = time.monotonic() + STARTING_S
    is_told = False
    while all(map(is_refused, addresses)):
        if not is_told:
            complain("client.py", f"{nothing} yet: looking for {STARTING_S:g} s")
            is_told = True
        if time.monotonic() >= until:
            hint = "start the server first, or say with --timeout how long to wait for it"
            raise AddressError(f"{nothing}: {hint}")
        time.sleep(STARTING_PAUSE_S)


def _look_up_once(options: ClientOptions, started_at: float, until: float) -> LookedUp:
    left_s = max(LEAST_S, until - time.monotonic())
    host, port = options.host, options.port
    if host is not None and port is not None:
        silence = "no answer from the name server: is this machine connected?"
        addresses = _within(left_s, lambda: server_addresses(host, port), silence)
        return LookedUp(addresses, time.monotonic() - started_at)
    from listening import choosing

    stream = human_stream(options.telling.json, options.output)
    asks = choosing.can_ask(stream)
    if asks and not options.telling.quiet:
        print_line("looking for servers on the local network", stream)
    silence = "the local network could not be searched in time: give HOST and PORT"
    present = _within(left_s + CLOSING_S, lambda: choosing.look(left_s), silence)
    took_s = time.monotonic() - started_at
    # Out of the reach of --timeout: people may take as long as they want to choose.
    found = choosing.choose(present, options.name, stream, asks=asks)
    # Each may be an address of a network that this machine is not on.
    reachable = [one for text in found.addresses for one in routes(text, found.port)]
    if not reachable:
        raise AddressError(f"no route to {found.announcement.name} at {found.addresses[0]}")
    return LookedUp(reachable, took_s)


def _is_worth_another(error: AddressError, options: ClientOptions) -> bool:
    """Whether it may go better the next time."""
    if options.timeout_s is not None:
        return error.may_pass or isinstance(error, UnknownHost)
    if isinstance(error, UnknownHost) and not error.may_pass:
        # A name of the local network is known when its machine has started.
        return (options.host or "").lower().endswith(".local") or not has_network()
    return error.may_pass and options.host is not None


def _within(most_s: float, work: Callable[[], Found], silence: str) -> Found:
    """What `work` returns or raises; it may hang, then AddressError is raised with `silence`."""
    found: list[Found] = []
    errors: list[Exception] = []

    def run() -> None:
        try:
            found.append(work())
        except Exception as error:  # noqa: BLE001 - raised again where it is waited for
            errors.append(error)

    thread = threading.Thread(target=run, name="lookup", daemon=True)
    thread.start()
    thread.join(min(most_s, threading.TIMEOUT_MAX))
    if errors:
        raise errors[0]
    if not found:
        raise AddressError(silence)
    return found[0]
