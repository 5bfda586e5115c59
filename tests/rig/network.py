"""Both cores in one process, joined by a network that loses, delays and reorders, in virtual time.

Loss is data: `drop(side, index)` says which datagram of which side goes missing. Or it is chance:
`LinkConditions`, as they are typed.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from random import Random

from broadcasting.audience.seal import ServerSeal
from broadcasting.broadcast import Broadcast
from broadcasting.sending.turns import Turn
from broadcasting.settings import Settings
from broadcasting.source.segments import Segment
from broadcasting.source.tracks import Track
from listening.arrival.playable import EndOfStream, Gap, NewStream, Playable, Ready, Restart
from listening.listen import Listen
from listening.session.seal import ClientSeal
from listening.simulated_network import type_of
from message import SALT_BYTES, SEALED
from simulation.link_conditions import LinkConditions
from simulation.simulated_link import Fate, SimulatedLink, fates
from wire.address import Address
from wire.seal import Key

SERVER: Address = ("192.0.2.1", 4501)

TRACK = Track(
    number=1,
    path="test.mp3",
    title="Test",
    artist=None,
    duration_s=None,
    frame_rate_hz=44_100,
    channels=2,
    bit_rate_bps=128_000,
)


class NotYet:
    """In a programme: nothing can be read of it at this moment."""


def client_address(number: int) -> Address:
    """The address of listener `number`."""
    return ("198.51.100.1", 10_000 + number)


def silent_frame() -> bytes:
    """A Layer III frame of 1,152 samples at 44.1 kHz, 128 kbit/s, all zeros within."""
    return bytes.fromhex("fffb9064") + bytes(413)


def segments(count: int, frames: int = 3) -> Iterator[Segment]:
    """A programme of `count` segments, 26 ms a frame."""
    samples = 0
    for _ in range(count):
        begin_us = round(samples * 1e6 / 44_100)
        samples += 1152 * frames
        end_us = round(samples * 1e6 / 44_100)
        yield Segment(silent_frame() * frames, begin_us, end_us - begin_us, TRACK, 0, 0)


@dataclasses.dataclass
class Link:
    """What happens to datagrams on their way."""

    delay_s: float = 0.005
    drop: Callable[[str, int], bool] = lambda side, index: False
    jitter: Callable[[str, int], float] = lambda side, index: 0.0
    copies: Callable[[str, int], int] = lambda side, index: 1

    def fate(self, side: str, index: int) -> Fate:
        """What happens to this datagram that `side` sends."""
        copies = 0 if self.drop(side, index) else self.copies(side, index)
        return [self.delay_s + self.jitter(side, index) for _ in range(copies)]


def random_loss(share: float, seed: int) -> Callable[[str, int], bool]:
    """Each datagram is lost with this probability, whichever way it goes."""
    random = Random(seed)
    return lambda side, index: random.random() < share


def burst_loss(share: float, mean: float, seed: int) -> Callable[[str, int], bool]:
    """Gilbert's model, each way for itself: bursts of `mean` datagrams, `share` lost in all."""
    random = Random(seed)
    losing = {"server": False, "client": False}
    leave = 1 / mean
    enter = leave * share / (1 - share)

    def drop(side: str, index: int) -> bool:
        losing[side] = random.random() < (1 - leave if losing[side] else enter)
        return losing[side]

    return drop


