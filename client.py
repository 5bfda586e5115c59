#!/usr/bin/env python3
"""Listen to an MP3 broadcast over UDP, without a gap, and tell truthfully how it went.

    python client.py 192.0.2.10 4501

Two threads share the core under one lock: the receiver talks to the server, the playback thread
plays what is due. The main thread waits for signals and keys, and shows how it goes. What is
decided, is decided in `listening/`, which knows no socket, thread or clock. What takes long to
import is imported by the playback thread, while the server's answer is on its way.
"""

from __future__ import annotations

import time

STARTED_AT = time.monotonic()

import logging  # noqa: E402 - the clock of the first sound starts before anything is imported
import socket  # noqa: E402
import threading  # noqa: E402
from collections.abc import Callable, Sequence  # noqa: E402
from typing import TYPE_CHECKING, NoReturn  # noqa: E402

from listening.arguments import ClientOptions, parse  # noqa: E402
from listening.arrival.playable import Playable  # noqa: E402
from listening.assembly import (  # noqa: E402
    Opened,
    Parts,
    assemble,
    list_outputs,
    list_servers,
    open_all,
)
from listening.display.console import REFRESH_S, Console, Views, tell_the_end  # noqa: E402
from listening.outputs import OutputEnded, OutputError  # noqa: E402
from shell.command_line.result import WRONG_USAGE, Ending, failed, stopped_by  # noqa: E402
from shell.network.udp import AddressError, Bell, Waiter, family_of, receive_train  # noqa: E402
from shell.process.log import logging_to  # noqa: E402
from shell.process.stopping import Signals, Stopped, run_program  # noqa: E402
from shell.process.threads import Alarm, Worker  # noqa: E402
from shell.terminal.live import Live, complain, human_stream  # noqa: E402

if TYPE_CHECKING:
    from reporting.record import Record

AWAKE, FOR_EVER = float("-inf"), float("inf")
"""When the playback thread wakes up by itself, if it does not sleep, or nothing is due."""

log = logging.getLogger("client")


