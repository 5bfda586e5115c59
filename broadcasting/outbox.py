"""Messages on their way to one listener each: numbered, packed, logged.

Filled by whoever takes messages or watches the time; emptied by the owner, who sends.
"""

from __future__ import annotations

from message import TYPE_NAMES, Control, Message, Type
from wire.address import Address, address_text
from wire.log import get_logger

_OFTEN = frozenset((Type.STATUS, Type.REPEAT))
_SENT = "sent %s %d, %d bytes, to %s"

log = get_logger("server")


class Outbox:
    """What one run of the server has to say to single listeners."""

    def __init__(self, stream_id: int) -> None:
        self.detailed = True
        """Whether answers to REPORT and REQUEST are logged one by one: while listeners are few."""
        self._stream_id = stream_id
        self._sequence = 0
        self._datagrams: list[tuple[bytes, Address]] = []

    def send(self, content: Control, address: Address, media_time_us: int = 0) -> None:
        """Send to a registered listener."""
        self.put(self._numbered(content, media_time_us), address)

    def send_data(
        self, type_: Type, data: bytes, address: Address, name: str, media_time_us: int = 0
    ) -> None:
        """Send what is encoded already to a registered listener, `name` in the log."""
        datagram = Message(self._sequence, type_, data, self._stream_id, media_time_us).pack()
        self._put(type_, self._sequence, datagram, address, name)
        self._sequence += 1

    def answer(self, content: Control, size_bytes: int, address: Address) -> None:
        """Send to an address that may not be proved: never more than the `size_bytes` it sent."""
        message = self._numbered(content)
        if len(message.pack()) <= size_bytes:
            self.put(message, address)

    def put(self, message: Message, address: Address) -> None:
        """Send `message` as it is."""
        self._put(message.type, message.sequence, message.pack(), address, address_text(address))

    def repeat(self, sequence: int, datagram: bytes, address: Address, name: str) -> None:
        """Send the REPEAT of an AUDIO message, packed already; `name` in the log."""
        self._put(Type.REPEAT, sequence, datagram, address, name)

    def take(self) -> list[tuple[bytes, Address]]:
        """What was put in since the last call."""
        datagrams, self._datagrams = self._datagrams, []
        return datagrams

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
