"""One registered listener: all that the server keeps of it.

To leave is to drop this object, to move is to change its `address`. What not every listener needs
is None until it is needed.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections import deque
from typing import TYPE_CHECKING

from broadcasting.audience.rate import IDLE
from broadcasting.settings import Fragments
from broadcasting.stream.history import History, Packet
from broadcasting.stream.parity_control import Loss
from message import Message, Report, session_at_start, session_first
from wire.address import Address

if TYPE_CHECKING:
    from wire.replay_window import ReplayWindow

LISTENER_BYTES = 2_000
"""Memory for one listener in the whole program; 1,700 bytes were measured."""

SEALED_LISTENER_BYTES = 2_800
"""Memory for one listener with a key; 700 bytes more were measured."""

REPORTS_IN_VAIN = 3
"""REPORTs in a row without a long datagram, until the path is held to be narrow. A short outage
loses the REPORTs too, and shows in one."""


class Account:
    """What one listener was repeated, and may still be."""

    __slots__ = ("_repeated_at", "_seen_bytes", "allowance_bytes", "requested_until")

    def __init__(self, history: History) -> None:
        self.requested_until = IDLE
        """Timestamp of the limiter of its REQUESTs."""
        self.allowance_bytes = history.bytes
        self._seen_bytes = history.bytes_ever
        self._repeated_at: dict[int, float] = {}

    def earn(self, history: History) -> None:
        """Gain what was broadcast since the last time."""
        earned = history.bytes_ever - self._seen_bytes
        self.allowance_bytes = min(history.bytes, self.allowance_bytes + earned)
        self._seen_bytes = history.bytes_ever

    def repeated_within(self, seconds: float, sequence: int, now: float) -> bool:
        """Whether this message was repeated in the last `seconds`."""
        at = self._repeated_at.get(sequence)
        return at is not None and now - at < seconds

    def repeat(self, packet: Packet, now: float) -> None:
        """`packet` is repeated now."""
        self.allowance_bytes -= len(packet.datagram)
        # Oldest first, as `forget` needs it.
        self._repeated_at.pop(packet.sequence, None)
        self._repeated_at[packet.sequence] = now

    def forget(self, before: float) -> None:
        """Drop what was repeated before that time; the allowance bounds the rest."""
        old = [*itertools.takewhile(lambda at: at[1] < before, self._repeated_at.items())]
        for sequence, _ in old:
            del self._repeated_at[sequence]


class PathWatch:
    """What the REPORTs of one listener say of its path."""

    __slots__ = ("_in_vain", "_long", "_received", "_short")

    def __init__(self) -> None:
        self._received, self._short, self._long = 0, 0, -1
        self._in_vain = 0

    def report(self, received: int, short: int, long: int) -> None:
        """Take a REPORT: all AUDIO that was sent, `short` and `long`, and that was `received`."""
        before, self._long = self._long, long
        arrived, self._received = received - self._received, received
        had_short, self._short = short - self._short, short
        if before >= 0 and long > before:
            self._in_vain = self._in_vain + 1 if arrived <= had_short else 0

    @property
    def is_narrow(self) -> bool:
        """Whether only short datagrams arrive."""
        return self._in_vain >= REPORTS_IN_VAIN


@dataclasses.dataclass(slots=True, eq=False)
class Peer:
    """A client with the key whose address is proved."""

    salt: bytes
    window: ReplayWindow
    listener: Listener | None = None
    """The listener it is registered as; None if it has left, or was refused."""
    forget_at: float = 0.0
    """When it is forgotten, if it has left."""
    failed_until: float = IDLE
    """Timestamp of the limiter of messages with its salt that the key does not open."""


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
    proof: tuple[bytes, bytes] = dataclasses.field(init=False)
    """First bytes of the data of its messages, JSON or numbers: the session, which nobody else
    knows."""
    reserved_until: float = IDLE
    """Timestamp of the limiter of its messages."""
    came_from: Address | None = None
    """Its address before it moved; None if it did not, or moved back."""
    end_acknowledged: bool = False
    reported: int = -1
    """Sequence of the newest REPORT."""
    unread: Message | None = None
    """The newest REPORT, checked, until it is read: reading many together costs a fifth."""
    report: Report | None = None
    """The newest REPORT that was read."""
    fragments: Fragments = Fragments.NEVER
    """Which datagrams to it the kernel may fragment."""
    path: PathWatch | None = None
    """What its REPORTs say of its path; None before the first, and when it is known to be narrow.
    """
    loss: Loss | None = None
    """Message loss averaged over its REPORTs; None unless parity follows it."""
    account: Account | None = None
    """Record of its repairs and its allowance; None before its first REQUEST."""
    burst: deque[Packet] | None = None
    """AUDIO of the last second that it is still to be sent; None if nothing."""
    peer: Peer | None = None
    """The client that holds the key; None without a key."""

    def __post_init__(self) -> None:
        self.proof = session_first(self.session), session_at_start(self.session)
