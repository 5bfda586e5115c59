"""Repair by parity, server and listeners together, in virtual time over a network that loses.

What a block loses is known here, so what must come back and what cannot is known exactly.
"""

from __future__ import annotations

import itertools
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from random import Random

import pytest

from broadcasting.settings import Fec, Settings
from broadcasting.source.segments import Segment
from broadcasting.stream.parity_control import MOST_PARITIES
from listening.arrival.playable import Ready
from message import HEADER_BYTES, Message, Request, Type
from tests.rig.luck import once, seeds
from tests.rig.network import (
    TRACK,
    Link,
    Listener,
    Network,
    balanced,
    random_loss,
    segments,
    silent_frame,
)
from tests.rig.programs import ROOT
from wire.address import Address
from wire.parity import Parity

pytestmark = once

MINUTE = 766
"""Messages of 78 ms."""

Loses = Callable[[Message, int], bool]
"""Whether a message of the server is lost, the how-manieth it is to this listener."""


def share(loss: float, seed: int) -> Loses:
    """Each message is lost with this probability."""
    random = Random(seed)
    return lambda message, index: random.random() < loss


class Deaf(Network):
    """A network on which nobody can ask: REQUESTs never arrive, and some messages do not.

    It knows what of each block was lost on the way to each listener.
    """

    def __init__(
        self,
        fec: Fec,
        loses: Loses,
        programme: Iterator[Segment] | None = None,
        link: Link | None = None,
        **settings: float,
    ) -> None:
        super().__init__(Settings(fec=fec, **settings), programme, link)  # type: ignore[arg-type]
        self.fec = fec
        self.loses = loses
        self.audio: dict[Address, dict[int, int]] = defaultdict(dict)
        """To whom: sequence -> copies that were not lost."""
        self.parity: dict[Address, dict[int, dict[int, int]]] = defaultdict(dict)
        """To whom, first of the block: index -> copies that were not lost."""
        self._indices: dict[Address, Iterator[int]] = defaultdict(itertools.count)

    def send(self, side: str, data: bytes, address: Address) -> None:
        message = Message.unpack(data)
        if message.type == Type.REQUEST:
            return
        if message.type in (Type.AUDIO, Type.PARITY):
            lost = self.loses(message, next(self._indices[address]))
            if message.type == Type.AUDIO:
                copies, key = self.audio[address], message.sequence
            else:
                copies = self.parity[address].setdefault(message.sequence, {})
                key = Parity.from_message(message).index
            copies[key] = copies.get(key, 0) + (not lost)
            if lost:
                return
        super().send(side, data, address)

    def beyond_repair(self, listener: Listener) -> set[int]:
        """What was lost of blocks that lost more than their parity could make good."""
        audio, parity = self.audio[listener.address], self.parity[listener.address]
        lost: dict[int, set[int]] = defaultdict(set)
        came: dict[int, int] = defaultdict(int)
        for sequence, copies in audio.items():
            first = sequence - sequence % self.fec.messages
            came[first] += copies > 0
            if not copies:
                lost[first].add(sequence)
        beyond = set()
        for first, sequences in lost.items():
            shards = parity.get(first, {})
            enough = min(self.fec.messages, max(audio) + 1 - first)
            if came[first] + sum(copies > 0 for copies in shards.values()) < enough:
                beyond |= sequences
        return beyond


def play_to_the_end(network: Network, *listeners: Listener) -> None:
    network.run(200, until=lambda: all(one.ended for one in listeners))
    for one in listeners:
        one.core.leave(network.now)
    network.run(2)


def heard_all_but(listener: Listener, missing: set[int], count: int, first: int = 0) -> bool:
    """Whether exactly `missing` was not heard, and the statistics say so."""
    counted = listener.core.statistics
    return (
        listener.sequences == [one for one in range(first, count) if one not in missing]
        and counted.lost == len(missing)
        and counted.expected == count - first
        and balanced(listener)
    )


