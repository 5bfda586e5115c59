"""The server's side of sealing: what it says is sealed, what it hears is opened, once.

Of an address that is not proved, or a sender that has not the key, nothing is kept. Of a client
whose address is proved its salt and the window of what it has said are kept while it is
registered, and as long after as its cookie is good: who says its words again is not let in.

Not thread-safe, but for `pack_media`. Nothing is random here: `salt` is an argument.
"""

from __future__ import annotations

import dataclasses
from collections import deque

from broadcasting.cookie import SLOT_S
from message import SALT_BYTES, SEALED, Message, ReplayError, SealError, Type
from wire.address import Address
from wire.replay_window import ReplayWindow
from wire.seal import Key, opened, sealed

REMEMBERED_S = 2 * SLOT_S
"""So long after a client has left its salt is known: a cookie is not good for longer."""

MOST_REMEMBERED = 10_000
"""Clients that have left: the newest. Only who has the key can be one."""


@dataclasses.dataclass(slots=True, eq=False)
class _Peer:
    """A client whose address is proved."""

    salt: bytes
    address: Address
    window: ReplayWindow
    forget_at: float = 0.0
    """If it has left."""


class ServerSeal:
    """Of one run of the server."""

    def __init__(self, key: Key, salt: bytes) -> None:
        """`salt` was drawn for this run, and for nothing else."""
        self._key = key
        self._salt = salt
        self._cipher = key.server(salt)
        self._media = key.media(salt)
        self._peers: dict[bytes, _Peer] = {}
        self._at: dict[Address, _Peer] = {}
        self._left: deque[tuple[float, _Peer]] = deque()
        self._asker = b""

    def pack_media(self, message: Message) -> bytes:
        """The datagram of AUDIO, PARITY or REPEAT, for all listeners."""
        return sealed(self._media, message)

    def pack(self, message: Message, address: Address) -> bytes:
        """The datagram of a control message, for the listener that is registered at `address`."""
        return sealed(self._cipher, message, self._salt, self._at[address].salt)

    def pack_answer(self, message: Message) -> bytes:
        """The same, for the client whose message was unpacked last."""
        return sealed(self._cipher, message, self._salt, self._asker)

    def unpack(self, datagram: bytes, address: Address) -> Message:
        """The message that a client sealed; raises MessageError, SealError, ReplayError."""
        came = Message.unpack(datagram)
        if not came.type & SEALED:
            raise SealError("not sealed", came)
        salt = came.data[:SALT_BYTES]
        # Derived each time: 5 µs, where keeping the cipher would take 2.4 kB for each listener.
        message = opened(self._key.client(salt), came, salt)
        peer = self._peers.get(salt)
        if peer is not None:
            is_old = message.type == Type.CONNECT and message.sequence < peer.window.newest
            if is_old or not peer.window.is_new(message.sequence):
                raise ReplayError(f"message {message.sequence} has come before")
            # From elsewhere it may be a copy that was faster than what it was made of.
            if peer.address == address:
                peer.window.add(message.sequence)
        self._asker = salt
        return message

    def proved(self, address: Address, message: Message, now: float) -> Address | None:
        """CONNECT `message`, which was unpacked last, has a cookie that is good at `address`.

        Returns where the same client was before, if that was elsewhere.
        """
        peer = self._peers.get(self._asker)
        if peer is None:
            peer = self._peers[self._asker] = _Peer(self._asker, address, ReplayWindow())
        peer.window.add(message.sequence)
        before = peer.address if self._at.get(peer.address) is peer else None
        if before is not None:
            del self._at[before]
        self.left(address, now)
        peer.address = address
        self._at[address] = peer
        return None if before == address else before

    def left(self, address: Address, now: float) -> None:
        """Who was at `address` is not registered (any more)."""
        peer = self._at.pop(address, None)
        if peer is not None:
            peer.forget_at = now + REMEMBERED_S
            self._left.append((peer.forget_at, peer))
        while self._left and (self._left[0][0] <= now or len(self._left) > MOST_REMEMBERED):
            forget_at, peer = self._left.popleft()
            # Unless it has come back since.
            if forget_at == peer.forget_at and self._at.get(peer.address) is not peer:
                del self._peers[peer.salt]
