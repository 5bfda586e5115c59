"""Proof of address without state: a cookie that only a host which receives there can know.

HMAC-SHA-256 over address and time slot, as TCP's SYN cookies and QUIC's Retry tokens do
(RFC 4987, RFC 9000 section 8.1). The server keeps nothing for an address that has not proved
itself; a cookie is worth nothing at another address, and nothing after two slots.
"""

from __future__ import annotations

import hashlib
import hmac

from wire.address import Address

SLOT_S = 30.0
"""Length of a time slot; a cookie is good for one to two: longer than any handshake, short for a
thief."""

COOKIE_BYTES = 16
"""Length of a cookie: 128 bits cannot be guessed (RFC 2104, section 5: at least half the hash)."""


class CookieJar:
    """Makes and checks cookies. `secret` is random for each run of the server."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def make(self, address: Address, now: float) -> str:
        """The cookie of `address` at `now`, in hexadecimal."""
        return self._cookie(address, int(now / SLOT_S))

    def accepts(self, cookie: str, address: Address, now: float) -> bool:
        """Whether `cookie` was made for `address` in this time slot or the one before."""
        # Most CONNECTs have none yet, and the length is no secret.
        if len(cookie) != 2 * COOKIE_BYTES:
            return False
        slot = int(now / SLOT_S)
        given = cookie.encode()
        return any(
            hmac.compare_digest(given, self._cookie(address, s).encode()) for s in (slot, slot - 1)
        )

    def _cookie(self, address: Address, slot: int) -> str:
        proof = hmac.digest(self._secret, f"{address!r} {slot}".encode(), hashlib.sha256)
        return proof[:COOKIE_BYTES].hex()
