#!/usr/bin/env python3
"""Broadcast MP3 over UDP to many listeners.

    python server.py song.mp3 4501

Two threads share the broadcast under one lock: the receiver takes what listeners send, the
broadcaster sends what is due. The main thread waits for signals and shows how it goes. What is
decided, is decided in `broadcasting/`, which knows no socket, thread or clock.
"""

from __future__ import annotations

import logging
import socket
import sys
import threading
import time
from collections.abc import Callable, Sequence
from typing import NoReturn

from broadcasting.arguments import ServerOptions, parse
from broadcasting.assembly import Opened, Parts, announcing, assemble, open_all, showing_status
from broadcasting.display.console import REFRESH_S, Console, tell_the_end
from broadcasting.display.prompt import Prompt
from broadcasting.display.views import Views
from broadcasting.sending.fanout import Fanout
from broadcasting.sending.turns import Turn
from message import Type
from shell.command_line.result import WRONG_USAGE, Ending, failed
from shell.network.udp import AddressError, Bell, Waiter, receive
from shell.process.log import logging_to
from shell.process.stopping import Signals, Stopped, run_program
from shell.process.threads import Alarm, Worker
from shell.terminal.live import Live, complain, human_stream
from wire.address import Address, address_text

PATIENCE_S = 0.02
"""Longest wait for a full socket buffer: far less than the time between two segments."""

SWITCH_INTERVAL_S = 0.0005
"""GIL switch interval; CPython's default is 5 ms. What is due must not wait for the log."""

FLOOD_PAUSE_S = 0.001
"""Pause after a datagram that was not worth looking at: waking up costs twice as much as refusing
a datagram, so those that come meanwhile are refused together."""

FLOOD_AT_ONCE = 1000
"""Datagrams taken after that pause, at most."""

KINDS = {
    Type.AUDIO: "AUDIO",
    Type.PARITY: "PARITY of",
    Type.TRACK: "TRACK from",
    Type.TIMELINE: "TIMELINE from",
}

log = logging.getLogger("server")
messages_log = logging.getLogger("server.messages")


