"""A path -> what a web server answers: the status page and its parts, JSON, metrics, health.

The server is looked at when somebody asks, and at most once a second, whatever is asked: all else
is answered with what was seen and written then. Pure, but for reading the page's own files once;
`now` is monotonic, in seconds.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from broadcasting.report import as_json
from broadcasting.web.metrics import CONTENT_TYPE, Metrics
from broadcasting.web.view import View, worst_first
from shell.arguments import VERSION

LOOK_EVERY_S = 1.0

MOST_LISTENERS = 100
"""In /status.json: the worst. More fill no screen, and cost a reader and us for nothing."""

_FILES = {
    "/": ("page.html", "text/html; charset=utf-8"),
    "/page.css": ("page.css", "text/css; charset=utf-8"),
    "/page.js": ("page.js", "text/javascript; charset=utf-8"),
}


class Page(NamedTuple):
    """What is answered."""

    status: int
    content_type: str
    body: bytes


class Pages:
    """All there is."""

    def __init__(self, look: Callable[[], View]) -> None:
        """`look` gives the state of the server now."""
        self._look = look
        self._metrics = Metrics()
        self._files = {
            path: Page(200, content_type, (Path(__file__).parent / name).read_bytes())
            for path, (name, content_type) in _FILES.items()
        }
        self._writers: dict[str, Callable[[View], Page]] = {
            "/status.json": _status,
            "/metrics": self._write_metrics,
            "/healthz": _health,
        }
        self._view: View | None = None
        self._looked_at = 0.0
        self._written: dict[str, Page] = {}

    def at(self, path: str, now: float) -> Page | None:
        """The page at `path`; None if there is none."""
        if path in self._files:
            return self._files[path]
        writer = self._writers.get(path)
        if writer is None:
            return None
        if self._view is None or now >= self._looked_at + LOOK_EVERY_S:
            self._view, self._looked_at, self._written = self._look(), now, {}
        if path not in self._written:
            self._written[path] = writer(self._view)
        return self._written[path]

    def _write_metrics(self, view: View) -> Page:
        return Page(200, CONTENT_TYPE, self._metrics.write(view))


def _status(view: View) -> Page:
    content = as_status(view)
    # Half of a surrogate pair, which UTF-8 cannot hold, is replaced by what JSON escapes it with.
    body = json.dumps(content, ensure_ascii=False).encode("utf-8", "backslashreplace")
    return Page(200, "application/json", body)


def as_status(view: View) -> dict[str, Any]:
    """What the final statistics have, as it is now, and of those who listen the worst."""
    now = view.snapshot
    shown = worst_first(view.listeners, MOST_LISTENERS)
    return {
        "version": VERSION,
        "state": _state(view),
        "registered": now.listeners,
        "capacity": view.capacity,
        "lost": now.lost,
        "jitter_ms": now.jitter_ms,
        **as_json(now, shown),
    }


def _state(view: View) -> str:
    if view.failed:
        return "failed"
    if view.snapshot.closing:
        return "ending"
    return "playing" if view.snapshot.started else "waiting"


def _health(view: View) -> Page:
    """503 when a load balancer should send nobody here any more."""
    state = _state(view)
    well = state in ("playing", "waiting")
    return Page(200 if well else 503, "text/plain; charset=utf-8", f"{state}\n".encode())
