"""Metrics of the server in the text format of Prometheus. Pure.

Names and units follow its conventions: base units, `_total` for counters. No label names a
listener: every listener would leave a time series behind for ever. Their figures are here as sums,
and as the worst of the present listeners; `/status.json` lists them one by one.
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

from broadcasting.display.web.status import LATENESS_BOUNDS_S, StatusFigures
from shell.command_line.arguments import VERSION

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4

PREFIX = "mp3cast_"


class Metrics:
    """Writer of the page /metrics."""

    def __init__(self) -> None:
        self._latest = _Latest()
        self._registry = CollectorRegistry()
        self._registry.register(self._latest)
        ProcessCollector(registry=self._registry)

    def write(self, figures: StatusFigures) -> bytes:
        """Text of all metrics."""
        self._latest.figures = figures
        return generate_latest(self._registry)


class _Latest(Collector):
    figures: StatusFigures | None = None

    def collect(self) -> Iterator[Metric]:
        if self.figures is not None:
            yield InfoMetricFamily(PREFIX + "server", "What runs here", {"version": VERSION})
            yield from _broadcast(self.figures)
            yield from _datagrams(self.figures)
            yield from _listeners(self.figures)
            yield from _reported(self.figures)


def _broadcast(figures: StatusFigures) -> Iterator[Metric]:
    now, count = figures.snapshot, figures.snapshot.statistics
    yield _gauge("on_air", "1 from the first send until END is sent", _on_air(figures))
    yield _gauge("position_seconds", "Media time that has been broadcast", now.position_s)
    yield _gauge("duration_seconds", "Length of the programme, if it is known", now.duration_s)
    yield _counter("messages", "Audio messages of the stream", count.messages)
    yield _counter("audio_bytes", "Bytes of MP3 in them", count.audio_bytes)
    yield _counter("parity_messages", "Parity messages of the stream", count.parity_messages)
    yield _counter("parity_bytes", "Bytes of data in them", count.parity_bytes)
    yield _counter("skipped_files", "Files that could not be played", count.skipped_files)
    yield _counter("source_stalls", "Times that the source delivered nothing", count.source_stalls)
    yield _counter("source_silence_seconds", "Silence sent in its place", count.silence_s)
    bounds = [*map(str, LATENESS_BOUNDS_S), "+Inf"]
    yield HistogramMetricFamily(
        PREFIX + "send_lateness_seconds",
        "How long after its deadline a message was sent",
        buckets=list(zip(bounds, map(float, figures.lateness), strict=True)),
        sum_value=None,
    )


def _datagrams(figures: StatusFigures) -> Iterator[Metric]:
    count = figures.snapshot.statistics
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
        "Datagrams that the system refused",
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
        "Datagrams received and not used",
        "reason",
        {
            "malformed": count.malformed,
            "ignored": count.ignored,
            "passed_over": count.passed_over,
            "forged": count.forged,
            "replayed": count.replayed,
        },
    )


def _listeners(figures: StatusFigures) -> Iterator[Metric]:
    now, count = figures.snapshot, figures.snapshot.statistics
    yield _gauge("listeners", "Listeners registered", now.listeners)
    yield _gauge("listeners_limit", "Capacity: most listeners at one time", figures.capacity)
    yield _counter("registrations", "Listeners that registered", count.accepted)
    yield _counter("challenges", "CONNECTs of addresses not yet proved", count.unproved)
    yield _counter("moves", "Listeners that moved to another address or port", count.moved)
    yield _counter("expirations", "Listeners that fell silent", count.expired)
    yield _labelled("rejections", "Refusals", "reason", count.rejected)


def _reported(figures: StatusFigures) -> Iterator[Metric]:
    told = figures.snapshot.audience
    yield _labelled(
        "listener_messages",
        "Audio messages at the listeners, by outcome, as reported",
        "outcome",
        {
            "intact": told.intact,
            "retransmitted": told.retransmitted,
            "rebuilt": told.rebuilt,
            "lost": told.lost,
        },
    )
    yield _counter("listener_played_seconds", "Audio played by all listeners", told.played_s)
    yield _counter(
        "listener_concealed_seconds",
        "Concealed part of the audio played by all listeners",
        told.concealed_s,
    )
    yield _counter(
        "listener_underruns", "Times that a listener had nothing to play", told.underruns
    )
    yield _counter(
        "listener_device_underruns",
        "Times that the sound device of a listener had nothing to play",
        told.device_underruns,
    )
    reports = [one.report for one in figures.listeners if one.report is not None]
    for name, text, values in (
        ("jitter", "Interarrival jitter", [report.jitter_ms for report in reports]),
        ("round_trip", "Round trip", [report.rtt_ms for report in reports]),
        ("clock_spread", "Doubt of the clock", [report.clock_spread_ms for report in reports]),
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
        "Shortest buffer of a listener",
        min(buffers_s, default=None),
    )


def _on_air(figures: StatusFigures) -> bool:
    return figures.snapshot.started and not figures.snapshot.closing


def _gauge(name: str, text: str, value: float | None) -> GaugeMetricFamily:
    """Gauge; an unknown value has no sample."""
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