@pytest.mark.parametrize("seed", seeds(5))
@pytest.mark.parametrize("loss", [0.02, 0.05, 0.1])
def test_every_block_is_whole_that_lost_no_more_than_its_parity(loss: float, seed: int) -> None:
    network = Deaf(Fec(20, 4), share(loss, seed), segments(MINUTE))
    listener = network.join()
    play_to_the_end(network, listener)
    missing = network.beyond_repair(listener)
    assert heard_all_but(listener, missing, MINUTE)
    assert len(missing) < loss * MINUTE / 2
    assert listener.core.statistics.rebuilt > 0
    assert listener.core.statistics.parity_refused == 0


@pytest.mark.parametrize(("fec", "most"), [(Fec(20, 4), 0.0025), (Fec(40, 8), 0.0002)])
def test_of_a_twentieth_lost_so_little_is_left(fec: Fec, most: float) -> None:
    """By the binomial distribution, 0.129 % of the messages with 20+4, 0.011 % with 40+8."""
    lost = expected = 0
    for seed in seeds(10):
        network = Deaf(fec, share(0.05, seed), segments(MINUTE))
        listener = network.join()
        play_to_the_end(network, listener)
        lost += listener.core.statistics.lost
        expected += listener.core.statistics.expected
    assert lost <= most * expected


def test_parity_costs_a_fifth_and_a_little() -> None:
    sent = {}
    for fec in (None, Fec(20, 4)):
        network = Network(Settings(fec=fec), segments(MINUTE))
        listener = network.join()
        play_to_the_end(network, listener)
        sent[fec] = network.bytes_to[listener.address]
    assert 1.2 < sent[Fec(20, 4)] / sent[None] < 1.22


@pytest.mark.parametrize(("messages", "parities"), [(20, 4), (8, 2), (3, 3), (1, 1), (40, 8)])
def test_bursts_of_as_many_datagrams_as_there_are_parities_are_not_heard(
    messages: int, parities: int
) -> None:
    apart = 2 * (messages + parities) + 1
    network = Deaf(
        Fec(messages, parities), lambda _, index: index % apart < parities, segments(MINUTE)
    )
    listener = network.join()
    play_to_the_end(network, listener)
    assert heard_all_but(listener, set(), MINUTE)
    assert listener.core.statistics.rebuilt > 0


def of_many_sizes(count: int) -> Iterator[Segment]:
    """Segments of one to three frames, of changing tracks, with samples to be dropped."""
    samples = 0
    for number in range(count):
        frames, skip = 1 + number * 7 % 3, number % 5 * 100
        begin_us = round(samples * 1e6 / 44_100)
        samples += 1152 * frames - skip
        end_us = round(samples * 1e6 / 44_100)
        yield Segment(silent_frame() * frames, begin_us, end_us - begin_us, TRACK, skip, 0)


def test_messages_of_all_sizes_come_back_as_they_were_sent() -> None:
    played = {}
    for loss in (0.0, 0.08):
        network = Deaf(Fec(5, 4), share(loss, 3), of_many_sizes(300))
        listener = network.join()
        play_to_the_end(network, listener)
        played[loss] = [
            item.message._replace(type=Type.AUDIO)
            for item in listener.played
            if isinstance(item, Ready)
        ]
        assert (listener.core.statistics.rebuilt > 10) is (loss > 0)
    assert played[0.0] == played[0.08]
    assert len(played[0.0]) == 300


@pytest.mark.parametrize("count", [1, 3, 20, 21, 39, 100])
def test_the_end_of_the_stream_is_rebuilt_from_the_parity_of_a_short_block(count: int) -> None:
    tail = {*range(max(0, count - 3), count)}
    network = Deaf(
        Fec(20, 4),
        lambda message, _: message.type == Type.AUDIO and message.sequence in tail,
        segments(count),
    )
    listener = network.join()
    play_to_the_end(network, listener)
    assert heard_all_but(listener, set(), count)
    assert listener.core.statistics.rebuilt == len(tail)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("after_s", [3.0, 3.9, 4.3, 5.1])
def test_who_joins_within_a_block_is_repaired_from_the_start(after_s: float, seed: int) -> None:
    network = Deaf(Fec(20, 4), share(0.05, seed), segments(200))
    network.join()
    network.run(after_s)
    late = network.join()
    play_to_the_end(network, *network.listeners)
    assert late.core.accept is not None
    first = late.core.accept.first_sequence
    assert first > 0
    assert heard_all_but(late, network.beyond_repair(late), 200, first)
    assert late.core.statistics.rebuilt > 0


