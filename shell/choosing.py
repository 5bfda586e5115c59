"""No address was given: which of the servers that announce themselves is it to be?

The only one, the one of that name, or the one that is chosen at the terminal. Elsewhere a script is
told what there is, in lines that begin with what client.py wants to be given.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, TextIO

from shell.text import one_line
from shell.udp import AddressError

if TYPE_CHECKING:
    from shell.mdns import Found

LOOK_S = 2.0
"""Answers come within 0.5 s of a question; a second question, 1 s later, is for what got lost."""

MOST_LOOK_S = 4.0


class NothingFound(AddressError):
    """No server, or none of that name."""


class NotChosen(AddressError):
    """There are several, and nobody who could choose."""

    status = 2


def find_server(name: str | None, stream: TextIO, *, quiet: bool) -> Found:
    """The server to listen to; raises AddressError."""
    from shell.mdns import NoNetwork, find

    asks = stream.isatty() and sys.stdin is not None and sys.stdin.isatty()
    if asks and not quiet:
        print("looking for servers on the local network", file=stream, flush=True)
    try:
        found = find(LOOK_S, MOST_LOOK_S)
    except NoNetwork as error:
        raise NothingFound(f"cannot look for servers ({error}): give HOST and PORT") from None
    return choose(found, name, stream, asks=asks)


def choose(found: Sequence[Found], name: str | None, stream: TextIO, *, asks: bool) -> Found:
    """One of `found`; raises AddressError."""
    if name is not None:
        found = [one for one in found if one.announcement.name == name]
    if not found:
        what = "no server" if name is None else f"no server named {name!r}"
        raise NothingFound(
            f"{what} announces itself on this network: give HOST and PORT, such as 192.0.2.10 4501"
        )
    if len(found) > 1:
        if not asks:
            for one in found:
                print(_line(one), file=stream, flush=True)
            raise NotChosen(f"{len(found)} servers found: give HOST and PORT of one, or --name")
        return _asked(found, stream)
    return found[0]


def _asked(found: Sequence[Found], stream: TextIO) -> Found:
    for number, one in enumerate(found, 1):
        remark = one.announcement.remark()
        name = one.announcement.name + (f" ({remark})" if remark else "")
        print(f"{number:3}  {one_line(name)}", file=stream)
    while True:
        print(f"Which one? [1-{len(found)}] ", end="", file=stream, flush=True)
        typed = sys.stdin.readline()
        if not typed:
            raise NotChosen("none chosen: give HOST and PORT")
        if typed.strip().isdecimal() and 1 <= int(typed) <= len(found):
            return found[int(typed) - 1]


def _line(one: Found) -> str:
    """HOST, PORT and what else is known."""
    said = one.announcement
    remark = f" ({said.remark()})" if said.remark() else ""
    return one_line(f"{one.addresses[0]} {one.port}  {said.name}{remark}")
