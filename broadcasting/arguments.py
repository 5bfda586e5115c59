"""The server's command line. The names are a contract that scripts rely on."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence

from broadcasting.parity import Fec
from broadcasting.parity_control import AUTO, AUTO_MESSAGES, MOST_PARITIES
from shell.arguments import (
    Group,
    Parser,
    add_key_file,
    add_telling,
    add_version,
    endpoint,
    integer,
    number,
    port,
)
from shell.completion import complete
from shell.key_file import MakeKey
from wire.announcement import why_no_name
from wire.parity import MOST_SHARDS

_EXAMPLES = """examples:
  server.py song.mp3 4501                      to whoever connects
  server.py --loop --wait-for 0 *.mp3 4501     a radio station that never stops
  server.py --shuffle --loop ~/Music 4501      all in a folder, in random order
  ffmpeg ... -f mp3 - | server.py - 4501       what another program sends
  server.py --fec 20+4 song.mp3 4501           over a network that loses much
  server.py --interval 0.5 song.mp3 4501       to very many, twice a second
  server.py --status 8080 song.mp3 4501        with a page to look at

While it plays, type next, list or quit. SIGHUP is next.
"""


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The options that were typed; leaves with one line and status 2 if they make no sense."""
    built = parser()
    complete(built)
    options = built.parse_intermixed_args(arguments)
    if options.wait_for > options.max_clients:
        built.error(
            f"--wait-for {options.wait_for} can never be reached"
            f" with --max-clients {options.max_clients}"
        )
    return options


def parser() -> Parser:
    """What reads the command line."""
    parser = Parser(
        prog="server.py",
        usage="%(prog)s [OPTION ...] FILE [FILE ...] PORT",
        description="Broadcast MP3 over UDP, live, to many listeners.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _add_programme(parser.add_argument_group("what to broadcast"))
    _add_audience(parser.add_argument_group("who listens"))
    _add_sending(parser.add_argument_group("how it is sent"))
    _add_telling(parser.add_argument_group("what is told of it"))
    add_version(parser)
    return parser


def _add_programme(group: Group) -> None:
    """What is played, and in which order."""
    add = group.add_argument
    add(
        "files",
        nargs="+",
        metavar="FILE",
        help="MP3, or whatever else FFmpeg reads, in order; a folder (all audio files in it), a"
        " playlist (.m3u, .m3u8, .pls), - (standard input), an http(s):// address, or a capture"
        " device (pulse:default, alsa:default)",
    )
    add("port", type=port, metavar="PORT", help="UDP port to listen on; 0 takes a free one")
    add("--loop", action="store_true", help="start again at the end")
    add("--shuffle", action="store_true", help="in random order; with --loop another each round")
    add(
        "--speed",
        type=number(0.01, 100_000, "a factor"),
        default=1.0,
        metavar="X",
        help="X times real time, for tests and copies (default: %(default)s)",
    )


def _add_audience(group: Group) -> None:
    """Who may listen, and is waited for."""
    add = group.add_argument
    add(
        "--wait-for",
        type=integer(0, 1_000_000, "a number of listeners"),
        default=1,
        metavar="N",
        help="start when N listeners are registered (default: %(default)s; 0 starts at once)",
    )
    add(
        "--max-clients",
        type=integer(1, 1_000_000, "a number of listeners"),
        default=64,
        metavar="N",
        help="capacity: listeners at one time (default: %(default)s)",
    )
    add(
        "--max-clients-per-address",
        type=integer(1, 1_000_000, "a number of listeners"),
        default=16,
        metavar="N",
        help="the same of one IP address, or of the 64 bits of IPv6 that one network has"
        " (default: %(default)s)",
    )
    add(
        "--timeout",
        type=number(0.1, 3600, "seconds"),
        default=5.0,
        metavar="SECONDS",
        help="a listener silent for so many seconds loses its slot (default: %(default)s)",
    )
    add(
        "--name",
        type=_name,
        metavar="NAME",
        help="what client.py calls this server when it looks for servers on the local network"
        " (default: MP3 from, the name of this machine, and PORT)",
    )
    add("--no-announce", action="store_true", help="do not announce this server there")
    add(
        "--make-key",
        action=MakeKey,
        metavar="PATH",
        help="write a new key for --key-file to PATH, which nobody else can read, and leave",
    )
    add_key_file(group)


def _add_sending(group: Group) -> None:
    """Where from, when, and how much."""
    add = group.add_argument
    add(
        "--host",
        metavar="ADDRESS",
        help="address to listen on (default: every one, IPv4 and IPv6)",
    )
    add(
        "--interval",
        type=number(0.001, 60, "seconds"),
        metavar="SECONDS",
        help="time between sends (default: each datagram at its own time)",
    )
    add(
        "--burst",
        type=number(0, 60, "seconds"),
        default=1.0,
        metavar="SECONDS",
        help="how far ahead of real time a listener is filled, in seconds; --fec adds the length"
        " of a block (default: %(default)s)",
    )
    add(
        "--burst-rate",
        type=number(10_000, 1e12, "bytes per second"),
        default=12_500_000.0,
        metavar="BYTES",
        help="bytes per second, at most, for filling all who join late, and for repair"
        " (default: 12500000, a tenth of a gigabit network)",
    )
    add(
        "--mtu",
        type=integer(576, 65_535, "bytes"),
        default=1400,
        metavar="BYTES",
        help="largest IP packet, in bytes (default: %(default)s)",
    )
    add(
        "--fec",
        type=fec,
        metavar="K+M",
        help="send M messages of parity for each block of K, such as 20+4: any M losses of a block"
        f" are made good without asking; auto is {AUTO_MESSAGES}+0 to"
        f" {AUTO_MESSAGES}+{MOST_PARITIES}, as listeners need it (default: no parity)",
    )


def _add_telling(group: Group) -> None:
    """What is shown and written."""
    add = group.add_argument
    add(
        "--status",
        type=endpoint,
        metavar="[ADDRESS:]PORT",
        help="show how it goes as a web page, with /status.json, /metrics for Prometheus and"
        " /healthz (default: no; ADDRESS: 127.0.0.1, which only this machine can reach)",
    )
    add_telling(group, "logs/server.log")


def _name(text: str) -> str:
    if (reason := why_no_name(text)) is not None:
        raise argparse.ArgumentTypeError(f"{text!r}: {reason}")
    return text


def fec(text: str) -> Fec:
    """`K+M`, or `auto`."""
    if text == "auto":
        return AUTO
    matched = re.fullmatch(r"([0-9]{1,9})\+([0-9]{1,9})", text)
    if matched is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not K+M, such as 20+4, nor auto")
    messages, parities = int(matched[1]), int(matched[2])
    if not (messages and parities and messages + parities <= MOST_SHARDS):
        raise argparse.ArgumentTypeError(
            f"{text!r} is not K+M with K and M from 1, and at most {MOST_SHARDS} together"
        )
    return Fec(messages, parities)