def test_who_is_given_no_burst_waits_until_a_block_can_be_repaired() -> None:
    # The first of each block are needed soonest, and rebuilt when it ends.
    network = Deaf(
        Fec(20, 4),
        lambda message, _: message.type == Type.AUDIO and message.sequence % 20 < 4,
        segments(200),
        burst_rate_bytes_per_s=1.0,
    )
    network.join()
    network.run(3)
    network.join()
    network.run(0.1)
    # The queue of bursts is too long by now.
    last = network.join()
    play_to_the_end(network, last)
    assert last.core.accept is not None
    assert last.core.accept.first_time_us == last.core.accept.live_time_us
    assert heard_all_but(last, network.beyond_repair(last), 200, last.core.accept.first_sequence)
    assert last.core.statistics.rebuilt > 15


def test_an_original_that_comes_after_it_was_rebuilt_is_a_duplicate() -> None:
    network = Deaf(Fec(4, 2), lambda *_: False, segments(100))
    send = network.send

    def send_some_later(side: str, data: bytes, address: Address) -> None:
        late = data[3] == Type.AUDIO and Message.unpack(data).sequence in range(1, 90, 10)
        network.link = Link(delay_s=0.7 if late else 0.005)
        send(side, data, address)

    network.send = send_some_later  # type: ignore[method-assign]
    listener = network.join()
    play_to_the_end(network, listener)
    count = listener.core.statistics
    assert heard_all_but(listener, set(), 100)
    assert count.rebuilt == count.duplicates == 9
    assert count.intact == 100 - count.rebuilt


def test_reordering_with_parity_loses_nothing() -> None:
    random = Random(1)
    network = Deaf(
        Fec(20, 4),
        lambda *_: False,
        segments(300),
        Link(jitter=lambda side, index: random.uniform(0, 0.4)),
    )
    listener = network.join()
    play_to_the_end(network, listener)
    assert heard_all_but(listener, set(), 300)


def test_a_copy_at_many_times_real_time_is_repaired_as_well() -> None:
    network = Deaf(Fec(20, 4), share(0.05, 2), segments(MINUTE), speed=50.0)
    listener = network.join(waits=True)
    play_to_the_end(network, listener)
    assert heard_all_but(listener, network.beyond_repair(listener), MINUTE)


def test_what_lies_before_a_silence_is_rebuilt_during_it() -> None:
    gone = range(39, 80)

    def loses(message: Message, index: int) -> bool:
        # And the last parity of the block before: nothing shows that 39 was sent.
        last = message.type == Type.PARITY and (message.sequence, message.data[2]) == (20, 3)
        return last or message.sequence in gone

    network = Deaf(Fec(20, 4), loses, segments(200))
    listener = network.join()
    play_to_the_end(network, listener)
    assert heard_all_but(listener, {*range(40, 80)}, 200)
    assert listener.core.statistics.rebuilt == 1


def test_parity_arrives_with_what_it_protects_or_after_and_is_paced() -> None:
    sent: list[tuple[float, Message]] = []
    network = Deaf(Fec(20, 4), lambda *_: False, segments(300))
    send = network.send

    def watched(side: str, data: bytes, address: Address) -> None:
        message = Message.unpack(data)
        if message.type in (Type.AUDIO, Type.PARITY):
            sent.append((network.now, message))
        send(side, data, address)

    network.send = watched  # type: ignore[method-assign]
    play_to_the_end(network, network.join())
    parities = [(at, one.sequence) for at, one in sent if one.type == Type.PARITY]
    assert len(parities) == 300 // 20 * 4
    at_of = {one.sequence: at for at, one in sent if one.type == Type.AUDIO}
    for at, first in parities:
        assert at_of[first] <= at <= at_of[first + 19]
    live = [at for at, _ in parities if at > sent[0][0]]
    assert min(later - at for at, later in itertools.pairwise(live)) > 0.3


