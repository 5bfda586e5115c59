"""From options to the parts of a server: first what can fail, before anything is logged."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import random
import secrets
import socket
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from broadcasting.arguments import ServerOptions
from broadcasting.audience.listener import LISTENER_BYTES, SEALED_LISTENER_BYTES
from broadcasting.broadcast import Broadcast
from broadcasting.display.announcer import Announcer, usual_name
from broadcasting.display.views import Views
from broadcasting.sending.fanout import IP_AND_UDP_BYTES
from broadcasting.settings import Settings
from broadcasting.source.pipe import AWAITED, Piped
from broadcasting.source.playlist import FoundInputs, find, is_address
from broadcasting.source.probing import LookedAt, look_at
from broadcasting.source.programme import Programme
from broadcasting.source.reader import Reader
from broadcasting.source.segments import MAX_SEGMENT_S, read_segments
from broadcasting.source.tracks import SourceError
from message import HEADER_BYTES, SALT_BYTES, TAG_BYTES
from shell.command_line.arguments import filled
from shell.command_line.key_file import read_key
from shell.command_line.result import check_writable
from shell.command_line.separate_files import (
    NamedFile,
    check_separate,
    key_file,
    standard_stream,
    telling_files,
)
from shell.network.udp import open_server_sockets
from shell.process.memory import free_bytes
from shell.process.stopping import Signals
from shell.terminal.live import Live, complain
from wire.address import address_text
from wire.announcement import Announcement
from wire.parity import MESSAGE_S, OVERHEAD_BYTES

if TYPE_CHECKING:
    from broadcasting.audience.seal import ServerSeal
    from broadcasting.display.recorder import Recorder

log = logging.getLogger("server")


class Opened(NamedTuple):
    """What was looked at and opened; `closing` closes the sockets."""

    inputs: LookedAt
    sockets: Sequence[socket.socket]
    status_socket: socket.socket | None
    seal: ServerSeal | None
    recorder: Recorder | None
    closing: contextlib.ExitStack


class Parts(NamedTuple):
    """What the threads of the server work on."""

    broadcast: Broadcast
    programme: Programme
    source: Reader


def open_all(options: ServerOptions) -> Opened:
    """Check and open what `options` name. Raises ValueError and AddressError."""
    _check_memory(options)
    inputs = _inputs(options)
    seal = _seal(options.key_file)
    telling = options.telling
    if telling.json is not None:
        check_writable(telling.json)
    recorder = None
    if telling.report is not None or telling.csv is not None:
        # Rarely wanted, so not imported by every start.
        from broadcasting.display.recorder import Recorder

        recorder = Recorder(telling.report, telling.csv)
    with contextlib.ExitStack() as closing:
        status_socket = None
        if options.status is not None:
            from broadcasting.display.web_server import open_web_socket

            status_socket = closing.enter_context(open_web_socket(*options.status, "--status"))
        sockets = open_server_sockets(options.host, options.port)
        for sock in sockets:
            closing.enter_context(sock)
        return Opened(inputs, sockets, status_socket, seal, recorder, closing.pop_all())


def assemble(options: ServerOptions, opened: Opened) -> Parts:
    """Put the parts together, and log what was chosen."""
    inputs, seal = opened.inputs, opened.seal
    programme = Programme(inputs.inputs, random.SystemRandom() if options.shuffle else None)
    broadcast = Broadcast(
        filled(
            Settings,
            options,
            duration_s=None if options.loop else inputs.duration_s,
            live=programme.is_live,
        ),
        stream_id=secrets.randbits(32),
        secret=secrets.token_bytes(32),
        # 96 bits that nobody can guess, and short: every request for repair carries it.
        token=lambda: secrets.token_urlsafe(12),
        seal=seal,
    )

    def skipped(fault: SourceError) -> None:
        if programme.broke(fault):
            log.warning("%s: will be opened again", fault)
            return
        broadcast.statistics.skipped_files += 1
        log.error("skipped: %s", fault)

    for fault in inputs.faults:
        broadcast.statistics.skipped_files += 1
        log.error("skipped: %s", fault)
    around_bytes = IP_AND_UDP_BYTES + HEADER_BYTES
    around_bytes += (OVERHEAD_BYTES if options.fec else 0) + (TAG_BYTES if seal else 0)
    segments = read_segments(
        programme,
        options.mtu_bytes - around_bytes,
        loop=options.loop,
        on_skipped=skipped,
        # A message of a live source is sent only when all of it has been read.
        max_segment_s=MESSAGE_S if options.fec or programme.is_live else MAX_SEGMENT_S,
        is_unwanted=programme.is_unwanted,
    )
    source = Reader(segments, programme.end, options.speed)
    where = ", ".join(address_text(sock.getsockname()) for sock in opened.sockets)
    log.info("listening on %s for at most %d listeners", where, options.max_clients)
    if options.key_file is not None:
        log.info("sealed with the key in %s", options.key_file)
    return Parts(broadcast, programme, source)


def announcing(
    options: ServerOptions, sockets: Sequence[socket.socket], views: Views, signals: Signals
) -> contextlib.AbstractContextManager[object]:
    """Announces the server on the local network while it is open, unless that is not wanted."""
    if not options.announce:
        return contextlib.nullcontext()
    name = options.name or usual_name(sockets[0].getsockname()[1])
    needs_key = options.key_file is not None
    return Announcer(
        lambda: Announcement(name, views.title(), needs_key=needs_key), sockets, signals.join
    )


def showing_status(
    options: ServerOptions,
    listening: socket.socket | None,
    views: Views,
    live: Live,
    signals: Signals,
) -> contextlib.AbstractContextManager[object]:
    """Answers requests for the status pages on `listening`, if there is one, while it is open."""
    if listening is None:
        return contextlib.nullcontext()
    from broadcasting.display.web.pages import Pages
    from broadcasting.display.web_server import WebServer

    pages = Pages(views.status)
    url = f"http://{address_text(listening.getsockname())}/"
    live.say(f"status page at {url}")
    log.info("status page at %s", url)
    return WebServer(
        listening,
        lambda path: pages.at(path, time.monotonic()),
        names=options.status_hosts,
        join=signals.join,
    )


def _check_memory(options: ServerOptions) -> None:
    listener_bytes = LISTENER_BYTES if options.key_file is None else SEALED_LISTENER_BYTES
    needed_bytes = options.max_clients * listener_bytes
    free = free_bytes()
    if free is not None and needed_bytes > free[0]:
        raise ValueError(
            f"--max-clients {options.max_clients} would take {needed_bytes / 1e6:,.0f} MB,"
            f" and {free[0] / 1e6:,.0f} MB of {free[1]}:"
            f" choose at most {free[0] // listener_bytes}"
        )


def _inputs(options: ServerOptions) -> LookedAt:
    """What can be played; the rest is complained of. Nothing that is read may be written."""
    found = find(options.files)
    check_separate(telling_files("server", options.telling), _read(found, options.key_file))
    looked = look_at(found.names)
    faults = [*found.faults, *looked.faults]
    for fault in faults if looked.inputs else faults[:-1]:
        complain("server.py", str(fault))
    if not looked.inputs:
        raise ValueError(str(faults[-1]))
    for one in looked.inputs:
        if isinstance(one, Piped) and one.is_awaited:
            complain("server.py", f"{one.name}: {AWAITED}")
    return dataclasses.replace(looked, faults=faults)


def _read(found: FoundInputs, key_path: str | None) -> Iterator[NamedFile]:
    """What is read: inputs, playlists that list them, and the key."""
    yield from key_file(key_path)
    for path in found.playlists:
        yield NamedFile(f"the playlist {path}", path)
    for name in found.names:
        if name == "-":
            yield standard_stream(0)
        elif not is_address(name):
            yield NamedFile(f"the input {name}", name)


def _seal(key_file: str | None) -> ServerSeal | None:
    if key_file is None:
        return None
    secret, warning = read_key(key_file)
    if warning is not None:
        complain("server.py", warning)
    # Without a key nobody has to wait for this import.
    from broadcasting.audience.seal import ServerSeal
    from wire.seal import Key

    return ServerSeal(Key(secret), secrets.token_bytes(SALT_BYTES))
