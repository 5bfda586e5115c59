"""The client's command line. The names are a contract that scripts rely on."""

from __future__ import annotations

import argparse
import secrets
from collections.abc import Sequence
from typing import TYPE_CHECKING

from listening.playout_delay import USUAL_S
from shell.arguments import (
    Group,
    Parser,
    add_key_file,
    add_telling,
    add_version,
    integer,
    number,
)
from shell.completion import complete

if TYPE_CHECKING:
    from wire.link_conditions import LinkConditions

_EXAMPLES = """examples:
  client.py 192.0.2.10 4501                       listen
  client.py                                       look for a server nearby
  client.py radio.local 4501 --output song.wav    write what would be heard
  client.py radio.local 4501 --report heard.html  see afterwards how it went
  client.py 192.0.2.10 4501 --output - | mpv -    let another program play it
"""


LOOK_S = 10.0
LOOK_AGAIN_S = 60.0
"""Who has typed a wrong address wants to know soon; who has heard a server, that it comes back when
somebody has put the cable in again."""


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The options that were typed; leaves with one line and status 2 if they make no sense."""
    built = parser()
    complete(built)
    options = built.parse_args(arguments)
    if options.host is not None and options.port is None:
        built.error("the following arguments are required: PORT")
    if options.host is not None and options.name is not None:
        built.error("--name is for a server that is looked for: not with HOST and PORT")
    if options.json == "-" and options.output == "-":
        built.error("--output - and --json - cannot both have standard output")
    return options


def parser() -> Parser:
    """The parser, for the help."""
    parser = Parser(
        prog="client.py",
        usage="%(prog)s [OPTION ...] [HOST PORT]",
        description="Listen to an MP3 broadcast over UDP.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _add_server(parser.add_argument_group("which server"))
    _add_playing(parser.add_argument_group("how it is played"))
    add_telling(parser.add_argument_group("what is told of it"), "logs/client.log")
    add_version(parser)
    return parser


def _add_server(group: Group) -> None:
    """Which one, and how long it is looked for."""
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
        type=integer(1, 65_535, "a port number"),
        metavar="PORT",
        help="UDP port of the server",
    )
    add("--name", metavar="NAME", help="look for the server that is announced by this name")
    add(
        "--timeout",
        type=number(0.1, 86_400, "seconds"),
        metavar="SECONDS",
        help="how long to look for a server, in all, in seconds"
        f" (default: {LOOK_S:g}, and {LOOK_AGAIN_S:g} for one that was heard and lost)",
    )
    add_key_file(group)


def _add_playing(group: Group) -> None:
    """Where to, how late and how loud."""
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
        type=_buffer,
        default=USUAL_S,
        metavar="SECONDS",
        help="play-out delay, in seconds, or auto: as low as the jitter and the losses of the path"
        " allow, for speaker and null; files and pipes can wait, there auto is the default"
        " (default: %(default)s)",
    )
    add(
        "--volume",
        type=number(-120, 60, "decibels"),
        default=0.0,
        metavar="DB",
        help="gain in decibels (default: 0, which changes no sample)",
    )
    add(
        "--simulate",
        type=_conditions,
        metavar="SPEC",
        help="a bad network, in both directions: some of loss=10%%, burst=5, delay=50ms,"
        " jitter=20ms, reorder=2%%, duplicate=1%% and seed=7, with a comma and no space between"
        " them; burst is the mean length of a burst of losses, in datagrams; the delay is one way,"
        " give or take the jitter (default: none)",
    )


def _buffer(text: str) -> float | None:
    """Seconds; None if they follow what is measured."""
    if text == "auto":
        return None
    try:
        return number(0, 60, "seconds")(text)
    except argparse.ArgumentTypeError as error:
        raise argparse.ArgumentTypeError(f"{error}, or auto") from None


def _conditions(text: str) -> LinkConditions:
    # Who has a network has no need of this, and need not wait for it.
    from wire.link_conditions import LinkConditions

    try:
        # A small number, for people: they can type it to have the same again.
        return LinkConditions.parse(text, seed=secrets.randbelow(100_000))
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
