"""The client's command line. Scripts rely on the names of its options."""

from __future__ import annotations

import argparse
import dataclasses
import math
import secrets
from collections.abc import Sequence
from typing import TYPE_CHECKING

from listening.arrival.playout_delay import USUAL_S
from shell.command_line.arguments import (
    Group,
    Parser,
    TellingOptions,
    add_key_file,
    add_telling,
    add_version,
    filled,
)
from shell.command_line.completion import complete
from shell.command_line.typed import decibels, host_and_port, integer, is_port, seconds, split_ipv6

if TYPE_CHECKING:
    from simulation.link_conditions import LinkConditions

_EXAMPLES = """examples:
  client.py 192.0.2.10 4501                       listen
  client.py                                       look for a server nearby
  client.py radio.local 4501 --output song.wav    write what would be heard
  client.py radio.local 4501 --report heard.html  see afterwards how it went
  client.py 192.0.2.10 4501 --output - | mpv -    let another program play it
"""

LOOK_S = 10.0
"""Default of --timeout at the start: a wrong address should be told soon."""

LOOK_AGAIN_S = 60.0
"""Default of --timeout for a server that was heard: time to plug a cable in again."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ClientOptions:
    """What was typed, checked. HOST comes with PORT, or neither does."""

    host: str | None
    port: int | None
    name: str | None
    timeout_s: float | None
    """Infinity: for ever; None: LOOK_S, and LOOK_AGAIN_S for a server that was heard."""
    key_file: str | None
    output: str
    list_outputs: bool
    list_servers: bool
    buffer_s: float | None
    """None: as low as the path allows."""
    volume_db: float
    simulate: LinkConditions | None
    telling: TellingOptions


def parse(arguments: Sequence[str] | None) -> ClientOptions:
    """The options that were typed; exits with one line and status 2 if they make no sense."""
    built = parser()
    complete(built)
    parsed = built.parse_args(built.typed(arguments))
    parsed.host, parsed.port = _host_and_port(parsed.host, parsed.port, built)
    options = filled(ClientOptions, parsed, telling=filled(TellingOptions, parsed))
    if options.host is not None and options.name is not None:
        built.error("--name is for a server that is looked for: not with HOST and PORT")
    if options.telling.json == "-" and options.output == "-":
        built.error("--output - and --json - cannot both have standard output")
    return options


def _host_and_port(
    host: str | None, port: str | None, built: Parser
) -> tuple[str | None, int | None]:
    """Both or neither, typed as two words or one; exits with one line that says what is wrong."""
    if host is None:
        return None, None
    if is_port(host):
        right = "HOST" if port is None else f"{port} {host}"
        built.error(f"HOST comes first, then PORT: client.py {right}{'' if port else f' {host}'}")
    try:
        name, number = host_and_port(host)
        if port is not None and number is not None and port != number:
            built.error(f"two ports, {number} and {port}")
        typed = port or number
        if typed is None and (meant := split_ipv6(name)):
            built.error(f"write an IPv6 address with its port as {meant}")
        if typed is None:
            built.error(f"PORT is missing, as in client.py {name} 4501")
        if not name:
            built.error(f"HOST is missing, as in client.py 192.0.2.10 {typed}")
        return name, integer(1, 65_535, "a port number")(typed)
    except argparse.ArgumentTypeError as error:
        built.error(str(error))


def parser() -> Parser:
    """The parser, for help, manual pages and `parse`."""
    parser = Parser(
        prog="client.py",
        usage="%(prog)s [OPTION ...] [HOST PORT]",
        description="Listen to an MP3 broadcast over UDP.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _add_server(parser.add_argument_group("which server"))
    _add_playing(parser.add_argument_group("how it is played"))
    add_telling(parser.add_argument_group("what is told of it"), "client")
    add_version(parser)
    return parser


def _add_server(group: Group) -> None:
    """The server, and the time spent looking for it."""
    add = group.add_argument
    add(
        "host",
        nargs="?",
        metavar="HOST",
        help="name or address of the server; without HOST and PORT those that announce themselves"
        " on the local network are looked for",
    )
    add(
        "port",
        nargs="?",
        metavar="PORT",
        help="UDP port of the server",
    )
    add("--name", metavar="NAME", help="look for the server that is announced by this name")
    add(
        "--list",
        dest="list_servers",
        action="store_true",
        help="print the servers that announce themselves on the local network, and leave",
    )
    add(
        "--timeout",
        dest="timeout_s",
        type=_look_s,
        metavar="SECONDS",
        help="how long to look for a server, in all, in seconds; 0: for ever"
        f" (default: {LOOK_S:g}, and {LOOK_AGAIN_S:g} for one that was heard and lost)",
    )
    add_key_file(group)


def _add_playing(group: Group) -> None:
    """Output, play-out delay and volume."""
    add = group.add_argument
    add(
        "--output",
        default="speaker",
        metavar="WHERE",
        help="speaker (default), device:NAME (see --list-outputs), null, - (MP3 to standard"
        " output), FILE.wav or FILE.mp3 (the frames as sent)",
    )
    add("--list-outputs", action="store_true", help="print what --output may be, and leave")
    add(
        "--buffer",
        dest="buffer_s",
        type=_buffer,
        default=USUAL_S,
        metavar="SECONDS",
        help="play-out delay, in seconds, or auto: as low as the jitter and the losses of the path"
        " allow, for speaker and null; files and pipes can wait, there auto is the default"
        " (default: %(default)s)",
    )
    add(
        "--volume",
        dest="volume_db",
        type=decibels(-120, 60),
        default=0.0,
        metavar="DB",
        help="gain in decibels (default: 0, which changes no sample)",
    )
    add(
        "--simulate",
        type=_conditions,
        metavar="SPEC",
        help="a bad network, in both directions: some of loss=10%%, burst=5, delay=50ms,"
        " jitter=20ms, reorder=2%%, duplicate=1%% and seed=7, with commas between"
        " them; burst is the mean length of a burst of losses, in datagrams; the delay is one way,"
        " give or take the jitter (default: none)",
    )


def _look_s(text: str) -> float:
    """Seconds; infinity for 0. Raises ArgumentTypeError."""
    return seconds(0, 86_400)(text) or math.inf


def _buffer(text: str) -> float | None:
    """Seconds; None for `auto`. Raises ArgumentTypeError."""
    if text.strip().lower() == "auto":
        return None
    try:
        return seconds(0, 60)(text)
    except argparse.ArgumentTypeError as error:
        raise argparse.ArgumentTypeError(f"{error}, or auto") from None


def _conditions(text: str) -> LinkConditions:
    # Rarely wanted, so not imported by every start.
    from simulation.link_conditions import LinkConditions

    try:
        # A small seed, for people can type it to have the same losses again.
        return LinkConditions.parse(text, seed=secrets.randbelow(100_000))
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
