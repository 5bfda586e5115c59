"""When the server sends which parity: among the messages of its block, or as soon as it can."""

from __future__ import annotations

from broadcasting.settings import Fec
from broadcasting.stream.parity import ParityMaker
from message import Message, Type
from wire.parity import Parity


def audio(sequence: int) -> Message:
    return Message(sequence, Type.AUDIO, bytes([sequence % 251]) * (10 + sequence % 3), 7)


def read(maker: ParityMaker, count: int, first: int = 0) -> None:
    for sequence in range(first, first + count):
        maker.add(audio(sequence))


def numbers(message: Message) -> tuple[int, ...]:
    parity = Parity.from_message(message)
    return parity.first_sequence, parity.messages, parity.parity_count, parity.index


def sent(maker: ParityMaker, count: int, first: int = 0) -> dict[int, list[tuple[int, ...]]]:
    """Which parity (first of its block, K, M, index) follows which message that is sent."""
    following = {}
    for sequence in range(first, first + count):
        parities = maker.take_due(sequence + 1)
        if parities:
            following[sequence] = [numbers(one) for one in parities]
    return following


def test_parity_is_sent_among_the_messages_of_its_own_block() -> None:
    maker = ParityMaker(Fec(20, 4))
    read(maker, 60)
    assert sent(maker, 60) == {
        block + place: [(block, 20, 4, index)]
        for block in (0, 20, 40)
        for index, place in enumerate((4, 9, 14, 19))
    }


def test_nothing_is_due_before_its_block_is_whole_and_then_all_that_is_late() -> None:
    maker = ParityMaker(Fec(4, 2))
    read(maker, 3)
    assert sent(maker, 3) == {}
    assert not maker.is_due(3)
    read(maker, 1, 3)
    assert maker.is_due(3)
    assert sent(maker, 1, 2) == {2: [(0, 4, 2, 0)]}
    assert not maker.is_due(3)
    assert sent(maker, 1, 3) == {3: [(0, 4, 2, 1)]}


def test_the_last_block_may_be_short_and_has_all_its_parity() -> None:
    maker = ParityMaker(Fec(20, 4))
    read(maker, 23)
    maker.finish()
    assert sent(maker, 3, 20) != {}
    assert not maker.is_due(1000)
    maker = ParityMaker(Fec(20, 4))
    read(maker, 2)
    maker.finish()
    assert sent(maker, 2) == {0: [(0, 2, 4, 0), (0, 2, 4, 1)], 1: [(0, 2, 4, 2), (0, 2, 4, 3)]}


def test_a_programme_that_ends_with_a_block_has_nothing_after_it() -> None:
    maker = ParityMaker(Fec(4, 1))
    read(maker, 4)
    maker.finish()
    assert sent(maker, 4) == {3: [(0, 4, 1, 0)]}
    assert not maker.is_due(1000)


def test_another_number_of_parities_holds_from_the_next_block_on() -> None:
    maker = ParityMaker(Fec(4, 2))
    read(maker, 12)
    assert sent(maker, 2) == {1: [(0, 4, 2, 0)]}
    maker.parity_count = 1
    assert sent(maker, 6, 2) == {3: [(0, 4, 2, 1)], 7: [(4, 4, 1, 0)]}
    maker.parity_count = 4
    assert sent(maker, 4, 8) == {8 + i: [(8, 4, 4, i)] for i in range(4)}


def test_without_parities_blocks_pass_and_are_forgotten() -> None:
    maker = ParityMaker(Fec(4, 0, auto=True))
    read(maker, 8)
    assert sent(maker, 8) == {}
    maker.parity_count = 1
    read(maker, 4, 8)
    assert sent(maker, 4, 8) == {11: [(8, 4, 1, 0)]}


def test_what_is_cut_off_is_not_protected_any_more() -> None:
    maker = ParityMaker(Fec(4, 4))
    read(maker, 6)
    assert sent(maker, 1) == {0: [(0, 4, 4, 0)]}
    maker.forget(0)
    assert not maker.is_due(1000)