class Listener:
    """A client core, and the items that its playback thread would have played."""

    def __init__(
        self,
        number: int,
        now: float,
        *,
        buffer_s: float | None,
        timeout_s: float,
        lead_s: float,
        waits: bool,
        seal: ClientSeal | None = None,
    ) -> None:
        self.address = client_address(number)
        self.played: list[Playable] = []
        self.played_at: list[float] = []
        self.ended = False
        """Whether the end of the stream was played."""
        self.rate, self.shift_s = 1.0, 0.0
        """Its clock: `rate` times that of the world, and this beyond it."""
        self.is_asleep = False
        """Whether it does nothing, and nothing comes to it."""
        self.core = Listen(
            [SERVER],
            nonce=f"{number:016x}",
            timeout_s=timeout_s,
            buffer_s=buffer_s,
            lead_s=lead_s,
            waits=waits,
            random=Random(number),
            now=now,
            seal=seal,
        )

    @property
    def sequences(self) -> list[int]:
        """The sequences that were played, in order."""
        return [item.message.sequence for item in self.played if isinstance(item, Ready)]

    @property
    def gaps(self) -> int:
        return sum(isinstance(item, Gap) for item in self.played)

    def own(self, now: float) -> float:
        """Its own time at `now` of the world."""
        return now * self.rate + self.shift_s

    def due(self) -> list[float]:
        """When it wants to be called, in the world's time."""
        if self.is_asleep:
            return []
        wanted = (self.core.next_due(), self.core.next_playable())
        return [(one - self.shift_s) / self.rate for one in wanted if one is not None]

    def play(self, now: float) -> None:
        """Take what is due to be played."""
        for item in self.core.audio_to_play(self.own(now)):
            self.played.append(item)
            self.played_at.append(now)
            self.ended = self.ended or isinstance(item, EndOfStream)
        assert balanced(self)

    def count(self, kind: type[NewStream | Restart]) -> int:
        """How many items of `kind` were played."""
        return sum(isinstance(item, kind) for item in self.played)


