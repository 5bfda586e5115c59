"""Arrivals -> the play-out delay that they need: `--buffer auto`.

The *transit* of a message is its arrival less its media time. The origin of both is arbitrary, so
transits mean something only beside each other: the least is the path without any queue, and what
the others are above it is lateness. A timeline has an *offset*: media time t is needed at t +
offset, and who has a smaller transit is in time. So the offset that is wanted is a high percentile
of the transits and a floor. Messages that were repaired are among them, with the time at which they
came: what repair needs on this path is measured, and not guessed.

Three things keep this from being heard, and from swinging:

- it grows at once where there is a gap already, by silence, and elsewhere by stretching what is
  played, by so little that nobody hears it; it shrinks by squeezing only;
- it shrinks only when `TOLERANCE_S` would be gained, and then all the way, so that it stands still
  between;
- what has been late is remembered for `WINDOW` messages.

A path whose transit grows once and stays so (another route, two clocks that drift apart) is
followed likewise. The server runs ahead (`--burst`), so at the start the delay is no less than
that, for all of it comes at once; it is brought down from there.

Pure: no thread and no clock; `now` is monotonic, in seconds. Only for streams at real time. One
object serves one stream.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import deque

from listening.round_trip import RoundTrip

USUAL_S = 1.0
"""The play-out delay that is chosen where nothing is said, and nothing can be measured."""

WINDOW = 2048
"""Messages: nearly three minutes of 128 kbit/s. Wi-Fi that looks for other stations does so once a
minute or two."""

PERCENTILE = 0.999
"""Of the messages of the window: two of them may be later, each of which would be a gap."""

FLOOR_S = 0.1
"""Above the percentile. The next message shows that one is missing (0.08 s), and within one room
the answer comes within the rest."""

MOST_S = 2.0
"""The percentile and the floor together are no more above the least transit."""

ENOUGH = 256
"""Messages: what fewer have needed is not enough to shrink to."""

TOLERANCE_S = 0.05
"""Less than this is not worth a change."""

STRETCH = 1 / 400
"""Of its length is all that audio is made longer or shorter: 4 cents, where trained ears hear 5 to
10. A second takes seven minutes."""

MOST_ROUND_TRIPS = 8
"""A message that is missing at its deadline is given one round trip more (the time-out, rather), up
to so many in all: what repair does not do in those, it does not do."""


class PlayoutDelay:
    """What is wanted, from what has come."""

    def __init__(self, round_trip: RoundTrip, *, lead_s: float, block_s: float = 0.0) -> None:
        """`lead_s`: how early the output wants audio; `block_s`: how much later parity comes."""
        self._round_trip = round_trip
        self._lead_s = lead_s
        self._floor_s = FLOOR_S + block_s
        self._most_s = MOST_S + block_s
        self._live_time_us = 0
        self._latest: deque[float] = deque()
        self._ordered: list[float] = []
        self._shrinking = False

    @property
    def start_s(self) -> float:
        """The delay to start with, when nothing is known."""
        return self._lead_s + self._floor_s

    def live_from(self, media_time_us: int) -> None:
        """What is before this comes when the server can send it: that tells nothing."""
        self._live_time_us = media_time_us

    def restart(self) -> None:
        """The path has become another one."""
        self._latest.clear()
        self._ordered.clear()
        self._shrinking = False

    # What comes.

    def arrived(self, media_time_us: int, now: float) -> None:
        """A message came for the first time, in time or late, as first sent or repaired."""
        if media_time_us >= self._live_time_us:
            self._add(now - media_time_us / 1e6)

    def missed(self, offset_s: float) -> None:
        """A message is missing at its deadline: it would have taken this much longer."""
        if not self._ordered:
            return
        timeout_s = self._round_trip.timeout_s
        self._add(min(offset_s + timeout_s, self._ordered[0] + MOST_ROUND_TRIPS * timeout_s))

    def _add(self, transit_s: float) -> None:
        self._latest.append(transit_s)
        insort(self._ordered, transit_s)
        if len(self._latest) > WINDOW:
            del self._ordered[bisect_left(self._ordered, self._latest.popleft())]

    # What is wanted.

    def pause_s(self, offset_s: float) -> float:
        """How much silence to add in a gap, where the timeline has this offset; 0: none."""
        return max(0.0, -self._excess_s(offset_s))

    def stretch_s(self, offset_s: float, duration_s: float) -> float:
        """By how much to make the next `duration_s` of audio longer, or (below 0) shorter."""
        excess_s = self._excess_s(offset_s)
        if excess_s <= 0:
            self._shrinking = False
        elif excess_s > TOLERANCE_S and len(self._ordered) >= ENOUGH:
            self._shrinking = True
        most_s = duration_s * STRETCH
        return -min(excess_s, most_s) if self._shrinking else min(max(-excess_s, 0.0), most_s)

    def delay_s(self, offset_s: float) -> float | None:
        """From when a message can come at the earliest until it sounds; None while unknown."""
        return offset_s + self._lead_s - self._ordered[0] if self._ordered else None

    def wanted_s(self) -> float | None:
        """What this should be."""
        return self._lead_s + self._needed_s() if self._ordered else None

    def _needed_s(self) -> float:
        """From the least transit to the offset."""
        high = self._ordered[min(len(self._ordered) - 1, int(PERCENTILE * len(self._ordered)))]
        return min(self._most_s, high - self._ordered[0] + self._floor_s)

    def _excess_s(self, offset_s: float) -> float:
        """By how much the offset is more than is wanted."""
        return offset_s - self._ordered[0] - self._needed_s() if self._ordered else 0.0
