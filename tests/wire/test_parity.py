"""What a block loses comes back from the rest, for every block and every loss it can bear."""

from __future__ import annotations

import itertools
import struct
from random import Random

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from message import Message, MessageError, Type
from wire.parity import (
    MOST_SHARDS,
    OVERHEAD_BYTES,
    Parity,
    ParityError,
    encode,
    rebuild,
    sent_after,
)

STREAM = 0xABCDEF01

REPEATABLE = settings(deadline=None, derandomize=True, database=None)


def block_of(sizes: list[int], first: int = 40, seed: int = 1) -> list[Message]:
    """Messages of these lengths, every field different from message to message."""
    random = Random(seed)
    return [
        Message(
            first + place,
            Type.AUDIO,
            random.randbytes(size),
            STREAM,
            media_time_us=random.getrandbits(48),
            track=random.getrandbits(16),
            skip_samples=random.getrandbits(16),
            discard_samples=random.getrandbits(16),
        )
        for place, size in enumerate(sizes)
    ]


def numbers(parity: Parity) -> tuple[int, ...]:
    return parity.first_sequence, parity.messages, parity.parity_count, parity.index


def after_loss(block: list[Message], parities: int, lost: set[int]) -> list[Message]:
    """What `rebuild` gives when the shards `lost` (parities count on from the block) are gone."""
    received = [Parity.from_message(one) for one in encode(block, parities)]
    kept = [one for one in received if len(block) + one.index not in lost]
    have = {place: one for place, one in enumerate(block) if place not in lost}
    return rebuild(received[0], STREAM, have, {one.index: one.shard for one in kept})


@st.composite
def losses(draw: st.DrawFn) -> tuple[list[int], int, set[int]]:
    """A block's sizes, its parities, and as many lost shards as they can bear, or fewer."""
    sizes = draw(st.lists(st.integers(0, 60), min_size=1, max_size=30))
    parities = draw(st.integers(1, 20))
    shards = range(len(sizes) + parities)
    return sizes, parities, draw(st.sets(st.sampled_from(shards), max_size=parities))


@given(losses())
@example(([1], 1, {0}))
@example(([0, 0, 0], 2, {1, 2}))
@example(([5] * 200, 55, set(range(55))))
@example(([5], 255, set(range(255))))
@REPEATABLE
def test_any_losses_up_to_the_number_of_parities_are_rebuilt(
    drawn: tuple[list[int], int, set[int]],
) -> None:
    sizes, parities, lost = drawn
    block = block_of(sizes)
    assert after_loss(block, parities, lost) == [
        one for place, one in enumerate(block) if place in lost
    ]


def test_every_pattern_of_four_losses_in_five_and_four_is_rebuilt() -> None:
    block = block_of([7, 0, 30, 12, 29])
    for lost in itertools.combinations(range(9), 4):
        assert after_loss(block, 4, set(lost)) == [block[i] for i in lost if i < 5]


def test_parity_is_longer_than_the_longest_message_of_its_block_by_a_fixed_overhead() -> None:
    for parity in encode(block_of([100, 1254, 3]), 2):
        assert len(parity.data) == 1254 + OVERHEAD_BYTES


def test_parity_names_its_block_by_the_first_message() -> None:
    block = block_of([4, 5], first=60)
    for index, message in enumerate(encode(block, 3)):
        assert message.type == Type.PARITY
        assert message.stream == STREAM
        assert (message.sequence, message.media_time_us) == (60, block[0].media_time_us)
        parity = Parity.from_message(Message.unpack(message.pack()))
        assert numbers(parity) == (60, 2, 3, index)


@pytest.mark.parametrize(
    "head",
    [(0, 1, 0), (3, 0, 0), (3, 2, 2), (3, 2, 255), (255, 2, 0), (200, 57, 1), (1, 0, 0)],
)
def test_a_parity_of_numbers_that_cannot_be_is_refused(head: tuple[int, int, int]) -> None:
    with pytest.raises(MessageError):
        Parity.from_message(Message(0, Type.PARITY, struct.pack("!BBB", *head) + bytes(50)))


@pytest.mark.parametrize("head", [(1, 1, 0), (255, 1, 0), (1, 255, 254), (128, 128, 127)])
def test_a_parity_at_the_bounds_is_taken(head: tuple[int, int, int]) -> None:
    assert sum(head[:2]) <= MOST_SHARDS
    data = struct.pack("!BBB", *head) + bytes(OVERHEAD_BYTES)
    assert numbers(Parity.from_message(Message(0, Type.PARITY, data))) == (0, *head)


@given(st.binary(max_size=60))
@REPEATABLE
def test_parity_of_any_bytes_is_checked_or_refused(data: bytes) -> None:
    try:
        parity = Parity.from_message(Message(7, Type.PARITY, data))
    except MessageError:
        return
    assert 0 <= parity.index < parity.parity_count
    assert 0 < parity.messages <= MOST_SHARDS - parity.parity_count
    assert data.endswith(parity.shard)


@given(st.integers(0, 2), st.binary(min_size=16, max_size=66), st.integers(0, 4))
@REPEATABLE
def test_a_shard_that_does_not_belong_gives_an_error_or_a_message_but_nothing_else(
    index: int, shard: bytes, lost: int
) -> None:
    block = block_of([40, 50, 45, 50, 50])
    have = {place: one for place, one in enumerate(block) if place != lost}
    try:
        rebuilt = rebuild(Parity(40, 5, 3, index, shard), STREAM, have, {index: shard})
    except ParityError:
        return
    assert [(one.sequence, one.type, one.stream) for one in rebuilt] == [
        (40 + lost, Type.AUDIO, STREAM)
    ]


def test_a_parity_that_contradicts_the_messages_is_seen_by_its_padding() -> None:
    block, other = block_of([50, 40, 30]), block_of([50, 40, 30], seed=2)
    parity = Parity.from_message(encode(other, 1)[0])
    with pytest.raises(ParityError):
        rebuild(parity, STREAM, {0: block[0], 1: block[1]}, {0: parity.shard})


@given(st.integers(1, 255), st.data())
@REPEATABLE
def test_parities_are_sent_evenly_among_the_messages_and_none_after_the_block(
    messages: int, data: st.DataObject
) -> None:
    parities = data.draw(st.integers(1, MOST_SHARDS - messages))
    places = [sent_after(index, messages, parities) for index in range(parities)]
    assert places == sorted(places)
    assert places[-1] == messages - 1
    assert places[0] >= 0
    for index, place in enumerate(places):
        # When that message has been sent, so has its share of the parities, and no more.
        assert (index + 1) * messages <= (place + 1) * parities
        assert place * parities < (index + 1) * messages


@pytest.mark.parametrize(("messages", "parities"), [(20, 4), (10, 3), (3, 5), (1, 4), (255, 1)])
def test_a_burst_of_as_many_datagrams_as_there_are_parities_is_survived_wherever_it_falls(
    messages: int, parities: int
) -> None:
    sent = [
        (number, shard)
        for number in range(3)
        for place in range(messages)
        for shard in (
            place,
            *(
                messages + index
                for index in range(parities)
                if sent_after(index, messages, parities) == place
            ),
        )
    ]
    assert len(sent) == 3 * (messages + parities)
    for start in range(len(sent) - parities):
        lost = [number for number, _ in sent[start : start + parities]]
        assert max(lost.count(number) for number in range(3)) <= parities
