"""Figures of the broadcast for displays, status pages and recorder, from any thread.

Each call takes the lock that the threads of the server share, for a moment at a time.
"""

from __future__ import annotations

import collections
import itertools
import threading
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from broadcasting.audience.figures import ListenerFigures
from broadcasting.broadcast import Broadcast, BroadcastSnapshot, BroadcastView

if TYPE_CHECKING:
    from broadcasting.display.web.status import StatusFigures

MOST_LOOKS = 4
"""Looks at some listeners each, to rank them for one screen."""

LOOK_PAUSE_S = 0.0005
"""Pause between looks: a lock that is taken again at once is not given to the thread that waits."""


class Views:
    """Figures of a broadcast. Any thread may call."""

    def __init__(self, broadcast: Broadcast, meeting: threading.Lock) -> None:
        self.failure: Exception | None = None
        """The fault that ended the broadcast, set by its owner."""
        self._broadcast = broadcast
        self._meeting = meeting

    def live(self, places: int) -> BroadcastView:
        """The state for a live view that has room for `places` listeners."""
        for _ in range(MOST_LOOKS):
            with self._meeting:
                has_more = self._broadcast.ranking.look(places, time.monotonic())
            if not has_more:
                break
            time.sleep(LOOK_PAUSE_S)
        return self._view()

    def title(self) -> str:
        """Title of the track that is being sent; empty before the first is known."""
        return self._view().title

    def position_s(self) -> float | None:
        """Position in the stream; None if it has not started."""
        view = self._view()
        return view.position_s if view.started else None

    def present(self) -> Iterator[ListenerFigures]:
        """The registered listeners with their last figures."""
        with self._meeting:
            left = iter(self._broadcast.registry.addresses)
        has_more = True
        while has_more:
            with self._meeting:
                found, has_more = self._broadcast.figures.present(left, time.monotonic())
            yield from found
            if has_more:
                time.sleep(LOOK_PAUSE_S)

    def departed(self, after: int) -> tuple[list[ListenerFigures], int]:
        """Listeners that left after the first `after`, as far as they are kept; how many left."""
        with self._meeting:
            gone = self._broadcast.statistics.accepted - len(self._broadcast.registry)
            kept = self._broadcast.figures.departed
            first = max(0, len(kept) - (gone - after))
            return list(itertools.islice(kept, first, None)), gone

    def everyone(self) -> list[ListenerFigures]:
        """Listeners that left (as far as kept) or are registered, with their last figures."""
        present = {(one.address, one.joined_at): one for one in self.present()}
        with self._meeting:
            departed = list(self._broadcast.figures.departed)
        for one in departed:
            # One that left in between is in both.
            present.pop((one.address, one.joined_at), None)
        return [*departed, *present.values()]

    def snapshot(self) -> BroadcastSnapshot:
        """The whole state; costs in proportion to the number of listeners."""
        # So that the REPORTs of all are read.
        collections.deque(self.present(), maxlen=0)
        return self._snapshot()

    def status(self) -> StatusFigures:
        """The state for the status pages."""
        from broadcasting.display.web.status import LATENESS_BOUNDS_S, StatusFigures

        present = list(self.present())
        snapshot = self._snapshot()
        with self._meeting:
            lateness = self._broadcast.lateness.within(LATENESS_BOUNDS_S)
        capacity = self._broadcast.settings.max_clients
        failed = self.failure is not None
        return StatusFigures(snapshot, present, capacity, lateness, failed)

    def _snapshot(self) -> BroadcastSnapshot:
        with self._meeting:
            return self._broadcast.snapshot(time.monotonic())

    def _view(self) -> BroadcastView:
        with self._meeting:
            return self._broadcast.view(time.monotonic())
