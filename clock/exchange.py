"""When to ask another machine for its time, and which answer belongs to which question.

Eight questions soon one after the other make a first estimate, one a second for 20 s makes it firm,
one in 4 s keeps it; an answer may ask for longer pauses. Each pause is drawn at random around its
mean: exchanges that fell together with audio, or with those of others, would all wait for the same
queue, and no filter sees a delay that is always there.
"""

from __future__ import annotations

from math import inf
from random import Random

from clock.estimate import Estimate
from clock.filter import ClockFilter

FIRST = 8
FIRST_PAUSE_S = 0.1
"""Mean pause between the first questions, unless all are to ask less often than PAUSE_S."""

EARLY_S = 20.0
EARLY_PAUSE_S = 1.0
"""Mean pause until this time after the first question,"""

PAUSE_S = 4.0
"""and later."""

SILENT_PAUSE_S = 30.0
"""Mean pause where the first questions found no answer: the other does not know them."""

SPREAD = 0.25
"""Largest part of a pause by which it is longer or shorter."""

HINT_PAUSE_S = 1.0
"""Least time from one hint that is followed to the next."""

OUTSTANDING = 16
"""Questions whose answer is still taken, the newest."""


class Exchange:
    """The exchanges with one other machine. `now` and all times are in seconds."""

    def __init__(self, random: Random, now: float) -> None:
        self._random = random
        self._filter = ClockFilter()
        self.restart(now)

    def restart(self, now: float) -> None:
        """From now on ask another clock; nothing is known of it."""
        self._filter.restart()
        self._sent: dict[int, float] = {}
        self._count = 0
        self._answers = 0
        self._began = self._next_at = now
        self._told_s = 0.0
        self._hinted_at = -inf

    def move(self, now: float) -> None:
        """Another path leads to the same clock."""
        self._filter.move()
        self._sent.clear()
        self._next_at = min(self._next_at, now)

    def next_due(self) -> float:
        """When to ask next."""
        return self._next_at

    def take_due(self, now: float) -> int | None:
        """The mark of a question to send now, if one is due: 64 random bits."""
        if now < self._next_at:
            return None
        mark = self._random.getrandbits(64)
        self._sent[mark] = now
        if len(self._sent) > OUTSTANDING:
            del self._sent[next(iter(self._sent))]
        self._count += 1
        self._next_at = now + self._pause_s(now)
        return mark

    def sent(self, mark: int, at: float) -> None:
        """The question left at `at`, later than it was due."""
        if mark in self._sent:
            self._sent[mark] = at

    def answered(
        self, mark: int, received: float, answered: float, pause_s: float, came: float
    ) -> bool:
        """Take an answer that came at `came`; False if it was not asked for, or came before.

        On the other clock the question was `received`, and `answered` later.
        """
        sent = self._sent.pop(mark, None)
        if sent is None:
            return False
        self._answers += 1
        self._told_s = pause_s
        self._filter.add(sent, received, answered, came)
        return True

    def hint(self, now: float) -> None:
        """Something came at a time that the estimate does not explain: ask at once."""
        if now - self._hinted_at >= HINT_PAUSE_S:
            self._hinted_at = now
            self._next_at = min(self._next_at, now)

    def estimate(self, now: float) -> Estimate | None:
        """The other clock as it is known at `now`; None before the first answer."""
        return self._filter.estimate(now)

    def _pause_s(self, now: float) -> float:
        if self._count < FIRST:
            usual_s = FIRST_PAUSE_S
        elif not self._answers:
            usual_s = SILENT_PAUSE_S
        else:
            usual_s = EARLY_PAUSE_S if now - self._began < EARLY_S else PAUSE_S
        # Where there are few, it costs nothing to let them begin quickly.
        if self._told_s > PAUSE_S:
            usual_s = max(usual_s, self._told_s)
        return usual_s * self._random.uniform(1 - SPREAD, 1 + SPREAD)
