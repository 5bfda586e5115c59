"""Broadcast MP3 over UDP to many listeners.

    python server.py song.mp3 4501

The front door: it holds the sockets, the two threads and the one lock where they meet, and it
stops in order. What is decided, is decided in `broadcasting/`.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import random
import secrets
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from broadcasting.arguments import parse
from broadcasting.broadcast import Broadcast
from broadcasting.display import listener_text, summary
from broadcasting.fanout import IP_AND_UDP_BYTES, Fanout
from broadcasting.live_view import LiveView, listing_lines
from broadcasting.playlist import find
from broadcasting.probing import LookedAt, look_at
from broadcasting.programme import Programme
from broadcasting.reader import Direct, NotYet, Reader
from broadcasting.reception import Departed
from broadcasting.registry import LISTENER_BYTES, SEALED_LISTENER_BYTES, Change
from broadcasting.report import as_json
from broadcasting.settings import Settings
from broadcasting.source import MAX_SEGMENT_S, SourceError, read_segments
from broadcasting.turns import Turn
from message import HEADER_BYTES, SALT_BYTES, TAG_BYTES
from shell.announcer import Announcer, usual_name
from shell.arguments import WRONG_USAGE
from shell.key_file import KeyFileError, read_key
from shell.live import Live, complain, human_stream, print_table
from shell.log import LogError, LogFile
from shell.memory import free_bytes
from shell.prompt import Prompt
from shell.result import check_writable, write_json
from shell.stopping import Signals, run_program
from shell.text import one_line
from shell.threads import Alarm, Worker
from shell.udp import AddressError, Bell, Waiter, open_server_sockets, receive
from wire.address import Address, address_text
from wire.announcement import Announcement
from wire.log import get_logger
from wire.parity import MESSAGE_S, OVERHEAD_BYTES

if TYPE_CHECKING:
    from broadcasting.recorder import Recorder
    from broadcasting.seal import ServerSeal
    from broadcasting.web.view import View

FAILED = 1

PATIENCE_S = 0.02
"""How long a full socket buffer is waited for: far less than the time between two segments."""

READ_AHEAD_S = 0.003
"""Nothing is read from the files this shortly before a deadline: a frame takes 0.1 ms, the rest
is for a busy disk."""

SWITCH_INTERVAL_S = 0.0005
"""A thread that waits for the interpreter gets it after this, not after 5 ms: what is due must
not wait for the log or the display."""

FLOOD_PAUSE_S = 0.001
FLOOD_AT_ONCE = 1000
"""When something comes that is not looked at, the receiver lets so long pass, and takes what has
come until then, at most so many: to be woken for each takes as long as to refuse it twice."""

REFRESH_S = 1.0
"""Of the live view, which tells seconds."""

MOST_LOOKS = 4
LOOK_PAUSE_S = 0.002
"""So often, at each refresh, some listeners are looked at. Meanwhile what is due can be sent."""

PRESENT_BATCH = 200
"""So many listeners are looked at before whoever waits for the lock has it: 0.2 ms, where all of
ten thousand would take 10."""

log = get_logger("server")


class Server:
    """The sockets, the receiver and the broadcaster thread, and the lock where they meet."""

    def __init__(
        self,
        broadcast: Broadcast,
        programme: Programme,
        source: Direct | Reader,
        sockets: Sequence[socket.socket],
        fanout: Fanout,
    ) -> None:
        self.broadcast = broadcast
        self.failure: Exception | None = None
        self._programme = programme
        self._source = source
        self._sockets = sockets
        self._fanout = fanout
        self._meeting = threading.Lock()
        self._bell = Bell()
        self._alarm = Alarm()
        self._abort = False
        source.news = self._alarm.ring

    def run(
        self,
        live: Live,
        view: LiveView,
        signals: Signals,
        prompt: Prompt,
        recorder: Recorder | None = None,
    ) -> None:
        """Serve until the programme is over. One signal ends it in order, a second at once."""
        receiver = self._worker("receiver", self._receive, signals)
        broadcaster = self._worker("broadcaster", self._send, signals)
        asked = 0
        while broadcaster.is_working:
            if live.is_due():
                self._tell(view, live.rows())
                live.show(view)
            pause_s = live.pause_s
            if recorder is not None:
                if recorder.is_due():
                    recorder.tell(self)
                pause_s = recorder.pause_s(REFRESH_S if pause_s is None else pause_s)
            asked_now = signals.wait(pause_s)
            for _ in range(signals.hang_ups()):
                self.skip()
            for word in prompt.take():
                asked_now += self._obey(word, live, view)
            if asked_now:
                asked += asked_now
                self._stop(abort=asked > 1)
        self._stop(abort=True)
        broadcaster.join()
        receiver.join()
        self._source.stop()
        self._bell.close()

    def skip(self) -> None:
        """Go to the next track at once. What listeners have of this one still sounds."""
        with self._meeting:
            left = self.broadcast.skip()
            if left is not None and not self._source.is_beyond(left):
                self._programme.skip()
        log.info("next: the rest of this track is left out")
        self._alarm.ring()

    def _obey(self, word: str, live: Live, view: LiveView) -> bool:
        """Do what was typed; whether that is to stop."""
        log.info("typed: %s", word)
        view.listing = ()
        if word in ("next", "n"):
            self.skip()
            live.say("next: the rest of this track is left out")
        elif word in ("list", "l") and live.is_screen:
            view.listing = self._programme.listing()
        elif word in ("list", "l"):
            for line in listing_lines(self._programme.listing()):
                live.say(line)
        elif word not in ("quit", "q"):
            live.say(f"{one_line(word)[:20]!r} means nothing here: type next, list or quit")
        return word in ("quit", "q")

    def _worker(self, name: str, work: Callable[[], None], signals: Signals) -> Worker:
        def guarded() -> None:
            try:
                work()
            except Exception as error:
                # A fault of ours in one thread must not leave the other serving for ever.
                log.exception("the %s failed", name)
                self.failure = error
                self._stop(abort=True)

        return Worker(name, guarded, over=signals.notify)

    def _tell(self, view: LiveView, rows: int) -> None:
        places = view.places(rows)
        for _ in range(MOST_LOOKS):
            with self._meeting:
                has_more = self.broadcast.look(places, time.monotonic())
            if not has_more:
                break
            time.sleep(LOOK_PAUSE_S)
        with self._meeting:
            view.tell(self.broadcast.view(time.monotonic()))

    def present(self) -> Iterator[Departed]:
        """Everyone who is registered, with the figures of each; the lock is held for a few only."""
        with self._meeting:
            addresses = self.broadcast.addresses
        for begin in range(0, len(addresses), PRESENT_BATCH):
            with self._meeting:
                batch = addresses[begin : begin + PRESENT_BATCH]
                found = self.broadcast.present(batch, time.monotonic())
            yield from found

    def departed(self, after: int) -> tuple[list[Departed], int]:
        """Those who left after so many had, as far as they are kept; how many have now."""
        with self._meeting:
            gone = self.broadcast.statistics.accepted - len(self.broadcast.addresses)
            kept = self.broadcast.departed
            first = max(0, len(kept) - (gone - after))
            return list(itertools.islice(kept, first, None)), gone

    def position_s(self) -> float | None:
        """Where the stream is; None if it has not started."""
        with self._meeting:
            return self.broadcast.position_s(time.monotonic())

    def view(self) -> View:
        """For the status pages. Any thread."""
        from broadcasting.web.view import LATENESS_BOUNDS_S, View

        with self._meeting:
            snapshot = self.broadcast.snapshot(time.monotonic())
            lateness = self.broadcast.lateness.within(LATENESS_BOUNDS_S)
        listeners = list(self.present())
        capacity = self.broadcast.settings.max_clients
        return View(snapshot, listeners, capacity, lateness, self.failure is not None)

    def title(self) -> str:
        """Of the track that is being sent. Any thread."""
        with self._meeting:
            return self.broadcast.title

    def _stop(self, *, abort: bool) -> None:
        with self._meeting:
            self._abort = self._abort or abort
            self.broadcast.stop(time.monotonic())
        self._alarm.ring()
        self._bell.ring()

    # The receiver thread.

    def _receive(self) -> None:
        waiter = Waiter([*self._sockets, self._bell.readable])
        while not self._abort:
            for sock in waiter.wait(None):
                if sock is self._bell.readable:
                    self._bell.heard()
                    continue
                if (came := receive(sock)) is not None and not self._take(*came):
                    self._take_flood(sock)

    def _take_flood(self, sock: socket.socket) -> None:
        """What was not looked at may be the first of very many: all that comes in a moment."""
        time.sleep(FLOOD_PAUSE_S)
        for _ in range(FLOOD_AT_ONCE):
            if (came := receive(sock)) is None:
                return
            self._take(*came)

    def _take(self, data: bytes, address: Address) -> bool:
        """Whether it was looked at."""
        now = time.monotonic()
        with self._meeting:
            if not self.broadcast.receive_datagram(data, address, now):
                return False
            answers = self.broadcast.datagrams_to_send(now)
            changed = self.broadcast.has_changed
        if changed:
            self._alarm.ring()
        self._answer(answers)
        return True

    def _answer(self, answers: Sequence[tuple[bytes, Address]]) -> None:
        for datagram, address in answers:
            self._fanout.send(datagram, address)

    # The broadcaster thread.

    def _send(self) -> None:
        changes: list[Change] = []
        while not self._abort:
            now = time.monotonic()
            with self._meeting:
                self.broadcast.on_due(now)
                changes += self.broadcast.take_changes()
                turn = self.broadcast.take_turn(now)
                answers = self.broadcast.datagrams_to_send(now)
                finished = self.broadcast.finished(now)
                wants_segment = self.broadcast.wants_segment
                due = self.broadcast.next_due()
            if turn is not None:
                if turn.is_first:
                    self._apply(changes)
                    changes = []
                for run in turn.runs():
                    self._send_to_part(run)
            self._answer(answers)
            if finished:
                return
            if not (wants_segment and self._read_ahead()):
                self._alarm.wait(None if due is None else due - time.monotonic())

    def _apply(self, changes: Sequence[Change]) -> None:
        for change in changes:
            (self._fanout.join if change.joined else self._fanout.leave)(change.address)

    def _send_to_part(self, turn: Turn) -> None:
        outcome = self._fanout.broadcast(
            [sent.datagram for sent in turn.messages],
            time.monotonic() + PATIENCE_S,
            turn.part,
            turn.parts,
        )
        done_at = time.monotonic()
        with self._meeting:
            self.broadcast.account(turn, done_at, outcome.listeners, outcome.missed)
        if not turn.is_last:
            return
        for sent in turn.messages:
            kind = "PARITY of" if sent.is_parity else "TRACK from" if sent.is_track else "AUDIO"
            size = len(sent.datagram)
            log.info("sent %s %d, %d bytes, to %d", kind, sent.sequence, size, len(self._fanout))

    def _read_ahead(self) -> bool:
        """Read what should lie ready, as long as no deadline is near; whether there was time."""
        has_read = False
        while True:
            with self._meeting:
                wanted = self.broadcast.wants_segment and not self._abort
                due = self.broadcast.next_due()
                empty = self.broadcast.is_empty
            near = due is not None and due - time.monotonic() < READ_AHEAD_S
            if not wanted or (near and not empty):
                return has_read
            segment = self._source.take()
            if isinstance(segment, NotYet):
                return has_read
            has_read = True
            with self._meeting:
                if segment is None:
                    self.broadcast.end_of_source()
                else:
                    self.broadcast.add_segment(segment)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the server; its exit status."""
    options = parse(arguments)
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    listener_bytes = LISTENER_BYTES if options.key_file is None else SEALED_LISTENER_BYTES
    if (too_many := _too_many(options.max_clients, listener_bytes)) is not None:
        return _failed(too_many, WRONG_USAGE)
    found = find(options.files)
    looked = look_at(found.names)
    faults = [*found.faults, *looked.faults]
    for fault in faults:
        complain("server.py", str(fault))
    if not looked.inputs:
        return WRONG_USAGE
    try:
        seal = _seal(options.key_file)
        if options.json is not None:
            check_writable(options.json)
        recorder = _recorder(options)
        sockets, status_socket = _open_sockets(options)
    except ValueError as error:
        return _failed(str(error), WRONG_USAGE)
    except OSError as error:
        return _failed(f"cannot write {options.json}: {error.strerror}", WRONG_USAGE)
    except KeyFileError as error:
        return _failed(str(error), WRONG_USAGE)
    except AddressError as error:
        return _failed(str(error), error.status)
    try:
        logging_to: LogFile | None = LogFile(
            "server", Path(options.log_file), verbose=options.verbose
        )
    except LogError as error:
        logging_to = None
        complain("server.py", str(error))
    try:
        return _serve(options, looked, faults, sockets, seal, recorder, status_socket)
    finally:
        for sock in (*sockets, *filter(None, [status_socket])):
            sock.close()
        if logging_to is not None and (lacking := logging_to.close()) is not None:
            complain("server.py", lacking)


