"""Promises of the client's core and playback, whatever the server sends, whenever.

The fuzzer knows all that a server knows: the address, the nonce, the session.

- nothing raises, and time goes on;
- memory is bounded, and a server can read all that is sent;
- the statistics balance at any time, and at the end nothing is awaited;
- audio is given out in order, each message once, and nothing after the end.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from fuzz.cursor import Cursor
from fuzz.datagrams import FROM_SERVER, Known, datagram
from fuzz.unpack import CONTENTS, NUMBERS
from listening.arrival.incoming_stream import IncomingStream
from listening.arrival.playable import EndOfStream, NewStream, Ready
from listening.arrival.reception_window import REMEMBERED
from listening.arrival.repair import MAX_MISSING, MAX_OVERDUE
from listening.listen import MAX_EARLY, Listen
from listening.outputs import OutputError
from listening.outputs.null import Null
from listening.playback import Playback
from message import Accept, Challenge, Message
from wire.address import Address

SERVER: Address = ("192.0.2.1", 4501)
STRANGER: Address = ("203.0.113.7", 666)
BEGAN = 1000.0
STREAM = 0xABC0001
KNOWN = Known(nonce="a" * 16, session="b" * 16, stream=STREAM)

STEPS = 12

TIMES: Sequence[float] = (0.0, 0.0, 0.0, 0.005, 0.026, 0.08, 0.3, 1.1, 6.0)
LEAPS: Sequence[float] = (0.0, 0.001, 1.0, 11.0, 3600.0, 1e6, 1e9)

ROUNDS = 12
"""Times that the core may act before a time has come; the rest is done then."""

DECODED = 16
"""One input in this many is decoded: that costs as much as all else."""


class Room:
    """One client, its player, and time."""

    def __init__(self, options: int) -> None:
        self.now = BEGAN
        self.core = Listen(
            [SERVER],
            nonce=KNOWN.nonce,
            timeout_s=10.0,
            buffer_s=(1.0, None, 0.1, 0.0)[options & 3],
            lead_s=(0.0, 0.3)[options >> 2 & 1],
            waits=bool(options & 8),
            random=Random(1),
            now=self.now,
        )
        self.playback = Playback(Null(), 0.0) if options % DECODED == DECODED - 1 else None
        self.next_sequence = 0
        self.ended = False
        self.pass_time(0.0)

    def connect(self) -> None:
        """A server registers the client properly."""
        accept = Accept(
            nonce=KNOWN.nonce, session=KNOWN.session, first_sequence=0, first_time_us=0,
            live_time_us=0, burst_s=1.0, timeout_s=5.0, speed=1.0, title="Fuzz", artist=None,
            duration_s=None, frame_rate_hz=44_100, channels=2, bit_rate_bps=128_000, block=4,
            parity=2,
        )  # fmt: skip
        self.come(Challenge(nonce=KNOWN.nonce, cookie="c").to_message(stream=STREAM).pack(), SERVER)
        self.come(accept.to_message(stream=STREAM).pack(), SERVER)

    def come(self, data: bytes, address: Address) -> None:
        """A datagram comes."""
        self.core.receive_datagram(data, address, self.now)
        self.check()

    def pass_time(self, seconds: float) -> None:
        """Do what is due."""
        end = self.now + seconds
        for _ in range(ROUNDS):
            self._do_what_is_due()
            due = [self.core.next_due(), self.core.next_playable()]
            self.now = min([end, *(max(self.now + 1e-6, at) for at in due if at is not None)])
            if self.now >= end:
                break
        self.now = end
        self._do_what_is_due()

    def _do_what_is_due(self) -> None:
        self.core.on_due(self.now)
        self._play()
        sent = self.core.datagrams_to_send(self.now)
        assert len(sent) < 100, "too much at once"
        for data, to in sent:
            assert to == SERVER
            message = Message.unpack(data)
            (CONTENTS | NUMBERS)[message.type].from_message(message)

    def _play(self) -> None:
        if self.ended:
            return
        items = self.core.audio_to_play(self.now)
        for item in items:
            assert not self.ended, "after the end"
            if isinstance(item, NewStream):
                self.next_sequence = 0
            elif isinstance(item, Ready):
                assert item.message.sequence >= self.next_sequence
                self.next_sequence = item.message.sequence + 1
            self.ended = isinstance(item, EndOfStream)
        if self.playback is not None and items:
            try:
                self.playback.play(items)
            except OutputError:
                self.playback = None
        if self.ended:
            # As the entry point does.
            self.core.leave(self.now)

    def check(self) -> None:
        """Check what holds after each step."""
        core, count = self.core, self.core.statistics
        came = count.intact + count.retransmitted + count.duplicates + count.late
        assert count.received == came
        awaited = core.snapshot(self.now).awaited
        settled = count.intact + count.retransmitted + count.rebuilt + count.lost
        assert count.expected == settled + awaited
        assert awaited >= 0
        assert len(core._early) <= MAX_EARLY
        if core._stream is not None:
            self._check_bounds(core._stream)

    def _check_bounds(self, stream: IncomingStream) -> None:
        window, rebuilder = stream._window, stream._rebuilder
        assert len(window.ready) <= window.capacity
        assert len(window.missing) <= MAX_MISSING
        assert len(window._records) <= REMEMBERED + window.capacity + MAX_OVERDUE
        if rebuilder is not None:
            assert len(rebuilder._blocks) <= rebuilder._kept + 1

    def leave(self) -> None:
        """The user has heard enough."""
        self.core.leave(self.now)
        self.check()
        assert self.core.snapshot(self.now).awaited == 0
        for _ in range(6):
            self.pass_time(0.1)
        assert self.core.closed, "it does not end"
        assert self.core.next_due() is None
        if self.playback is not None:
            self.playback.finish()


def one_input(data: bytes) -> None:
    """A few datagrams at a few times."""
    choices = Cursor(data)
    room = Room(choices.byte())
    how = choices.byte()
    if how < 240:
        room.connect()
    times = LEAPS if how % 8 == 7 else TIMES
    for _ in range(STEPS):
        if not choices.has_more:
            break
        what = choices.byte()
        room.pass_time(times[what % len(times)])
        address = STRANGER if what >= 250 else SERVER
        room.come(datagram(choices, FROM_SERVER, KNOWN), address)
    room.pass_time(0.0)
    room.leave()
