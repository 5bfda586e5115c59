"""Listen to an MP3 broadcast over UDP, without a gap, and tell truthfully how it went.

    python client.py 192.0.2.10 4501

The front door: it holds the sockets, the two threads and the one lock where they meet, and it
stops in order. What is decided, is decided in `listening/`. What takes long to import is
imported by the playback thread, while the server's answer is on its way.
"""

from __future__ import annotations

import time

STARTED_AT = time.monotonic()

import argparse  # noqa: E402 - the clock of the first sound starts before anything is imported
import random  # noqa: E402
import secrets  # noqa: E402
import socket  # noqa: E402
import threading  # noqa: E402
from collections.abc import Callable, Sequence  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import TYPE_CHECKING  # noqa: E402

from listening.arguments import LOOK_AGAIN_S, LOOK_S, parse  # noqa: E402
from listening.display import simulation_rows, summary  # noqa: E402
from listening.fader import STEP_DB  # noqa: E402
from listening.listen import Listen, ListenSnapshot, Playable  # noqa: E402
from listening.live_view import LiveView  # noqa: E402
from listening.outputs import (  # noqa: E402
    DEVICE,
    NAMED,
    Output,
    OutputEnded,
    OutputError,
    make_output,
)
from listening.playback import Playback  # noqa: E402
from listening.playout_delay import USUAL_S  # noqa: E402
from listening.report import as_json  # noqa: E402
from message import SALT_BYTES  # noqa: E402
from shell.arguments import WRONG_USAGE  # noqa: E402
from shell.key_file import KeyFileError, read_key  # noqa: E402
from shell.keys import DOWN, SPACE, UP  # noqa: E402
from shell.live import Live, complain, human_stream, print_table  # noqa: E402
from shell.log import LogError, LogFile  # noqa: E402
from shell.result import check_writable, write_json  # noqa: E402
from shell.stopping import Signals, run_program  # noqa: E402
from shell.text import one_line  # noqa: E402
from shell.threads import Alarm, Worker  # noqa: E402
from shell.udp import (  # noqa: E402
    AddressError,
    Bell,
    Waiter,
    family_of,
    open_client_sockets,
    receive_train,
    routes,
    server_addresses,
)
from wire.address import Address  # noqa: E402
from wire.log import get_logger  # noqa: E402

if TYPE_CHECKING:
    from listening.seal import ClientSeal
    from listening.simulated_network import SimulatedNetwork
    from shell.record import Record
    from wire.link_conditions import LinkConditions

FAILED = 1

REFRESH_S = 0.5
"""Of the live view."""

AWAKE, FOR_EVER = float("-inf"), float("inf")
"""Until when the player sleeps, if it does not, or nothing is due."""

log = get_logger("client")


