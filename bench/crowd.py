"""Up to ten thousand listeners in a process of their own, with one socket.

    python -m bench.crowd LIBRARY LISTENERS PORT    listeners of the server on PORT
    python -m bench.crowd LIBRARY LISTENERS 0       addresses that only count what comes to them

Each listener is an address, from 127.1.0.1 on. Their socket (`crowd_socket.py`) is emptied every
two milliseconds, so that no send wakes a process, as with listeners on machines of their own.
Each shakes hands as client.py does, reports as often as the server asks, with all figures, and says
goodbye. Nothing is played.

Commands come on standard input: `count` is answered by a line of JSON on standard output; at the
end of the input all listeners leave.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import select
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from bench.crowd_socket import LATE_BIN_MS, LATE_BINS, CrowdSocket
from bench.processes import PATIENCE_S, ROOT, Failed
from listening.session.report_timing import REPORT_EARLY_S, TOGETHER_S
from message import (
    CONNECT_BYTES,
    Accept,
    Challenge,
    Connect,
    Goodbye,
    Message,
    Report,
    Status,
    Type,
)

MAX_LISTENERS = 60_000
"""Most listeners: addresses up to 127.1.255.255, with some to spare."""

LOOK_EVERY_S = 0.002

REPORT_S = 1.0
"""Pause between REPORTs until the server asks for another."""

REPORT_SHARE = 0.75
"""Factor by which listeners shorten the pauses that the server asks for, on average."""

STATUS_EVERY_S = 1.0

AT_ONCE = 200
"""Handshakes under way at one time: the server's socket holds some hundreds."""
AGAIN_S = 0.5
JOIN_WITHIN_S = 60.0
LEAVE_WITHIN_S = 30.0

IN_FLIGHT_S = 0.5
"""Time after the start of a count in which earlier datagrams may still come."""


@dataclass(frozen=True, slots=True)
class Count:
    """Figures of all listeners together."""

    expected: int
    """AUDIO messages from the first that each listener was promised to the last that was sent, and
    those received without a promise."""
    received: int
    fewest: int
    most: int
    """Fewest and most AUDIO messages that one listener received."""
    dropped: int
    """Datagrams dropped by the crowd's own socket."""
    late_ms: dict[str, float | None]
    """Lateness since the last count, 50 %, 99 % and the worst: arrival of the first copy less its
    media time, compared with the most punctual message; exact to 2 ms. With `every_copy`: of each
    copy, stamped by the kernel. Not for messages that are sent together."""
    report_s: float
    """Pause between REPORTs that the server asked for."""
    cpu_s: float
    """Processor time of the crowd, in seconds."""


