"""The server's numbers for Prometheus, in its text format. Pure.

Names and units follow its conventions: base units, `_total` for what only grows. No label names a
listener: each that joins would leave a time series behind, for ever. What they tell is there as
sums, and as the worst of those who listen now; `/status.json` has them one by one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.registry import Collector

from broadcasting.web.view import LATENESS_BOUNDS_S, View
from shell.arguments import VERSION

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4

PREFIX = "mp3cast_"


class Metrics:
    """Writes what `/metrics` answers."""

    def __init__(self) -> None:
        self._latest = _Latest()
        self._registry = CollectorRegistry()
        self._registry.register(self._latest)
        ProcessCollector(registry=self._registry)

    def write(self, view: View) -> bytes:
        """All metrics at the moment of `view`."""
        self._latest.view = view
        return generate_latest(self._registry)


class _Latest(Collector):
    view: View | None = None

    def collect(self) -> Iterator[Metric]:
        if self.view is not None:
            yield InfoMetricFamily(PREFIX + "server", "What runs here", {"version": VERSION})
            yield from _broadcast(self.view)
            yield from _datagrams(self.view)
            yield from _listeners(self.view)


def _broadcast(view: View) -> Iterator[Metric]:
    now, count = view.snapshot, view.snapshot.statistics
    yield _gauge("on_air", "1 from the first send until the end is told", _on_air(view))
    yield _gauge("position_seconds", "Media time that has been broadcast", now.position_s)
    yield _gauge("duration_seconds", "Length of the programme, if it is known", now.duration_s)
    yield _counter("messages", "Audio messages of the stream", count.messages)
    yield _counter("audio_bytes", "Bytes of MP3 in them", count.audio_bytes)
    yield _counter("parity_messages", "Parity messages of the stream", count.parity_messages)
    yield _counter("parity_bytes", "Bytes of data in them", count.parity_bytes)
    yield _counter("skipped_files", "Files that could not be played", count.skipped_files)
    yield _counter("source_stalls", "Times that a live source had nothing", count.source_stalls)
    yield _counter("source_silence_seconds", "Silence sent in its place", count.silence_s)
    bounds = [*map(str, LATENESS_BOUNDS_S), "+Inf"]
    yield HistogramMetricFamily(
        PREFIX + "send_lateness_seconds",
        "How long after its deadline a message was sent",
        buckets=list(zip(bounds, map(float, view.lateness), strict=True)),
        sum_value=None,
    )


def _datagrams(view: View) -> Iterator[Metric]:
    count = view.snapshot.statistics
    yield _labelled(
        "datagrams_sent",
        "Datagrams of audio and parity handed to the system",
        "kind",
        {
            "audio": count.datagrams,
            "parity": count.parity_datagrams,
            "repeat": count.repeated,
        },
    )
    yield _labelled(
        "datagrams_unsent",
        "Datagrams that the system would not take",
        "kind",
        {"audio": count.unsent, "parity": count.parity_unsent},
    )
    yield _counter("repeated_bytes", "Bytes of MP3 in repeats", count.repeated_bytes)
    yield _labelled(
        "repeats_withheld",
        "Messages that were asked for and not sent again",
        "reason",
        {"too_soon": count.repeats_spared, "budget": count.repeats_refused},
    )
    yield _labelled(
        "requests",
        "Requests for messages",
        "result",
        {"looked_at": count.requests, "refused": count.requests_refused},
    )
    yield _counter("control_received", "Control messages understood", count.control_received)
    yield _labelled(
        "datagrams_useless",
        "Datagrams that came and were of no use",
        "reason",
        {
            "malformed": count.malformed,
            "ignored": count.ignored,
            "passed_over": count.passed_over,
            "forged": count.forged,
            "replayed": count.replayed,
        },
    )


def _listeners(view: View) -> Iterator[Metric]:
    now, count, told = view.snapshot, view.snapshot.statistics, view.snapshot.audience
    yield _gauge("listeners", "Listeners registered", now.listeners)
    yield _gauge("listeners_limit", "Most listeners at one time that are let in", view.capacity)
    yield _counter("registrations", "Listeners that were let in", count.accepted)
    yield _counter("challenges", "Calls of addresses not yet proved", count.unproved)
    yield _counter("moves", "Listeners that went on from another address or port", count.moved)
    yield _counter("expirations", "Listeners that fell silent", count.expired)
    yield _labelled("rejections", "Refusals", "reason", count.rejected)
    yield _labelled(
        "listener_messages",
        "What became of audio messages at the listeners, as they told",
        "outcome",
        {
            "intact": told.intact,
            "retransmitted": told.retransmitted,
            "rebuilt": told.rebuilt,
            "lost": told.lost,
        },
    )
    yield _counter("listener_played_seconds", "Audio played by all listeners", told.played_s)
    yield _counter("listener_concealed_seconds", "Of it, concealed", told.concealed_s)
    yield _counter("listener_underruns", "Times that a listener had nothing", told.underruns)
    reports = [one.report for one in view.listeners if one.report is not None]
    for name, text, values in (
        ("jitter", "Interarrival jitter", [report.jitter_ms for report in reports]),
        ("round_trip", "Round trip", [report.rtt_ms for report in reports]),
    ):
        known_s = [value_ms / 1e3 for value_ms in values if value_ms is not None]
        yield _gauge(
            f"listener_{name}_worst_seconds",
            f"{text} of the listener with the longest",
            max(known_s, default=None),
        )
    buffers_s = [report.buffer_s for report in reports if report.buffer_s is not None]
    yield _gauge(
        "listener_buffer_worst_seconds",
        "Audio that the listener with the least has in its buffer",
        min(buffers_s, default=None),
    )


def _on_air(view: View) -> bool:
    return view.snapshot.started and not view.snapshot.closing


def _gauge(name: str, text: str, value: float | None) -> GaugeMetricFamily:
    """What is not known has no sample."""
    family = GaugeMetricFamily(PREFIX + name, text)
    if value is not None:
        family.add_metric([], value)
    return family


def _counter(name: str, text: str, value: float) -> CounterMetricFamily:
    return CounterMetricFamily(PREFIX + name, text, value)


def _labelled(name: str, text: str, label: str, values: Mapping[str, float]) -> CounterMetricFamily:
    family = CounterMetricFamily(PREFIX + name, text, labels=[label])
    for one, value in sorted(values.items()):
        family.add_metric([one], value)
    return family
