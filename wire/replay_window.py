"""Which messages of one sender have come: each counts once, in whatever order they come.

A window slides along with the newest sequence, as in IPsec and DTLS (RFC 4303, section 3.4.3; RFC
6347, section 4.1.2.6). What is older than the window is taken for a replay: who knows? Pure. Ask
and tell only of messages that are proved to be the sender's own.
"""

from __future__ import annotations

WINDOW = 1024
"""Messages. DTLS recommends 64; a server numbers what it says to all its listeners in one row, so
that two messages to the same listener are far apart."""


class ReplayWindow:
    """The newest sequence, and which of those before it have come."""

    def __init__(self) -> None:
        self.newest = -1
        # Bit i: `newest` - i has come.
        self._came = 0

    def is_new(self, sequence: int) -> bool:
        """Whether `sequence` has surely not come yet."""
        age = self.newest - sequence
        return age < 0 or (age < WINDOW and not self._came >> age & 1)

    def add(self, sequence: int) -> None:
        """`sequence` has come."""
        ahead = sequence - self.newest
        if ahead > 0:
            self._came = (self._came << ahead if ahead < WINDOW else 0) & (1 << WINDOW) - 1
            self.newest = sequence
        age = self.newest - sequence
        if age < WINDOW:
            self._came |= 1 << age