class Crowd:
    """Handle of the crowd in the measuring process; in `with`, all listeners are registered."""

    def __init__(
        self, library: Path, listeners: int, port: int = 0, *, every_copy: bool = False
    ) -> None:
        arguments = [str(library), str(listeners), str(port)]
        arguments += ["--every-copy"] if every_copy else []
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bench.crowd", *arguments],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.port = 0
        """Port of the crowd, for programs that send without a handshake."""

    def __enter__(self) -> Self:
        try:
            self.port = int(self._answer(JOIN_WITHIN_S + PATIENCE_S)["port"])
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        try:
            self._process.wait(LEAVE_WITHIN_S + PATIENCE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()

    def count(self) -> Count:
        """Counts so far: what has come, and what should have."""
        assert self._process.stdin is not None
        self._process.stdin.write("count\n")
        self._process.stdin.flush()
        return Count(**self._answer(PATIENCE_S))

    def _answer(self, within_s: float) -> dict[str, Any]:
        assert self._process.stdout is not None
        ready, _, _ = select.select([self._process.stdout], [], [], within_s)
        line = self._process.stdout.readline() if ready else ""
        if not line:
            raise Failed("the crowd of listeners did not answer")
        answer: dict[str, Any] = json.loads(line)
        if "failed" in answer:
            raise Failed(answer["failed"])
        return answer


class _Listeners:
    """Protocol of all listeners."""

    def __init__(self, library: str, count: int, port: int, *, every: bool) -> None:
        self._port = port
        self._socket = CrowdSocket(library, count, anything=port == 0, every=every)
        self._most_punctual = LATE_BINS
        self._count = count
        self._first_sequence = [0] * count
        self._sessions: list[bytes] = [b""] * count
        self._cookies = [""] * count
        self._report_s = REPORT_S
        self._status_due = 0.0
        self._next_reporter = 0
        self._reports_due = 0.0
        self._whole_second = 0.0
        self._looked_at = time.monotonic()
        self._datagrams = 0
        self._stream = 0
        self._is_leaving = False
        self._templates = {kind: _template(kind) for kind in (Report, Goodbye)}

    @property
    def port(self) -> int:
        return self._socket.port

    def join(self) -> None:
        """Register all; raises Failed if that takes too long."""
        if self._port and not self._each(self._connect, JOIN_WITHIN_S):
            raise Failed(f"only {sum(map(bool, self._sessions))} listeners were registered")

    def leave(self) -> None:
        """Say goodbye until it is answered, or the server has gone."""
        self._is_leaving = True
        if self._port:
            self._each(self._part, LEAVE_WITHIN_S)

    def _each(self, act: Callable[[int], None], within_s: float) -> bool:
        """Call `act` for each listener until it is answered; return whether all were."""
        waiting = iter(range(self._count))
        under_way: dict[int, float] = {}
        give_up_at = time.monotonic() + within_s
        while True:
            now = time.monotonic()
            while len(under_way) < AT_ONCE and (one := next(waiting, None)) is not None:
                under_way[one] = 0.0
            if not under_way or now > give_up_at:
                return not under_way
            for listener, sent_at in under_way.items():
                if now - sent_at > AGAIN_S:
                    act(listener)
                    under_way[listener] = now
            for listener in self.look(now):
                under_way.pop(listener, None)
            time.sleep(LOOK_EVERY_S)

    def look(self, now: float) -> list[int]:
        """Receive, and send what is due; return listeners that have just registered or left."""
        done = []
        for listener, datagram in self._socket.receive():
            message = Message.unpack(datagram)
            if message.type == Type.CHALLENGE:
                self._cookies[listener] = Challenge.from_message(message).cookie
                self._connect(listener)
            elif message.type == Type.ACCEPT and not self._sessions[listener]:
                accept = Accept.from_message(message)
                self._stream = message.stream
                self._sessions[listener] = accept.session.encode()
                self._first_sequence[listener] = accept.first_sequence
                state = self._socket.state
                state.live_time_us = max(state.live_time_us, accept.live_time_us)
                done.append(listener)
            elif message.type == Type.STATUS:
                status = Status.from_message(message)
                self._report_s = status.report_s
            elif message.type == Type.GOODBYE:
                self._sessions[listener] = b""
                done.append(listener)
            elif message.type == Type.REJECT and not self._is_leaving:
                # A REPORT that crosses a GOODBYE is refused as well.
                raise Failed("the server refused a listener")
        self._report(now)
        return done

    def count(self) -> Count:
        """Wait for datagrams under way, then count."""
        state = self._socket.state
        state.until = state.next_sequence
        until = time.monotonic() + IN_FLIGHT_S
        while (now := time.monotonic()) < until:
            self.look(now)
            time.sleep(LOOK_EVERY_S)
        received = self._socket.received
        total = sum(received)
        promised = sum(max(0, state.until - first) for first in self._first_sequence)
        counted = Count(
            expected=promised if self._port else total,
            received=total,
            fewest=min(received),
            most=max(received),
            dropped=state.dropped,
            late_ms=self._late_ms(),
            report_s=self._report_s,
            cpu_s=time.process_time(),
        )
        state.until = 0
        for bin_ in range(LATE_BINS):
            self._socket.late[bin_] = 0
        for listener, more in enumerate(self._socket.apart):
            received[listener] += more
            self._socket.apart[listener] = 0
        return counted

    def _part(self, listener: int) -> None:
        self._send_figures(Goodbye, listener, time.monotonic())

    def _connect(self, listener: int) -> None:
        connect = Connect(nonce=f"crowd{listener}", cookie=self._cookies[listener])
        self._socket.send(listener, connect.to_message().pack(CONNECT_BYTES), self._port)

    def _report(self, now: float) -> None:
        """Send the REPORTs that are due, when audio has come, as client.py does.

        Rare ones go together, at the server's whole seconds: its clock is ours.
        """
        pause_s = self._report_s * (REPORT_SHARE if self._report_s > REPORT_S else 1.0)
        self._reports_due += (now - self._looked_at) * self._count / pause_s
        self._looked_at = now
        datagrams, self._datagrams = self._datagrams, self._socket.state.datagrams
        if datagrams == self._datagrams:
            return
        before, self._whole_second = self._whole_second, (now + REPORT_EARLY_S) // TOGETHER_S
        if self._report_s > REPORT_S and before == self._whole_second:
            return
        while self._reports_due >= 1:
            self._reports_due -= 1
            listener = self._next_reporter
            self._next_reporter = (listener + 1) % self._count
            if now >= self._status_due:
                # One answer a second tells all listeners what their own would.
                self._status_due = now + STATUS_EVERY_S
                self._socket.state.want_status = 1
            if self._sessions[listener]:
                self._send_figures(Report, listener, now)

    def _send_figures(self, kind: type[Report], listener: int, now: float) -> None:
        received = self._socket.received[listener]
        figures = (self._sessions[listener], round(now * 1e6), received, received, received)
        data = self._templates[kind] % figures
        self._socket.send(listener, Message(0, kind.TYPE, data, self._stream).pack(), self._port)

    def _late_ms(self) -> dict[str, float | None]:
        late = self._socket.late
        total, seen = sum(late), 0
        first = next((bin_ for bin_, count in enumerate(late) if count), LATE_BINS)
        self._most_punctual = min(self._most_punctual, first)
        found: dict[str, float | None] = dict.fromkeys(("p50", "p99", "max"))
        shares = {"p50": 0.5, "p99": 0.99, "max": 1.0}
        for bin_, count in enumerate(late):
            seen += count
            for name, share in shares.items():
                if total and found[name] is None and seen >= share * total:
                    found[name] = (bin_ - self._most_punctual) * LATE_BIN_MS
        return found


def _template(kind: type[Report]) -> bytes:
    """Template of a packed REPORT: packing each one would cost too much."""
    content = kind(
        session="session",
        clock_us=111111,
        expected=222222,
        received=333333,
        intact=444444,
        jitter_ms=0.1,
        rtt_ms=0.1,
        buffer_s=1.0,
        played_s=1.0,
    )
    data = content.to_message().data.replace(b"%", b"%%")
    data = data.replace(b'"session":"session"', b'"session":"%b"')
    for number in (b"111111", b"222222", b"333333", b"444444"):
        data = data.replace(number, b"%d")
    return data


def main() -> int:
    """Run the crowd."""
    parser = argparse.ArgumentParser(prog="bench.crowd")
    parser.add_argument("library")
    parser.add_argument("listeners", type=int, choices=range(1, MAX_LISTENERS), metavar="LISTENERS")
    parser.add_argument("port", type=int)
    parser.add_argument("--every-copy", action="store_true")
    options = parser.parse_args()
    try:
        listeners = _Listeners(
            options.library, options.listeners, options.port, every=options.every_copy
        )
        listeners.join()
        _tell({"port": listeners.port})
        while True:
            listeners.look(time.monotonic())
            if select.select([sys.stdin], [], [], LOOK_EVERY_S)[0]:
                if not sys.stdin.readline():
                    break
                _tell(asdict(listeners.count()))
        listeners.leave()
    except (Failed, OSError) as error:
        _tell({"failed": f"the crowd of listeners: {error}"})
        return 1
    return 0


def _tell(answer: dict[str, Any]) -> None:
    print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    sys.exit(main())
