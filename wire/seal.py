"""Sealing: without the key nobody can read, make or change a message.

A sealed message is the plain header with the bit `SEALED` in its type, then the data under
ChaCha20-Poly1305 (RFC 8439) and its tag of 16 bytes, which authenticates the header, too. The key
in the key file seals nothing itself; HKDF (RFC 5869) derives a key from it for each sender:

    client   control messages of a client, by the salt that it draws for each session
    server   control messages of a server, by the salt that it draws for each run
    media    AUDIO, PARITY, REPEAT, TRACK and TIMELINE, by that salt too: the same for all

A control message begins with its sender's salt, so a holder of the key can open it without having
heard anything before. The salt of the client that a server's message is meant for is authenticated
with it, so the message is worth nothing to another listener or in another session.

The nonce is type, track and sequence. Under one key it never comes twice with different data:

- A salt is 128 random bits, so every session, and every run of a server, has keys of its own.
- In control messages the sequence counts all messages of this sender, from 0. A message that is
  sent again gets a new number.
- AUDIO has its place in the stream, and is sealed once. REPEAT is the same data in another type:
  sealed twice, it is the same bytes. PARITY has the place of its block, and its index as its track.
- TIMELINE has the number of the move of the origin as its track: said again, it is the same bytes.

`cryptography` is imported here, so this module is imported only where there is a key. Pure
otherwise: random bytes are arguments.
"""

from __future__ import annotations

import struct

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from message import SEALED, TAG_BYTES, Message, SealError, Type

KEY_BYTES = 32
"""The key in the key file, and each that is derived from it."""

MEDIA_TYPES = frozenset((Type.AUDIO, Type.PARITY, Type.REPEAT, Type.TRACK, Type.TIMELINE))
"""Messages that are the same for all listeners; all others are control messages."""

_CLIENT = b"mp3 broadcast 1 client"
_SERVER = b"mp3 broadcast 1 server"
_MEDIA = b"mp3 broadcast 1 media"

# type, a zero, track, sequence: 12 bytes.
_NONCE = struct.Struct("!BxHQ")

Cipher = ChaCha20Poly1305
"""A cipher with one key; any number of threads may use it."""


class Key:
    """The key of the key file. Its `repr` does not show it."""

    def __init__(self, secret: bytes) -> None:
        """`secret`: `KEY_BYTES` unpredictable bytes."""
        assert len(secret) == KEY_BYTES
        self.__secret = secret

    def __repr__(self) -> str:
        return "Key(...)"

    def client(self, salt: bytes) -> Cipher:
        """Cipher for control messages of the client that has drawn `salt`."""
        return self._derive(salt, _CLIENT)

    def server(self, salt: bytes) -> Cipher:
        """Cipher for control messages of the server that has drawn `salt`."""
        return self._derive(salt, _SERVER)

    def media(self, salt: bytes) -> Cipher:
        """Cipher for that server's messages to all listeners."""
        return self._derive(salt, _MEDIA)

    def _derive(self, salt: bytes, what_for: bytes) -> Cipher:
        derived = HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=salt, info=what_for)
        return ChaCha20Poly1305(derived.derive(self.__secret))


def sealed(cipher: Cipher, message: Message, salt: bytes = b"", peer: bytes = b"") -> bytes:
    """The sealed datagram of `message`.

    `salt`: the sender's, in a control message; `peer`: that of the client which it answers.
    """
    length = len(salt) + len(message.data) + TAG_BYTES
    head = message.header(message.type | SEALED, length) + salt
    return head + cipher.encrypt(_nonce(message), message.data, head + peer)


def opened(cipher: Cipher, message: Message, salt: bytes = b"", peer: bytes = b"") -> Message:
    """The message that was sealed as the unpacked `message`; raises SealError.

    `salt`: the start of its data; `peer`: as in `sealed`.
    """
    head = message.header(message.type, len(message.data)) + salt
    try:
        data = cipher.decrypt(_nonce(message), message.data[len(salt) :], head + peer)
    except InvalidTag:
        raise SealError("sealed with another key, or changed on its way", message) from None
    return message._replace(type=message.type & ~SEALED, data=data)


def _nonce(message: Message) -> bytes:
    return _NONCE.pack(message.type & ~SEALED, message.track & 0xFFFF, message.sequence)
