"""Parity as a listener has it: what is missing is computed as soon as can be, and only that."""

from __future__ import annotations

import struct
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from listening.arrival.audio_message import AudioMessage
from listening.arrival.rebuild import KEPT_MESSAGES, Rebuilder
from listening.arrival.reception_window import ReceptionWindow
from listening.arrival.statistics import Statistics
from message import Message, MessageError, Type
from tests.rig.luck import examples
from tests.rig.network import silent_frame
from wire.parity import encode, sent_after

STREAM = 0x5EED
K, M = 4, 2

REPEATABLE = settings(deadline=None, derandomize=True, database=None, max_examples=examples(200))


def audio(sequence: int) -> Message:
    """AUDIO of one to three frames."""
    data = silent_frame() * (1 + sequence % 3)
    return Message(sequence, Type.AUDIO, data, STREAM, sequence * 26_122, track=1 + sequence // 7)


def as_sent(count: int, messages: int = K, parities: int = M) -> list[Message]:
    """A stream of `count` messages with their parity, in the order of sending."""
    sent = []
    for first in range(0, count, messages):
        block = [audio(sequence) for sequence in range(first, min(first + messages, count))]
        parity = encode(block, parities)
        for place, message in enumerate(block):
            sent.append(message)
            sent += [
                one
                for index, one in enumerate(parity)
                if sent_after(index, len(block), parities) == place
            ]
    return sent


class Listener:
    """A rebuilder, and what it gave."""

    def __init__(self, messages: int = K, parities: int = M, first: int = 0) -> None:
        self.count = Statistics()
        self.window = ReceptionWindow(first, 0, 1.0)
        self.rebuilder = Rebuilder(
            self.window,
            self.count,
            block_messages=messages,
            parity_count=parities,
            stream=STREAM,
        )
        self.rebuilt: list[int] = []

    def take(self, *messages: Message) -> list[int]:
        """What is rebuilt when these come; it is what was sent."""
        given = []
        for message in messages:
            if message.type == Type.PARITY:
                rebuilt = self.rebuilder.add_parity(message)
            else:
                rebuilt = self.rebuilder.add_audio(AudioMessage.of(message))
            for one in rebuilt:
                assert one == AudioMessage.of(audio(one.sequence)._replace(type=Type.PARITY))
                given.append(one.sequence)
        self.rebuilt += given
        return given


def without(sent: list[Message], *lost: int) -> list[Message]:
    """`sent` but for AUDIO of these sequences."""
    return [one for one in sent if one.type == Type.PARITY or one.sequence not in lost]


def test_nothing_lost_gives_nothing_to_rebuild() -> None:
    listener = Listener()
    assert listener.take(*as_sent(50)) == []
    assert listener.count.parity_refused == 0
    assert listener.count.parity_received == 26


def test_what_is_lost_is_rebuilt_with_the_last_shard_that_it_takes() -> None:
    sent = as_sent(8)
    lost = without(sent, 1, 2)
    at = next(i for i, one in enumerate(lost) if one.sequence == 4)
    listener = Listener()
    assert listener.take(*lost[: at - 1]) == []
    assert listener.take(lost[at - 1]) == [1, 2]
    assert listener.take(*lost[at:]) == []


def test_the_last_message_of_a_block_is_rebuilt_when_something_shows_that_it_was_sent() -> None:
    sent = as_sent(8)
    block, following = sent[: K + M], sent[K + M :]
    last_parity = block.pop()
    assert (block.pop().sequence, last_parity.type) == (3, Type.PARITY)
    # The parity that is sent right behind it may have overtaken it.
    for before in ([], [last_parity]):
        listener = Listener()
        assert listener.take(*block, *before) == []
        assert listener.take(following[0]) == [3]


def test_the_last_message_of_the_stream_is_rebuilt_at_its_end() -> None:
    listener = Listener()
    sent = as_sent(6)
    assert listener.take(*without(sent, 5)) == []
    assert [one.message.sequence for one in listener.rebuilder.end(5)] == [5]
    assert listener.rebuilder.end(5) == []


def test_what_is_overdue_is_rebuilt_in_a_silence() -> None:
    listener = Listener(20, 4)
    assert listener.take(*without(as_sent(20, 20, 4), 18, 19)) == [18]
    assert [one.message.sequence for one in listener.rebuilder.sent_before(20)] == [19]
    assert listener.rebuilder.sent_before(20) == []


def test_what_was_not_sent_yet_is_not_rebuilt_before_it_comes() -> None:
    sent = as_sent(K, K, K)
    listener = Listener(parities=K)
    for message in sent:
        assert listener.take(message) == []
    assert len(sent) == 2 * K


def test_an_original_that_was_late_only_is_not_rebuilt_twice() -> None:
    listener = Listener()
    assert listener.take(*without(as_sent(8), 1)) == [1]
    assert listener.take(audio(1), audio(1)) == []


@st.composite
def journeys(draw: st.DrawFn) -> tuple[int, int, int, list[Message]]:
    """A stream as it comes over a bad network: with losses, doubled, out of order."""
    messages, parities = draw(st.integers(1, 8)), draw(st.integers(1, 5))
    count = draw(st.integers(1, 2 * messages))
    sent = as_sent(count, messages, parities)
    kept = draw(st.lists(st.sampled_from(range(len(sent))), max_size=2 * len(sent)))
    if draw(st.booleans()):
        kept.sort()
    return messages, parities, count, [sent[i] for i in kept]


@given(journeys())
@REPEATABLE
def test_what_k_shards_show_to_be_missing_is_rebuilt_once_and_right(
    journey: tuple[int, int, int, list[Message]],
) -> None:
    messages, parities, count, came = journey
    listener = Listener(messages, parities)
    for message in came:
        present = {one.sequence for one in came[: came.index(message)] if one.type == Type.AUDIO}
        for rebuilt in listener.take(message):
            assert rebuilt not in present
    assert len(listener.rebuilt) == len({*listener.rebuilt})
    assert listener.count.parity_refused == 0
    # Against a model that knows what the end of the stream shows.
    audio_came = {one.sequence for one in came if one.type == Type.AUDIO}
    known = max(audio_came, default=-1)
    for first in range(0, count, messages):
        block = {*range(first, min(first + messages, count))}
        parity_came = {
            one.data for one in came if one.type == Type.PARITY and one.sequence == first
        }
        shown = {one for one in block if one <= known}
        enough = len(block & audio_came) + len(parity_came) >= len(block)
        if parity_came and enough:
            assert shown <= audio_came | {*listener.rebuilt}
        else:
            assert not block & {*listener.rebuilt}


def test_who_joins_in_the_middle_of_a_block_lacks_its_beginning_like_any_loss() -> None:
    sent = [one for one in as_sent(16) if one.type == Type.PARITY or one.sequence >= 1]
    assert Listener(first=1).take(*without(sent, 2)) == [0, 2]
    sent = [one for one in sent if one.type == Type.PARITY or one.sequence >= 2]
    listener = Listener(first=2)
    assert listener.take(*without(sent, 3, 5)) == [5]


@pytest.mark.parametrize(("messages", "parities", "lost"), [(4, 2, [4, 5]), (20, 4, [40])])
def test_a_short_last_block_is_rebuilt(messages: int, parities: int, lost: list[int]) -> None:
    listener = Listener(messages, parities)
    given = listener.take(*without(as_sent(lost[-1] + 1, messages, parities), *lost))
    given += [one.message.sequence for one in listener.rebuilder.end(lost[-1])]
    assert given == lost


def test_repeated_messages_are_shards_like_any_other() -> None:
    sent = without(as_sent(8), 0, 1, 2)
    listener = Listener()
    assert listener.take(*sent) == []
    assert listener.take(audio(2)) == [0, 1]


def test_parity_of_blocks_with_more_or_fewer_parities_says_itself_how_many() -> None:
    sent = as_sent(4, parities=1) + as_sent(12, parities=3)[7:]
    listener = Listener(parities=0)
    assert listener.take(*without(sent, 1, 4, 5, 6, 8, 9, 10)) == [1, 4, 5, 6, 8, 9, 10]


# What is hostile, or of another block or stream.


def parity_of(first: int, messages: int = K, parities: int = M, index: int = 0) -> Message:
    return encode([audio(first + i) for i in range(messages)], parities)[index]


@pytest.mark.parametrize(
    "parity",
    [
        parity_of(0, messages=5),
        parity_of(1),
        parity_of(1, messages=3),
        parity_of(8),
        parity_of(1 << 40),
        parity_of(4)._replace(sequence=(1 << 64) - 4),
    ],
    ids=["larger", "askew", "askew-short", "far", "farther", "farthest"],
)
def test_parity_of_a_block_that_cannot_be_is_refused_and_counted(parity: Message) -> None:
    listener = Listener()
    listener.take(audio(0), audio(2), parity)
    assert listener.count.parity_refused == 1
    rest = [one for one in as_sent(8) if one.sequence != 1 or one.type == Type.PARITY]
    assert listener.take(*rest) == [1]


def test_the_first_of_two_messages_that_differ_counts() -> None:
    listener = Listener()
    other = audio(0)._replace(data=silent_frame() * 2)
    listener.take(audio(0), audio(2), audio(3))
    listener.rebuilder.add_audio(AudioMessage.of(other))
    assert listener.take(parity_of(0)) == [1]


def test_parity_without_sense_is_an_error_and_changes_nothing() -> None:
    listener = Listener()
    for data in (b"", b"\4\2\0", struct.pack("!BBB", 0, 2, 0) + bytes(40), bytes(100)):
        with pytest.raises(MessageError):
            listener.rebuilder.add_parity(Message(0, Type.PARITY, data, STREAM))
    assert listener.count.parity_received == 0
    assert listener.take(*without(as_sent(8), 1)) == [1]


def test_parity_of_another_size_than_its_block_has_is_refused() -> None:
    listener = Listener()
    sent = without(as_sent(8), 1, 2)
    good = [one for one in sent if one.type == Type.PARITY]
    listener.take(good[0])
    for other in (parity_of(0, 3), parity_of(0, 4, 3), good[1]._replace(data=good[1].data + b"x")):
        listener.take(other)
    assert listener.count.parity_refused == 3
    assert listener.take(*sent) == [1, 2]


def test_parity_that_contradicts_the_messages_gives_nothing_and_good_parity_still_helps() -> None:
    listener = Listener()
    noise = parity_of(0)._replace(data=struct.pack("!BBB", K, M, 0) + b"\xa5" * 1500)
    assert listener.take(audio(0), audio(2), audio(3), noise) == []
    assert listener.count.parity_refused == 1
    assert listener.take(parity_of(0, index=1)) == [1]


def test_parity_that_is_shorter_than_a_message_of_its_block_gives_nothing() -> None:
    listener = Listener()
    short = parity_of(0)._replace(data=struct.pack("!BBB", K, M, 0) + bytes(60))
    assert listener.take(audio(0), audio(2), audio(3), short) == []
    assert listener.count.parity_refused == 1


def test_parity_of_well_formed_messages_that_are_no_audio_gives_nothing() -> None:
    block = [audio(i) for i in range(K)]
    block[1] = block[1]._replace(data=b"no frame at all")
    listener = Listener()
    assert listener.take(audio(0), audio(2), audio(3), encode(block, M)[0]) == []
    assert listener.count.parity_refused == 1


def test_a_message_beyond_the_end_that_a_parity_claims_shows_the_parity_to_be_false() -> None:
    listener = Listener()
    listener.take(audio(0), parity_of(0, messages=3))
    sent = without(as_sent(8), 1)
    assert listener.take(*sent) == [1]
    assert listener.count.parity_refused == 2


@given(st.lists(st.tuples(st.binary(max_size=80), st.integers(0, 30)), max_size=30), st.randoms())
@REPEATABLE
def test_any_bytes_as_parity_never_raise_anything_else_and_never_give_what_came(
    noise: list[tuple[bytes, int]], random: Random
) -> None:
    listener = Listener()
    came: set[int] = set()
    for message in as_sent(24, parities=1):
        if noise and random.random() < 0.5:
            body, sequence = noise.pop()
            head = struct.pack("!BBB", K, M, len(body) % M) if random.random() < 0.5 else b""
            try:
                rebuilt = listener.rebuilder.add_parity(
                    Message(sequence, Type.PARITY, head + body, STREAM)
                )
            except MessageError:
                rebuilt = []
            assert not {one.message.sequence for one in rebuilt} & came
        if message.type == Type.AUDIO and message.sequence % 5:
            came.add(message.sequence)
            for one in listener.rebuilder.add_audio(AudioMessage.of(message)):
                assert one.message.sequence not in came


def test_memory_is_bounded_whatever_comes() -> None:
    listener = Listener(messages=1, parities=3)
    for sequence in range(5000):
        listener.take(audio(sequence))
        for index in range(3):
            listener.take(parity_of(sequence, 1, 3, index))
    blocks = listener.rebuilder._blocks
    assert len(blocks) <= KEPT_MESSAGES + 1
    listener.take(audio(1 << 40))
    assert len(blocks) == 1
    # What is old is refused, and takes no place.
    listener.take(parity_of(3, 1, 3))
    assert len(blocks) == 1


# What parity will give is not to be asked for.


def expected(listener: Listener, *sequences: int) -> list[int]:
    return [one for one in sequences if listener.rebuilder.will_give(one)]


def test_parity_will_give_what_is_lost_while_there_are_no_more_losses_than_parities() -> None:
    listener = Listener(20, 4)
    sent = as_sent(20, 20, 4)
    listener.take(*without(sent[:6], 1, 2))
    assert expected(listener, 1, 2) == [1, 2]
    listener.take(audio(8))
    # 5 to 7 are missing, too, and that makes five.
    assert expected(listener, 1, 2, 5, 6, 7) == []
    listener.take(audio(6))
    assert expected(listener, 1, 2, 5, 7) == [1, 2, 5, 7]


def test_a_parity_that_should_have_come_counts_as_a_loss() -> None:
    listener = Listener(20, 2)
    sent = as_sent(40, 20, 2)
    assert [one.type for one in sent[10:11]] == [Type.PARITY]
    listener.take(*without(sent[:10], 3))
    assert expected(listener, 3) == [3]
    listener.take(sent[11])
    # It may come right behind the message.
    assert expected(listener, 3) == [3]
    listener.take(*without(sent[12:21], 12))
    assert expected(listener, 3) == []


def test_when_the_block_is_over_nothing_more_is_expected_of_it() -> None:
    listener = Listener(20, 2)
    sent = without(as_sent(40, 20, 2), 3)
    parities = [one for one in sent if one.type == Type.PARITY]
    listener.take(*(one for one in sent if one.type == Type.AUDIO and one.sequence < 20))
    assert expected(listener, 3) == [3]
    listener.take(audio(20))
    assert expected(listener, 3) == []
    assert listener.take(parities[0]) == [3]


def test_at_the_end_of_the_stream_no_more_parity_is_expected() -> None:
    listener = Listener()
    listener.take(audio(0), audio(2), audio(3))
    assert expected(listener, 1) == [1]
    listener.rebuilder.end(3)
    assert expected(listener, 1) == []


def test_at_the_end_of_the_stream_no_more_parity_of_a_short_block_is_expected() -> None:
    listener = Listener(20, 4)
    listener.take(*(audio(sequence) for sequence in range(27)))
    listener.window.end_at(28, 28 * 26_122)
    listener.rebuilder.end(27)
    assert expected(listener, 27) == []


def test_without_parity_nothing_is_expected_and_after_blocks_without_it_neither() -> None:
    assert expected(Listener(parities=0), 0) == []
    listener = Listener()
    listener.take(*(audio(sequence) for sequence in range(12)))
    listener.take(audio(13))
    assert expected(listener, 12) == []
    listener.take(parity_of(12))
    assert expected(listener, 12) == [12]


def test_nothing_is_expected_of_what_is_long_past() -> None:
    listener = Listener()
    listener.take(*(audio(sequence) for sequence in range(2, 200)))
    assert expected(listener, 0, 1, 150) == []
