"""What is done while the lock is held, however many listeners there are: counted, not timed.

Whatever is under way, few listeners are touched and few REPORTs are read before the lock is free
again for what is due.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pytest

from broadcasting.audience import figures
from broadcasting.audience.listener import Listener
from broadcasting.audience.sessions import DISMISSED_AT_ONCE, ENDS_AT_ONCE
from broadcasting.broadcast import Broadcast, Step
from broadcasting.display.audience_record import AudienceRecord
from broadcasting.display.views import Views
from broadcasting.settings import Settings
from broadcasting.stream.parity_control import AUTO, LOSSES_A_LOOK, Loss
from message import Report, Type
from tests.rig.network import segments
from tests.rig.registered import registered
from wire.address import Address

LISTENERS = 3_000
START = 1000.0


class Lock:
    """A lock that counts the listeners touched, and the REPORTs read, while it was held."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.most_touched = self.most_read = self.holds = 0
        self._touched: set[int] = set()
        self._read = 0
        self._is_held = False
        inherited, take = object.__getattribute__, figures.AudienceFigures.take

        def touch(listener: Listener, name: str) -> Any:
            assert self._is_held, "a listener is looked at without the lock"
            self._touched.add(id(listener))
            return inherited(listener, name)

        def count(everyone: figures.AudienceFigures, listener: Listener, report: Report) -> None:
            self._read += 1
            take(everyone, listener, report)

        monkeypatch.setattr(Listener, "__getattribute__", touch, raising=False)
        monkeypatch.setattr(figures.AudienceFigures, "take", count)

    def __enter__(self) -> None:
        assert not self._is_held
        self._is_held = True

    def __exit__(self, *error: object) -> None:
        self.most_touched = max(self.most_touched, len(self._touched))
        self.most_read = max(self.most_read, self._read)
        self.holds += 1
        self._touched.clear()
        self._read = 0
        self._is_held = False


class Crowded:
    """A server with thousands of listeners, each with a REPORT that was not read."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        tokens = itertools.count()
        self.core = Broadcast(
            Settings(
                max_clients=LISTENERS, max_clients_per_address=LISTENERS, fec=AUTO, timeout_s=5.0
            ),
            stream_id=1,
            secret=b"secret",
            token=lambda: f"{next(tokens):032x}",
        )
        for number in range(LISTENERS):
            listener = registered((f"10.{number >> 8}.{number & 255}.1", 9), START)
            listener.loss = Loss(share=number % 10 / 1000)
            listener.unread = Report(
                session=listener.session,
                clock_us=0,
                expected=100,
                received=100,
                intact=100,
                lost=number % 7,
            ).to_message()
            self.core.registry.add(listener)
        self._programme = segments(1 << 30)
        self.lock = Lock(monkeypatch)
        self.views = Views(self.core, self.lock)  # type: ignore[arg-type]
        self.joined: list[Address] = []
        self.told: list[tuple[bytes, Address]] = []

    def steps(self, now: float) -> Iterator[Step]:
        """The broadcaster's part, until nothing is due any more."""
        while True:
            with self.lock:
                step = self.core.step(now)
            self.joined += step.joined
            self.told += step.answers
            yield step
            if step.wants_segment:
                with self.lock:
                    self.core.add_segment(next(self._programme))
            elif step.finished or step.due is None or step.due > now:
                return


@pytest.fixture
def crowded(monkeypatch: pytest.MonkeyPatch) -> Crowded:
    return Crowded(monkeypatch)


def assert_little_was_done(lock: Lock, touched: int = figures.LISTENERS_A_LOOK) -> None:
    assert 0 < lock.most_touched <= touched
    assert lock.most_read <= figures.REPORTS_A_LOOK


def test_the_bounds_are_what_two_milliseconds_allow() -> None:
    # Measured in µs: a glance, a REPORT, a line of the log.
    assert figures.LISTENERS_A_LOOK * 3 + figures.REPORTS_A_LOOK * 20 < 2000
    assert LOSSES_A_LOOK * 2 + DISMISSED_AT_ONCE * 90 + ENDS_AT_ONCE * 20 < 2000


def test_the_status_page_shows_everyone_and_the_lock_is_free_in_between(crowded: Crowded) -> None:
    status = crowded.views.status()
    assert len(status.listeners) == LISTENERS
    # All was read before it was summed up.
    lost = sum(one.report.lost for one in status.listeners if one.report is not None)
    assert status.snapshot.lost == lost > 0
    assert_little_was_done(crowded.lock)


def test_the_live_view_the_record_and_the_final_figures_let_go_of_the_lock(
    crowded: Crowded,
) -> None:
    crowded.views.live(20)
    record = AudienceRecord().tell(1.0, crowded.views.present())
    assert record.listeners == LISTENERS
    everyone = crowded.views.everyone()
    assert len(everyone) == LISTENERS
    assert all(one.report is not None for one in everyone)
    assert crowded.views.snapshot().lost == record.lost
    assert_little_was_done(crowded.lock)


def test_thousands_that_joined_are_handed_over_without_touching_them(crowded: Crowded) -> None:
    for _ in crowded.steps(START):
        pass
    assert len(set(crowded.joined)) == len(crowded.joined) == LISTENERS
    # Parity follows the loss of all of them.
    assert_little_was_done(crowded.lock, LOSSES_A_LOOK)


def test_the_loss_of_all_is_looked_at_before_the_parity_is_chosen(crowded: Crowded) -> None:
    for number, address in enumerate(crowded.core.registry.addresses):
        with crowded.lock:
            listener = crowded.core.registry.at(address)
            # Nobody of the first nine tenths loses anything.
            assert listener is not None
            listener.loss = Loss(share=0.2 if number > 0.85 * LISTENERS else 0.0)
    crowded.lock.most_touched = 0
    for tenth in range(20):
        for _ in crowded.steps(START + tenth / 10):
            pass
    assert crowded.core._stream.parity.parity_count == 4
    assert_little_was_done(crowded.lock, LOSSES_A_LOOK)


def test_the_end_is_told_to_everyone_once_and_others_come_in_between(crowded: Crowded) -> None:
    with crowded.lock:
        crowded.core.stop(START)
    for step in crowded.steps(START):
        assert len(step.answers) <= ENDS_AT_ONCE
    ends = [address for data, address in crowded.told if data[3] == Type.END]
    assert len(set(ends)) == len(ends) == LISTENERS
    assert_little_was_done(crowded.lock, ENDS_AT_ONCE)


def test_who_fell_silent_leaves_at_once_and_the_lock_is_free_in_between(crowded: Crowded) -> None:
    before = crowded.lock.holds
    now = START + 6
    while crowded.core.registry:
        now = [*crowded.steps(now)][-1].due or now
    # Together, within the second.
    assert now < START + 7
    assert crowded.core.registry.addresses == ()
    assert crowded.core.statistics.expired == LISTENERS
    assert crowded.lock.holds - before > LISTENERS / DISMISSED_AT_ONCE
    assert all(one.report is not None for one in crowded.core.figures.departed)
    assert_little_was_done(crowded.lock, LOSSES_A_LOOK + 2 * DISMISSED_AT_ONCE)