def test_what_parity_cost_is_counted_apart_from_the_audio() -> None:
    network = Deaf(Fec(20, 4), lambda *_: False, segments(100))
    play_to_the_end(network, network.join(), network.join())
    assert network.server is not None
    count = network.server.statistics
    assert (count.messages, count.datagrams) == (100, 200)
    assert (count.parity_messages, count.parity_datagrams) == (20, 40)
    assert count.audio_bytes == 100 * 3 * 417
    assert count.parity_bytes == 20 * (3 * 417 + 19)


def test_without_fec_there_is_no_parity_and_nothing_of_it_costs_anything() -> None:
    network = Network()
    listener = network.join()
    seen: set[int] = set()
    send = network.send

    def watched(side: str, data: bytes, address: Address) -> None:
        seen.add(data[3])
        send(side, data, address)

    network.send = watched  # type: ignore[method-assign]
    play_to_the_end(network, listener)
    assert Type.PARITY not in seen
    assert listener.core.accept is not None
    assert (listener.core.accept.block, listener.core.accept.burst_s) == (0, 1.0)
    assert listener.core._stream is not None
    assert not listener.core._stream.has_parity


def test_the_code_is_imported_only_where_there_is_parity() -> None:
    program = "import sys, server, client; sys.exit('zfec' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True)


# Parity and requests.


@pytest.mark.parametrize("seed", seeds(5))
def test_at_a_long_distance_a_tenth_lost_each_way_is_not_heard(seed: int) -> None:
    link = Link(delay_s=0.075, drop=random_loss(0.1, seed))
    network = Network(Settings(fec=Fec(20, 4)), segments(MINUTE), link)
    listener = network.join()
    play_to_the_end(network, listener)
    count = listener.core.statistics
    assert heard_all_but(listener, set(), MINUTE)
    assert count.rebuilt > 3 * count.retransmitted > 0
    assert network.bytes_of[Type.REPEAT] < 0.05 * network.bytes_of[Type.AUDIO]


@pytest.mark.parametrize("fec", [Fec(20, 4), Fec(8, 2), Fec(40, 8)])
def test_what_parity_will_give_is_not_asked_for(fec: Fec) -> None:
    apart = 2 * (fec.messages + fec.parity_count) + 1
    lost = itertools.count()

    def drop(side: str, index: int) -> bool:
        return side == "server" and next(lost) % apart in range(5, 5 + fec.parity_count)

    network = Network(Settings(fec=fec), segments(MINUTE), Link(delay_s=0.025, drop=drop))
    listener = network.join()
    play_to_the_end(network, listener)
    count = listener.core.statistics
    assert heard_all_but(listener, set(), MINUTE)
    assert count.rebuilt > 20
    # What the last block lost is asked for when the stream has ended, if its parity was lost too.
    assert count.requested <= fec.parity_count


def test_what_parity_cannot_give_any_more_is_asked_for_at_once() -> None:
    missing = {*range(40, 46)}
    asked: dict[int, float] = {}
    sent: dict[int, float] = {}
    network = Network(Settings(fec=Fec(20, 4)), segments(100), Link(delay_s=0.025))
    send = network.send

    def watched(side: str, data: bytes, address: Address) -> None:
        message = Message.unpack(data)
        if message.type == Type.AUDIO:
            sent.setdefault(message.sequence, network.now)
            if message.sequence in missing:
                return
        elif message.type == Type.REQUEST:
            for sequences in Request.from_message(message).ranges():
                asked.update(dict.fromkeys(sequences, network.now))
        send(side, data, address)

    network.send = watched  # type: ignore[method-assign]
    listener = network.join()
    play_to_the_end(network, listener)
    assert heard_all_but(listener, set(), 100)
    # Five are too many: when 46 has come, at the latest, it is known that six were sent. When some
    # of them have been repeated, parity gives the others.
    assert 2 <= len(asked) <= 6
    assert {*asked} <= missing
    assert all(at < sent[46] + 0.3 for at in asked.values())


def test_the_end_is_asked_for_when_its_last_parity_was_lost_as_well() -> None:
    asked: set[int] = set()
    network = Network(Settings(fec=Fec(20, 4)), segments(100), Link(delay_s=0.025))
    send = network.send

    def watched(side: str, data: bytes, address: Address) -> None:
        message = Message.unpack(data)
        if message.type == Type.AUDIO and message.sequence in range(90, 94):
            return
        if message.type == Type.PARITY and (message.sequence, message.data[2]) == (80, 3):
            return
        if message.type == Type.REQUEST:
            asked.update(*Request.from_message(message).ranges())
        send(side, data, address)

    network.send = watched  # type: ignore[method-assign]
    listener = network.join()
    play_to_the_end(network, listener)
    assert heard_all_but(listener, set(), 100)
    assert asked == {*range(90, 94)}


