"""The client's side of sealing: what it says is sealed, what it hears is opened, once.

Each session, from its first CONNECT on, has a salt of its own, and what a server says is sealed for
that salt. So nothing that was said in an earlier session can be said again. What is not sealed is
refused, whatever it is: a client that has a key cannot be talked into doing without.

Not thread-safe. Nothing is random here: `draw_salt` gives what is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from message import SALT_BYTES, SEALED, Message, ReplayError, SealError, Type
from wire.replay_window import ReplayWindow
from wire.seal import MEDIA_TYPES, Cipher, Key, opened, sealed

MOST_SERVERS = 8
"""Runs of the server that answer in one session: as a rule one, or two when it is started anew
meanwhile."""


class _Server(NamedTuple):
    """A run of the server, proved by its words."""

    cipher: Cipher
    window: ReplayWindow


class ClientSeal:
    """Of one run of the client."""

    def __init__(self, key: Key, draw_salt: Callable[[], bytes]) -> None:
        """`draw_salt` gives `SALT_BYTES` that nobody can guess, others at each call."""
        self._key = key
        self._draw_salt = draw_salt
        self._media: dict[int, Cipher] = {}
        self._accepted: int | None = None
        self.renew()

    def renew(self) -> None:
        """A session begins: what was said in the last one counts no more, but for its stream."""
        self.salt = self._draw_salt()
        self._cipher = self._key.client(self.salt)
        self._servers: dict[bytes, _Server] = {}
        self._media = {id_: one for id_, one in self._media.items() if id_ == self._accepted}

    def pack(self, message: Message, size_bytes: int = 0) -> bytes:
        """The datagram of a control message, padded with zeros to `size_bytes`."""
        return sealed(self._cipher, message, self.salt).ljust(size_bytes, b"\0")

    def unpack(self, datagram: bytes) -> Message:
        """The message that the server sealed; raises MessageError, SealError, ReplayError."""
        came = Message.unpack(datagram)
        if not came.type & SEALED:
            raise SealError("not sealed", came)
        if came.type & ~SEALED not in MEDIA_TYPES:
            return self._unpack_control(came)
        cipher = self._media.get(came.stream)
        if cipher is None:
            raise SealError("of another stream", came)
        return opened(cipher, came)

    def _unpack_control(self, came: Message) -> Message:
        salt = came.data[:SALT_BYTES]
        server = self._servers.get(salt)
        if server is None and len(self._servers) == MOST_SERVERS:
            raise SealError("more servers than can be", came)
        known = server or _Server(self._key.server(salt), ReplayWindow())
        message = opened(known.cipher, came, salt, self.salt)
        if not known.window.is_new(message.sequence):
            raise ReplayError(f"message {message.sequence} has come before")
        known.window.add(message.sequence)
        if server is None:
            self._servers[salt] = known
            self._media[message.stream] = self._key.media(salt)
        if message.type == Type.ACCEPT:
            self._accepted = message.stream
        return message