class Client:
    """The sockets, the receiver and the playback thread, and the lock where they meet."""

    def __init__(self, parts: Parts, sockets: Sequence[socket.socket]) -> None:
        self._listen, simulated, self._playback, self._output = parts
        self._network = simulated or self._listen
        self._sockets = {sock.family: sock for sock in sockets}
        self._meeting = threading.Lock()
        self._bell = Bell()
        self._alarm = Alarm()
        self._player_sleeps_until = AWAKE
        self._silenced = False
        self._abort = False
        self.views = Views(*parts, self._meeting)

    def run(self, console: Console, signals: Signals, record: Record | None = None) -> None:
        """Listen until the stream ends, or a signal to stop; a second signal does not wait."""
        receiver = self._worker("receiver", self._receive, signals)
        player = self._worker("playback", self._play, signals)
        try:
            while player.is_working and signals.stops < 2:
                console.refresh(record)
                signals.wait(console.pause_s(record))
                if console.obey(self._alarm.ring):
                    signals.stop()
                if signals.stops:
                    self._silence()
        finally:
            self._silence()
            with self._meeting:
                self._listen.leave(time.monotonic())
            self._bell.ring()
            before = signals.stops
            while receiver.is_working and signals.stops == before < 2:
                console.ignore_keys()
                signals.wait(REFRESH_S)
            self._abort = True
            self._bell.ring()
            if not signals.join(player, receiver):
                self._bell.close()

    def _worker(self, name: str, work: Callable[[], None], signals: Signals) -> Worker:
        return Worker(name, work, over=signals.notify, failed=self._fail)

    def _fail(self, error: Exception) -> None:
        """A fault of ours in one thread must not leave the other waiting for ever."""
        log.error("the %s failed", threading.current_thread().name, exc_info=error)
        self.views.fault = stopped_by(error)
        self._silence()

    def _silence(self) -> None:
        """Let the playback thread come to its end now."""
        self._silenced = True
        self._alarm.ring()
        self._output.cancel()

    # The receiver thread.

    def _receive(self) -> None:
        waiter = Waiter([*self._sockets.values(), self._bell.readable])
        while not self._abort:
            now = time.monotonic()
            with self._meeting:
                self._network.on_due(now)
                outgoing = self._network.datagrams_to_send(now)
                due = self._network.next_due()
                wanted = self._player_is_wanted(now)
            if wanted:
                self._alarm.ring()
            for datagram, address in outgoing:
                left_at = time.monotonic()
                try:
                    self._sockets[family_of(address)].sendto(datagram, address)
                except OSError as error:
                    # Lost like any other datagram: what matters is sent again.
                    log.warning("not sent: %s", error)
            if outgoing:
                with self._meeting:
                    self._network.departed(left_at)
            if due is None:
                return
            for sock in waiter.wait(due - now):
                if sock is self._bell.readable:
                    self._bell.heard()
                else:
                    self._take_from(sock)

    def _take_from(self, sock: socket.socket) -> None:
        came = receive_train(sock)
        if came is None:
            return
        train, address, came_at = came
        now = time.monotonic()
        with self._meeting:
            for datagram in train:
                self._network.receive_datagram(datagram, address, now, came_at)

    def _player_is_wanted(self, now: float) -> bool:
        """Whether the playback thread sleeps, and would sleep too long."""
        if self._player_sleeps_until == AWAKE:
            return False
        playable = self._listen.next_playable()
        oversleeps = playable is not None and playable < self._player_sleeps_until
        return oversleeps or self._listen.is_playable(now)

    # The playback thread.

    def _play(self) -> None:
        try:
            self._playback.prepare()
            while not self._silenced and not self._playback.ended:
                if self._playback.fader.follow():
                    self._account()
                if items := self._due_items():
                    self._playback.play(items)
                    self._account()
                elif not self._silenced:
                    until = self._player_sleeps_until
                    self._alarm.wait(None if until == FOR_EVER else until - time.monotonic())
            self._playback.finish()
            self._account()
        except OutputEnded:
            log.info("the next program of the pipe wants no more")
        except OutputError as error:
            self.views.fault = str(error)
        finally:
            try:
                self._output.close()
            except OutputError as error:
                self.views.fault = self.views.fault or str(error)

    def _due_items(self) -> Sequence[Playable]:
        """Audio that is to be played now. If there is none, the thread is about to sleep."""
        with self._meeting:
            items = self._listen.audio_to_play(time.monotonic())
            due = self._listen.next_playable()
            sleeps_until = FOR_EVER if due is None else due
            self._player_sleeps_until = AWAKE if items else sleeps_until
        return items

    def _account(self) -> None:
        with self._meeting:
            count = self._listen.statistics
            if count.first_sound_s is None and self._playback.sounds:
                count.first_sound_s = time.monotonic() - STARTED_AT
                log.info("first sound, %.3f s after the start", count.first_sound_s)
            count.unheard_s = self._output.unheard_s
            count.device_underruns = self._output.underruns
            self._listen.account_audio(*self._playback.audio_s)
            count.paused_s = self._playback.fader.paused_s


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the client; its exit status."""
    options = parse(arguments)
    if options.list_outputs:
        return list_outputs()
    with Signals() as signals:
        try:
            if options.list_servers:
                return signals.result_of(lambda: list_servers(options.timeout_s))
            opened = signals.result_of(lambda: open_all(options, STARTED_AT))
        except Stopped:
            return 0
        except AddressError as error:
            return failed("client.py", str(error), error.status)
        except (ValueError, OutputError) as error:
            return failed("client.py", str(error), WRONG_USAGE)
        except Exception as error:
            with logging_to("client", options.telling, complain), Ending("client") as ending:
                raise error
            return ending.status()
        with opened.closing, logging_to("client", options.telling, complain) as logs:
            signals.on_hang_up(logs.reopen)
            return _listen(options, opened, signals)


def _listen(options: ClientOptions, opened: Opened, signals: Signals) -> int:
    """Listen until the stream ends; the exit status."""
    client, ending, telling = None, Ending("client"), options.telling
    stream = human_stream(telling.json, options.output)
    with ending:
        client = Client(assemble(options, opened), opened.sockets)
        with Live(
            stream,
            signals,
            quiet=telling.quiet,
            report_every_s=telling.report_every_s,
            refresh_s=REFRESH_S,
            wants_keys=True,
            # The next program of a pipe may show something on the terminal, and read its keys.
            is_alone=options.output != "-" and not telling.logs_to_terminal,
        ) as live:
            client.run(Console(live, client.views, options.buffer_s), signals, opened.record)
    views = None if client is None else client.views
    return tell_the_end(ending, telling, stream, views, opened.record, signals.may_wait)


def start() -> NoReturn:
    """Run as the program. Its exit status is that of `main`."""
    run_program(main, plays=True)


if __name__ == "__main__":
    start()
