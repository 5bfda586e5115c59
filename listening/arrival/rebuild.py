"""AUDIO and PARITY -> lost AUDIO, as soon as it can be computed (forward error correction).

The stream is divided into blocks of K messages, and each PARITY tells the number of parities of its
block: any K of both give all K messages. The blocks are the same for all listeners, so one that
joins in the middle of a block lacks its beginning like any other loss.

Only missing messages are computed: those that a later message, or a parity that is sent later,
shows to have been sent. They are checked like received ones. A parity that contradicts the messages
gives noise; then all parity of that block is dropped.

Pure: no clock. Holds the parity of a few blocks; the messages are in the reception window.
"""

from __future__ import annotations

import dataclasses
import logging

from audio.mpeg_audio import MpegAudioError
from listening.arrival.audio_message import AudioMessage
from listening.arrival.reception_window import ReceptionWindow
from listening.arrival.statistics import Statistics
from message import Message, Type
from wire.parity import Parity, ParityError, rebuild, sent_after

KEPT_MESSAGES = 64
"""Messages before the newest that can still be rebuilt, or two blocks if that is more: five seconds
at 128 kbit/s, longer than the wait for a lost message."""

log = logging.getLogger("client")


@dataclasses.dataclass(slots=True)
class _Block:
    """The parity of one block, as far as it has come."""

    shards: dict[int, bytes] = dataclasses.field(default_factory=dict)
    """By index."""
    like: Parity | None = None
    """One of the parities, for what they agree on."""


class Rebuilder:
    """The newest blocks of one stream."""

    def __init__(
        self,
        window: ReceptionWindow,
        statistics: Statistics,
        block_messages: int,
        parity_count: int,
        stream: int,
    ) -> None:
        self._window = window
        self._statistics = statistics
        self._block_messages = block_messages
        self._parity_count = parity_count
        self._stream = stream
        self._kept = max(2, -(-KEPT_MESSAGES // block_messages))
        window.kept_messages = self._kept * block_messages
        self._blocks: dict[int, _Block] = {}
        self._newest = window.next // block_messages
        # All before this has been sent.
        self._until = window.next

    def add_audio(self, audio: AudioMessage) -> list[AudioMessage]:
        """Take a message, in time or not; the messages that can be computed now."""
        number, place = divmod(audio.sequence, self._block_messages)
        if number > self._newest:
            self._advance(number)
        block = self._block(number)
        if block is None:
            return []
        self._window.keep(audio)
        if block.like is not None and place >= block.like.messages:
            self._refuse(block, number)
        return self.sent_before(audio.sequence + 1) + self._rebuild(number, block)

    def add_parity(self, message: Message) -> list[AudioMessage]:
        """Take PARITY; the messages that can be computed now. Raises MessageError."""
        parity = Parity.from_message(message)
        self._statistics.parity_received += 1
        number, offset = divmod(parity.first_sequence, self._block_messages)
        near = number <= self._newest + 1 and parity.messages <= self._block_messages
        block = self._block(number) if near and not offset else None
        if block is None or not self._agrees(block, parity):
            self._statistics.parity_refused += 1
            return []
        block.like = parity
        block.shards.setdefault(parity.index, parity.shard)
        self._parity_count = parity.parity_count
        place = sent_after(parity.index, parity.messages, parity.parity_count)
        # It may overtake the message that it is sent behind.
        return self.sent_before(parity.first_sequence + place) + self._rebuild(number, block)

    def end(self, last_sequence: int) -> list[AudioMessage]:
        """Nothing follows this message, and its parity has been sent; the messages computed now."""
        return self.sent_before(last_sequence + 2)

    def sent_before(self, sequence: int) -> list[AudioMessage]:
        """All before `sequence` has been sent; the missing messages that can be computed now."""
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
        """Sequence at which the next block begins."""
        return (sequence // self._block_messages + 1) * self._block_messages

    def will_give(self, sequence: int) -> bool:
        """Whether this missing message may still be computed.

        True while its block lacks no more than it has parities. A parity is lacking when the
        message behind the one that it follows has been sent.
        """
        number = sequence // self._block_messages
        block = self._blocks.get(number, _Block()) if self._is_near(number) else None
        if block is None:
            return False
        like = block.like
        messages = like.messages if like else self._block_messages
        parity_count = like.parity_count if like else self._parity_count
        first = number * self._block_messages
        if self._window.after_last is not None:
            # The last block is a short one.
            messages = min(messages, self._window.after_last - first)
        sent = max(sequence + 1, self._until) - first
        lost = min(sent, messages) - len(self._window.messages(first, messages))
        lost += sum(
            sent_after(index, messages, parity_count) + 1 < sent
            for index in range(parity_count)
            if index not in block.shards
        )
        return 0 < lost <= parity_count

    # Within.

    def _agrees(self, block: _Block, parity: Parity) -> bool:
        """Whether `parity` fits what has come of the block."""
        like = block.like
        if like is None:
            after = parity.first_sequence + parity.messages
            return not self._window.messages(after, self._block_messages - parity.messages)
        same = (parity.messages, parity.parity_count) == (like.messages, like.parity_count)
        return same and len(parity.shard) == len(like.shard)

    def _is_near(self, number: int) -> bool:
        return self._newest - self._kept < number <= self._newest + 1

    def _block(self, number: int) -> _Block | None:
        """The block of this number; None if it is too far from the newest."""
        if not self._is_near(number):
            return None
        return self._blocks.setdefault(number, _Block())

    def _advance(self, number: int) -> None:
        """Make this block the newest."""
        self._newest = number
        passed = self._blocks.get(number - 2)
        if passed is not None and passed.like is None:
            # It had none, so the next may have none either.
            self._parity_count = 0
        for old in [one for one in self._blocks if not self._is_near(one)]:
            del self._blocks[old]

    def _refuse(self, block: _Block, number: int) -> None:
        self._statistics.parity_refused += len(block.shards)
        log.warning("the parity of message %d contradicts it", number * self._block_messages)
        block.shards.clear()
        block.like = None

    def _rebuild(self, number: int, block: _Block) -> list[AudioMessage]:
        """The missing messages of a block, if they can be computed."""
        like = block.like
        if like is None:
            return []
        have = self._window.messages(like.first_sequence, like.messages)
        sent = min(like.messages, self._until - like.first_sequence)
        is_whole = all(place in have for place in range(sent))
        if is_whole or len(have) + len(block.shards) < like.messages:
            return []
        try:
            rebuilt = [
                AudioMessage.of(message._replace(type=Type.PARITY))
                for message in rebuild(like, self._stream, have, block.shards)
            ]
        except (ParityError, MpegAudioError):
            self._refuse(block, number)
            return []
        missing = [one for one in rebuilt if one.sequence < like.first_sequence + sent]
        for one in missing:
            self._window.keep(one)
        return missing
