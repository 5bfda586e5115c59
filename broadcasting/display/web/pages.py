"""Path -> page: the status page and its parts, JSON, metrics, health.

The server's figures are taken on request, at most once a second; requests in between get the same
pages. Pure, but for reading the page's files once; `now` is monotonic, in seconds.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from broadcasting.display.final_json import as_json
from broadcasting.display.web.metrics import CONTENT_TYPE, Metrics
from broadcasting.display.web.status import StatusFigures, worst_first
from shell.command_line.arguments import VERSION

LOOK_EVERY_S = 1.0
"""Shortest time between two looks at the server's figures."""

MOST_LISTENERS = 100
"""Listeners in /status.json, the worst: more fit no screen."""

_FILES = {
    "/": ("page.html", "text/html; charset=utf-8"),
    "/page.css": ("page.css", "text/css; charset=utf-8"),
    "/page.js": ("page.js", "text/javascript; charset=utf-8"),
}


class Page(NamedTuple):
    """Answer of a web server: HTTP status, media type and body."""

    status: int
    content_type: str
    body: bytes


class Pages:
    """Pages by path."""

    def __init__(self, look: Callable[[], StatusFigures]) -> None:
        """`look` returns the figures of now."""
        self._look = look
        self._metrics = Metrics()
        self._files = {
            path: Page(200, content_type, (Path(__file__).parent / name).read_bytes())
            for path, (name, content_type) in _FILES.items()
        }
        self._writers: dict[str, Callable[[StatusFigures], Page]] = {
            "/status.json": _status,
            "/metrics": self._write_metrics,
            "/healthz": _health,
        }
        self._figures: StatusFigures | None = None
        self._looked_at = 0.0
        self._written: dict[str, Page] = {}

    def at(self, path: str, now: float) -> Page | None:
        """Page at `path`; None if there is none."""
        if path in self._files:
            return self._files[path]
        writer = self._writers.get(path)
        if writer is None:
            return None
        if self._figures is None or now >= self._looked_at + LOOK_EVERY_S:
            self._figures, self._looked_at, self._written = self._look(), now, {}
        if path not in self._written:
            self._written[path] = writer(self._figures)
        return self._written[path]

    def _write_metrics(self, figures: StatusFigures) -> Page:
        return Page(200, CONTENT_TYPE, self._metrics.write(figures))


def _status(figures: StatusFigures) -> Page:
    content = as_status(figures)
    # A lone surrogate, which UTF-8 cannot encode, becomes its JSON escape.
    body = json.dumps(content, ensure_ascii=False).encode("utf-8", "backslashreplace")
    return Page(200, "application/json", body)


def as_status(figures: StatusFigures) -> dict[str, Any]:
    """Object of the final statistics with the figures of now and the worst listeners."""
    now = figures.snapshot
    shown = worst_first(figures.listeners, MOST_LISTENERS)
    reports = [one.report for one in figures.listeners if one.report is not None]
    jitters_ms = [report.jitter_ms for report in reports if report.jitter_ms is not None]
    return {
        "version": VERSION,
        "state": _state(figures),
        "registered": now.listeners,
        "capacity": figures.capacity,
        "lost": now.lost,
        "jitter_ms": max(jitters_ms, default=None),
        **as_json(now, shown),
    }


def _state(figures: StatusFigures) -> str:
    if figures.failed:
        return "failed"
    if figures.snapshot.closing:
        return "ending"
    return "playing" if figures.snapshot.started else "waiting"


def _health(figures: StatusFigures) -> Page:
    """Health: 503 when a load balancer should send no more clients here."""
    state = _state(figures)
    well = state in ("playing", "waiting")
    return Page(200 if well else 503, "text/plain; charset=utf-8", f"{state}\n".encode())
