"""Registered listeners, made without a handshake."""

from __future__ import annotations

import itertools
from typing import Any

from broadcasting.audience.listener import Listener
from wire.address import Address, address_text

_numbers = itertools.count()


def registered(address: Address, heard_at: float = 0.0, **fields: Any) -> Listener:
    """The listener at `address`, with a session of its own."""
    usual = {
        "name": address_text(address),
        "nonce": "nonce",
        "session": f"session-{next(_numbers)}",
        "joined_at": heard_at,
        "first_sequence": 0,
        "first_time_us": 0,
        "live_time_us": 0,
    }
    return Listener(address=address, heard_at=heard_at, **{**usual, **fields})
