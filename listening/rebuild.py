"""AUDIO and PARITY in, lost AUDIO out, as soon as it can be computed (FEC).

The stream is cut into blocks of K messages, and a PARITY says how many parities its block has: any
K of both give back the rest. Blocks lie where they lie for everybody, so who joins in the middle
of one lacks its beginning like any other loss.

Only what is missing is computed: what a message of a higher sequence, or a parity that is sent
later, shows to have been sent. What comes of it is checked like a message that was received. A
parity that contradicts the messages gives noise, and so its block is rebuilt by no parity that
had come till then.

Pure: no clock. It holds a few blocks, whatever comes. One object serves one stream.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import NamedTuple

from listening.statistics import Statistics
from message import Message, Type
from wire.log import get_logger
from wire.parity import Parity, rebuild, sent_after

KEPT_MESSAGES = 64
"""Before the newest, or two blocks if that is more: five seconds at 128 kbit/s, longer than a
message that was lost is waited for."""

log = get_logger("client")


class Rebuilt(NamedTuple):
    """A message that was computed, and how long its audio sounds.

    It is as it was sent but for its type, which is PARITY: so everyone knows how it came.
    """

    message: Message
    duration_us: int


@dataclasses.dataclass(slots=True)
class _Block:
    """What has come of a block: its messages by place, the shards of its parities by index."""

    messages: dict[int, Message] = dataclasses.field(default_factory=dict)
    shards: dict[int, bytes] = dataclasses.field(default_factory=dict)
    like: Parity | None = None
    """One of the parities: what they agree on."""

    def agrees(self, parity: Parity) -> bool:
        """Whether `parity` can be of the same block as what has come."""
        if self.like is None:
            return all(place < parity.messages for place in self.messages)
        same = (parity.messages, parity.parities) == (self.like.messages, self.like.parities)
        return same and len(parity.shard) == len(self.like.shard)

    def forget_parity(self) -> None:
        """It was not of this block."""
        self.shards.clear()
        self.like = None


class Rebuilder:
    """The newest blocks of one stream."""

    def __init__(
        self,
        *,
        block_messages: int,
        parities: int,
        stream: int,
        first_sequence: int,
        statistics: Statistics,
        duration_us: Callable[[Message], int],
    ) -> None:
        """`duration_us` gives the length of a message's audio, and a ValueError if it is none."""
        self._block_messages = block_messages
        self._parities = parities
        self._stream = stream
        self._statistics = statistics
        self._duration_us = duration_us
        self._kept = max(2, -(-KEPT_MESSAGES // block_messages))
        self._blocks: dict[int, _Block] = {}
        self._newest = first_sequence // block_messages
        # All before this has been sent, as far as is known.
        self._until = first_sequence

    def add_audio(self, message: Message) -> list[Rebuilt]:
        """A message came, in time or not; what can be computed now."""
        number, place = divmod(message.sequence, self._block_messages)
        if number > self._newest:
            self._advance(number)
        block = self._block(number)
        if block is None:
            return []
        block.messages.setdefault(place, message)
        if block.like is not None and place >= block.like.messages:
            self._refuse(block, number)
        return self.sent_before(message.sequence + 1) + self._rebuild(number, block)

    def add_parity(self, message: Message) -> list[Rebuilt]:
        """PARITY of this stream came; what can be computed now. Raises MessageError."""
        parity = Parity.from_message(message)
        self._statistics.parity_received += 1
        number, offset = divmod(parity.first_sequence, self._block_messages)
        near = number <= self._newest + 1 and parity.messages <= self._block_messages
        block = self._block(number) if near and not offset else None
        if block is None or not block.agrees(parity):
            self._statistics.parity_refused += 1
            return []
        block.like = parity
        block.shards.setdefault(parity.index, parity.shard)
        self._parities = parity.parities
        after = parity.first_sequence + sent_after(parity.index, parity.messages, parity.parities)
        # It may overtake the message that it is sent behind.
        return self.sent_before(after) + self._rebuild(number, block)

    def end(self, last_sequence: int) -> list[Rebuilt]:
        """Nothing follows this message, and its parity has been sent, too."""
        return self.sent_before(last_sequence + 2)

    def sent_before(self, sequence: int) -> list[Rebuilt]:
        """All before `sequence` has been sent; what can be computed of what that shows missing."""
        if sequence <= self._until:
            return []
        begun = self._until // self._block_messages
        self._until = sequence
        return [
            one
            for number in sorted(self._blocks)
            if begun <= number <= sequence // self._block_messages
            for one in self._rebuild(number, self._blocks[number])
        ]

    def block_after(self, sequence: int) -> int:
        """The first message of the block after that of this one."""
        return (sequence // self._block_messages + 1) * self._block_messages

    def will_give(self, sequence: int) -> bool:
        """Whether this message, which should have come, may yet be computed.

        No more of its block is missing than it has parities; a parity is missing when a message
        that is sent after the one that it follows has come.
        """
        number = sequence // self._block_messages
        block = self._blocks.get(number, _Block()) if self._is_near(number) else None
        if block is None:
            return False
        like = block.like
        messages = like.messages if like else self._block_messages
        parities = like.parities if like else self._parities
        sent = max(sequence + 1, self._until) - number * self._block_messages
        lost = min(sent, messages) - len(block.messages)
        lost += sum(
            sent_after(index, messages, parities) + 1 < sent
            for index in range(parities)
            if index not in block.shards
        )
        return 0 < lost <= parities

    # Within.

    def _is_near(self, number: int) -> bool:
        return self._newest - self._kept < number <= self._newest + 1

    def _block(self, number: int) -> _Block | None:
        """What has come of this block; None if it is too far from what comes now."""
        if not self._is_near(number):
            return None
        return self._blocks.setdefault(number, _Block())

    def _advance(self, number: int) -> None:
        """This block is the newest now."""
        self._newest = number
        passed = self._blocks.get(number - 2)
        if passed is not None and passed.like is None:
            # It had none, and so the next may have none.
            self._parities = 0
        for old in [one for one in self._blocks if not self._is_near(one)]:
            del self._blocks[old]

    def _refuse(self, block: _Block, number: int) -> None:
        self._statistics.parity_refused += len(block.shards)
        log.warning("the parity of message %d contradicts it", number * self._block_messages)
        block.forget_parity()

    def _rebuild(self, number: int, block: _Block) -> list[Rebuilt]:
        """What is missing of a block and can be computed."""
        like = block.like
        if like is None or len(block.messages) + len(block.shards) < like.messages:
            return []
        sent = min(like.messages, self._until - like.first_sequence)
        if all(place in block.messages for place in range(sent)):
            return []
        try:
            computed = rebuild(like, self._stream, block.messages, block.shards)
            rebuilt = [
                Rebuilt(message._replace(type=Type.PARITY), self._duration_us(message))
                for message in computed
            ]
        except ValueError:
            self._refuse(block, number)
            return []
        missing = [one for one in rebuilt if one.message.sequence < like.first_sequence + sent]
        for one in missing:
            block.messages[one.message.sequence - like.first_sequence] = one.message
        return missing
