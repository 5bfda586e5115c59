"""The measurement of floods measures: it sends what it says, and notices what is lost."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
from pathlib import Path

import pytest

from bench.flood.attacker import Sent
from bench.flood.attacks import ATTACKS, Known
from bench.flood.course import Course, Measured, Plan, Window
from bench.flood.show import goals, line
from bench.workshop import Effort, Workshop
from broadcasting.settings import Settings
from message import Message, MessageError, Type
from tests.broadcasting.test_broadcast import HERE, STREAM, Server
from tests.rig.luck import once
from wire.address import Address

pytestmark = once

WINDOW = Window(late_p99_ms=4.0, late_max_ms=5.0, lost=0, received=70_000, seconds=5.0, cpu_s=0.25)
COURSE = Course(
    name="CONNECT",
    before=WINDOW,
    during=dataclasses.replace(WINDOW, cpu_s=1.25),
    after=WINDOW,
    sent=Sent(100_000, 120_000_000, 5.0, 6000, 600_000),
    kernel_dropped=0,
    memory_bytes=(50_000_000, 51_000_000),
)


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_is_of_the_kind_that_its_name_says(name: str) -> None:
    server = Server(Settings(max_clients_per_address=1000))
    known = Known(server.join(HERE).session, STREAM)
    server.wait(1)
    sources = set()
    for data, host, port in itertools.islice(ATTACKS[name].datagrams(known), 200):
        sources.add((host, port))
        is_listener = (host, port) == (0, 0)
        address: Address = HERE if is_listener else (f"127.128.{host >> 8}.{host & 255}", port)
        server.say(data, address)
        with contextlib.suppress(MessageError):
            assert Message.unpack(data).type == Type[ATTACKS[name].title.split()[0].strip(",")]
    assert len(sources) == 1 if sources == {(0, 0)} else len(sources) > 190
    count = server.core.statistics
    assert count.malformed == (200 if name == "noise" else 0)
    assert count.accepted == 1
    assert server.addresses() == (HERE,)
    assert (count.requests > 0) is (name == "requests")
    # From elsewhere the listener itself could have sent it, and is asked.
    assert (count.rejected["session"] > 0) is (name == "forged-reports")


def test_what_a_hostile_datagram_costs_is_what_the_server_used_beyond_the_usual() -> None:
    assert COURSE.each_us == pytest.approx(10.0)


@pytest.mark.parametrize(
    ("change", "missed"),
    [({}, None), ({"lost": 1}, "lost"), ({"late_p99_ms": 20.5}, "lateness, 99 %")],
)
def test_what_is_lost_or_late_during_a_flood_is_a_goal_missed(
    change: dict[str, float], missed: str | None
) -> None:
    during = dataclasses.replace(COURSE.during, **change)  # type: ignore[arg-type]
    course = dataclasses.replace(COURSE, during=during)
    assert [row.name for row in goals([COURSE, course]) if not row.reached] == (
        [missed] if missed else []
    )
    assert f"{during.lost} of" in line(course)


def test_a_flood_in_real_time_is_measured_and_loses_nobody_anything(tmp_path: Path) -> None:
    plan = Plan(listeners=20, datagrams=2000, per_second=10_000, quiet_s=0.3, settled_s=0.3)
    with contextlib.ExitStack() as stack:
        measured = Measured(Workshop(tmp_path, Effort(), stack), plan)
        (course,) = measured.courses(["connects"])
    assert course.sent.datagrams == 2000
    assert 0 < course.sent.answers <= 2000
    assert course.sent.bytes_back < course.sent.bytes_out
    for window in (course.before, course.during, course.after):
        assert window.received > 0
        assert window.lost == 0
        assert window.late_p99_ms is not None
    assert measured.server["unproved"] + measured.server["passed_over"] > 2000
