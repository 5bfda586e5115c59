"""Work of the server's main thread while it waits: show, record, obey what is typed."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from broadcasting.display.final_json import as_json
from broadcasting.display.live_view import LiveView, listing_lines
from broadcasting.display.prompt import Prompt
from broadcasting.display.table import listener_text, summary
from broadcasting.display.views import Views
from broadcasting.source.programme import Programme
from shell.command_line.arguments import TellingOptions
from shell.command_line.result import Ending, stopped_by, write_json
from shell.terminal.live import Live, human_stream, print_table
from shell.terminal.printing import MayWait
from shell.terminal.text import one_line

if TYPE_CHECKING:
    from broadcasting.display.recorder import Recorder

REFRESH_S = 1.0
"""Interval of the live view, which shows seconds."""

log = logging.getLogger("server")


class Console:
    """Live view, prompt and recorder of a server. Main thread only."""

    def __init__(
        self,
        live: Live,
        prompt: Prompt,
        views: Views,
        programme: Programme,
        place: str,
        recorder: Recorder | None,
    ) -> None:
        """`place`: the server's address, for people."""
        self._live = live
        self._prompt = prompt
        self._views = views
        self._programme = programme
        self._view = LiveView(place)
        self._recorder = recorder

    def refresh(self) -> None:
        """Show and record what is due."""
        if self._live.is_due():
            self._view.tell(self._views.live(self._view.places(self._live.rows())))
            self._live.show(self._view)
        if self._recorder is not None and self._recorder.is_due():
            self._recorder.tell(self._views)

    @property
    def pause_s(self) -> float | None:
        """Time until `refresh` is to be called; None: never."""
        pause_s = self._live.pause_s
        if self._recorder is None:
            return pause_s
        return self._recorder.pause_s(REFRESH_S if pause_s is None else pause_s)

    def obey(self, skip: Callable[[], None], stop: Callable[[], None]) -> None:
        """Obey what was typed, calling `skip` for `next` and `stop` for `quit`."""
        for word in self._prompt.take():
            self._obey(word, skip, stop)

    def _obey(self, word: str, skip: Callable[[], None], stop: Callable[[], None]) -> None:
        log.info("typed: %s", word)
        self._view.listing = ()
        if word in ("next", "n"):
            skip()
            self._live.say("next: the rest of this track is left out")
        elif word in ("list", "l") and self._live.is_screen:
            self._view.listing = self._programme.listing()
        elif word in ("list", "l"):
            for line in listing_lines(self._programme.listing()):
                self._live.say(line)
        elif word in ("quit", "q"):
            stop()
        else:
            self._live.say(f"{one_line(word)[:20]!r} means nothing here: type next, list or quit")


def tell_the_end(
    ending: Ending,
    telling: TellingOptions,
    views: Views | None,
    recorder: Recorder | None,
    may_wait: MayWait,
) -> int:
    """Write what was promised, log and print the final figures; return the exit status.

    The files come first: a terminal, or the reader of a pipe, may take nothing. `views` is None if
    there was no broadcast.
    """
    if views is None:
        with ending:
            if telling.json is not None:
                write_json(telling.json, {"failure": ending.first_fault}, may_wait)
        if recorder is not None:
            recorder.close()
        return ending.status()
    if views.failure is not None:
        ending.add(stopped_by(views.failure))
    failure = ending.first_fault
    snapshot, listeners = views.snapshot(), views.everyone()
    with ending:
        if telling.json is not None:
            write_json(telling.json, as_json(snapshot, listeners, failure), may_wait)
    if recorder is not None:
        with ending:
            recorder.tell(views)
        with ending:
            ending.add(recorder.finish(snapshot, listeners, failure))
    with ending:
        rows = summary(snapshot)
        figures = (f"{name} {value} {rest}".strip() for name, value, rest in rows)
        log.info("final: %s", "; ".join(figures))
        for one in listeners:
            log.info("listener %s", listener_text(one))
        print_table(human_stream(telling.json), "Broadcast", rows, may_wait)
    return ending.status()