def _seal(key_file: str | None) -> ServerSeal | None:
    """What seals with the key in that file; raises KeyFileError."""
    if key_file is None:
        return None
    secret, warning = read_key(key_file)
    if warning is not None:
        complain("server.py", warning)
    # Who has no key need not wait for the import.
    from broadcasting.seal import ServerSeal
    from wire.seal import Key

    return ServerSeal(Key(secret), secrets.token_bytes(SALT_BYTES))


def _open_sockets(
    options: argparse.Namespace,
) -> tuple[list[socket.socket], socket.socket | None]:
    """Those of the listeners, and that of the status pages; raises AddressError."""
    status_socket = _status_socket(options)
    try:
        return open_server_sockets(options.host, options.port), status_socket
    except AddressError:
        if status_socket is not None:
            status_socket.close()
        raise


def _status_socket(options: argparse.Namespace) -> socket.socket | None:
    """The socket of the status pages, if they are wanted; raises AddressError."""
    if options.status is None:
        return None
    from shell.web import open_web_socket

    host, port = options.status
    return open_web_socket(host, port, "--status")


def _too_many(listeners: int, listener_bytes: int) -> str | None:
    """Why this machine cannot serve so many, in one line; None if it can."""
    free = free_bytes()
    needed_bytes = listeners * listener_bytes
    if free is None or needed_bytes <= free[0]:
        return None
    return (
        f"--max-clients {listeners} would take {needed_bytes / 1e6:,.0f} MB,"
        f" and {free[0] / 1e6:,.0f} MB of {free[1]}:"
        f" choose at most {free[0] // listener_bytes}"
    )


