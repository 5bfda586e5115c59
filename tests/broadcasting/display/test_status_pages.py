"""What the status pages say of the server, and how seldom they look at it."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from broadcasting.audience.figures import Audience, ListenerFigures
from broadcasting.broadcast import Broadcast
from broadcasting.display.web.pages import MOST_LISTENERS, Pages
from broadcasting.display.web.status import LATENESS_BOUNDS_S, StatusFigures
from broadcasting.settings import Settings
from message import Report
from shell.command_line.arguments import VERSION

TITLE = "</script>\x1b[31m 部屋 \ud83d \N{RIGHT-TO-LEFT OVERRIDE}"


def report(**figures: Any) -> Report:
    return Report(session="s", clock_us=0, expected=100, received=90, **{"intact": 90, **figures})


def listener(port: int, told: Report | None) -> ListenerFigures:
    return ListenerFigures(("192.0.2.7", port), 3.0, 10.0, "listening", told)


def view(*listeners: ListenerFigures, **changes: Any) -> StatusFigures:
    broadcast = Broadcast(Settings(), stream_id=1, secret=b"s", token=lambda: "t")
    count = broadcast.statistics
    count.messages, count.datagrams, count.parity_datagrams, count.repeated = 1, 2, 3, 4
    count.rejected["full"] = 5
    for late_s in (0.0, 0.0007, 0.0007, 0.9, 5.0):
        broadcast.lateness.add(late_s)
    changes = {"started": True, "listeners": len(listeners), "position_s": 61.5, **changes}
    snapshot = replace(broadcast.snapshot(10.0), **changes)
    return StatusFigures(
        snapshot, listeners, 64, broadcast.lateness.within(LATENESS_BOUNDS_S), failed=False
    )


def body(of: StatusFigures, path: str) -> str:
    page = Pages(lambda: of).at(path, 0.0)
    assert page is not None
    return page.body.decode()


def status(of: StatusFigures) -> dict[str, Any]:
    content = json.loads(body(of, "/status.json"))
    assert isinstance(content, dict)
    return content


def metrics(of: StatusFigures) -> dict[str, Metric]:
    return {family.name: family for family in text_string_to_metric_families(body(of, "/metrics"))}


def samples(of: StatusFigures) -> dict[str, float]:
    """Every sample of our own, with its labels as in the text."""
    return {
        sample.name
        + "".join(f" {name}={value}" for name, value in sample.labels.items()): sample.value
        for family in metrics(of).values()
        for sample in family.samples
    }


def test_the_server_is_looked_at_once_a_second_at_most() -> None:
    looks = []

    def look() -> StatusFigures:
        looks.append(1)
        return view(position_s=float(len(looks)))

    pages = Pages(look)
    for step in range(200):
        now = 5.0 + step / 100
        for path in ("/", "/status.json", "/metrics", "/healthz", "/page.js", "/nothing"):
            pages.at(path, now)
    assert len(looks) == 2
    page = pages.at("/status.json", 6.99)
    assert page is not None
    assert json.loads(page.body)["position_s"] == 2.0


def test_who_asks_only_for_the_page_itself_does_not_look_at_the_server() -> None:
    def look() -> StatusFigures:
        raise AssertionError

    for path, kind in (("/", "text/html"), ("/page.css", "text/css"), ("/page.js", "text/javas")):
        page = Pages(look).at(path, 0.0)
        assert page is not None
        assert page.content_type.startswith(kind)


def test_no_other_path_leads_anywhere() -> None:
    pages = Pages(view)
    for path in ("", "/page.html", "/../server.py", "/web/page.css", "/status", "/status.json/"):
        assert pages.at(path, 0.0) is None


def test_status_says_what_the_final_statistics_say_and_the_state() -> None:
    now = status(view(listener(1, report(lost=2, jitter_ms=1.5)), title="Song"))
    assert (now["state"], now["title"], now["position_s"]) == ("playing", "Song", 61.5)
    assert (now["registered"], now["capacity"], now["version"]) == (1, 64, VERSION)
    assert (now["messages"], now["rejected"], now["duration_s"]) == (1, {"full": 5}, None)
    (one,) = now["listeners"]
    assert (one["address"], one["registered_s"], one["lost"]) == ("192.0.2.7:1", 7.0, 2)
    assert one["rtt_ms"] is None
    assert "session" not in one
    assert "clock_us" not in one


def test_a_title_that_utf_8_cannot_hold_is_told_all_the_same() -> None:
    assert status(view(title=TITLE))["title"] == TITLE


def test_the_worst_listeners_are_shown_first_and_no_more_than_a_reader_can_use() -> None:
    many = [listener(port, report(lost=port % 977, jitter_ms=1.0)) for port in range(1, 1001)]
    now = status(view(listener(2000, None), *many))
    losses = [one.get("lost", 0) for one in now["listeners"]]
    assert losses == sorted(losses, reverse=True)
    assert losses[0] == 976
    assert len(losses) == MOST_LISTENERS
    assert now["registered"] == 1001


def test_health_is_503_once_nobody_should_be_sent_here() -> None:
    for state, changes in (
        ("waiting", {"started": False}),
        ("playing", {}),
        ("ending", {"closing": True}),
    ):
        page = Pages(lambda changes=changes: view(**changes)).at("/healthz", 0.0)  # type: ignore[misc]
        assert page is not None
        assert page.body.decode() == f"{state}\n"
        assert page.status == (503 if state == "ending" else 200)
    failed = Pages(lambda: view()._replace(failed=True)).at("/healthz", 0.0)
    assert failed is not None
    assert (failed.status, failed.body) == (503, b"failed\n")


def test_metrics_are_what_prometheus_reads() -> None:
    found = samples(view(audience=Audience(intact=9, lost=3, played_s=4.5)))
    assert found["mp3cast_on_air"] == 1
    assert found["mp3cast_position_seconds"] == 61.5
    assert found["mp3cast_messages_total"] == 1
    assert found["mp3cast_datagrams_sent_total kind=audio"] == 2
    assert found["mp3cast_datagrams_sent_total kind=parity"] == 3
    assert found["mp3cast_datagrams_sent_total kind=repeat"] == 4
    assert found["mp3cast_rejections_total reason=full"] == 5
    assert found["mp3cast_listener_messages_total outcome=intact"] == 9
    assert found["mp3cast_listener_messages_total outcome=lost"] == 3
    assert found["mp3cast_listener_played_seconds_total"] == 4.5
    assert found["mp3cast_send_lateness_seconds_bucket le=0.0005"] == 1
    assert found["mp3cast_send_lateness_seconds_bucket le=0.001"] == 3
    assert found["mp3cast_send_lateness_seconds_bucket le=0.5"] == 3
    assert found["mp3cast_send_lateness_seconds_bucket le=+Inf"] == 5
    assert found["process_cpu_seconds_total"] > 0


def test_what_is_not_known_has_no_sample() -> None:
    assert not [name for name in samples(view()) if "worst" in name or "duration" in name]


def test_the_worst_listener_is_told_in_seconds() -> None:
    near = listener(1, report(jitter_ms=2.0, rtt_ms=8.0, buffer_s=1.25))
    far = listener(2, report(jitter_ms=40.0, rtt_ms=160.0, buffer_s=0.5))
    found = samples(view(near, far, listener(3, report()), listener(4, None)))
    assert found["mp3cast_listener_jitter_worst_seconds"] == 0.04
    assert found["mp3cast_listener_round_trip_worst_seconds"] == 0.16
    assert found["mp3cast_listener_buffer_worst_seconds"] == 0.5


def test_listeners_add_no_time_series() -> None:
    many = [listener(port, report(lost=port, rtt_ms=1.0)) for port in range(1, 500)]
    few = many[:1]
    for of in (view(*many), view(*few)):
        assert "192.0.2.7" not in body(of, "/metrics")
    assert samples(view(*many)).keys() == samples(view(*few)).keys()


def test_names_and_units_follow_the_conventions() -> None:
    for name, family in metrics(view(listener(1, report(jitter_ms=1.0)))).items():
        assert family.documentation
        assert name.startswith(("mp3cast_", "process_"))
        assert not name.endswith(("_ms", "_s", "_us", "_milliseconds", "_count"))
        for sample in family.samples:
            assert sample.name.endswith("_total") == (family.type == "counter")


def test_what_listeners_told_never_becomes_less() -> None:
    told = Audience()
    told.add(None, report(lost=5, played_s=2.0))
    told.add(report(lost=5, played_s=2.0), report(lost=7, played_s=3.5))
    told.add(report(lost=7, played_s=3.5), report(lost=1, intact=91))
    assert (told.lost, told.played_s, told.intact) == (7, 3.5, 91)


def test_what_the_bounds_and_the_key_keep_out_is_told_by_reason() -> None:
    shown = view()
    count = shown.snapshot.statistics
    reasons = ("malformed", "ignored", "passed_over", "forged", "replayed")
    for number, reason in enumerate(reasons, 1):
        setattr(count, reason, number)
    useless = metrics(shown)["mp3cast_datagrams_useless"]
    told = {one.labels["reason"]: one.value for one in useless.samples}
    assert told == {reason: number for number, reason in enumerate(reasons, 1)}
