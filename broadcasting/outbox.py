"""Messages on their way to one listener each: numbered, packed, logged.

Filled by whoever takes messages or watches the time; emptied by the owner, who sends.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from broadcasting.brief_log import BriefLog
from message import TYPE_NAMES, Control, Message, Type
from wire.address import Address, address_text
from wire.log import get_logger

if TYPE_CHECKING:
    from broadcasting.seal import ServerSeal

_OFTEN = frozenset((Type.STATUS, Type.REPEAT))
_SENT = "sent %s %d, %d bytes, to %s"

log = get_logger("server")


class Outbox:
    """What one run of the server has to say to single listeners."""

    def __init__(
        self, stream_id: int, unproved_log: BriefLog, seal: ServerSeal | None = None
    ) -> None:
        self.detailed = True
        """Whether answers to REPORT and REQUEST are logged one by one: while listeners are few."""
        self._stream_id = stream_id
        self._unproved_log = unproved_log
        self._seal = seal
        self._sequence = 0
        self._datagrams: list[tuple[bytes, Address]] = []

    def send(self, content: Control, address: Address, media_time_us: int = 0) -> None:
        """Send to a registered listener."""
        message = self._numbered(content, media_time_us)
        self._put_message(message, self._packed(message, address), address)

    def send_data(
        self, type_: Type, data: bytes, address: Address, name: str, media_time_us: int = 0
    ) -> None:
        """Send what is encoded already to a registered listener, `name` in the log."""
        message = Message(self._sequence, type_, data, self._stream_id, media_time_us)
        self._put(type_, self._sequence, self._packed(message, address), address, name)
        self._sequence += 1

    def answer(
        self,
        content: Control,
        size_bytes: int,
        address: Address,
        now: float,
        mark: int = 0,
        *,
        openly: bool = False,
    ) -> bool:
        """Send to an address that may not be proved: never more than the `size_bytes` it sent.

        False if it would be more.

        `mark` is that of the CONNECT, if it was of another version. `openly`: not sealed in any
        case, for who cannot open it.
        """
        message = self._numbered(content, mark)
        datagram = message.pack() if openly else self._packed_answer(message)
        return self._put_answer(message, datagram, size_bytes, address, now)

    def echo(self, message: Message, size_bytes: int, address: Address, now: float) -> None:
        """Send `message` back, of no stream; the same bound holds."""
        answer = message._replace(stream=0)
        if self._seal is not None:
            # The sender's number is not ours: nothing is sealed twice under one of ours.
            answer = answer._replace(sequence=self._sequence)
            self._sequence += 1
        self._put_answer(answer, self._packed_answer(answer), size_bytes, address, now)

    def repeat(self, sequence: int, datagram: bytes, address: Address, name: str) -> None:
        """Send the REPEAT of an AUDIO message, packed already; `name` in the log."""
        self._put(Type.REPEAT, sequence, datagram, address, name)

    def take(self) -> list[tuple[bytes, Address]]:
        """What was put in since the last call."""
        datagrams, self._datagrams = self._datagrams, []
        return datagrams

    def _packed(self, message: Message, address: Address) -> bytes:
        return self._seal.pack(message, address) if self._seal else message.pack()

    def _packed_answer(self, message: Message) -> bytes:
        return self._seal.pack_answer(message) if self._seal else message.pack()

    def _put_answer(
        self, message: Message, datagram: bytes, size_bytes: int, address: Address, now: float
    ) -> bool:
        if len(datagram) > size_bytes:
            return False
        self._datagrams.append((datagram, address))
        name, size = TYPE_NAMES[message.type], len(datagram)
        text = address_text(address)
        self._unproved_log.write(now, logging.INFO, _SENT, name, message.sequence, size, text)
        return True

    def _put_message(self, message: Message, datagram: bytes, address: Address) -> None:
        self._put(message.type, message.sequence, datagram, address, address_text(address))

    def _put(self, type_: int, sequence: int, datagram: bytes, address: Address, name: str) -> None:
        self._datagrams.append((datagram, address))
        if type_ in _OFTEN and not self.detailed:
            log.debug(_SENT, TYPE_NAMES[type_], sequence, len(datagram), name)
        else:
            log.info(_SENT, TYPE_NAMES[type_], sequence, len(datagram), name)

    def _numbered(self, content: Control, media_time_us: int = 0) -> Message:
        message = content.to_message(
            self._sequence, stream=self._stream_id, media_time_us=media_time_us
        )
        self._sequence += 1
        return message
