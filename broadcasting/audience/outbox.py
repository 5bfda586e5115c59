"""Messages on their way to one listener each: numbered, packed, logged.

Everything that answers listeners puts messages in; the owner takes them out and sends them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from broadcasting.audience.listener import Listener
from broadcasting.audience.message_log import Incoming, MessageLog
from message import Control, Message, Type
from wire.address import Address

if TYPE_CHECKING:
    from broadcasting.audience.seal import ServerSeal


class Outbox:
    """Messages of one run of the server to single listeners."""

    def __init__(self, stream_id: int, log: MessageLog, seal: ServerSeal | None = None) -> None:
        self._stream_id = stream_id
        self._log = log
        self._seal = seal
        self._sequence = 0
        self._datagrams: list[tuple[bytes, Address]] = []

    def send(self, content: Control, listener: Listener, media_time_us: int = 0) -> None:
        """Send `content` to a registered listener."""
        self._send(self._numbered(content, media_time_us), listener)

    def send_data(
        self, type_: Type, data: bytes, listener: Listener, media_time_us: int = 0
    ) -> None:
        """Send data that is encoded already to a registered listener."""
        self._send(
            Message(self._next_sequence(), type_, data, self._stream_id, media_time_us), listener
        )

    def answer(
        self, content: Control, came: Incoming, mark: int = 0, *, openly: bool = False
    ) -> bool:
        """Answer an address that may not be proved; False if that would be longer than what came.

        `mark` is copied from a CONNECT of another version. `openly`: not sealed, for a client that
        could not open it.
        """
        return self._answer(self._numbered(content, mark), came, openly=openly)

    def echo(self, came: Incoming) -> None:
        """Send the message that came back, of no stream; the same bound holds."""
        answer = came.message._replace(stream=0)
        if self._seal is not None:
            # The sender's number is not ours: nothing is sealed twice under one of ours.
            answer = answer._replace(sequence=self._next_sequence())
        self._answer(answer, came)

    def repeat(self, sequence: int, datagram: bytes, listener: Listener) -> None:
        """Send the REPEAT of an AUDIO message, packed already, to a registered listener."""
        self._put(Type.REPEAT, sequence, datagram, listener)

    def take(self) -> list[tuple[bytes, Address]]:
        """The datagrams that were put in since the last call, each with its destination."""
        datagrams, self._datagrams = self._datagrams, []
        return datagrams

    def _send(self, message: Message, listener: Listener) -> None:
        if self._seal is None:
            datagram = message.pack()
        else:
            assert listener.peer is not None, "with a key each listener has a peer"
            datagram = self._seal.pack(message, listener.peer)
        self._put(message.type, message.sequence, datagram, listener)

    def _answer(self, message: Message, came: Incoming, *, openly: bool = False) -> bool:
        seal = None if openly else self._seal
        datagram = message.pack() if seal is None else seal.pack_answer(message)
        if len(datagram) > came.size_bytes:
            return False
        self._datagrams.append((datagram, came.address))
        self._log.sent_unproved(message, len(datagram), came)
        return True

    def _put(self, type_: int, sequence: int, datagram: bytes, listener: Listener) -> None:
        self._datagrams.append((datagram, listener.address))
        self._log.sent(type_, sequence, len(datagram), listener.name)

    def _numbered(self, content: Control, media_time_us: int = 0) -> Message:
        return content.to_message(
            self._next_sequence(), stream=self._stream_id, media_time_us=media_time_us
        )

    def _next_sequence(self) -> int:
        sequence = self._sequence
        self._sequence += 1
        return sequence
