"""What `--report` and `--csv` are told of a server while it runs, and written at its end. I/O."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterable, Sequence
from typing import Protocol

from broadcasting.audience_record import AudienceRecord, report
from broadcasting.broadcast import BroadcastSnapshot
from broadcasting.display import summary
from broadcasting.reception import Departed
from shell.record import Record, ended_now


class Recorded(Protocol):
    """The server, as far as it is recorded."""

    def present(self) -> Iterable[Departed]:
        """Everyone who is registered, with the figures of each."""

    def departed(self, after: int) -> tuple[list[Departed], int]:
        """Those who left after so many had, as far as they are kept; how many have now."""

    def position_s(self) -> float | None:
        """Where the stream is; None if it has not started."""


class Recorder:
    """Of the thread that shows the live view."""

    def __init__(self, report_path: str | None, csv_path: str | None) -> None:
        """Raises ValueError, with one line for the user, if one of them cannot be written."""
        self._record = Record(report_path, csv_path, server=True, begun_at=time.monotonic())
        self._audience = AudienceRecord()
        self._gone = 0

    def is_due(self) -> bool:
        """Whether a second is over."""
        return self._record.is_due()

    def pause_s(self, longest_s: float) -> float:
        """How long nothing has to be told, `longest_s` at most."""
        return self._record.pause_s(longest_s)

    def tell(self, server: Recorded) -> None:
        """The figures of now."""
        # Who leaves in between is found in both, with the same name; its last figures count.
        present = list(server.present())
        departed, self._gone = server.departed(self._gone)
        now_s = self._record.now_s()
        total = self._audience.tell(now_s, [*present, *departed])
        self._record.tell(now_s, dataclasses.replace(total, position_s=server.position_s()))

    def finish(
        self, end: BroadcastSnapshot, listeners: Sequence[Departed], failure: str | None
    ) -> str | None:
        """Write what there is to be written; what went wrong, in one line, or None."""
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
