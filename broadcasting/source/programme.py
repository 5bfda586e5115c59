"""The inputs of one run in the order in which they are played, and the way to the next one.

Iterating is one round, shuffled anew if that was asked for. A live source that has played and then
breaks is opened again, after growing pauses, before it is given up. The reading thread iterates;
`skip` and `end` may be called from any thread.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from random import Random

from broadcasting.source.live_source import LiveSource
from broadcasting.source.tracks import SourceError

PAUSES_S = (0.5, 1, 2, 4, 8, 15)
"""Pauses before each attempt to open a live source again: half a minute in all."""


class Programme:
    """The inputs of one run."""

    def __init__(self, inputs: Sequence[str | LiveSource], random: Random | None = None) -> None:
        """`random` shuffles each round."""
        self._inputs = list(inputs)
        self._random = random
        self._round = self._inputs
        self._now = -1
        # The last track of all inputs before the current one, and of it.
        self._before = self._track = 0
        self._moving = threading.Lock()
        self._unwanted = threading.Event()
        self._ended = False
        # Attempts to open the current source again since it last played; None: it never has.
        self._attempt: int | None = None
        self._wants_again = False

    @property
    def is_live(self) -> bool:
        """Whether any input is live."""
        return any(not isinstance(one, str) for one in self._inputs)

    def __iter__(self) -> Iterator[str | LiveSource]:
        if self._random is not None:
            self._round = self._random.sample(self._inputs, len(self._inputs))
        for now, one in enumerate(self._round):
            with self._moving:
                self._now, self._before = now, self._track
                self._attempt, self._wants_again = None, False
                self._unwanted.clear()
            if self._ended:
                return
            yield one
            while self._wants_again and not self._ended:
                assert self._attempt is not None, "it has played"
                if self._unwanted.wait(PAUSES_S[self._attempt]):
                    break
                self._attempt += 1
                self._wants_again = False
                yield one

    def is_unwanted(self, track: int | None = None) -> bool:
        """Whether the current input, of which `track` was read, has been skipped."""
        self._track = track or self._track
        return self._ended or self._unwanted.is_set()

    def skip(self, track: int) -> None:
        """Leave the current input, unless `track` was that of one before."""
        with self._moving:
            if track > self._before:
                self._leave()

    def end(self) -> None:
        """End the programme."""
        self._ended = True
        self._leave()

    def _leave(self) -> None:
        self._unwanted.set()
        if self._now >= 0 and not isinstance(one := self._round[self._now], str):
            one.interrupt()

    def broke(self, fault: SourceError) -> bool:
        """The current input has ended with `fault`; whether it will be opened again."""
        one = self._round[self._now]
        if isinstance(one, str) or not one.returns or self.is_unwanted():
            return False
        if fault.ended_early:
            self._attempt = 0
        self._wants_again = self._attempt is not None and self._attempt < len(PAUSES_S)
        return self._wants_again

    def listing(self) -> list[tuple[bool, str]]:
        """Inputs of this round: whether it is the one being read, and its name."""
        return [
            (number == self._now, one if isinstance(one, str) else one.name)
            for number, one in enumerate(self._round)
        ]
