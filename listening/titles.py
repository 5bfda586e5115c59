"""What is heard, and from where on: titles by the media time at which each begins.

They come in three ways, and any of them may be lost or come twice: TRACK just before the first
AUDIO of a track, STATUS now and then, ACCEPT at the start. Pure. Bounded.
"""

from __future__ import annotations

import bisect
from collections import deque
from typing import NamedTuple

MOST_TITLES = 64
"""Known at one time, the newest: a play-out delay has one or two."""

MOST_HEARD = 1_000
"""Remembered for the end, the newest."""


class Title(NamedTuple):
    """One track, or one title of a live source."""

    media_time_us: int
    title: str
    artist: str | None


class Titles:
    """The titles of one stream."""

    def __init__(self) -> None:
        self._known: list[Title] = []
        self.heard: deque[Title] = deque(maxlen=MOST_HEARD)
        """Those whose first audio was handed out, in order."""

    def learn(self, title: Title) -> None:
        """`title` begins at its time; another that began there was wrong."""
        place = bisect.bisect_left(self._known, title.media_time_us, key=_time)
        if place < len(self._known) and self._known[place].media_time_us == title.media_time_us:
            self._known[place] = title
        else:
            self._known.insert(place, title)
            del self._known[:-MOST_TITLES]

    def at(self, media_time_us: int) -> Title | None:
        """What is heard there; None if nothing is known that begins before."""
        place = bisect.bisect_right(self._known, media_time_us, key=_time)
        return self._known[place - 1] if place else None

    def hand_out(self, media_time_us: int) -> Title | None:
        """The audio at this time is handed out: its title, if it is another than before."""
        title = self.at(media_time_us)
        before = self.heard[-1] if self.heard else None
        # A stall of the source begins a track of the same name.
        if title is None or (before is not None and title[1:] == before[1:]):
            return None
        self.heard.append(title)
        return title


def _time(title: Title) -> int:
    return title.media_time_us
