"""Work of the client's main thread while it waits: show, record, obey keys."""

from __future__ import annotations

import dataclasses
import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TextIO

from listening.arrival.playout_delay import USUAL_S
from listening.display.final_json import as_json
from listening.display.live_view import LiveView
from listening.display.table import simulation_rows, summary
from listening.listen import Listen, ListenSnapshot
from listening.outputs import Output
from listening.outputs.fader import STEP_DB
from listening.playback import Playback
from shell.command_line.arguments import TellingOptions
from shell.command_line.result import Ending, write_json
from shell.terminal.keys import DOWN, SPACE, UP
from shell.terminal.live import Live, complain, print_table
from shell.terminal.printing import MayWait
from shell.terminal.text import Fact

if TYPE_CHECKING:
    from listening.simulated_network import SimulatedNetwork
    from reporting.record import Record

REFRESH_S = 0.5
"""Interval of the live view."""

log = logging.getLogger("client")


@dataclasses.dataclass
class Views:
    """The client, as the main thread sees it; takes the lock for a moment."""

    listen: Listen
    simulated: SimulatedNetwork | None
    playback: Playback
    output: Output
    meeting: threading.Lock
    fault: str | None = None
    """What ended a thread, set by its owner: a fault of ours, or of the output."""

    @property
    def failure(self) -> str | None:
        """Why the client could not go on; None if it could."""
        return self.fault or self.listen.failure

    def snapshot(self) -> ListenSnapshot:
        """The whole state."""
        with self.meeting:
            return self.listen.snapshot(time.monotonic())


class Console:
    """Live view and keys of a client. Main thread only."""

    def __init__(self, live: Live, views: Views, buffer_s: float | None) -> None:
        self._live = live
        self._views = views
        self._fader = views.playback.fader
        self._output = views.output
        self._trouble: str | None = None
        self._hint: str | None = None
        self._view = LiveView(
            buffer_s=buffer_s or USUAL_S,
            is_heard=not self._output.waits,
            has_keys=live.has_keys,
            simulated=views.simulated,
        )

    def refresh(self, record: Record | None) -> None:
        """Show and record what is due."""
        self._tell_of_trouble()
        if self._live.is_due():
            now = self._views.snapshot()
            accept = self._views.listen.accept
            # ACCEPT tells the bit rate of the first track alone.
            trouble = self._trouble or (None if now.statistics.received else self._hint)
            bit_rate_bps = accept.bit_rate_bps if accept and len(now.tracks) <= 1 else None
            self._view.tell(now, self._fader.wanted, bit_rate_bps, time.monotonic(), trouble)
            self._live.show(self._view)
        if record is not None and record.is_due():
            tell(record, self._views)

    def pause_s(self, record: Record | None) -> float:
        """Time until `refresh` is to be called."""
        pause_s = self._live.pause_s
        pause_s = REFRESH_S if pause_s is None else min(pause_s, REFRESH_S)
        return pause_s if record is None else record.pause_s(pause_s)

    def ignore_keys(self) -> None:
        """Read and drop keys: unread, they would wake the main thread again and again."""
        self._live.typed()

    def obey(self, changed: Callable[[], None]) -> bool:
        """Obey the keys, calling `changed` after a change of loudness; return whether to stop."""
        for key in self._live.typed():
            if key == "q":
                return True
            if key == "s" and self._live.is_screen:
                self._view.shows_statistics = not self._view.shows_statistics
            elif key == "s":
                self._live.print_table("Statistics", summary(self._views.snapshot().statistics))
            elif not self._output.waits and self._set_loudness(key):
                changed()
        return False

    def _set_loudness(self, key: str) -> bool:
        before = wanted = self._fader.wanted
        if key == SPACE:
            wanted = before._replace(paused=not before.paused)
        elif key == "m":
            wanted = before._replace(muted=not before.muted)
        elif key in (UP, DOWN):
            wanted = before.louder(STEP_DB if key == UP else -STEP_DB)
        if wanted == before:
            return False
        self._fader.wanted = wanted
        log.info("the listener wants it so: %s", wanted)
        return True

    def _tell_of_trouble(self) -> None:
        """Print when the output fails and when it is back; on a screen the view shows it."""
        before, self._trouble = self._trouble, self._output.trouble
        if (before is None) != (self._trouble is None) and not self._live.is_screen:
            complain("client.py", self._trouble or "the sound device is back")
        hint, self._hint = self._hint, self._views.listen.starvation.hint
        if hint is None and self._hint is not None and not self._live.is_screen:
            complain("client.py", self._hint)


def tell(record: Record, views: Views) -> None:
    """Record the figures of now."""
    from listening.display.page import figures

    record.tell(record.now_s(), figures(views.snapshot()))


def tell_the_end(
    ending: Ending,
    telling: TellingOptions,
    stream: TextIO,
    views: Views | None,
    record: Record | None,
    may_wait: MayWait,
) -> int:
    """Write what was promised, log and print the final figures; return the exit status.

    The files come first: a terminal, or the reader of a pipe, may take nothing. `views` is None if
    nothing could be listened to.
    """
    if views is None:
        with ending:
            if telling.json is not None:
                write_json(telling.json, {"failure": ending.first_fault}, may_wait)
        if record is not None:
            record.close()
        return ending.status()
    if views.failure is not None:
        log.error("%s", views.failure)
        ending.add(views.failure)
    failure = ending.first_fault
    snapshot, simulated = views.snapshot(), views.simulated
    with ending:
        if telling.json is not None:
            content = as_json(snapshot, views.listen.accept, failure, simulated)
            write_json(telling.json, content, may_wait)
    rows: Sequence[Fact] = ()
    with ending:
        rows = summary(snapshot.statistics) + simulation_rows(simulated)
    if record is not None:
        _finish(ending, record, views, rows, failure)
    with ending:
        figures = (f"{name.strip()} {value} {rest.strip()}".strip() for name, value, rest in rows)
        log.info("final: %s", "; ".join(figures))
        if failure is None or snapshot.statistics.played_s:
            print_table(stream, snapshot.title or "No stream", rows, may_wait)
    return ending.status()


def _finish(
    ending: Ending, record: Record, views: Views, rows: Sequence[Fact], failure: str | None
) -> None:
    with ending:
        tell(record, views)
    with ending:
        from listening.display.page import report
        from reporting.record import ended_now

        ended = ended_now(record.now_s())
        ending.add(record.finish(report(views.snapshot(), rows, failure, record.rows, ended)))