class Client:
    """The sockets, the receiver and the playback thread, and the lock where they meet."""

    def __init__(
        self,
        listen: Listen,
        playback: Playback,
        output: Output,
        sockets: Sequence[socket.socket],
        simulated: SimulatedNetwork | None = None,
    ) -> None:
        """`simulated`: what stands between the sockets and `listen`."""
        self.listen = listen
        self.simulated = simulated
        self.failure: str | None = None
        self._playback = playback
        self._output = output
        self._network = simulated or listen
        self._sockets = {sock.family: sock for sock in sockets}
        self._meeting = threading.Lock()
        self._bell = Bell()
        self._alarm = Alarm()
        self._player_sleeps_until = AWAKE
        self._trouble: str | None = None
        self._silenced = False
        self._abort = False

    def run(
        self, live: Live, view: LiveView, signals: Signals, record: Record | None = None
    ) -> None:
        """Listen until the stream ends, or a signal to stop; a second signal does not wait."""
        receiver = self._worker("receiver", self._receive, signals)
        player = self._worker("playback", self._play, signals)
        while player.is_working:
            self._tell_of_trouble(live)
            if live.is_due():
                self._tell(view)
                live.show(view)
            if record is not None and record.is_due():
                self.tell(record)
            pause_s = live.pause_s
            pause_s = REFRESH_S if pause_s is None else min(pause_s, REFRESH_S)
            if record is not None:
                pause_s = record.pause_s(pause_s)
            if signals.wait(pause_s) or self._obey(live, view):
                self._silence()
        with self._meeting:
            self.listen.leave(time.monotonic())
        self._bell.ring()
        while receiver.is_working:
            live.typed()  # what nobody takes would wake us for ever
            if signals.wait(REFRESH_S):
                self._abort = True
                self._bell.ring()
        player.join()
        receiver.join()
        self._bell.close()

    def _tell(self, view: LiveView) -> None:
        accept = self.listen.accept
        now = self.snapshot()
        # That of the first track: nobody tells us of the others.
        bit_rate_bps = accept.bit_rate_bps if accept and len(now.tracks) <= 1 else None
        loudness = self._playback.fader.wanted
        view.tell(now, loudness, bit_rate_bps, time.monotonic(), self._trouble)

    def _obey(self, live: Live, view: LiveView) -> bool:
        """Do what was typed; whether that is to stop."""
        for key in live.typed():
            if key == "q":
                return True
            if key == "s" and live.is_screen:
                view.shows_statistics = not view.shows_statistics
            elif key == "s":
                live.print_table("Statistics", summary(self.snapshot().statistics))
            elif not self._output.waits:
                self._set_loudness(key)
        return False

    def _set_loudness(self, key: str) -> None:
        fader = self._playback.fader
        before = fader.wanted
        if key == SPACE:
            fader.wanted = before._replace(paused=not before.paused)
        elif key == "m":
            fader.wanted = before._replace(muted=not before.muted)
        elif key in (UP, DOWN):
            fader.wanted = before.louder(STEP_DB if key == UP else -STEP_DB)
        if fader.wanted != before:
            log.info("the listener wants it so: %s", fader.wanted)
            self._alarm.ring()

    def tell(self, record: Record) -> None:
        """The figures of now."""
        from listening.timeline import figures

        record.tell(record.now_s(), figures(self.snapshot()))

    def snapshot(self) -> ListenSnapshot:
        """The state now."""
        with self._meeting:
            return self.listen.snapshot(time.monotonic())

    def _tell_of_trouble(self, live: Live) -> None:
        """Say it when the output cannot let anything be heard, and when it can again."""
        before, self._trouble = self._trouble, self._output.trouble
        # A screen shows it itself.
        if (before is None) != (self._trouble is None) and not live.is_screen:
            complain("client.py", self._trouble or "the sound device is back")

    def _worker(self, name: str, work: Callable[[], None], signals: Signals) -> Worker:
        def guarded() -> None:
            try:
                work()
            except Exception as error:
                # A fault of ours in one thread must not leave the other waiting for ever.
                log.exception("the %s failed", name)
                self.failure = f"stopped by a fault, see the log: {error}"
                self._silence()

        return Worker(name, guarded, over=signals.notify)

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
                try:
                    self._sockets[family_of(address)].sendto(datagram, address)
                except OSError as error:
                    # Lost like any other datagram: what matters is sent again.
                    log.warning("not sent: %s", error)
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
        train, address = came
        now = time.monotonic()
        with self._meeting:
            for datagram in train:
                self._network.receive_datagram(datagram, address, now)

    def _player_is_wanted(self, now: float) -> bool:
        """Whether the player sleeps, and would sleep too long."""
        if self._player_sleeps_until == AWAKE:
            return False
        playable = self.listen.next_playable()
        oversleeps = playable is not None and playable < self._player_sleeps_until
        return oversleeps or self.listen.is_playable(now)

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
            self.failure = str(error)
        finally:
            try:
                self._output.close()
            except OutputError as error:
                self.failure = self.failure or str(error)

    def _due_items(self) -> Sequence[Playable]:
        """What is to be played now. If that is nothing, the player is about to sleep."""
        with self._meeting:
            items = self.listen.audio_to_play(time.monotonic())
            due = self.listen.next_playable()
            sleeps_until = FOR_EVER if due is None else due
            self._player_sleeps_until = AWAKE if items else sleeps_until
        return items

    def _account(self) -> None:
        with self._meeting:
            count = self.listen.statistics
            if count.first_sound_s is None and self._playback.sounds:
                count.first_sound_s = time.monotonic() - STARTED_AT
                log.info("first sound, %.3f s after the start", count.first_sound_s)
            count.unheard_s = self._output.unheard_s
            self.listen.account_audio(*self._playback.audio_s)
            count.paused_s = self._playback.fader.paused_s


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the client; its exit status."""
    options = parse(arguments)
    if options.list_outputs:
        return _list_outputs()
    try:
        seal = _seal(options.key_file)
        output = make_output(options.output)
        if options.json is not None:
            check_writable(options.json)
        record = _record(options)
        addresses = _server_addresses(options)
        sockets = open_client_sockets(addresses)
    except (ValueError, OutputError, KeyFileError) as error:
        return _failed(str(error), WRONG_USAGE)
    except AddressError as error:
        return _failed(str(error), error.status)
    except OSError as error:
        return _failed(f"cannot write {options.json}: {error.strerror}", WRONG_USAGE)
    try:
        logging_to: LogFile | None = LogFile(
            "client", Path(options.log_file), verbose=options.verbose
        )
    except LogError as error:
        logging_to = None
        complain("client.py", str(error))
    listen = Listen(
        addresses,
        nonce=secrets.token_hex(8),
        timeout_s=options.timeout or LOOK_S,
        patience_s=options.timeout or LOOK_AGAIN_S,
        buffer_s=options.buffer,
        lead_s=output.lead_s,
        waits=output.waits,
        random=random.Random(),  # noqa: S311 - spreads pauses, guards nothing
        now=time.monotonic(),
        seal=seal,
    )
    if seal is not None:
        log.info("sealed with the key in %s", options.key_file)
    simulated = _simulated_network(listen, options.simulate)
    client = Client(listen, Playback(output, options.volume), output, sockets, simulated)
    try:
        with Signals() as signals:
            with _live(options, signals) as live:
                view = LiveView(
                    buffer_s=options.buffer or USUAL_S,
                    is_heard=not output.waits,
                    has_keys=live.has_keys,
                    simulated=simulated,
                )
                client.run(live, view, signals, record)
            status = _tell_the_end(options, client)
            return status if record is None else max(status, _write_record(client, record))
    finally:
        for sock in sockets:
            sock.close()
        if logging_to is not None and (lacking := logging_to.close()) is not None:
            complain("client.py", lacking)


def _seal(key_file: str | None) -> ClientSeal | None:
    """What seals with the key in that file; raises KeyFileError."""
    if key_file is None:
        return None
    secret, warning = read_key(key_file)
    if warning is not None:
        complain("client.py", warning)
    # Who has no key need not wait for the import.
    from listening.seal import ClientSeal
    from wire.seal import Key

    return ClientSeal(Key(secret), lambda: secrets.token_bytes(SALT_BYTES))


def _live(options: argparse.Namespace, signals: Signals) -> Live:
    return Live(
        human_stream(options.json, options.output),
        signals,
        quiet=options.quiet,
        report_every_s=options.report_every,
        refresh_s=REFRESH_S,
        wants_keys=True,
        # The next program of a pipe may show something on the terminal, and read its keys.
        is_alone=options.output != "-",
    )


def _list_outputs() -> int:
    """Print them, one a line; the exit status."""
    from listening.outputs.device import device_names

    print(*NAMED, sep="\n", flush=True)
    try:
        for name in device_names():
            print(one_line(DEVICE + name), flush=True)
    except OutputError as error:
        complain("client.py", f"no devices by name: {error}")
    return 0


def _server_addresses(options: argparse.Namespace) -> Sequence[Address]:
    """Where the server is; raises AddressError."""
    if options.host is not None:
        return server_addresses(options.host, options.port)
    from shell.choosing import find_server

    stream = human_stream(options.json, options.output)
    found = find_server(options.name, stream, quiet=options.quiet)
    # Each may be an address of a network that this machine is not on.
    reachable = [one for text in found.addresses for one in routes(text, found.port)]
    if not reachable:
        raise AddressError(f"no route to {found.announcement.name} at {found.addresses[0]}")
    return reachable


def _simulated_network(
    listen: Listen, conditions: LinkConditions | None
) -> SimulatedNetwork | None:
    if conditions is None:
        return None
    from listening.simulated_network import SimulatedNetwork

    log.warning("simulated network: %s", conditions)
    return SimulatedNetwork(listen, conditions)


def _record(options: argparse.Namespace) -> Record | None:
    """What `--report` and `--csv` ask for; raises ValueError if that cannot be written."""
    if options.report is None and options.csv is None:
        return None
    from shell.record import Record

    return Record(options.report, options.csv, server=False, begun_at=STARTED_AT)


def _write_record(client: Client, record: Record) -> int:
    """Write what was recorded; the exit status that comes of it."""
    from listening.timeline import report
    from shell.record import ended_now

    client.tell(record)
    end = client.snapshot()
    facts = summary(end.statistics) + simulation_rows(client.simulated)
    failure = client.failure or client.listen.failure
    fault = record.finish(report(end, facts, failure, record.rows, ended_now(record.now_s())))
    return 0 if fault is None else _failed(fault, FAILED)


def _tell_the_end(options: argparse.Namespace, client: Client) -> int:
    snapshot = client.snapshot()
    failure = client.failure or client.listen.failure
    rows = summary(snapshot.statistics) + simulation_rows(client.simulated)
    log.info(
        "final: %s",
        "; ".join(f"{name.strip()} {value} {rest.strip()}".strip() for name, value, rest in rows),
    )
    if failure is None or snapshot.statistics.played_s:
        stream = human_stream(options.json, options.output)
        print_table(stream, snapshot.title or "No stream", rows)
    if options.json is not None:
        try:
            content = as_json(snapshot, client.listen.accept, failure, client.simulated)
            write_json(options.json, content)
        except OSError as error:
            return _failed(f"cannot write {options.json}: {error.strerror}", FAILED)
    if failure is not None:
        log.error("%s", failure)
        return _failed(failure, FAILED)
    return 0


def _failed(text: str, status: int) -> int:
    complain("client.py", text)
    return status


if __name__ == "__main__":
    run_program(main)
