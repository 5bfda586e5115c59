"""What those who joined late are still to be sent of the last second: a queue with a pace.

A thousand who join in the same second ask for a thousand bursts. They are sent first come, first
served, at the pace of a bucket of bytes and a little at a time, so that no live segment waits for
them. A burst that would come too late to be played is not begun: `backlog_s` tells the admission
how long a new one would wait.

Pure: `now` is monotonic, in seconds.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from broadcasting.history import Sent
from broadcasting.token_bucket import TokenBucket
from wire.address import Address

BUCKET_S = 0.02
"""What may go at once: long enough that one burst of 128 kbit/s (17 kB) is not cut at the
default rate, short beside the time between two segments."""


class CatchUp:
    """The bursts that are on their way."""

    def __init__(self, bucket: TokenBucket) -> None:
        """`bucket` holds bytes, and others may spend of it, too."""
        self._bucket = bucket
        self._queue: deque[tuple[Address, deque[Sent]]] = deque()
        self._queued_bytes = 0

    def __len__(self) -> int:
        return len(self._queue)

    @property
    def backlog_s(self) -> float:
        """How long a burst that is added now would wait for its turn."""
        return self._queued_bytes / self._bucket.rate

    def add(self, address: Address, burst: Sequence[Sent]) -> None:
        """Send `burst` to `address` when its turn has come."""
        if burst:
            self._queue.append((address, deque(burst)))
            self._queued_bytes += sum(len(sent.datagram) for sent in burst)

    def take(self, now: float) -> list[tuple[bytes, Address]]:
        """What may go now."""
        self._bucket.fill(now)
        taken = []
        while self._queue and self._bucket.tokens > 0:
            address, burst = self._queue[0]
            datagram = burst.popleft().datagram
            if not burst:
                self._queue.popleft()
            taken.append((datagram, address))
            self._bucket.spend(len(datagram))
            self._queued_bytes -= len(datagram)
        return taken

    def drop(self, address: Address) -> None:
        """`address` has left: what is queued for it is not sent."""
        for waiting in self._queue:
            if waiting[0] == address:
                self._queued_bytes -= sum(len(sent.datagram) for sent in waiting[1])
                self._queue.remove(waiting)
                return

    def move(self, before: Address, address: Address) -> None:
        """Who was at `before` is at `address` now: what is queued goes there."""
        for place, waiting in enumerate(self._queue):
            if waiting[0] == before:
                self._queue[place] = (address, waiting[1])
                return

    def next_due(self) -> float | None:
        """When `take` has something again; None if nothing is queued."""
        if not self._queue:
            return None
        # A tenth of the bucket is worth waking up for; a token is not.
        return self._bucket.holds_at(self._bucket.depth / 10)
