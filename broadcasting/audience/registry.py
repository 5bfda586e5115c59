"""Who is registered: admission up to a capacity, and expiry of those who fall silent.

A listener is an address and a port. The registry knows no datagram and no clock: `now` is an
argument. It holds at most `capacity` listeners, and at most `most_per_network` of them from one
network: as many as one host could pretend to be.
"""

from __future__ import annotations

import dataclasses
from collections import Counter, OrderedDict
from collections.abc import Iterator
from typing import NamedTuple

from broadcasting.pace import IDLE
from message import Message, Report, session_first
from wire.address import Address, address_text, network_of


@dataclasses.dataclass(slots=True, eq=False)
class Listener:
    """One registered listener, and what it said of itself last."""

    address: Address
    nonce: str
    session: str
    joined_at: float
    heard_at: float
    first_sequence: int
    first_time_us: int
    live_time_us: int
    name: str
    """The address as text."""
    proof: bytes = dataclasses.field(init=False)
    """What the data of its messages begins with: the session, which nobody else knows."""
    reserved_until: float = IDLE
    """At the pace of its messages."""
    report: Report | None = None
    """The last one that was read."""
    unread: Message | None = None
    """A newer REPORT. Many are read together, which costs a fifth of reading each as it comes."""
    reported: int = -1
    """Sequence of the newest REPORT."""
    end_acknowledged: bool = False
    unsent: int = 0
    """AUDIO datagrams that the system did not take for it."""
    came_from: Address | None = None
    """Where it was before it moved to `address`; None if it did not, or moved back."""

    def __post_init__(self) -> None:
        self.proof = session_first(self.session)


LISTENER_BYTES = 2_000
"""What one takes, everywhere in the program together; 1,700 were measured."""

SEALED_LISTENER_BYTES = 2_800
"""The same where there is a key; 700 more were measured."""

MISSED_REPORTS = 2.5
"""A listener may lose two REPORTs in a row (RFC 3550, section 6.3.5, allows five intervals)."""


class Change(NamedTuple):
    """Somebody joined, or left."""

    address: Address
    joined: bool


class Registry:
    """The listeners by address, the one silent for longest first."""

    def __init__(self, capacity: int, timeout_s: float, most_per_network: int) -> None:
        self.capacity = capacity
        self.most_per_network = most_per_network
        self._timeout_s = timeout_s
        self._patience_s = 0.0
        self._patient_until = float("-inf")
        self._listeners: OrderedDict[Address, Listener] = OrderedDict()
        self._in_network: Counter[str] = Counter()
        self._by_session: dict[str, Listener] = {}
        self._addresses: tuple[Address, ...] | None = ()
        self._changes: list[Change] = []

    def __len__(self) -> int:
        return len(self._listeners)

    def __iter__(self) -> Iterator[Listener]:
        return iter(self._listeners.values())

    @property
    def timeout_s(self) -> float:
        """How long a listener may be silent: longer while listeners were told to report seldom."""
        return max(self._timeout_s, self._patience_s)

    @property
    def is_full(self) -> bool:
        """Whether every slot is taken."""
        return len(self._listeners) >= self.capacity

    def is_crowded(self, address: Address) -> bool:
        """Whether the network of `address` has as many listeners as one may have."""
        return self._in_network[network_of(address)] >= self.most_per_network

    @property
    def addresses(self) -> tuple[Address, ...]:
        """Every listener's address; the same tuple until somebody joins or leaves."""
        if self._addresses is None:
            self._addresses = tuple(self._listeners)
        return self._addresses

    def at(self, address: Address) -> Listener | None:
        """The listener at `address`, if one is registered there."""
        return self._listeners.get(address)

    def with_session(self, session: str) -> Listener | None:
        """The listener that has this session, wherever it is registered."""
        return self._by_session.get(session)

    def add(self, listener: Listener) -> None:
        """Register `listener`; the caller has seen that there is room."""
        assert not self.is_full
        assert not self.is_crowded(listener.address)
        assert listener.address not in self._listeners
        self._listeners[listener.address] = listener
        self._in_network[network_of(listener.address)] += 1
        self._by_session[listener.session] = listener
        self._addresses = None
        self._changes.append(Change(listener.address, joined=True))

    def remove(self, listener: Listener) -> None:
        """Free the slot of `listener` at once."""
        del self._listeners[listener.address]
        network = network_of(listener.address)
        self._in_network[network] -= 1
        if not self._in_network[network]:
            del self._in_network[network]
        del self._by_session[listener.session]
        self._addresses = None
        self._changes.append(Change(listener.address, joined=False))

    def has_room(self, listener: Listener, address: Address) -> bool:
        """Whether `listener` may have its slot at `address` instead of where it is."""
        same = network_of(address) == network_of(listener.address)
        return same or not self.is_crowded(address)

    def move(self, listener: Listener, address: Address, now: float) -> None:
        """`listener` has been heard at `address`, where nobody is registered: there it goes on."""
        before = listener.address
        self.remove(listener)
        listener.came_from = None if listener.came_from == address else before
        listener.address, listener.name, listener.heard_at = address, address_text(address), now
        self.add(listener)

    @property
    def has_changed(self) -> bool:
        """Whether `take_changes` would tell something."""
        return bool(self._changes)

    def take_changes(self) -> list[Change]:
        """Who joined and who left since the last call, in order."""
        changes, self._changes = self._changes, []
        return changes

    def heard(self, listener: Listener, now: float) -> None:
        """`listener` has been heard: its time runs anew."""
        listener.heard_at = now
        self._listeners.move_to_end(listener.address)

    def expect_reports(self, every_s: float, now: float) -> None:
        """A listener has been told to report `every_s`; until it can have, it is not silent."""
        patience_s = MISSED_REPORTS * every_s
        if patience_s >= self._patience_s or now >= self._patient_until:
            self._patience_s = patience_s
            self._patient_until = now + patience_s

    def silent(self, now: float) -> list[Listener]:
        """Those who have said nothing for `timeout_s`; they are still registered."""
        silent = []
        for listener in self._listeners.values():
            if now < listener.heard_at + self.timeout_s:
                break
            silent.append(listener)
        return silent

    def next_expiry(self) -> float | None:
        """When the next listener would be silent for too long."""
        for listener in self._listeners.values():
            return listener.heard_at + self.timeout_s
        return None
