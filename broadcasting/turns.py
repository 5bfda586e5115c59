"""What is due -> parts of the audience, one after another: who is sent it when.

A pass over ten thousand listeners takes 40 ms. Made in one go it would begin on time and end late,
for the same listeners each time, and all that while the one who sends could do nothing else. So
the listeners are divided into parts of one system call each, and the parts take turns over the
time that there is until something is due again: each listener is sent every message at the same
distance from its media time, which is all that a play-out delay asks for.

One pass at a time: who joins or leaves during it does so for the next, so that a part is the same
listeners from the first turn to the last. Pure: `now` is monotonic, in seconds.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from broadcasting.history import Sent

PART_LISTENERS = 1024
"""As many as one call takes (broadcasting.sendmmsg.BATCH): 4 ms of work."""


class Turn(NamedTuple):
    """Part `part` of `parts` of the listeners is to be sent `messages`."""

    messages: Sequence[Sent]
    part: int
    parts: int
    offset_s: float
    """How much later than the first part its deadline is."""

    @property
    def is_first(self) -> bool:
        """Whether a pass begins."""
        return self.part == 0

    @property
    def is_last(self) -> bool:
        """Whether every listener has been sent the messages, after this."""
        return self.part == self.parts - 1

    def runs(self) -> Iterator[Turn]:
        """The same, audio, parity and tracks apart, in order: each is counted for itself."""
        for _, run in itertools.groupby(self.messages, key=lambda sent: sent[4:6]):
            yield self._replace(messages=tuple(run))


class Turns:
    """The pass that is under way."""

    def __init__(self) -> None:
        self._messages: Sequence[Sent] = ()
        self._began = 0.0
        self._step_s = 0.0
        self._parts = 0
        self._next = 0

    @property
    def under_way(self) -> bool:
        """Whether a turn is still to be taken."""
        return self._next < self._parts

    def begin(
        self, messages: Sequence[Sent], listeners: int, now: float, until: float | None
    ) -> None:
        """Send `messages` to all; something else is due at `until` (None: nothing)."""
        assert not self.under_way, "one pass at a time"
        self._messages = messages
        self._parts = max(1, -(-listeners // PART_LISTENERS))
        self._next = 0
        self._began = now
        self._step_s = max(0.0, (until or now) - now) / self._parts

    def next_due(self) -> float | None:
        """When the next turn is; None if there is none."""
        return self._began + self._next * self._step_s if self.under_way else None

    def take(self, now: float) -> Turn | None:
        """The turn that is due now, if one is."""
        offset_s = self._next * self._step_s
        if not self.under_way or now < self._began + offset_s:
            return None
        turn = Turn(self._messages, self._next, self._parts, offset_s)
        self._next += 1
        return turn
