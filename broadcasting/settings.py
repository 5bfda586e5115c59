"""What the user chose, for every room of this wing; the units are in the names."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True, slots=True)
class Settings:
    """One run of the server."""

    max_clients: int = 64
    wait_for: int = 1
    burst_s: float = 1.0
    interval_s: float | None = None
    timeout_s: float = 5.0
    speed: float = 1.0
    burst_rate_bytes_per_s: float = 12_500_000.0
    duration_s: float | None = None
    """Length of the whole programme; None if it is not known or has no end."""
