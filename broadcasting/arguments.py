"""The server's command line. Scripts rely on the names of its options."""

from __future__ import annotations

import argparse
import dataclasses
import os
import re
import shlex
from collections.abc import Sequence

from broadcasting.settings import Fec
from broadcasting.stream.parity_control import AUTO, AUTO_MESSAGES, MOST_PARITIES
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
from shell.command_line.key_file import MakeKey
from shell.command_line.typed import (
    endpoint,
    host_and_port,
    integer,
    is_port,
    number,
    port,
    seconds,
)
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

While it plays, type next, list or quit. SIGUSR1 is next.
"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ServerOptions:
    """What was typed, checked."""

    files: Sequence[str]
    port: int
    loop: bool
    shuffle: bool
    speed: float
    wait_for: int
    max_clients: int
    max_clients_per_address: int
    timeout_s: float
    name: str | None
    announce: bool
    key_file: str | None
    host: str | None
    interval_s: float | None
    burst_s: float
    burst_rate_bytes_per_s: float
    mtu_bytes: int
    fec: Fec | None
    status: tuple[str, int] | None
    status_hosts: Sequence[str]
    telling: TellingOptions


def parse(arguments: Sequence[str] | None) -> ServerOptions:
    """The options that were typed; exits with one line and status 2 if they make no sense."""
    built = parser()
    complete(built)
    parsed = built.parse_intermixed_args(built.typed(arguments))
    parsed.files, parsed.port = _files_and_port(parsed.files, built)
    options = filled(ServerOptions, parsed, telling=filled(TellingOptions, parsed))
    if options.wait_for > options.max_clients:
        built.error(
            f"--wait-for {options.wait_for} can never be reached"
            f" with --max-clients {options.max_clients}"
        )
    if options.status_hosts and options.status is None:
        built.error("--status-host is a name for the pages of --status: give both")
    return options


def _files_and_port(words: Sequence[str], built: Parser) -> tuple[Sequence[str], int]:
    """FILEs and PORT; exits with one line that says which is missing, or out of place."""
    usage = "as in server.py song.mp3 4501"
    if not words:
        built.error(f"FILE and PORT are missing, {usage}")
    *files, last = words
    if not files and is_port(last):
        built.error(f"FILE is missing, {usage}")
    if files and not is_port(last) and is_port(files[0]):
        built.error(f"PORT comes last: server.py {shlex.join([*files[1:], last, files[0]])}")
    if not files or _exists(last) or "://" in last:
        built.error(f"PORT is missing behind {last}, {usage}")
    try:
        host, typed = host_and_port(last) if ":" in last else ("", last)
        if host and typed is not None:
            built.error(f"PORT stands alone; for one address: --host {host} … {typed}")
        number = port(typed or last)
    except argparse.ArgumentTypeError as error:
        built.error(f"argument PORT: {error}")
    if (meant := _unquoted(files)) is not None:
        built.error(f"no such file: {meant.partition(' ')[0]}: did you mean {shlex.quote(meant)}?")
    return files, number


def _unquoted(files: Sequence[str]) -> str | None:
    """The name of a file whose words stand there one by one, for it was typed without quotes."""
    for begin, first in enumerate(files):
        if not _exists(first):
            for end in range(begin + 2, len(files) + 1):
                name = " ".join(files[begin:end])
                if _exists(name):
                    return name
    return None


def _exists(name: str) -> bool:
    # Unlike Path.exists it takes a name that is too long, or holds a zero byte.
    return os.path.exists(name)  # noqa: PTH110


def _host(text: str) -> str:
    return text.strip().removeprefix("[").removesuffix("]")