def _serve(
    options: argparse.Namespace,
    looked: LookedAt,
    faults: Sequence[SourceError],
    sockets: Sequence[socket.socket],
    seal: ServerSeal | None,
    recorder: Recorder | None,
    status_socket: socket.socket | None,
) -> int:
    programme = Programme(looked.inputs, random.SystemRandom() if options.shuffle else None)
    duration_s = None if options.loop else looked.duration_s
    broadcast = _broadcast(options, duration_s, seal, live=programme.is_live)
    source = _source(options, programme, broadcast, is_sealed=seal is not None)
    for fault in faults:
        broadcast.statistics.skipped_files += 1
        log.error("skipped: %s", fault)
    server = Server(broadcast, programme, source, sockets, Fanout(sockets, options.mtu))
    stream = human_stream(options.json)
    with Signals(hang_up=True) as signals:
        with (
            Live(
                stream,
                signals,
                quiet=options.quiet,
                report_every_s=options.report_every,
                refresh_s=REFRESH_S,
            ) as live,
            Prompt(signals.notify, wanted="-" not in options.files) as prompt,
            contextlib.ExitStack() as beside,
        ):
            where = ", ".join(address_text(sock.getsockname()) for sock in sockets)
            live.say(f"listening on {where}")
            log.info("listening on %s for at most %d listeners", where, options.max_clients)
            if seal is not None:
                log.info("sealed with the key in %s", options.key_file)
            if status_socket is not None:
                live.say(f"status page at {_serve_status(status_socket, server, beside)}")
            if not options.no_announce:
                beside.enter_context(_announcer(options, server, sockets))
            server.run(live, LiveView(_place(options.host, sockets)), signals, prompt, recorder)
        status = _tell_the_end(options, server)
        return status if recorder is None else max(status, _write_record(server, recorder))


