"""What the user chose, for every folder of this package; units are in the names."""

from __future__ import annotations

import dataclasses
import enum
from typing import NamedTuple

from wire.parity import MESSAGE_S


class Fec(NamedTuple):
    """Amount of parity: `parity_count` PARITY messages for each block of `messages` AUDIO."""

    messages: int
    parity_count: int
    auto: bool = False
    """`parity_count` is only the start value: it follows the loss that listeners report."""

    @property
    def block_s(self) -> float:
        """Longest duration of a block, in seconds of media: its parity may come this much later."""
        return self.messages * MESSAGE_S


class Fragments(enum.IntEnum):
    """Which datagrams of a listener the kernel may fragment."""

    NEVER = 0
    """None: DF is set, and what is longer than the path's MTU is not sent."""
    WHERE_KNOWN = 1
    """Those longer than the path's MTU, where routers have told it."""
    ALWAYS = 2
    """Those longer than the path's MTU, which routers do not tell."""


@dataclasses.dataclass(frozen=True, slots=True)
class Settings:
    """One run of the server."""

    max_clients: int = 64
    max_clients_per_address: int = 16
    wait_for: int = 1
    burst_s: float = 1.0
    interval_s: float | None = None
    mtu_bytes: int = 1400
    timeout_s: float = 5.0
    speed: float = 1.0
    burst_rate_bytes_per_s: float = 12_500_000.0
    duration_s: float | None = None
    """Length of the whole programme; None if it is not known or has no end."""
    fec: Fec | None = None
    live: bool = False
    """The source may be slower than real time."""

    @property
    def ahead_s(self) -> float:
        """How far ahead of real time the server sends, in media time.

        What parity gives comes a block later than what was lost. So the server is a block further
        ahead, and `burst_s` is left of it to every listener, to ask for what parity cannot give.
        """
        return self.burst_s + (self.fec.block_s if self.fec else 0.0)