def parser() -> Parser:
    """The parser, for help, manual pages and `parse`."""
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
    """FILEs, PORT, and the order of what is played."""
    add = group.add_argument
    add(
        "files",
        nargs="*",
        metavar="FILE",
        help="MP3, or whatever else FFmpeg reads, in order; a folder (all audio files in it), a"
        " playlist (.m3u, .m3u8, .pls), - (standard input), a FIFO, an http(s):// address, or a"
        " capture device (pulse:default, alsa:default)",
    )
    add("port", nargs="?", metavar="PORT", help="UDP port to listen on; 0 takes a free one")
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
    """Capacity, waiting, the key and the announcement."""
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
        dest="timeout_s",
        type=seconds(0.1, 3600),
        default=5.0,
        metavar="SECONDS",
        help="a listener that is silent for longer loses its slot (default: %(default)s)",
    )
    add(
        "--name",
        type=_name,
        metavar="NAME",
        help="what client.py calls this server when it looks for servers on the local network"
        " (default: MP3 from, the name of this machine, and PORT)",
    )
    add(
        "--no-announce",
        dest="announce",
        action="store_false",
        help="do not announce this server there",
    )
    add(
        "--make-key",
        action=MakeKey,
        metavar="PATH",
        help="write a new key for --key-file to PATH, which nobody else can read, and leave",
    )
    add_key_file(group)


def _add_sending(group: Group) -> None:
    """Address, pace, rates and parity."""
    add = group.add_argument
    add(
        "--host",
        type=_host,
        metavar="ADDRESS",
        help="address to listen on (default: every one, IPv4 and IPv6)",
    )
    add(
        "--interval",
        dest="interval_s",
        type=seconds(0.001, 60),
        metavar="SECONDS",
        help="time between sends (default: each datagram at its own time)",
    )
    add(
        "--burst",
        dest="burst_s",
        type=seconds(0, 60),
        default=1.0,
        metavar="SECONDS",
        help="how far ahead of real time a listener is filled, in seconds; --fec adds the length"
        " of a block (default: %(default)s)",
    )
    add(
        "--burst-rate",
        dest="burst_rate_bytes_per_s",
        type=number(10_000, 1e12, "bytes per second"),
        default=12_500_000.0,
        metavar="BYTES",
        help="bytes per second, at most, for filling all who join late, and for repair"
        " (default: 12500000, a tenth of a gigabit network)",
    )
    add(
        "--mtu",
        dest="mtu_bytes",
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
    """The status pages, and TellingOptions."""
    add = group.add_argument
    add(
        "--status",
        type=endpoint,
        metavar="[ADDRESS:]PORT",
        help="show how it goes as a web page, with /status.json, /metrics for Prometheus and"
        " /healthz (default: no; ADDRESS: 127.0.0.1, which only this machine can reach)",
    )
    add(
        "--status-host",
        dest="status_hosts",
        type=host_name,
        action="append",
        default=[],
        metavar="NAME",
        help="answer for these pages under this DNS name, too; may be repeated (default: addresses,"
        " and the names of this machine alone, so that no foreign page can read them)",
    )
    add_telling(group, "server")


def host_name(text: str) -> str:
    """A DNS name, as it stands in a Host header, without a port. Raises ArgumentTypeError."""
    matched = re.fullmatch(r"(?:https?://)?([^/:\s]+?)\.?(?::[0-9]*)?/?", text.strip().lower())
    try:
        if matched is None:
            raise ValueError
        return matched[1].encode("ascii" if matched[1].isascii() else "idna").decode()
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a DNS name") from None


def _name(text: str) -> str:
    text = text.strip()
    if (reason := why_no_name(text)) is not None:
        raise argparse.ArgumentTypeError(f"{text!r}: {reason}")
    return text


def fec(text: str) -> Fec:
    """`K+M`, or `auto`. Raises ArgumentTypeError."""
    if text == "auto":
        return AUTO
    matched = re.fullmatch(r"([0-9]{1,9})\+([0-9]{1,9})", text)
    if matched is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not K+M, such as 20+4, nor auto")
    messages, parity_count = int(matched[1]), int(matched[2])
    if not (messages and parity_count and messages + parity_count <= MOST_SHARDS):
        raise argparse.ArgumentTypeError(
            f"{text!r} is not K+M with K and M from 1, and at most {MOST_SHARDS} together"
        )
    return Fec(messages, parity_count)
