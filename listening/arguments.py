"""The client's command line. The names are a contract that scripts rely on."""

from __future__ import annotations

import argparse
import secrets
from collections.abc import Sequence
from typing import TYPE_CHECKING

from listening.playout_delay import USUAL_S
from shell.arguments import Parser, add_common, integer, number

if TYPE_CHECKING:
    from wire.link_conditions import LinkConditions

_EXAMPLES = """examples:
  client.py 192.0.2.10 4501                       listen
  client.py                                       listen to the server of the local network
  client.py radio.local 4501 --output song.wav    write what would be heard
  client.py 192.0.2.10 4501 --output - | mpv -    let another program play it
"""


LOOK_S = 10.0
LOOK_AGAIN_S = 60.0
"""Who has typed a wrong address wants to know soon; who has heard a server, that it comes back when
somebody has put the cable in again."""


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The options that were typed; leaves with one line and status 2 if they make no sense."""
    options = parser().parse_args(arguments)
    if options.host is not None and options.port is None:
        parser().error("the following arguments are required: PORT")
    if options.host is not None and options.name is not None:
        parser().error("--name is for a server that is looked for: not with HOST and PORT")
    if options.json == "-" and options.output == "-":
        parser().error("--output - and --json - cannot both have standard output")
    return options


def parser() -> Parser:
    """The parser, for the help."""
    parser = Parser(
        prog="client.py",
        description="Listen to an MP3 broadcast over UDP.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
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
    add("--list-outputs", action="store_true", help="print what --output may be, and leave")
    add("--name", metavar="NAME", help="look for the server that is announced by this name")
    add(
        "--output",
        default="speaker",
        metavar="WHERE",
        help="speaker (default), device:NAME (see --list-outputs), null, - (MP3 to standard"
        " output), FILE.wav or FILE.mp3 (the frames as sent)",
    )
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
        "--timeout",
        type=number(0.1, 86_400, "seconds"),
        metavar="SECONDS",
        help="how long to look for a server, in all, in seconds"
        f" (default: {LOOK_S:g}, and {LOOK_AGAIN_S:g} for one that was heard and lost)",
    )
    add(
        "--simulate",
        type=_conditions,
        metavar="SPEC",
        help="a bad network, in both directions: loss=10%%,burst=5,delay=50ms,jitter=20ms,"
        "reorder=2%%,duplicate=1%%,seed=7, or some of these; burst is the mean length of a burst"
        " of losses, in datagrams; the delay is one way, give or take the jitter (default: none)",
    )
    add_common(parser, "logs/client.log")
    return parser


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