# Parity that follows what is lost.


def test_auto_sends_no_parity_while_nothing_is_lost_and_up_to_its_bound_when_much_is() -> None:
    losing = False
    random = Random(5)
    network = Deaf(
        Fec(20, 0, auto=True), lambda *_: losing and random.random() < 0.08, segments(4 * MINUTE)
    )
    listener = network.join()
    network.run(40)
    assert network.server is not None
    count = network.server.statistics
    assert count.parity_messages == 0
    losing = True
    network.run(60)
    lost_while_it_rose = listener.core.statistics.lost
    sent = count.parity_messages
    network.run(20)
    assert count.parity_messages - sent == pytest.approx(20 / 0.0784 / 20 * MOST_PARITIES, abs=4)
    assert listener.core.statistics.rebuilt > 20
    assert lost_while_it_rose < 0.08 * 60 / 0.0784 / 2
    losing = False
    play_to_the_end(network, listener)
    assert balanced(listener)
    tail = [indices for first, indices in network.parity[listener.address].items()]
    assert {len(indices) for indices in tail} >= {1, 2, 3, MOST_PARITIES}


# Hostile parity.


@pytest.mark.parametrize("seed", range(3))
def test_hostile_parity_changes_nothing_that_is_heard(seed: int) -> None:
    random = Random(seed)
    network = Deaf(Fec(20, 4), lambda *_: False, segments(200))
    listener = network.join()
    network.run(0.5)
    accept = listener.core.accept
    assert accept is not None
    server = ("192.0.2.1", 4501)
    bodies = 0
    while not listener.ended:
        network.run(0.02)
        first = random.choice([0, 20, random.randrange(220), 1 << 50, (1 << 64) - 20])
        head = bytes((random.choice([20, 5, 0, 255]), random.choice([4, 1, 0, 236])))
        body = head + bytes((random.randrange(5),)) + random.randbytes(random.randrange(1400))
        stream = 0xABC0001 if random.random() < 0.9 else random.getrandbits(32)
        listener.core.receive_datagram(
            Message(first, Type.PARITY, body, stream).pack(), server, network.now
        )
        bodies += 1
    play_to_the_end(network, listener)
    count = listener.core.statistics
    assert heard_all_but(listener, set(), 200)
    assert (count.intact, count.rebuilt, count.duplicates) == (200, 0, 0)
    # Every one is accounted for, but for those that no message of the block contradicted.
    assert count.malformed + count.ignored + count.parity_received == bodies + 40
    assert count.parity_refused > bodies / 10


def test_parity_before_the_accept_is_kept_as_audio_is() -> None:
    network = Deaf(
        Fec(20, 4),
        lambda message, _: message.type == Type.AUDIO and message.sequence == 2,
        segments(100),
    )
    send = network.send

    def send_accept_late(side: str, data: bytes, address: Address) -> None:
        network.link = Link(delay_s=0.1 if data[3] == Type.ACCEPT else 0.005)
        send(side, data, address)

    network.send = send_accept_late  # type: ignore[method-assign]
    listener = network.join()
    play_to_the_end(network, listener)
    assert heard_all_but(listener, set(), 100)
    assert listener.core.statistics.rebuilt == 1


def test_parity_is_longer_than_audio_by_what_the_source_leaves_free() -> None:
    network = Deaf(Fec(20, 4), lambda *_: False, segments(40))
    longest: dict[int, int] = {}
    send = network.send

    def watched(side: str, data: bytes, address: Address) -> None:
        longest[data[3]] = max(len(data), longest.get(data[3], 0))
        send(side, data, address)

    network.send = watched  # type: ignore[method-assign]
    play_to_the_end(network, network.join())
    assert longest[Type.PARITY] == longest[Type.AUDIO] + 19 == HEADER_BYTES + 3 * 417 + 19
