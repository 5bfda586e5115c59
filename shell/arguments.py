"""Command-line values with their units: what is typed wrong is one line and exit status 2."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from typing import NoReturn

from shell.text import one_line

VERSION = "1.0.0"

WRONG_USAGE = 2

LOOPBACK = "127.0.0.1"

Group = argparse._ArgumentGroup
"""Options under one heading. argparse gives them no public name."""


class Parser(argparse.ArgumentParser):
    """An ArgumentParser whose errors are one line that says where help is."""

    def error(self, message: str) -> NoReturn:
        """Print `message` and leave."""
        self.exit(WRONG_USAGE, f"{self.prog}: {one_line(message)} (see {self.prog} --help)\n")


def port(text: str) -> int:
    """A UDP port; 0 lets the system choose."""
    return integer(0, 65_535, "a port number")(text)


def endpoint(text: str) -> tuple[str, int]:
    """`PORT`, `ADDRESS:PORT` or `[IPv6]:PORT`; without an address this machine alone."""
    host, _, number = text.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise argparse.ArgumentTypeError(f"{text!r}: write an IPv6 address as [{host}]:{number}")
    return host or LOOPBACK, port(number)


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


def number(least: float, most: float, what: str) -> Callable[[str], float]:
    """A parser of numbers from `least` to `most`, both included."""

    def parse(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not least <= value <= most:
            wanted = f"{what} from {least:g} to {most:g}"
            raise argparse.ArgumentTypeError(f"{text!r} is not {wanted}")
        return value

    return parse


def add_key_file(group: Group) -> None:
    """The option that both programs must have, or neither."""
    group.add_argument(
        "--key-file",
        metavar="PATH",
        help="seal everything with the key in PATH: who has not the same key hears nothing"
        " (default: whoever can reach the port can listen)",
    )


def add_telling(group: Group, log_file: str) -> None:
    """What both programs show and write."""
    add = group.add_argument
    add(
        "--report-every",
        type=number(0, 86_400, "seconds"),
        default=5.0,
        metavar="SECONDS",
        help="where there is no live view, print a line so often; 0 prints none"
        " (default: %(default)s)",
    )
    add("--json", metavar="PATH", help="write the final statistics as JSON (- is standard output)")
    add(
        "--report",
        metavar="FILE",
        help="write a report with charts at the end: FILE.html, a page that needs no network, or"
        " FILE.png, the main chart alone",
    )
    add("--csv", metavar="FILE", help="write figures over time, one row a second, as CSV")
    add("--log-file", metavar="PATH", default=log_file, help="where to log (default: %(default)s)")
    loudness = group.add_mutually_exclusive_group()
    loudness.add_argument(
        "-v", "--verbose", action="store_true", help="log how every decision was made, too"
    )
    loudness.add_argument(
        "-q",
        "--quiet",
        action="store_true",
        help="no live view: plain lines, as --report-every says, and the final statistics",
    )


def add_version(parser: argparse.ArgumentParser) -> None:
    """The version of both programs."""
    parser.add_argument(
        "--version",
        action="version",
        version=f"%(prog)s {VERSION}",
        help="show the version, and leave",
    )
