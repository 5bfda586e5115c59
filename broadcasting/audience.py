"""What all listeners have told of themselves, together: sums that only grow.

A listener that leaves, and one that starts to count anew, takes nothing back.
"""

from __future__ import annotations

import dataclasses

from message import Report


@dataclasses.dataclass(slots=True)
class Audience:
    """Names as in a REPORT."""

    intact: int = 0
    retransmitted: int = 0
    rebuilt: int = 0
    lost: int = 0
    underruns: int = 0
    played_s: float = 0.0
    concealed_s: float = 0.0

    def add(self, before: Report | None, report: Report) -> None:
        """A listener told `report`, and `before` that."""
        for name in _NAMES:
            gained = getattr(report, name) - (getattr(before, name) if before else 0)
            if gained > 0:
                setattr(self, name, getattr(self, name) + gained)


_NAMES = tuple(field.name for field in dataclasses.fields(Audience))