class Server:
    """The sockets, the receiver and the broadcaster thread, and the lock where they meet."""

    def __init__(self, parts: Parts, sockets: Sequence[socket.socket], fanout: Fanout) -> None:
        self._broadcast, self._programme, self._source = parts
        self._sockets = sockets
        self._fanout = fanout
        self._meeting = threading.Lock()
        self._bell = Bell()
        self._alarm = Alarm()
        self._abort = False
        self.views = Views(self._broadcast, self._meeting)
        self._source.news = self._alarm.ring

    def run(self, console: Console, signals: Signals) -> None:
        """Serve until the programme is over. One signal ends it in order, a second at once."""
        receiver = self._worker("receiver", self._receive, signals)
        broadcaster = self._worker("broadcaster", self._send, signals)
        signals.on_user_signal(self.skip)
        seen = 0
        try:
            while broadcaster.is_working and signals.stops < 2:
                console.refresh()
                signals.wait(console.pause_s)
                console.obey(self.skip, signals.stop)
                if signals.stops > seen:
                    seen = signals.stops
                    self._stop(abort=False)
        finally:
            self._stop(abort=True)
            signals.join(broadcaster, receiver)

    def close(self) -> None:
        """Let go of the source, which may hang."""
        self._source.stop()
        self._bell.close()

    def skip(self) -> None:
        """Go to the next track at once. What listeners have of this one is still played."""
        with self._meeting:
            left = self._broadcast.skip()
            if left is not None:
                self._programme.skip(left)
        log.info("next: the rest of this track is left out")
        self._alarm.ring()

    def _worker(self, name: str, work: Callable[[], None], signals: Signals) -> Worker:
        return Worker(name, work, over=signals.notify, failed=self._fail)

    def _fail(self, error: Exception) -> None:
        """A fault of ours in one thread must not leave the other serving for ever."""
        log.error("the %s failed", threading.current_thread().name, exc_info=error)
        self.views.failure = error
        self._stop(abort=True)

    def _stop(self, *, abort: bool) -> None:
        with self._meeting:
            self._abort = self._abort or abort
            self._broadcast.stop(time.monotonic())
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
        """Take all that comes in a moment: there may be very many of the kind that was refused."""
        time.sleep(FLOOD_PAUSE_S)
        for _ in range(FLOOD_AT_ONCE):
            if (came := receive(sock)) is None:
                return
            self._take(*came)

    def _take(self, data: bytes, address: Address, came_at: float) -> bool:
        """Whether the datagram was worth looking at."""
        with self._meeting:
            now = time.monotonic()
            received = self._broadcast.receive_datagram(data, address, now, came_at)
        if received is None:
            return False
        if received.is_due:
            self._alarm.ring()
        self._answer(received.answers)
        return True

    def _answer(self, answers: Sequence[tuple[bytes, Address]]) -> None:
        for datagram, address in answers:
            self._fanout.send(datagram, address)

    # The broadcaster thread.

    def _send(self) -> None:
        while not self._abort:
            with self._meeting:
                step = self._broadcast.step(time.monotonic())
            for address in step.left:
                self._fanout.leave(address)
            for address in step.joined:
                self._fanout.join(address)
            for address, how in step.narrow.items():
                self._fanout.fragment(address, how)
            if step.turn is not None:
                for run in step.turn.runs():
                    self._send_to_part(run)
            self._answer(step.answers)
            if step.finished:
                return
            if not (step.wants_segment and self._read_ahead(at_once=step.starves)):
                self._alarm.wait(None if step.due is None else step.due - time.monotonic())

    def _send_to_part(self, turn: Turn) -> None:
        outcome = self._fanout.broadcast(
            [sent.datagram for sent in turn.messages],
            time.monotonic() + PATIENCE_S,
            turn.part,
            turn.parts,
        )
        done_at = time.monotonic()
        with self._meeting:
            self._broadcast.account(turn, done_at, *outcome)
        if not (turn.is_last and messages_log.isEnabledFor(logging.INFO)):
            return
        for sent in turn.messages:
            kind = KINDS[sent.kind]
            size, to = len(sent.datagram), len(self._fanout)
            messages_log.info("sent %s %d, %d bytes, to %d", kind, sent.sequence, size, to)

    def _read_ahead(self, *, at_once: bool) -> bool:
        """Take what the source has read; whether there was anything, or it has ended."""
        segments = self._source.take(at_once=at_once)
        if segments == []:
            return False
        with self._meeting:
            if segments is None:
                self.views.failure = self.views.failure or self._source.fault
                self._broadcast.end_of_source()
            for segment in segments or ():
                self._broadcast.add_segment(segment)
        return True


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the server; its exit status."""
    options = parse(arguments)
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    with Signals() as signals:
        try:
            opened = signals.result_of(lambda: open_all(options))
        except Stopped:
            return 0
        except AddressError as error:
            return failed("server.py", str(error), error.status)
        except ValueError as error:
            return failed("server.py", str(error), WRONG_USAGE)
        except Exception as error:
            with logging_to("server", options.telling, complain), Ending("server") as ending:
                raise error
            return ending.status()
        with opened.closing, logging_to("server", options.telling, complain) as logs:
            signals.on_hang_up(logs.reopen)
            return _serve(options, opened, signals)


def _serve(options: ServerOptions, opened: Opened, signals: Signals) -> int:
    """Serve until the programme is over; the exit status."""
    server, ending = None, Ending("server")
    with ending:
        parts = assemble(options, opened)
        server = Server(parts, opened.sockets, Fanout(opened.sockets, options.mtu_bytes))
        _run(server, parts, options, opened, signals)
    views = None if server is None else server.views
    status = tell_the_end(ending, options.telling, views, opened.recorder, signals.may_wait)
    if server is not None and signals.stops < 2:
        server.close()
    return status


def _run(
    server: Server, parts: Parts, options: ServerOptions, opened: Opened, signals: Signals
) -> None:
    sockets, telling = opened.sockets, options.telling
    where = [address_text(sock.getsockname()) for sock in sockets]
    place = f"port {sockets[0].getsockname()[1]}" if options.host is None else where[0]
    with (
        Live(
            human_stream(telling.json),
            signals,
            quiet=telling.quiet,
            report_every_s=telling.report_every_s,
            refresh_s=REFRESH_S,
            is_alone=not telling.logs_to_terminal,
        ) as live,
        Prompt(signals.notify, wanted="-" not in options.files) as prompt,
    ):
        live.say(f"listening on {', '.join(where)}")
        with (
            showing_status(options, opened.status_socket, server.views, live, signals),
            announcing(options, sockets, server.views, signals),
        ):
            console = Console(live, prompt, server.views, parts.programme, place, opened.recorder)
            server.run(console, signals)


def start() -> NoReturn:
    """Run as the program. Its exit status is that of `main`."""
    run_program(main)


if __name__ == "__main__":
    start()
