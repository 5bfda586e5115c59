"""The audio of an HTTP response, without what a station says between it.

Stations that speak the Icecast dialect put their titles between the audio, every `icy-metaint`
bytes. They are taken out here, and each is known with the place in the audio from which it holds.
"""

from __future__ import annotations

import re
from collections import deque

import urllib3
from urllib3 import exceptions

STALL_S = 10.0
"""Time-out for connecting, and for the next bytes of a connection."""

MOST_TITLES = 64
"""Titles that are ahead of what is played: a second of audio has one or none."""

BEGINNING_BYTES = 16_384
"""Bytes kept of the start: one second of 128 kbit/s tells a file from a station."""

_TITLE = re.compile(r"StreamTitle='(.*?)(?:';\s*(?=\w+='|$)|'?$)", re.DOTALL | re.IGNORECASE)
"""Nobody escapes anything: a title ends at `';` before another `name='`, or at the end, where the
last `;` may be missing."""


class Body:
    """The audio of one response."""

    def __init__(self, response: urllib3.BaseHTTPResponse) -> None:
        self._response = response
        # A station has no end of its own; anything else without a length ends where it ends.
        self.is_station = any(name.lower().startswith("icy-") for name in response.headers)
        self.is_endless = response.length_remaining is None
        """Whether its length is not known."""
        self.fault: OSError | None = None
        """Why it has ended, if it should have gone on."""
        self.beginning = b""
        """The first `BEGINNING_BYTES` that were read."""
        interval = response.headers.get("icy-metaint", "")
        self._interval_bytes = int(interval) if interval.isdecimal() else 0
        self._left_bytes = self._interval_bytes
        self._position_bytes = 0
        self._station = text_of(response.headers.get("icy-name", "").encode("latin-1", "replace"))
        self._titles: deque[tuple[int, str]] = deque(maxlen=MOST_TITLES)
        if self._station.strip():
            self._titles.append((0, self._station))

    def read(self, size: int) -> bytes:
        """Up to `size` bytes of audio; none at the end, and after a `fault`."""
        try:
            if self._interval_bytes:
                if not self._left_bytes:
                    self._take_title()
                    self._left_bytes = self._interval_bytes
                size = min(size, self._left_bytes)
            data = self._some(size)
        except OSError as error:
            self.fault = error
            return b""
        self._position_bytes += len(data)
        self._left_bytes -= len(data)
        if len(self.beginning) < BEGINNING_BYTES:
            self.beginning += data[: BEGINNING_BYTES - len(self.beginning)]
        return data

    def title_at(self, position_bytes: int | None) -> str | None:
        """Title that holds at a position in the audio; those before are forgotten.

        Empty: the station has taken it back, and has no name of its own.
        """
        if position_bytes is not None:
            while len(self._titles) > 1 and self._titles[1][0] <= position_bytes:
                self._titles.popleft()
        return self._titles[0][1] if self._titles else None

    def close(self) -> None:
        """Close the response."""
        self._response.close()

    def _some(self, size: int, *, whole: bool = False) -> bytes:
        read = self._response.read if whole else self._response.read1
        try:
            data = read(size, decode_content=False)
        except exceptions.ReadTimeoutError:
            raise TimeoutError(0, f"nothing came for {STALL_S:g} s") from None
        except (exceptions.HTTPError, ValueError, AttributeError):
            # The last two: the connection was cut during the wait.
            raise ConnectionError(0, "the connection broke") from None
        if not data and self.is_station:
            raise ConnectionError(0, "the connection broke")
        return data

    def _take_title(self) -> None:
        """Read what the station says: its length in steps of 16 bytes, one byte, and a text."""
        length = 16 * int.from_bytes(self._some(1))
        title = title_in(self._some(length, whole=True)) if length else None
        if title is not None:
            self._titles.append((self._position_bytes, title.strip() or self._station))


def title_in(said: bytes) -> str | None:
    """Title in what a station says, which may be empty; None if it says nothing of it."""
    found = _TITLE.search(text_of(said.rstrip(b"\0 \r\n")))
    return None if found is None else found[1]


def text_of(data: bytes) -> str:
    """UTF-8, which may be cut off at its end, or else Windows-1252."""
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        whole = data[: error.start]
        if error.reason == "unexpected end of data" and not whole.isascii():
            return whole.decode()
        return data.decode("cp1252", errors="replace")
