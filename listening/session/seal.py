"""Sealing on the client's side: seal what is sent, open what is received, each message once.

Each session has a salt of its own, from its first CONNECT on, and the control messages of the
server are sealed for that salt: nothing from an earlier session can be replayed. Unsealed messages
are refused, so a client with a key cannot be talked into doing without.

Not thread-safe. Random salts come from `draw_salt`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from message import SALT_BYTES, SEALED, Message, ReplayError, SealError, Type
from wire.replay_window import ReplayWindow
from wire.seal import MEDIA_TYPES, Cipher, Key, opened, sealed

MOST_SERVERS = 8
"""Runs of the server that may answer in one session: usually one, two when it is restarted."""


class _Server(NamedTuple):
    """A run of the server, proved by a message that it sealed."""

    cipher: Cipher
    window: ReplayWindow


class ClientSeal:
    """The seal of one run of the client."""

    def __init__(self, key: Key, draw_salt: Callable[[], bytes]) -> None:
        """`draw_salt` returns `SALT_BYTES` unpredictable bytes, new ones at each call."""
        self._key = key
        self._draw_salt = draw_salt
        self._media: dict[int, Cipher] = {}
        self._accepted: int | None = None
        self.renew()

    def renew(self) -> None:
        """Begin a session: nothing from the last one is valid any more, except its stream."""
        self.salt = self._draw_salt()
        self._cipher = self._key.client(self.salt)
        self._servers: dict[bytes, _Server] = {}
        self._media = {id_: one for id_, one in self._media.items() if id_ == self._accepted}

    def pack(self, message: Message, size_bytes: int = 0) -> bytes:
        """The datagram of a control message, padded with zeros to `size_bytes`."""
        return sealed(self._cipher, message, self.salt).ljust(size_bytes, b"\0")

    def unpack(self, datagram: bytes) -> Message:
        """The opened message of the server; raises MessageError, SealError or ReplayError."""
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
