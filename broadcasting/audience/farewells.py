"""Which CONNECTs come too late: those of a listener that has left, or gone on from elsewhere.

A network may bring a copy of a CONNECT half a minute late, and its cookie is still good then.
Without this the copy would register a listener that is not there. A client draws a nonce for each
run, and says nothing after its GOODBYE, so what still comes with that nonce is a copy. With a key
the replay window does this (`seal`).

Pure: `now` is monotonic, in seconds. Memory is bounded.
"""

from __future__ import annotations

from collections import OrderedDict

from broadcasting.audience.cookie import SLOT_S
from broadcasting.audience.listener import Listener
from message import Connect
from wire.address import Address

REMEMBERED_S = 2 * SLOT_S
"""How long a farewell is remembered: no cookie is good for longer."""

MOST_REMEMBERED = 10_000
"""Farewells that are remembered, the newest."""


class Farewells:
    """The farewells of the last minute, as hashes of address and nonce."""

    def __init__(self) -> None:
        # When each is forgotten, the next one first.
        self._until: OrderedDict[int, float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._until)

    def left(self, listener: Listener, now: float) -> None:
        """`listener` has left for good: no CONNECT of this run of the client counts any more."""
        self._remember(hash((listener.address, listener.nonce)), now)
        if listener.came_from is not None:
            self._remember(hash((listener.came_from, listener.nonce)), now)

    def moves(self, listener: Listener, now: float) -> None:
        """`listener` goes on from elsewhere: here only a CONNECT with a session counts.

        It knows its session, so it says it if it comes back.
        """
        self._remember(hash((listener.address, listener.nonce, "")), now)

    def is_over(self, connect: Connect, address: Address, now: float) -> bool:
        """Whether `connect` is a copy of one that a listener at `address` sent before."""
        whole = hash((address, connect.nonce))
        moved = hash((address, connect.nonce, connect.session))
        return now < max(self._until.get(whole, now), self._until.get(moved, now))

    def _remember(self, farewell: int, now: float) -> None:
        self._until[farewell] = now + REMEMBERED_S
        self._until.move_to_end(farewell)
        while len(self._until) > MOST_REMEMBERED or next(iter(self._until.values())) <= now:
            self._until.popitem(last=False)
