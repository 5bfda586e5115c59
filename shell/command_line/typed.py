"""What people type: times, numbers, addresses; taken wherever it can be understood.

Each function raises ArgumentTypeError, whose text is one line that says what would be right.
"""

from __future__ import annotations

import argparse
import math
import re
from collections.abc import Callable

LOOPBACK = "127.0.0.1"

_AMOUNT = re.compile(r"([-+]?(?:[0-9]+(?:[.,][0-9]*)?|[.,][0-9]+)(?:e[-+]?[0-9]+)?)\s*(\D*)", re.I)
"""A number with a decimal point or comma, and a unit."""

_SECONDS = {"": 1, "s": 1, "sec": 1, "second": 1, "seconds": 1, "ms": 1000}
_DECIBELS = {"": 1, "db": 1}
_PLAIN = {"": 1, "x": 1}

_ADDRESS = re.compile(r"(?:[a-z][a-z0-9+.-]*://)?(.*?)/*", re.I)
"""An address, maybe in the form of a URL."""

_ENDPOINT = re.compile(r"(?:\[([^\[\]]+)\]|([^\[\]:]*))(?::\s*([^:\s]+))?|([^\[\]]*:[^\[\]]*)")
"""`[IPv6]:PORT`, `HOST:PORT`, or an IPv6 address alone; a port is left out where there is none."""


def amount(least: float, most: float, what: str, units: dict[str, int]) -> Callable[[str], float]:
    """A parser of numbers from `least` to `most` with one of the `units` (name: how many are 1)."""

    def parse(text: str) -> float:
        value = math.nan
        matched = _AMOUNT.fullmatch(text.strip())
        if matched is not None and (parts := units.get(matched[2].strip().lower())) is not None:
            value = float(matched[1].replace(",", ".")) / parts
        if not least <= value <= most:
            wanted = f"{what} from {least:g} to {most:g}"
            raise argparse.ArgumentTypeError(f"{text!r} is not {wanted}")
        return value

    return parse


def seconds(least: float, most: float) -> Callable[[str], float]:
    """A parser of times in seconds: `1`, `0.5`, `0,5`, `1s`, `500ms`, `26 ms`."""
    return amount(least, most, "seconds", _SECONDS)


def decibels(least: float, most: float) -> Callable[[str], float]:
    """A parser of gains: `-6`, `-6dB`, `-4,5 dB`."""
    return amount(least, most, "decibels", _DECIBELS)


def number(least: float, most: float, what: str) -> Callable[[str], float]:
    """A parser of numbers."""
    return amount(least, most, what, _PLAIN)


def integer(least: int, most: int, what: str) -> Callable[[str], int]:
    """A parser of whole numbers from `least` to `most`."""

    def parse(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text!r} is not {what}") from None
        if not least <= value <= most:
            raise argparse.ArgumentTypeError(f"{text!r} is not {what} from {least} to {most}")
        return value

    return parse


def port(text: str) -> int:
    """A UDP or TCP port; 0 lets the system choose."""
    return integer(0, 65_535, "a port number")(text)


def is_port(text: str | None) -> bool:
    """Whether `text` can only be a port."""
    return text is not None and text.strip().isascii() and text.strip().isdecimal()


def host_and_port(text: str) -> tuple[str, str | None]:
    """`HOST`, `HOST:PORT`, `[IPv6]:PORT`, `IPv6`, or a URL of these; None: without a port."""
    stripped = _ADDRESS.fullmatch(text.strip())
    matched = _ENDPOINT.fullmatch(stripped[1] if stripped else text)
    if matched is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no address")
    return matched[1] or matched[4] or matched[2] or "", matched[3]


def endpoint(text: str) -> tuple[str, int]:
    """`PORT`, `ADDRESS:PORT` or `[IPv6]:PORT`; the loopback without an address."""
    host, number = host_and_port(text)
    if number is None:
        if ":" in host:
            right = split_ipv6(host) or f"[{host}]:PORT"
            raise argparse.ArgumentTypeError(f"{text!r}: write an IPv6 address as {right}")
        host, number = "", host
    return host or LOOPBACK, port(number)


def split_ipv6(text: str) -> str | None:
    """`[IPv6]:PORT` where `text` may be that without brackets, as `::1:4501`; else None."""
    import ipaddress

    address, _, last = text.rpartition(":")
    try:
        ipaddress.IPv6Address(address)
    except ValueError:
        return None
    return f"[{address}]:{last}" if is_port(last) else None
