"""What the user chose, for every room of this wing; the units are in the names."""

from __future__ import annotations

import dataclasses

from broadcasting.parity import Fec


@dataclasses.dataclass(frozen=True, slots=True)
class Settings:
    """One run of the server."""

    max_clients: int = 64
    max_clients_per_address: int = 16
    wait_for: int = 1
    burst_s: float = 1.0
    interval_s: float | None = None
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
