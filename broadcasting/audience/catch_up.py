"""What listeners that joined late are still to be sent of the last second: a queue with a rate.

A thousand listeners that join in the same second ask for a thousand bursts. They are sent first
come, first served, as fast as the budget of bytes allows and a little at a time, so that no live
segment waits for them. A burst that would come too late to be played is not begun: `backlog_s`
tells the handshake how long a new one would wait.

The burst is kept by its listener, and goes where that is. Pure: `now` is monotonic, in seconds.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from broadcasting.audience.listener import Listener
from broadcasting.audience.rate import Budget
from broadcasting.audience.registry import NEVER, Registry
from broadcasting.stream.history import Packet
from wire.address import Address

BUCKET_S = 0.02
"""Size of the budget in seconds of its rate: a burst of 128 kbit/s (17 kB) passes uncut at the
default rate, and this is short beside the time between two segments."""


DATAGRAMS_AT_ONCE = 512
"""Datagrams that are taken, or listeners that have left passed over, while the lock is held, at
most: 1 ms."""


class CatchUp:
    """The bursts that are on their way."""

    def __init__(self, registry: Registry, budget: Budget) -> None:
        """`budget` is in bytes, and shared with others."""
        self._registry = registry
        self._budget = budget
        self._queue: deque[Listener] = deque()
        self._queued_bytes = 0

    def __len__(self) -> int:
        return len(self._queue)

    @property
    def backlog_s(self) -> float:
        """How long a burst that is added now would wait for its turn."""
        return self._queued_bytes / self._budget.per_s

    def add(self, listener: Listener, burst: Sequence[Packet]) -> None:
        """Send `burst` to `listener` when its turn has come."""
        if burst:
            listener.burst = deque(burst)
            self._queue.append(listener)
            self._queued_bytes += _size_bytes(burst)

    def take(self, now: float) -> list[tuple[bytes, Address]]:
        """Datagrams that may go now."""
        taken: list[tuple[bytes, Address]] = []
        for _ in range(DATAGRAMS_AT_ONCE):
            if not self._queue:
                break
            listener = self._queue[0]
            burst = listener.burst
            assert burst is not None, "it is in the queue"
            if not self._registry.has(listener):
                self._queued_bytes -= _size_bytes(burst)
                burst.clear()
            elif self._budget.is_spent(now):
                break
            else:
                datagram = burst.popleft().datagram
                taken.append((datagram, listener.address))
                self._budget.spend(len(datagram), now)
                self._queued_bytes -= len(datagram)
            if not burst:
                listener.burst = None
                self._queue.popleft()
        return taken

    def next_due(self) -> float:
        """When `take` has something again; NEVER if nothing is queued."""
        # A tenth of the budget is worth waking up for; a byte is not.
        return self._budget.holds_at(self._budget.burst / 10) if self._queue else NEVER


def _size_bytes(burst: Sequence[Packet]) -> int:
    return sum(len(packet.datagram) for packet in burst)