class Network:
    """The world: one server core, any number of listeners, a clock that nobody reads."""

    def __init__(
        self,
        settings: Settings | None = None,
        programme: Iterator[Segment | NotYet] | None = None,
        link: Link | LinkConditions | None = None,
        key: Key | None = None,
    ) -> None:
        """With a `key` everything is sealed."""
        self.now = 1000.0
        self.key = key
        self._salts = itertools.count(1)
        self.link = link or Link()
        self.links = {
            side: SimulatedLink(self._fates(side), type_of) for side in ("server", "client")
        }
        self.listeners: list[Listener] = []
        self.unread: list[tuple[bytes, Address]] | None = None
        """What has come to a server that stands still; None while it does not."""
        self.sent = {"server": 0, "client": 0}
        self.bytes_to: dict[Address, int] = {}
        self.bytes_of: Counter[int] = Counter()
        """Bytes that were sent, by type of message."""
        self._numbers = itertools.count()
        self._runs = itertools.count(1)
        self.start_server(
            settings or Settings(), programme if programme is not None else segments(100)
        )

    def start_server(self, settings: Settings, programme: Iterator[Segment | NotYet]) -> None:
        """Start the server, or another one in its place."""
        run = next(self._runs)
        self.answers: list[tuple[bytes, Address]] = []
        """What the server has answered and not sent yet."""
        self._server_due: float | None = None
        self.finished = False
        """Whether the server may leave."""
        self._audience: list[Address] = []
        tokens = itertools.count(run * 1_000_000)
        self.programme = programme
        self.server: Broadcast | None = Broadcast(
            settings,
            stream_id=0xABC0000 + run,
            secret=bytes([run]) * 32,
            token=lambda: f"{next(tokens):016x}",
            seal=ServerSeal(self.key, self.draw_salt()) if self.key else None,
        )

    def draw_salt(self) -> bytes:
        """Bytes that were not drawn yet."""
        return next(self._salts).to_bytes(SALT_BYTES)

    def stop_server(self, seconds: float) -> None:
        """The server stands still for so long, then sends before it reads what has come."""
        self.unread = []
        self.run(seconds)
        unread, self.unread = self.unread, None
        assert self.server is not None
        self._step(self.server)
        for data, address in unread:
            self.bring(data, address)

    def kill_server(self) -> None:
        """The server is gone without a word."""
        self.server = None

    def join(
        self,
        *,
        buffer_s: float | None = 1.0,
        timeout_s: float = 10.0,
        lead_s: float = 0.0,
        waits: bool = False,
        key: Key | None = None,
    ) -> Listener:
        """One listener more, with the server's key or another `key`."""
        key = key or self.key
        listener = Listener(
            next(self._numbers),
            self.now,
            buffer_s=buffer_s,
            timeout_s=timeout_s,
            lead_s=lead_s,
            waits=waits,
            seal=ClientSeal(key, self.draw_salt) if key else None,
        )
        self.listeners.append(listener)
        return listener

    def remove(self, listener: Listener) -> None:
        """The listener is gone without a word."""
        self.listeners.remove(listener)

    def send(self, side: str, data: bytes, address: Address) -> None:
        """Put one datagram on the way: to `address` from the server, from `address` to it."""
        self.sent[side] += 1
        if side == "server":
            self.bytes_to[address] = self.bytes_to.get(address, 0) + len(data)
        self.bytes_of[data[3] & ~SEALED] += len(data)
        self.links[side].receive_datagram(data, address, self.now)

    def bring(self, data: bytes, address: Address) -> None:
        """A datagram comes to the server from `address`; what it answers goes with the next."""
        if self.unread is not None:
            self.unread.append((data, address))
        elif self.server is not None:
            received = self.server.receive_datagram(data, address, self.now)
            self.answers += received.answers if received else ()

    @property
    def lost_audio(self) -> int:
        """AUDIO messages that did not arrive."""
        return self.links["server"].counts()["AUDIO"].dropped

    def run(self, seconds: float, until: Callable[[], bool] = lambda: False) -> None:
        """Let time pass, from one thing that is due to the next."""
        end = self.now + seconds
        while self.now < end and not until():
            self._exchange()
            self.now = max(self.now + 1e-6, min(end, self._next_due()))
            self._deliver()
        self._exchange()

    def _exchange(self) -> None:
        """Both sides do what is due now."""
        if self.server is not None and self.unread is None:
            self._step(self.server)
        for listener in self.listeners:
            if listener.is_asleep:
                continue
            listener.core.on_due(listener.own(self.now))
            listener.play(self.now)
            for data, _ in listener.core.datagrams_to_send(listener.own(self.now)):
                self.send("client", data, listener.address)

    def _step(self, server: Broadcast) -> None:
        wants_segment = True
        while wants_segment:
            step = server.step(self.now)
            for address in step.left:
                self._audience.remove(address)
            self._audience += step.joined
            if step.turn is not None:
                self._broadcast(server, step.turn)
            answers, self.answers = [*self.answers, *step.answers], []
            for data, address in answers:
                self.send("server", data, address)
            self._server_due, self.finished = step.due, step.finished
            wants_segment = step.wants_segment
            if not wants_segment:
                break
            segment = next(self.programme, None)
            if isinstance(segment, NotYet):
                break
            if segment is None:
                server.end_of_source()
            else:
                server.add_segment(segment)

    def _broadcast(self, server: Broadcast, turn: Turn) -> None:
        count = len(self._audience)
        part = self._audience[
            count * turn.part // turn.parts : count * (turn.part + 1) // turn.parts
        ]
        for run in turn.runs():
            for sent in run.messages:
                for address in part:
                    self.send("server", sent.datagram, address)
            server.account(run, self.now, len(part), ())

    def _fates(self, side: str) -> Iterator[Fate]:
        if isinstance(self.link, LinkConditions):
            yield from fates(self.link, side)
        for index in itertools.count():
            assert isinstance(self.link, Link), "chance is not changed on the way"
            yield self.link.fate(side, index)

    def _next_due(self) -> float:
        times = [link.next_due() for link in self.links.values()]
        if self.server is not None and self.unread is None:
            times.append(self._server_due)
        for listener in self.listeners:
            times += listener.due()
        return min((t for t in times if t is not None), default=float("inf"))

    def _deliver(self) -> None:
        by_address = {listener.address: listener for listener in self.listeners}
        for data, address in self.links["client"].datagrams_to_send(self.now):
            self.bring(data, address)
        for data, address in self.links["server"].datagrams_to_send(self.now):
            listener = by_address.get(address)
            if listener is not None and not listener.is_asleep:
                listener.core.receive_datagram(data, SERVER, listener.own(self.now))


def balanced(listener: Listener) -> bool:
    """Whether the identities of the statistics hold, at any time."""
    now = listener.core.snapshot(0.0)
    count = now.statistics
    settled = count.intact + count.retransmitted + count.rebuilt + count.lost
    return (
        count.expected == settled + now.awaited
        and count.received == count.intact + count.retransmitted + count.duplicates + count.late
    )


def addresses(listeners: Sequence[Listener]) -> list[Address]:
    """Where `listeners` are."""
    return [listener.address for listener in listeners]
