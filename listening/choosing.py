"""Choosing a server among those that announce themselves, when no address was given.

It is the only one, the one with the name that was asked for, or the one that is chosen at the
terminal. A script gets a line for each, which begins with HOST and PORT as client.py takes them.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from math import inf
from typing import TYPE_CHECKING, TextIO

from shell.network.udp import AddressError
from shell.terminal.printing import briefly, print_line, print_text
from shell.terminal.text import one_line

if TYPE_CHECKING:
    from shell.network.mdns import Found

LOOK_S = 2.0
"""Time for answers: they come within 0.5 s, and a question that got lost is repeated after 1 s."""

MOST_LOOK_S = 4.0
"""Time for answers while nothing is known."""


class NothingFound(AddressError):
    """No server announces itself, or none of that name."""

    may_pass = True


class NotChosen(AddressError):
    """Several servers, and nobody who could choose."""

    status = 2


def can_ask(stream: TextIO) -> bool:
    """Whether somebody sits at the terminal who can choose."""
    return stream.isatty() and sys.stdin is not None and sys.stdin.isatty()


def look(most_s: float, *, all_of_it: bool = False) -> list[Found]:
    """The servers that announce themselves within `most_s`, by name; raises NothingFound.

    `all_of_it`: go on for that time even where answers have come, unless it is infinite.
    """
    from shell.network.mdns import NoNetwork, find

    least_s = most_s if all_of_it and most_s < inf else min(LOOK_S, most_s)
    try:
        return find(least_s, most_s if all_of_it else min(MOST_LOOK_S, most_s))
    except NoNetwork as error:
        raise NothingFound(f"cannot look for servers ({error}): give HOST and PORT") from None


def list_servers(timeout_s: float | None) -> int:
    """Print the servers that announce themselves, one a line; the exit status.

    `timeout_s`: how long to look, infinity until there is one; None: as long as usual. Raises
    NothingFound.
    """
    found = look(MOST_LOOK_S if timeout_s is None else timeout_s, all_of_it=timeout_s is not None)
    if not found:
        raise NothingFound("no server announces itself on this network")
    for one in found:
        print_line(_line(one), sys.stdout)
    return 0


def choose(found: Sequence[Found], name: str | None, stream: TextIO, *, asks: bool) -> Found:
    """One of `found`; raises AddressError."""
    present = found
    if name is not None:
        wanted = name.strip().casefold()
        found = [one for one in found if one.announcement.name.casefold() == wanted]
    if not found:
        what = "no server" if name is None else f"no server named {name!r}"
        instead = "give HOST and PORT, such as 192.0.2.10 4501"
        if present:
            names = ", ".join(one.announcement.name for one in present)
            instead = one_line(f"those that do are {names}")
        raise NothingFound(f"{what} announces itself on this network: {instead}")
    if len(found) > 1:
        if not asks:
            for one in found:
                print_line(_line(one), stream)
            raise NotChosen(f"{len(found)} servers found: give HOST and PORT of one, or --name")
        return _asked(found, stream)
    return found[0]


def _asked(found: Sequence[Found], stream: TextIO) -> Found:
    for number, one in enumerate(found, 1):
        remark = one.announcement.remark()
        name = one.announcement.name + (f" ({remark})" if remark else "")
        print_line(f"{number:3}  {one_line(name)}", stream)
    while True:
        print_text(f"Which one? [1-{len(found)}] ", stream, briefly)
        typed = sys.stdin.readline()
        if not typed:
            raise NotChosen("none chosen: give HOST and PORT")
        if typed.strip().isdecimal() and 1 <= int(typed) <= len(found):
            return found[int(typed) - 1]


def _line(one: Found) -> str:
    """HOST, PORT and everything else that is known."""
    said = one.announcement
    remark = f" ({said.remark()})" if said.remark() else ""
    return one_line(f"{one.addresses[0]} {one.port}  {said.name}{remark}")
