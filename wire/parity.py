"""Parity: Reed–Solomon over a block of AUDIO messages, so that the lost are computed from the rest.

A block is K messages that follow one another. M parity messages are computed from them, and any
K of those K + M give all K back (an MDS code; Rizzo, "Effective Erasure Codes for Reliable
Computer Communication Protocols", 1997). Each message enters as a *shard*: what its header says
of it alone (length, track, skip, discard, media time), its data, and zeros up to the longest of
the block. Stream and sequence need not be there: the block's place tells them.

Pure. The code itself is zfec's, which is imported when the first block is encoded or rebuilt. It
trusts its caller: a number that comes twice makes it hang, and one beyond the code makes it read
foreign memory. So shards come in a mapping by number here, and numbers are checked.
"""

from __future__ import annotations

import dataclasses
import struct
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Self

from message import Message, MessageError, Type

if TYPE_CHECKING:
    from zfec import Decoder, Encoder

# messages, parities, index: what a PARITY says before its shard.
_HEAD = struct.Struct("!BBB")

# length, track, skip, discard, media time: what a shard says before the data.
_SHARD_HEAD = struct.Struct("!HHHHQ")

OVERHEAD_BYTES = _HEAD.size + _SHARD_HEAD.size
"""Bytes that PARITY is longer than the longest AUDIO of its block."""

MESSAGE_S = 0.08
"""Longest AUDIO where there is parity: three frames of 44.1 kHz, which fit the default MTU at 128
kbit/s. At a low bit rate longer messages would make a block last long; below 56 kbit/s these cost
more than a quarter of the bytes, with 20+4."""

MOST_SHARDS = 256
"""Largest K + M of a block: a shard's number is an element of GF(256)."""


class ParityError(MessageError):
    """Parity that contradicts itself, or the messages of its block."""


@dataclasses.dataclass(frozen=True, slots=True)
class Parity:
    """Content of a PARITY message."""

    first_sequence: int
    """Sequence of the first message of the block."""
    messages: int
    """K: AUDIO messages in the block."""
    parity_count: int
    """M: PARITY messages for the block."""
    index: int
    """Number of this one among them, from 0."""
    shard: bytes

    @classmethod
    def from_message(cls, message: Message) -> Self:
        """The checked content of a PARITY message; raises MessageError."""
        if len(message.data) < OVERHEAD_BYTES:
            raise MessageError("a parity without a shard")
        messages, parity_count, index = _HEAD.unpack_from(message.data)
        if not (messages and index < parity_count and messages + parity_count <= MOST_SHARDS):
            raise MessageError(f"parity {index} of {messages}+{parity_count} cannot be")
        return cls(message.sequence, messages, parity_count, index, message.data[_HEAD.size :])


def prepare() -> None:
    """Import the code now, which takes 15 ms, and not when the first block is encoded."""
    _encoder(1, 1)


def sent_after(index: int, messages: int, parity_count: int) -> int:
    """Place in its block of the AUDIO after which parity `index` is sent, from 0.

    Parities are spread evenly among the messages of their own block, the last one after the last
    message. So the K + M datagrams of a block follow one another, and a burst of M losses is
    repaired wherever it falls. In the following block, parity would come up to twice as late.
    """
    return -(-(index + 1) * messages // parity_count) - 1


def encode(block: Sequence[Message], parity_count: int) -> list[Message]:
    """The PARITY messages of `block`: AUDIO of one stream, in sequence."""
    first, messages = block[0], len(block)
    shards = [_shard(message) for message in block]
    longest = max(len(shard) for shard in shards)
    computed = _encoder(messages, parity_count).encode(
        [shard.ljust(longest, b"\0") for shard in shards],
        range(messages, messages + parity_count),
    )
    return [
        Message(
            first.sequence,
            Type.PARITY,
            _HEAD.pack(messages, parity_count, index) + shard,
            first.stream,
            first.media_time_us,
            track=index,
        )
        for index, shard in enumerate(computed)
    ]


def rebuild(
    like: Parity, stream: int, have: Mapping[int, Message], parity: Mapping[int, bytes]
) -> list[Message]:
    """The messages of a block that are missing in `have`, in order.

    `like` is a PARITY of the block. `have` holds its messages by their place in the block,
    `parity` the shards of its PARITY messages by index, all of one length; K of both together.
    Raises ParityError if they cannot all be of one block.
    """
    numbers = _numbers(like, have, parity)
    length = len(like.shard)
    shards = []
    for number in numbers:
        shard = _shard(have[number]) if number in have else parity[number - like.messages]
        if len(shard) > length:
            raise ParityError("a message is longer than its parity")
        shards.append(shard.ljust(length, b"\0"))
    whole = _decoder(like.messages, like.parity_count).decode(shards, numbers)
    return [
        _message(whole[place], stream, like.first_sequence + place)
        for place in range(like.messages)
        if place not in have
    ]


def _numbers(like: Parity, have: Mapping[int, Message], parity: Mapping[int, bytes]) -> list[int]:
    """The K shards to decode: all messages that are there, and as many parities as it takes.

    Message `place` is shard `place`, parity `index` is shard K + `index`.
    """
    numbers = [*have, *(like.messages + index for index in parity)][: like.messages]
    assert len(numbers) == like.messages, "K shards give the others"
    assert all(0 <= number < like.messages + like.parity_count for number in numbers)
    return numbers


def _shard(message: Message) -> bytes:
    return (
        _SHARD_HEAD.pack(
            len(message.data),
            message.track & 0xFFFF,
            message.skip_samples,
            message.discard_samples,
            message.media_time_us,
        )
        + message.data
    )


def _message(shard: bytes, stream: int, sequence: int) -> Message:
    length, track, skip, discard, media_time_us = _SHARD_HEAD.unpack_from(shard)
    end = _SHARD_HEAD.size + length
    # Shards that do not belong together decode to noise, which does not end in zeros.
    if end > len(shard) or shard.count(0, end) != len(shard) - end:
        raise ParityError(f"message {sequence} cannot be rebuilt from this")
    data = shard[_SHARD_HEAD.size : end]
    return Message(sequence, Type.AUDIO, data, stream, media_time_us, track, skip, discard)


# Making a table takes 20 µs for 20+4, 2 ms for 200+55. A sender needs one for whole blocks and one
# for the last block; a listener needs no more than the sender.
@lru_cache(maxsize=8)
def _encoder(messages: int, parity_count: int) -> Encoder:
    from zfec import Encoder

    return Encoder(messages, messages + parity_count)


@lru_cache(maxsize=8)
def _decoder(messages: int, parity_count: int) -> Decoder:
    from zfec import Decoder

    return Decoder(messages, messages + parity_count)
