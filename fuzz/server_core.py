"""What the server's core promises, whatever datagrams come, from any address, at any time.

One listener is honest, and nobody else knows its session. Others send from addresses of their own,
and under the honest one's; some are registered, too. Whatever they do:

- nothing raises, and time goes on: what is due is done;
- the honest listener stays registered, and every AUDIO goes out when it is due, with the bytes that
  it has without them; its REPORT is answered;
- an address that is not registered is sent no more bytes than came from it, and its datagrams make
  the server send to nobody else;
- memory is bounded by the number of listeners, and everything that is sent can be read.
"""

from __future__ import annotations

import bisect
import secrets
from collections.abc import Sequence

from broadcasting.audience.figures import MAX_DEPARTED
from broadcasting.broadcast import Broadcast
from broadcasting.settings import Fec, Settings
from broadcasting.source.segments import Segment
from broadcasting.source.tracks import Track
from broadcasting.stream.parity_control import AUTO
from fuzz.cursor import Cursor
from fuzz.datagrams import FROM_CLIENT, Known, datagram
from fuzz.unpack import CONTENTS, NUMBERS
from message import CONNECT_BYTES, Accept, Challenge, Connect, Message, Report, Type
from wire.address import Address

STREAM = 0xABC0001
BEGAN = 1000.0
REPORT_S = 0.9

HONEST: Address = ("198.51.100.1", 10_000)
OTHERS: Sequence[Address] = (
    ("203.0.113.7", 666),
    ("203.0.113.7", 667),
    HONEST,
    ("2001:db8::7", 666, 0, 0),
)

STEPS = 10
"""Steps of one input: enough for a handshake and what may follow."""

TIMES: Sequence[float] = (0.0, 0.0, 0.001, 0.02, 0.1, 0.3, 0.6, 1.0)
LEAPS: Sequence[float] = (0.0, 0.001, 1.0, 5.1, 31.0, 3600.0, 1e6, 1e9)

MESSAGES, MESSAGE_US = 40, 100_000
TRACK = Track(
    number=1, path="fuzz.mp3", title="Fuzz", artist=None, duration_s=None, frame_rate_hz=44_100,
    channels=2, bit_rate_bps=128_000,
)  # fmt: skip
SEGMENTS = [
    Segment(bytes((n,)) * (100 + n % 2), n * MESSAGE_US, MESSAGE_US, TRACK, 0, 0)
    for n in range(MESSAGES)
]
AUDIO = [
    Message(n, Type.AUDIO, one.data, STREAM, one.media_time_us, TRACK.number).pack()
    for n, one in enumerate(SEGMENTS)
]
BURST_S = 0.5
DUE = [BEGAN + one.media_time_us / 1e6 - BURST_S for one in SEGMENTS]
"""When each AUDIO goes out, if somebody is there from the beginning."""

SETTINGS: Sequence[Settings] = (
    Settings(burst_s=BURST_S),
    Settings(burst_s=BURST_S, max_clients=2),
    Settings(burst_s=BURST_S, burst_rate_bytes_per_s=2000),
    Settings(burst_s=BURST_S, fec=Fec(4, 2)),
    Settings(burst_s=BURST_S, fec=AUTO),
)


