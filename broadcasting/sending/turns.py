"""Messages that are due -> turns of parts of the audience, one after another.

A pass over ten thousand listeners takes 40 ms. In one go it would begin on time and end late for
the same listeners each time, and block the sending thread meanwhile. So the listeners are divided
into parts of one system call each, and the parts take turns until something is due again: each
listener is sent every message at the same distance from its media time, which is all that a
play-out delay needs.

One pass at a time: a listener that joins or leaves does so for the next pass, so that a part holds
the same listeners from the first turn to the last. Pure: `now` is monotonic, in seconds.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from operator import attrgetter
from typing import NamedTuple

from broadcasting.stream.history import Packet

PART_LISTENERS = 1024
"""Listeners in a part: as many as one call takes (`sendmmsg.BATCH`), 4 ms of work."""


class Turn(NamedTuple):
    """Send `messages` to part `part` of `parts` of the listeners."""

    messages: Sequence[Packet]
    part: int
    parts: int
    offset_s: float
    """Delay of its deadline after that of the first part, in seconds."""

    @property
    def is_first(self) -> bool:
        """Whether it begins a pass."""
        return self.part == 0

    @property
    def is_last(self) -> bool:
        """Whether it ends the pass: every listener has been sent the messages then."""
        return self.part == self.parts - 1

    def runs(self) -> Iterator[Turn]:
        """This turn as several, in order: each kind of message apart, to be counted apart."""
        if len(self.messages) == 1:
            yield self
            return
        for _, run in itertools.groupby(self.messages, key=attrgetter("kind")):
            yield self._replace(messages=tuple(run))


class Turns:
    """The pass under way."""

    def __init__(self) -> None:
        self._messages: Sequence[Packet] = ()
        self._began = 0.0
        self._step_s = 0.0
        self._parts = 0
        self._next = 0

    @property
    def under_way(self) -> bool:
        """Whether a turn is still to be taken."""
        return self._next < self._parts

    def begin(
        self, messages: Sequence[Packet], listeners: int, now: float, until: float | None
    ) -> None:
        """Send `messages` to all, spread until something else is due (None: nothing is)."""
        assert not self.under_way, "one pass at a time"
        self._messages = messages
        self._parts = max(1, -(-listeners // PART_LISTENERS))
        self._next = 0
        self._began = now
        self._step_s = max(0.0, (until or now) - now) / self._parts

    def next_due(self) -> float | None:
        """When the next turn is due; None without one."""
        return self._began + self._next * self._step_s if self.under_way else None

    def take(self, now: float) -> Turn | None:
        """The turn that is due now; None without one."""
        offset_s = self._next * self._step_s
        if not self.under_way or now < self._began + offset_s:
            return None
        turn = Turn(self._messages, self._next, self._parts, offset_s)
        self._next += 1
        return turn
