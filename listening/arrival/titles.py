"""Titles by the media time at which each begins, and those that were heard.

A title comes in TRACK just before the first AUDIO of a track, in STATUS now and then, and in ACCEPT
at the start; any of these may be lost or come twice. Pure. Bounded.
"""

from __future__ import annotations

import bisect
from collections import deque
from typing import NamedTuple

from message import cut_text

MOST_TITLES = 64
"""Titles that are known at one time, the newest: a play-out delay has one or two."""

MOST_HEARD = 1_000
"""Titles that are remembered for the final figures, the newest."""


class Title(NamedTuple):
    """One track, or one title of a live source."""

    media_time_us: int
    title: str
    artist: str | None

    @classmethod
    def told(cls, media_time_us: int, title: str, artist: str | None) -> Title:
        """What a server told, without what would turn or control the text around it."""
        return cls(media_time_us, cut_text(title), artist and cut_text(artist))


class Titles:
    """The titles of one stream."""

    def __init__(self) -> None:
        self._known: list[Title] = []
        # Titles whose first audio was handed out, in order, with the time of that audio.
        self._handed_out: deque[tuple[int, Title]] = deque(maxlen=MOST_HEARD)

    def learn(self, title: Title) -> None:
        """`title` begins at its time, in place of any other that was to begin there."""
        place = bisect.bisect_left(self._known, title.media_time_us, key=_time)
        if place < len(self._known) and self._known[place].media_time_us == title.media_time_us:
            self._known[place] = title
        else:
            self._known.insert(place, title)
            del self._known[:-MOST_TITLES]

    def at(self, media_time_us: int) -> Title | None:
        """The title at this media time; None if it is not known."""
        place = bisect.bisect_right(self._known, media_time_us, key=_time)
        return self._known[place - 1] if place else None

    def hand_out(self, media_time_us: int) -> Title | None:
        """Note that the audio at this time is handed out; its title, if it is a new one."""
        title = self.at(media_time_us)
        before = self._handed_out[-1][1] if self._handed_out else None
        # A stall of the source begins a track of the same name.
        if title is None or (before is not None and title[1:] == before[1:]):
            return None
        self._handed_out.append((media_time_us, title))
        return title

    def heard(self, position_us: int) -> list[Title]:
        """Titles of which something has sounded when all before `position_us` has.

        What is handed out sounds later, or never, if the listener leaves before.
        """
        return [title for begins_us, title in self._handed_out if begins_us < position_us]


def _time(title: Title) -> int:
    return title.media_time_us