class Room:
    """One server, its honest listener, and time."""

    def __init__(self, settings: Settings, *, honest: bool) -> None:
        self.now = BEGAN
        self.tokens = [f"{number:016x}" for number in range(64)]
        self.core = Broadcast(settings, stream_id=STREAM, secret=b"s" * 32, token=self._token)
        self.sent = 0
        self.ahead_s = settings.ahead_s
        self.honest = honest
        self.session = secrets.token_hex(8)
        self.report_at = BEGAN
        self.known: dict[Address, str] = {}
        for segment in SEGMENTS:
            self.core.add_segment(segment)
        self.core.end_of_source()
        if honest:
            self.tokens.append(self.session)
            self.handshake(HONEST, secrets.token_hex(8))
            del self.known[HONEST]

    def _token(self) -> str:
        return self.tokens.pop() if self.tokens else secrets.token_hex(8)

    @property
    def registered(self) -> set[Address]:
        return set(self.core.registry.addresses)

    def come(self, data: bytes, address: Address) -> list[Message]:
        """A datagram comes; the messages that answer its sender."""
        registered = self.registered
        received = self.core.receive_datagram(data, address, self.now)
        answers = received.answers if received else []
        registered |= self.registered
        assert {to for _, to in answers} <= registered | {address}, "to somebody else"
        back = [one for one, to in answers if to == address]
        if address not in registered:
            assert sum(map(len, back)) <= len(data), "more than came"
        self.check(answers)
        return [Message.unpack(one) for one in back]

    def handshake(self, address: Address, nonce: str, session: str = "") -> None:
        """Somebody proves an address of his own, and asks to be registered."""
        cookie = ""
        for _ in range(2):
            connect = Connect(nonce=nonce, cookie=cookie, session=session)
            for answer in self.come(connect.to_message().pack(CONNECT_BYTES), address):
                if answer.type == Type.CHALLENGE:
                    cookie = Challenge.from_message(answer).cookie
                elif answer.type == Type.ACCEPT:
                    self.known[address] = Accept.from_message(answer).session

    def pass_time(self, seconds: float) -> None:
        """Let time pass: do what is due, and let the honest listener report."""
        end = self.now + seconds
        for _ in range(200 if self.honest else 10):
            due = self._do_what_is_due()
            if self.now >= end:
                return
            due = end if due is None else due
            if self.honest:
                due = min(due, self.report_at)
            self.now = max(self.now, min(end, due))
        assert not self.honest, "it asks to be called again and again"
        self.now = end
        self._do_what_is_due()

    def _do_what_is_due(self) -> float | None:
        for _ in range(4):
            step = self.core.step(self.now)
            self.check(step.answers)
            if step.turn is None:
                break
            for one in step.turn.messages:
                if one.kind == Type.AUDIO:
                    assert one.datagram == AUDIO[one.sequence]
                    assert one.sequence == self.sent
                    self.sent += 1
            for run in step.turn.runs():
                self.core.account(run, self.now, len(self.registered), ())
        if self.honest and self.now >= self.report_at:
            self.report_at = self.now + REPORT_S
            self._honest_report()
        return step.due

    def _honest_report(self) -> None:
        report = Report(session=self.session, clock_us=0, expected=0, received=0, intact=0)
        answers = self.come(report.to_message(stream=STREAM).pack(), HONEST)
        assert Type.STATUS in [answer.type for answer in answers], "it is registered no more"

    def check(self, sent: Sequence[tuple[bytes, Address]]) -> None:
        """Check what holds after each step."""
        for data, _ in sent:
            message = Message.unpack(data)
            if message.type in CONTENTS | NUMBERS:
                (CONTENTS | NUMBERS)[message.type].from_message(message)
            else:
                assert message.type in (Type.AUDIO, Type.REPEAT, Type.PARITY)
        core = self.core
        registry, listeners = core.registry, len(core.registry)
        assert listeners <= core.settings.max_clients
        assert len(registry._by_session) == listeners
        assert sum(map(registry.has, core._sessions._catch_up._queue)) <= listeners
        assert len(core.figures.departed) <= MAX_DEPARTED

    def check_audio(self) -> None:
        """Check that everything that is due has gone out."""
        assert HONEST in self.registered
        late = 0.0 if self.ahead_s == BURST_S else self.ahead_s - BURST_S
        least, most = (bisect.bisect_right(DUE, self.now + late + near) for near in (-1e-6, 1e-6))
        assert least <= self.sent <= most


def one_input(data: bytes) -> None:
    """A few datagrams at a few times."""
    choices = Cursor(data)
    options = choices.byte()
    honest = options < 200
    room = Room(SETTINGS[options % len(SETTINGS)], honest=honest)
    for _ in range(STEPS):
        if not choices.has_more:
            break
        what = choices.byte()
        address = OTHERS[what % 4]
        if address == HONEST and not honest:
            address = OTHERS[0]
        room.pass_time(choices.pick(TIMES if honest else LEAPS))
        nonce, session = f"{what >> 6:016x}", room.known.get(OTHERS[what >> 2 & 3], "f" * 16)
        if what & 0x30 == 0 and address != HONEST:
            # A third of them with a session that is somewhere else.
            room.handshake(address, nonce, session if what & 4 else "")
        else:
            room.come(datagram(choices, FROM_CLIENT, Known(nonce, session, STREAM)), address)
    room.pass_time(0.0)
    if honest:
        room.check_audio()
    room.core.snapshot(room.now)
    room.core.figures.present(iter(room.core.registry.addresses), room.now)
