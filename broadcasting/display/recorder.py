"""`--report` and `--csv` of the server: told once a second, written at the end. I/O."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterable, Sequence
from typing import Protocol

from broadcasting.audience.figures import ListenerFigures
from broadcasting.broadcast import BroadcastSnapshot
from broadcasting.display.audience_record import AudienceRecord, report
from broadcasting.display.table import summary
from reporting.record import Record, ended_now


class Recorded(Protocol):
    """Figures of a server, as the recorder asks for them."""

    def present(self) -> Iterable[ListenerFigures]:
        """Registered listeners."""

    def departed(self, after: int) -> tuple[list[ListenerFigures], int]:
        """Listeners that left after the first `after`, as far as kept; how many have left."""

    def position_s(self) -> float | None:
        """Position in the stream; None before the start."""


class Recorder:
    """Record of a server. Main thread only."""

    def __init__(self, report_path: str | None, csv_path: str | None) -> None:
        """Raises RecordError, with one line for the user, if a file cannot be written."""
        self._record = Record(report_path, csv_path, server=True, begun_at=time.monotonic())
        self._audience = AudienceRecord()
        self._gone = 0

    def is_due(self) -> bool:
        """Whether it is time to call `tell`."""
        return self._record.is_due()

    def pause_s(self, longest_s: float) -> float:
        """Time until `tell` is due, at most `longest_s`."""
        return self._record.pause_s(longest_s)

    def tell(self, server: Recorded) -> None:
        """Record the figures of now."""
        # A listener that leaves in between is in both; its last figures count.
        present = list(server.present())
        departed, self._gone = server.departed(self._gone)
        now_s = self._record.now_s()
        total = self._audience.tell(now_s, [*present, *departed])
        self._record.tell(now_s, dataclasses.replace(total, position_s=server.position_s()))

    def close(self) -> None:
        """Close the CSV."""
        self._record.close()

    def finish(
        self, end: BroadcastSnapshot, listeners: Sequence[ListenerFigures], failure: str | None
    ) -> str | None:
        """Write both files; return what went wrong, in one line, or None."""
        content = report(
            self._audience,
            end.title,
            summary(end),
            failure,
            self._record.rows,
            listeners,
            ended_now(self._record.now_s()),
        )
        return self._record.finish(content)