def _broadcast(
    options: argparse.Namespace, duration_s: float | None, seal: ServerSeal | None, *, live: bool
) -> Broadcast:
    return Broadcast(
        Settings(
            max_clients=options.max_clients,
            max_clients_per_address=options.max_clients_per_address,
            wait_for=options.wait_for,
            burst_s=options.burst,
            interval_s=options.interval,
            timeout_s=options.timeout,
            speed=options.speed,
            burst_rate_bytes_per_s=options.burst_rate,
            duration_s=duration_s,
            fec=options.fec,
            live=live,
        ),
        stream_id=secrets.randbits(32),
        secret=secrets.token_bytes(32),
        # 96 bits that nobody can guess, and short: every request for repair carries it.
        token=lambda: secrets.token_urlsafe(12),
        seal=seal,
    )


def _source(
    options: argparse.Namespace, programme: Programme, broadcast: Broadcast, *, is_sealed: bool
) -> Direct | Reader:
    """Where the segments of `programme` come from; `broadcast` counts what is skipped."""

    def skipped(fault: SourceError) -> None:
        if programme.broke(fault):
            log.warning("%s: will be opened again", fault)
            return
        broadcast.statistics.skipped_files += 1
        log.error("skipped: %s", fault)

    around_bytes = IP_AND_UDP_BYTES + HEADER_BYTES
    around_bytes += (OVERHEAD_BYTES if options.fec else 0) + (TAG_BYTES if is_sealed else 0)
    segments = read_segments(
        programme,
        options.mtu - around_bytes,
        loop=options.loop,
        on_skipped=skipped,
        # A message of a live source is on its way only when all of it has been heard.
        max_segment_s=MESSAGE_S if options.fec or programme.is_live else MAX_SEGMENT_S,
        is_unwanted=programme.is_unwanted,
    )
    return Reader(segments, programme.end) if programme.is_live else Direct(segments)


