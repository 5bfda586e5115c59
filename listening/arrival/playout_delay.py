"""Arrivals -> the play-out delay that they need: `--buffer auto`.

The *transit* of a message is its arrival less its media time. The origin of both is arbitrary, so
only differences mean something: the least transit is the path without any queue, and what others
are above it is lateness. A timeline has an *offset*: media time t is needed at t + offset, and a
message with a smaller transit is in time. So the wanted offset is a high percentile of the transits
plus a floor. Repaired messages count with the time at which they came: what repair needs on this
path is measured, not guessed.

Three rules keep changes from being heard, and from oscillating:

- the delay grows at once, by silence, where there is a gap anyway; elsewhere it grows and shrinks
  by a stretch of the audio that is too small to be heard;
- it shrinks only when `TOLERANCE_S` would be gained, and then all the way, so that it stands still
  in between;
- late messages are remembered for `WINDOW` messages.

A path whose transit grows once and stays so (another route, two clocks that drift apart) is
followed likewise. The server runs ahead (`--burst`), so at the start the delay is at least that,
because all of it comes at once; it shrinks from there.

Pure: no thread and no clock; `now` is monotonic, in seconds. Only for streams at real time. One
object serves one stream.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import deque

from wire.round_trip import RoundTrip

USUAL_S = 1.0
"""Play-out delay where none was chosen and none can be measured."""

WINDOW = 2048
"""Messages: nearly three minutes of 128 kbit/s. Wi-Fi scans for other stations every minute or
two."""

PERCENTILE = 0.999
"""Part of the window's messages that must be in time: two may be later, each of them a gap."""

FLOOR_S = 0.1
"""Margin above the percentile: 0.08 s until the next message shows that one is missing, and the
rest for the answer, within one room."""

MOST_S = 2.0
"""Upper bound of percentile and floor, above the least transit."""

ENOUGH = 256
"""Messages that must have come before the delay may shrink."""

TOLERANCE_S = 0.05
"""Smaller gains are not worth a change."""

STRETCH = 1 / 400
"""Largest change of the length of audio: 4 cents, where trained ears hear 5 to 10. A second takes
seven minutes."""

MOST_ROUND_TRIPS = 8
"""A message that is missing at its deadline gets another round-trip time-out, up to this many: a
repair that takes longer does not come."""


class PlayoutDelay:
    """The wanted play-out delay, from the newest transits."""

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
        """Ignore arrivals before this media time: they come when the server can send them."""
        self._live_time_us = media_time_us

    def restart(self) -> None:
        """Forget everything: the path has become another one."""
        self._latest.clear()
        self._ordered.clear()
        self._shrinking = False

    # What comes.

    def arrived(self, media_time_us: int, now: float) -> None:
        """A message came for the first time: in time or late, original or repaired."""
        if media_time_us >= self._live_time_us:
            self._add(now - media_time_us / 1e6)

    def missed(self, offset_s: float) -> None:
        """A message is missing at its deadline: count it as later by a round trip."""
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

    def silence_s(self, offset_s: float) -> float:
        """Seconds of silence to insert into a gap, for a timeline with this offset."""
        return max(0.0, -self._excess_s(offset_s))

    def stretch_s(self, offset_s: float, duration_s: float) -> float:
        """Seconds by which to stretch the next `duration_s` of audio; below 0, to squeeze it."""
        excess_s = self._excess_s(offset_s)
        if excess_s <= 0:
            self._shrinking = False
        elif excess_s > TOLERANCE_S and len(self._ordered) >= ENOUGH:
            self._shrinking = True
        most_s = duration_s * STRETCH
        return -min(excess_s, most_s) if self._shrinking else min(max(-excess_s, 0.0), most_s)

    def delay_s(self, offset_s: float) -> float | None:
        """Seconds from the earliest arrival of a message to its sound; None while unknown."""
        return offset_s + self._lead_s - self._ordered[0] if self._ordered else None

    def wanted_s(self) -> float | None:
        """The delay that is wanted; None while unknown."""
        return self._lead_s + self._needed_s() if self._ordered else None

    def _needed_s(self) -> float:
        """The wanted offset, less the least transit."""
        high = self._ordered[min(len(self._ordered) - 1, int(PERCENTILE * len(self._ordered)))]
        return min(self._most_s, high - self._ordered[0] + self._floor_s)

    def _excess_s(self, offset_s: float) -> float:
        """Seconds by which the offset is above the wanted one."""
        return offset_s - self._ordered[0] - self._needed_s() if self._ordered else 0.0
