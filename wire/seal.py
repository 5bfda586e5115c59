"""Sealing: whoever has not the key can neither read a message, nor make one, nor change one.

A sealed message is the header as it is, with the bit `SEALED` in its type; then the data under
ChaCha20-Poly1305 (RFC 8439) and its tag of 16 bytes, which the header is proved by, too. The key of
the key file seals nothing itself: from it HKDF (RFC 5869) derives a key for each sender,

    client   what a client says, by the salt that it draws for each session
    server   what a server says to single listeners, by the salt that it draws for each run
    media    AUDIO, PARITY, REPEAT and TRACK, by that salt too: sealed once, the same for all

A control message begins with its sender's salt, so that it can be opened by whoever has the key and
has heard nothing before. And what a server says is proved to be an answer: the salt of the client
that it is meant for goes into the proof. So it is worth nothing to another listener, or another
session of the same.

The nonce is type, track and sequence. Under one key it never comes twice with different data:

- A salt is 128 random bits, so every session, and every run of a server, has keys of its own.
- In control messages the sequence counts what this sender says, to whomever, from 0. What is said
  again is numbered anew.
- AUDIO has its place in the stream, and is sealed once. REPEAT is the same in another type: sealed
  twice, it is the same bytes. PARITY has the place of its block, and its index as its track.

`cryptography` is imported here, so this is imported only where there is a key. Pure otherwise:
what is random is an argument.
"""

from __future__ import annotations

import struct

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from message import SEALED, TAG_BYTES, Message, SealError, Type

KEY_BYTES = 32

MEDIA_TYPES = frozenset((Type.AUDIO, Type.PARITY, Type.REPEAT, Type.TRACK))
"""What is the same for all listeners; everything else is a control message."""

_CLIENT = b"mp3 broadcast 1 client"
_SERVER = b"mp3 broadcast 1 server"
_MEDIA = b"mp3 broadcast 1 media"

# type, a zero, track, sequence: 12 bytes.
_NONCE = struct.Struct("!BxHQ")

Cipher = ChaCha20Poly1305
"""Has one key. Any number of threads may use it."""


class Key:
    """What the key file holds. Says nothing of itself."""

    def __init__(self, secret: bytes) -> None:
        """`secret` is `KEY_BYTES` that nobody can guess."""
        assert len(secret) == KEY_BYTES
        self.__secret = secret

    def __repr__(self) -> str:
        return "Key(...)"

    def client(self, salt: bytes) -> Cipher:
        """For what the client says that has drawn `salt`."""
        return self._derive(salt, _CLIENT)

    def server(self, salt: bytes) -> Cipher:
        """For what the server that has drawn `salt` says to single listeners."""
        return self._derive(salt, _SERVER)

    def media(self, salt: bytes) -> Cipher:
        """For what that server says to all."""
        return self._derive(salt, _MEDIA)

    def _derive(self, salt: bytes, what_for: bytes) -> Cipher:
        derived = HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=salt, info=what_for)
        return ChaCha20Poly1305(derived.derive(self.__secret))


def sealed(cipher: Cipher, message: Message, salt: bytes = b"", peer: bytes = b"") -> bytes:
    """The datagram of `message`, sealed.

    `salt` is the sender's, in a control message; `peer` that of the client which it answers.
    """
    length = len(salt) + len(message.data) + TAG_BYTES
    head = message.header(message.type | SEALED, length) + salt
    return head + cipher.encrypt(_nonce(message), message.data, head + peer)


def opened(cipher: Cipher, message: Message, salt: bytes = b"", peer: bytes = b"") -> Message:
    """What was sealed to `message`, which was unpacked; raises SealError.

    `salt` is what its data begins with, `peer` as in `sealed`.
    """
    head = message.header(message.type, len(message.data)) + salt
    try:
        data = cipher.decrypt(_nonce(message), message.data[len(salt) :], head + peer)
    except InvalidTag:
        raise SealError("sealed with another key, or changed on its way", message) from None
    return message._replace(type=message.type & ~SEALED, data=data)


def _nonce(message: Message) -> bytes:
    return _NONCE.pack(message.type & ~SEALED, message.track & 0xFFFF, message.sequence)
