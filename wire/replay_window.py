"""Replay protection: each message of one sender counts once, in whatever order they come.

A sliding window as in IPsec and DTLS (RFC 4303, section 3.4.3; RFC 6347, section 4.1.2.6). Messages
older than the window count as replays. Pure. Only authenticated messages may be added.
"""

from __future__ import annotations

WINDOW = 1024
"""Messages. DTLS recommends 64; here a server numbers its messages to all listeners in one row, so
two to the same listener are far apart."""


class ReplayWindow:
    """The newest sequence, and one bit for each of those before it."""

    def __init__(self) -> None:
        self.newest = -1
        # Bit i: `newest` - i has come.
        self._came = 0

    def is_new(self, sequence: int) -> bool:
        """Whether `sequence` has certainly not come yet."""
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
