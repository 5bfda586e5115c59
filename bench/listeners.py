"""Many listeners in one process: the real handshake, REPORTs and GOODBYE, but no sound.

A listener costs the server as much as client.py does; it costs the machine so little that ten of
them, and the server, fit on one core. One thread serves them all.
"""

from __future__ import annotations

import dataclasses
import random
import secrets
import select
import socket
import threading
import time
from array import array
from types import TracebackType
from typing import Self

from bench.processes import HOST, PATIENCE_S, Failed
from message import (
    CONNECT_BYTES,
    Accept,
    Challenge,
    Connect,
    Control,
    Goodbye,
    Message,
    Report,
    Status,
    Type,
)

REPORT_S = 1.0
AGAIN_S = 0.25
RECEIVE_BUFFER_BYTES = 4 << 20
DATAGRAM_BYTES = 65_535

LONGEST_WAIT_S = 0.1
"""Longest wait, so that the end of the block is noticed soon."""


@dataclasses.dataclass(slots=True)
class Arrivals:
    """Arrival times of the AUDIO of one listener. Both arrays have one length."""

    media_time_us: array[int]
    at: array[float]
    """Monotonic arrival times, in seconds."""
    speed: float = 1.0
    live_time_us: int = 0
    """Media time from which AUDIO is sent when it is due; earlier AUDIO comes at once."""


class Listeners:
    """`count` listeners of the server on `port`, for the length of a `with` block.

    With `look_every_s` they read only at this interval, so that no send wakes them: in reality
    that would be work of the listeners' machines.
    """

    def __init__(self, port: int, count: int = 1, look_every_s: float | None = None) -> None:
        self._look_every_s = look_every_s
        self.arrivals = Arrivals(array("q"), array("d"))
        """Arrivals of the first listener."""
        self._poll = select.poll()
        self._all: dict[int, _Listener] = {}
        for index in range(count):
            listener = _Listener(port, self.arrivals if index == 0 else None)
            # The first REPORTs are spread over the second, as those of real listeners are.
            listener.report_offset_s = index / count * REPORT_S
            self._all[listener.socket.fileno()] = listener
            self._poll.register(listener.socket, select.POLLIN)
        self._leaving = threading.Event()
        self._says_goodbye = True
        self._thread = threading.Thread(target=self._serve, name="listeners")

    def __enter__(self) -> Self:
        self._thread.start()
        give_up_at = time.monotonic() + PATIENCE_S
        while not all(one.session for one in self._all.values()):
            if time.monotonic() > give_up_at or not self._thread.is_alive():
                self.__exit__(None, None, None)
                raise Failed("the listeners were not all registered")
            time.sleep(0.01)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._leaving.set()
        self._thread.join()
        for listener in self._all.values():
            listener.socket.close()

    def vanish(self) -> None:
        """Make the listeners leave without a GOODBYE at the end of the block."""
        self._says_goodbye = False

    @property
    def received(self) -> int:
        """AUDIO messages received, by all listeners together."""
        return sum(one.received for one in self._all.values())

    @property
    def expected(self) -> int:
        """AUDIO messages sent to them, as far as they know."""
        return sum(one.next_sequence - one.first_sequence for one in self._all.values())

    @property
    def ended(self) -> bool:
        """Whether every listener received END."""
        return all(one.ended for one in self._all.values())

    def _serve(self) -> None:
        while not self._leaving.is_set():
            now = time.monotonic()
            for one in self._all.values():
                if now >= one.act_at:
                    one.act(now)
            for descriptor, _ in self._wait(now):
                self._all[descriptor].receive()
        for one in self._all.values():
            if self._says_goodbye:
                one.leave()

    def _wait(self, now: float) -> list[tuple[int, int]]:
        """Listeners that have received something, after a while."""
        if self._look_every_s is not None:
            time.sleep(self._look_every_s)
            return self._poll.poll(0)
        next_at = min(one.act_at for one in self._all.values())
        return self._poll.poll(1e3 * min(LONGEST_WAIT_S, max(0.001, next_at - now)))


class _Listener:
    def __init__(self, port: int, arrivals: Arrivals | None) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setblocking(False)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
        self.socket.connect((HOST, port))
        self.session = ""
        self.received = 0
        self.first_sequence = 0
        self.next_sequence = 0
        self.ended = False
        self.act_at = 0.0
        self.report_offset_s = 0.0
        self._report_s = REPORT_S
        self._nonce = secrets.token_hex(8)
        self._cookie = ""
        self._arrivals = arrivals
        self._sequence = 0

    def act(self, now: float) -> None:
        """Send CONNECT or REPORT."""
        if not self.session:
            self._send(Connect(nonce=self._nonce, cookie=self._cookie), CONNECT_BYTES)
            self.act_at = now + AGAIN_S
        else:
            self._send(self._report(Report, now))
            pause_s = self._report_s
            if pause_s > REPORT_S:
                pause_s *= random.uniform(0.5, 1.0)
            self.act_at = now + pause_s

    def leave(self) -> None:
        """Send GOODBYE once."""
        if self.session:
            self._send(self._report(Goodbye, time.monotonic()))

    def receive(self) -> None:
        """Receive everything that has come."""
        while True:
            try:
                data = self.socket.recv(DATAGRAM_BYTES)
            except BlockingIOError:
                return
            except ConnectionRefusedError:  # the server has gone
                continue
            now = time.monotonic()
            message = Message.unpack(data)
            if message.type == Type.AUDIO:
                self.received += 1
                self.next_sequence = max(self.next_sequence, message.sequence + 1)
                if self._arrivals is not None:
                    self._arrivals.media_time_us.append(message.media_time_us)
                    self._arrivals.at.append(now)
            else:
                self._receive_control(message, now)

    def _receive_control(self, message: Message, now: float) -> None:
        if message.type == Type.CHALLENGE:
            self._cookie = Challenge.from_message(message).cookie
            self.act(now)
        elif message.type == Type.ACCEPT and not self.session:
            accept = Accept.from_message(message)
            self.session = accept.session
            self.first_sequence = accept.first_sequence
            self.next_sequence = max(self.next_sequence, accept.first_sequence)
            self.act_at = now + self.report_offset_s
            if self._arrivals is not None:
                self._arrivals.speed = accept.speed
                self._arrivals.live_time_us = accept.live_time_us
        elif message.type == Type.STATUS:
            self._report_s = max(REPORT_S, Status.from_message(message).report_s)
        elif message.type == Type.END and not self.ended:
            self.ended = True
            self.act(now)

    def _report(self, kind: type[Report], now: float) -> Report:
        return kind(
            session=self.session,
            clock_us=round(now * 1e6),
            ended=self.ended,
            expected=self.next_sequence - self.first_sequence,
            received=self.received,
            intact=self.received,
            jitter_ms=0.1,
            rtt_ms=0.1,
            buffer_s=1.0,
            played_s=round(now, 3),
        )

    def _send(self, content: Control, size_bytes: int = 0) -> None:
        self.socket.send(content.to_message(self._sequence).pack(size_bytes))
        self._sequence += 1
