"""The server's side of sealing: its messages are sealed, those of clients are opened, once each.

Nothing is kept of an address that is not proved, or of a sender without the key. The salt of a
client whose address is proved, and its replay window, are kept while it is registered
and then for as long as its cookie is good: a replay of its messages lets nobody in.

Not thread-safe, but for `pack_media`. Nothing is random here: `salt` is an argument.
"""

from __future__ import annotations

from collections import OrderedDict

from broadcasting.audience.cookie import SLOT_S
from broadcasting.audience.listener import Listener, Peer
from message import SALT_BYTES, SEALED, Message, ReplayError, SealError, Type
from wire.address import Address
from wire.replay_window import ReplayWindow
from wire.seal import Key, opened, sealed

REMEMBERED_S = 2 * SLOT_S
"""How long the salt of a client that has left is known: no cookie is good for longer."""

MOST_REMEMBERED = 10_000
"""Clients that have left and are remembered, the newest; all of them had the key."""


_SEALED_CONNECT = Type.CONNECT | SEALED


class ServerSeal:
    """Seals and opens the messages of one run of the server."""

    def __init__(self, key: Key, salt: bytes) -> None:
        """`salt` was drawn for this run, and for nothing else."""
        self._key = key
        self._salt = salt
        self._cipher = key.server(salt)
        self._media = key.media(salt)
        self._peers: dict[bytes, Peer] = {}
        # Of those, the ones that are not registered, longest gone first.
        self._left: OrderedDict[bytes, Peer] = OrderedDict()
        self._asker = b""

    def pack_media(self, message: Message) -> bytes:
        """The datagram of AUDIO, PARITY, REPEAT or TRACK, for all listeners."""
        return sealed(self._media, message)

    def pack(self, message: Message, peer: Peer) -> bytes:
        """The datagram of a control message for `peer`."""
        return sealed(self._cipher, message, self._salt, peer.salt)

    def pack_answer(self, message: Message) -> bytes:
        """The datagram of a control message for the client whose message was unpacked last."""
        return sealed(self._cipher, message, self._salt, self._asker)

    def unpack(self, datagram: bytes, address: Address) -> Message:
        """The message that a client sealed; raises MessageError, SealError, ReplayError."""
        came = Message.unpack(datagram)
        if not came.type & SEALED:
            raise SealError("not sealed", came)
        salt = came.data[:SALT_BYTES]
        peer = self._peers.get(salt)
        if peer is not None:
            # Before anything is deciphered, as in RFC 4303, section 3.4.3.
            is_old = came.type == _SEALED_CONNECT and came.sequence < peer.window.newest
            if is_old or not peer.window.is_new(came.sequence):
                raise ReplayError(f"message {came.sequence} has come before")
        # Derived each time: 5 µs, where keeping the cipher would take 2.4 kB for each listener.
        message = opened(self._key.client(salt), came, salt)
        # From elsewhere it may be a copy that overtook the original.
        if peer is not None and peer.listener is not None and peer.listener.address == address:
            peer.window.add(message.sequence)
        self._asker = salt
        return message

    def proved(self, message: Message) -> Peer:
        """The sender of CONNECT `message`, which was unpacked last and has a good cookie."""
        peer = self._peers.get(self._asker)
        if peer is None:
            peer = self._peers[self._asker] = Peer(self._asker, ReplayWindow())
        peer.window.add(message.sequence)
        return peer

    def register(self, listener: Listener, peer: Peer, now: float) -> None:
        """`listener` is `peer` from now on, whoever it was before."""
        if listener.peer is not None and listener.peer is not peer:
            self.retire(listener.peer, now)
        listener.peer, peer.listener = peer, listener
        self._left.pop(peer.salt, None)

    def retire(self, peer: Peer, now: float) -> None:
        """`peer` is not registered, or not any more: remember it for a while."""
        peer.listener = None
        peer.forget_at = now + REMEMBERED_S
        self._left[peer.salt] = peer
        self._left.move_to_end(peer.salt)
        self.forget(now)

    def forget(self, now: float) -> None:
        """Forget the peers that left long ago."""
        while self._left:
            salt, peer = next(iter(self._left.items()))
            if now < peer.forget_at and len(self._left) <= MOST_REMEMBERED:
                break
            del self._left[salt], self._peers[salt]
