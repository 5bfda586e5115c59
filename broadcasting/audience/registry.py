"""Registered listeners: admission up to a capacity, and expiry of those that fall silent.

A listener is an address and a port. The registry knows no datagram and no clock: `now` is an
argument. It holds at most `capacity` listeners, and at most `most_per_network` of them from one
network (an IPv4 address, an IPv6 /64), because one host can pretend to be that many.
"""

from __future__ import annotations

import itertools
from collections import Counter, OrderedDict
from collections.abc import Collection, Iterator

from broadcasting.audience.listener import Listener
from broadcasting.settings import Fragments
from wire.address import Address, address_text, network_of

MISSED_REPORTS = 2.5
"""Time-out in intervals between REPORTs: two in a row may be lost (RFC 3550, section 6.3.5, allows
five)."""

NEVER = float("inf")


class Registry:
    """The listeners by address."""

    def __init__(self, capacity: int, timeout_s: float, most_per_network: int) -> None:
        self.capacity = capacity
        self.most_per_network = most_per_network
        self.closing = False
        """Whether the end has been told: nobody is admitted any more."""
        self.changes = 0
        """Registrations and departures so far."""
        self._timeout_s = timeout_s
        self._patience_s = 0.0
        self._patient_until = float("-inf")
        self._listeners: dict[Address, Listener] = {}
        # The same, longest silent first. It takes ten times as long to list.
        self._by_silence: OrderedDict[Address, Listener] = OrderedDict()
        self._in_network: Counter[str] = Counter()
        self._by_session: dict[str, Listener] = {}
        self._addresses: tuple[Address, ...] | None = ()
        # Since the last `take_changes`: what cancels out is in neither.
        self._joined: dict[Address, None] = {}
        self._left: dict[Address, None] = {}

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

    def refusal(self, address: Address) -> str | None:
        """The reason of REJECT for a new listener at `address`; None if it may register."""
        if self.closing:
            return "closing"
        if self.is_full:
            return "full"
        return "address" if self.is_crowded(address) else None

    @property
    def addresses(self) -> tuple[Address, ...]:
        """Address of every listener; the same tuple until one joins or leaves."""
        if self._addresses is None:
            self._addresses = tuple(self._listeners)
        return self._addresses

    def at(self, address: Address) -> Listener | None:
        """The listener at `address`, if one is registered there."""
        return self._listeners.get(address)

    def has(self, listener: Listener) -> bool:
        """Whether `listener` is still registered."""
        return self._listeners.get(listener.address) is listener

    def with_session(self, session: str) -> Listener | None:
        """The listener that has this session, wherever it is registered."""
        return self._by_session.get(session)

    def add(self, listener: Listener) -> None:
        """Register `listener`; the caller has seen that there is room."""
        assert not self.is_full
        assert not self.is_crowded(listener.address)
        assert listener.address not in self._listeners
        self._listeners[listener.address] = self._by_silence[listener.address] = listener
        self._in_network[network_of(listener.address)] += 1
        self._by_session[listener.session] = listener
        self._note(listener.address, self._joined, self._left)

    def remove(self, listener: Listener) -> None:
        """Free the slot of `listener` at once."""
        del self._listeners[listener.address], self._by_silence[listener.address]
        network = network_of(listener.address)
        self._in_network[network] -= 1
        if not self._in_network[network]:
            del self._in_network[network]
        del self._by_session[listener.session]
        self._note(listener.address, self._left, self._joined)

    def has_room(self, listener: Listener, address: Address) -> bool:
        """Whether `listener` may have its slot at `address` instead of its own."""
        same = network_of(address) == network_of(listener.address)
        return same or not self.is_crowded(address)

    def move(self, listener: Listener, address: Address, now: float) -> None:
        """`listener` has been heard at `address`, where nobody is registered: it goes on there."""
        before = listener.address
        self.remove(listener)
        listener.came_from = None if listener.came_from == address else before
        listener.address, listener.name, listener.heard_at = address, address_text(address), now
        listener.fragments, listener.path = Fragments.NEVER, None
        self.add(listener)

    def take_changes(self) -> tuple[Collection[Address], Collection[Address]]:
        """The addresses that joined, and those that left, since the last call."""
        joined, left = self._joined, self._left
        self._joined, self._left = {}, {}
        return joined, left

    def _note(
        self, address: Address, now_in: dict[Address, None], was_in: dict[Address, None]
    ) -> None:
        self._addresses = None
        self.changes += 1
        if address in was_in:
            del was_in[address]
        else:
            now_in[address] = None

    def heard(self, listener: Listener, now: float) -> None:
        """`listener` has been heard: its time-out begins anew."""
        listener.heard_at = now
        self._by_silence.move_to_end(listener.address)

    def expect_reports(self, every_s: float, now: float) -> None:
        """A listener has been told to report `every_s`: allow for it in the time-out."""
        patience_s = MISSED_REPORTS * every_s
        if patience_s >= self._patience_s or now >= self._patient_until:
            self._patience_s = patience_s
            self._patient_until = now + patience_s

    def silent(self, now: float, most: int) -> list[Listener]:
        """At most `most` listeners that have said nothing for `timeout_s`, longest silent first.

        They are still registered.
        """
        longest = itertools.islice(self._by_silence.values(), most)
        return [*itertools.takewhile(lambda one: now >= one.heard_at + self.timeout_s, longest)]

    def next_expiry(self) -> float:
        """When the next listener will have been silent for too long; NEVER without listeners."""
        for listener in self._by_silence.values():
            return listener.heard_at + self.timeout_s
        return NEVER