def _announcer(
    options: argparse.Namespace, server: Server, sockets: Sequence[socket.socket]
) -> Announcer:
    name = options.name or usual_name(sockets[0].getsockname()[1])
    needs_key = options.key_file is not None
    return Announcer(lambda: Announcement(name, server.title(), needs_key=needs_key), sockets)


def _recorder(options: argparse.Namespace) -> Recorder | None:
    """What `--report` and `--csv` ask for; raises ValueError if that cannot be written."""
    if options.report is None and options.csv is None:
        return None
    # Who asks for neither need not wait for the import.
    from broadcasting.recorder import Recorder

    return Recorder(options.report, options.csv)


def _write_record(server: Server, recorder: Recorder) -> int:
    """Write what was recorded; the exit status that comes of it."""
    recorder.tell(server)
    now = time.monotonic()
    failure = None if server.failure is None else f"stopped by a fault: {server.failure}"
    listeners = server.broadcast.listeners(now)
    fault = recorder.finish(server.broadcast.snapshot(now), listeners, failure)
    return 0 if fault is None else _failed(fault, FAILED)


def _place(host: str | None, sockets: Sequence[socket.socket]) -> str:
    """Where listeners find the server, in a few words."""
    address = sockets[0].getsockname()
    return f"port {address[1]}" if host is None else address_text(address)


def _serve_status(listening: socket.socket, server: Server, beside: contextlib.ExitStack) -> str:
    """Answer on `listening` as long as `beside` is open; where that is."""
    from broadcasting.web.pages import Pages
    from shell.web import WebServer

    pages = Pages(server.view)
    beside.enter_context(WebServer(listening, lambda path: pages.at(path, time.monotonic())))
    where = f"http://{address_text(listening.getsockname())}/"
    log.info("status page at %s", where)
    return where


def _tell_the_end(options: argparse.Namespace, server: Server) -> int:
    now = time.monotonic()
    snapshot = server.broadcast.snapshot(now)
    listeners = server.broadcast.listeners(now)
    rows = summary(snapshot)
    log.info("final: %s", "; ".join(f"{name} {value} {rest}".strip() for name, value, rest in rows))
    for one in listeners:
        log.info("listener %s", listener_text(one))
    print_table(human_stream(options.json), "Broadcast", rows)
    if options.json is not None:
        try:
            write_json(options.json, as_json(snapshot, listeners))
        except OSError as error:
            return _failed(f"cannot write {options.json}: {error.strerror}", FAILED)
    if server.failure is not None:
        return _failed(f"stopped by a fault, see the log: {server.failure}", FAILED)
    return 0


def _failed(text: str, status: int) -> int:
    complain("server.py", text)
    return status


if __name__ == "__main__":
    run_program(main)
