"""Where media time lies on our clock, by what the server tells of its own.

The origin is the server's time at which media time 0 is heard; the estimate of its clock turns that
into ours. A listener keeps the distance to it at which it began: so its timeline follows the
server's clock, which may drift, stand still or be moved, and nothing has to be concealed for that.

Hostile numbers are bounded: an origin only grows, and one that is not within reach of the audio
that comes is as good as none. Pure; `now` is monotonic, in seconds.
"""

from __future__ import annotations

from clock.estimate import Estimate

HEAD_START_S = 0.25
"""As the server's: from the first AUDIO of a broadcast until it is heard."""

REACH_S = 10.0
"""Audio that comes is to be heard within this time beyond what the server sends ahead."""

ASTRAY_S = 0.5
"""A timeline that is wrong by more than this,"""

ASTRAY_FOR_S = 1.0
"""for so long, is moved at once."""

DEAD_ZONE_S = 0.0005
"""Smaller errors are let be: half of what is promised,"""

SETTLED_S = 0.0001
"""and larger ones corrected until they are below this."""


class ServerTimeline:
    """The origins of one stream, and how far the listener's timeline is from where they put it.

    Offsets are as in JitterBuffer: media time t is due at t + offset.
    """

    def __init__(self, ahead_s: float) -> None:
        """`ahead_s`: how far ahead the server sends."""
        self.distance_s: float | None = None
        """Offset that is kept beyond the server's; None before the start, or when it is unknown."""
        self._ahead_s = ahead_s
        self._estimate: Estimate | None = None
        # Origin, and the first AUDIO that it holds for; the one before it.
        self._origin: tuple[int, int] | None = None
        self._last: tuple[int, int] | None = None
        self._was_moved = False
        self._astray_since: float | None = None
        self._correcting = False

    def learn(self, origin_us: int | None, sequence: int, end: int) -> bool:
        """Take an origin for AUDIO from `sequence` on; False if it is implausible.

        `end`: the sequence behind the newest AUDIO that may come.
        """
        if origin_us is None or (origin_us, sequence) == self._origin:
            return True
        if self._origin is not None and (origin_us, sequence) < self._origin:
            return True  # it was overtaken
        if sequence > end:
            return False
        if self._origin is not None and sequence > self._origin[1]:
            self._last, self._was_moved = self._origin, True
        self._origin = (origin_us, sequence)
        return True

    def follow(self, estimate: Estimate | None) -> None:
        """Take the newest estimate of the server's clock."""
        self._estimate = estimate

    def offset_s(self, sequence: int, media_time_us: int) -> float | None:
        """The server's offset for this message; None if it is not known."""
        origin = self._origin
        if origin is None or self._estimate is None:
            return None
        if sequence < origin[1]:
            origin = self._last or origin
        return self._estimate.ours((origin[0] + media_time_us) / 1e6) - media_time_us / 1e6

    def wanted_s(self, sequence: int, media_time_us: int) -> float | None:
        """The offset that the listener's timeline is to have; None if it is not known."""
        offset_s = self.offset_s(sequence, media_time_us)
        known = offset_s is not None and self.distance_s is not None
        return offset_s + self.distance_s if known else None  # type: ignore[operator]

    def begin(self, sequence: int, media_time_us: int, offset_s: float) -> None:
        """The listener's timeline has this offset, and is to keep its distance, if it is known."""
        server_s = self.offset_s(sequence, media_time_us)
        self.distance_s = None if server_s is None else offset_s - server_s
        self._settle()

    def is_astray(self, sequence: int, media_time_us: int, offset_s: float, now: float) -> bool:
        """Whether to move the timeline at once; asked for each live message that comes `now`."""
        wanted_s = self.wanted_s(sequence, media_time_us)
        if wanted_s is None:
            if self.distance_s is None:
                self.begin(sequence, media_time_us, offset_s)
            return False
        due_in_s = media_time_us / 1e6 + wanted_s - now
        within_reach = -REACH_S < due_in_s < self._ahead_s + REACH_S
        if not within_reach or abs(wanted_s - offset_s) < ASTRAY_S:
            self._astray_since = None
            return False
        if self._astray_since is None:
            self._astray_since = now
        assert self._origin is not None
        is_told = self._was_moved and sequence >= self._origin[1]
        if not is_told and now - self._astray_since < ASTRAY_FOR_S:
            return False
        self._settle()
        return True

    def correction_s(
        self, sequence: int, media_time_us: int, offset_s: float, most_s: float
    ) -> float:
        """By how much to make this message longer; shorter if below 0."""
        wanted_s = self.wanted_s(sequence, media_time_us)
        if wanted_s is None:
            return 0.0
        error_s = wanted_s - offset_s
        if abs(error_s) >= ASTRAY_S:
            return 0.0
        self._correcting = abs(error_s) > (SETTLED_S if self._correcting else DEAD_ZONE_S)
        return max(-most_s, min(most_s, error_s)) if self._correcting else 0.0

    def explains(self, sequence: int, media_time_us: int, early_s: float, now: float) -> bool:
        """Whether a live message may come `now`: about when the server sends it, on its clock.

        `early_s`: how much before its time it may be sent, with others.
        """
        offset_s = self.offset_s(sequence, media_time_us)
        if offset_s is None:
            return True
        early_by_s = media_time_us / 1e6 + offset_s - now - self._ahead_s - HEAD_START_S
        return -ASTRAY_S < early_by_s < ASTRAY_S + early_s

    def _settle(self) -> None:
        self._was_moved = self._correcting = False
        self._astray_since = None
