"""A missing message: since when, how often it was asked for, and how long to wait before that.

How long is learned from messages that came after all, because others had overtaken them. A stall,
in which nothing comes and then everything at once, is no disorder.
"""

from __future__ import annotations

import dataclasses

FIRST_WAIT = 1 / 4
"""Part of the time for repair to wait before the first request while nothing was learned. Several
missing in a row are the sign of a burst, which takes many requests to repair."""

FIRST_WAIT_ALONE = 1 / 2
"""Part of that time to wait for a message that is missing alone: it may be overtaken."""

MOST_FIRST_S = 1.0
"""These are parts of at most this: what is missing at the start holds up the first sound."""

MARGIN = 2
"""Wait this multiple of the longest time that a missing message took to come after all."""

IMPATIENCE = 0.8
"""Each loss multiplies the wait by this."""

LEAST_WAIT_S = 0.005
"""Two datagrams that overtake each other in one machine are seldom further apart."""

LONGEST_GUESS = 1 / 4
"""On a path too long for all requests, wait this part of the time at most while nothing has shown
that messages overtake one another there."""

LONGEST_WAIT = 3 / 4
"""Wait this part of the time at most where something has."""

STALL = 1 / 4
"""Part of the time until a deadline. To learn from a hold-up that is longer, and is followed by
everything at once, would leave no time for repair."""


class Patience:
    """The wait before the first request: a guess, until messages that came after all teach more."""

    def __init__(self, guess_s: float) -> None:
        self._guess_s = guess_s
        self._learned_s = 0.0

    def came_after(self, waited_s: float) -> None:
        """A missing message came after all, after `waited_s`."""
        self._learned_s = max(self._learned_s, waited_s * MARGIN)

    def in_vain(self) -> None:
        """A missing message was lost: the wait was of no use."""
        self._guess_s = max(LEAST_WAIT_S, self._guess_s * IMPATIENCE)
        self._learned_s *= IMPATIENCE

    def wait_s(self, left_s: float, enough_s: float) -> float:
        """Seconds to wait with `left_s` until the deadline.

        After `enough_s` all requests that are wanted still find their time.
        """
        guess_s = min(self._guess_s, max(enough_s, left_s * LONGEST_GUESS))
        learned_s = min(self._learned_s, max(enough_s, left_s * LONGEST_WAIT))
        return max(0.0, guess_s, learned_s)


class Waits:
    """The waits of one stream."""

    def __init__(self, time_s: float) -> None:
        """`time_s`: seconds from the arrival of a message to its deadline, usually."""
        unit_s = min(time_s, MOST_FIRST_S)
        self.gap = Patience(unit_s * FIRST_WAIT)
        self.alone = Patience(unit_s * FIRST_WAIT_ALONE)
        self.overdue = Patience(unit_s * FIRST_WAIT)
        self._late_s = 0.0

    def came_after_all(self, waited_s: float) -> None:
        """A message that others had overtaken came `waited_s` after it was seen to be missing."""
        for patience in (self.gap, self.alone, self.overdue):
            patience.came_after(waited_s)

    def were_in_vain(self) -> None:
        """A missing message was lost."""
        for patience in (self.gap, self.alone, self.overdue):
            patience.in_vain()

    def came_late(self, late_s: float, left_s: float | None) -> None:
        """The newest message came this late for its time; below 0: early.

        `left_s`: if it came right behind the one before it, the seconds until the deadline of that
        one. Only then is it known whether that one ended a stall.
        """
        if self._late_s and (left_s is None or self._late_s < STALL * left_s):
            self.overdue.came_after(self._late_s)
        self._late_s = max(0.0, late_s)


@dataclasses.dataclass(slots=True)
class Absence:
    """What repair knows of one missing message."""

    media_time_us: int
    """Estimate of where it begins."""
    since: float
    """When it was seen to be missing."""
    patience: Patience | None
    """None: it is overdue, so the wait is over."""
    overtaken_at: float | None = None
    """Since when it is out of order: a later message has come. None: it may just be held up."""
    requests: int = 0
    asked_at: float = 0.0

    def overtake(self, left_s: float, now: float) -> None:
        """A later message came; `left_s`: seconds from `since` until the deadline."""
        stalled = now - self.since >= STALL * left_s
        self.overtaken_at = now if stalled else self.since
