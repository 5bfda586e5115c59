"""What is repeated, to whom, and how much of it at the most: alone, in virtual time."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broadcasting.audience.listener import Listener
from broadcasting.audience.rate import Budget
from broadcasting.audience.retransmission import (
    ALL_REQUESTS,
    LEAST_REPEAT_S,
    LISTENER_REQUESTS,
    LOG_EVERY_S,
    MOST_REPEAT_S,
    REQUEST_BUCKET_S,
    Retransmission,
)
from broadcasting.statistics import ServerStatistics
from broadcasting.stream.history import History, Packet
from tests.rig.luck import examples, once
from tests.rig.network import client_address
from tests.rig.registered import registered
from wire.address import Address

pytestmark = once

SIZE = 1000
KEPT = 101
"""Messages of a tenth of a second in ten seconds."""
HERE, THERE = client_address(0), client_address(1)
REPEATABLE = settings(deadline=None, derandomize=True, database=None, max_examples=examples(200))


class Repeater:
    """A retransmission with a history that is full, and a clock."""

    def __init__(self, sent: int = 1000, rate: float = 1e9, depth: float = 1e9) -> None:
        self.now = 100.0
        self.count = ServerStatistics()
        self.history = History(10.0)
        self.core = Retransmission(self.history, Budget(rate, depth), self.count)
        self._listeners: dict[Address, Listener] = {}
        self._sent = 0
        self.send(sent)

    @property
    def newest(self) -> int:
        return self._sent - 1

    def send(self, count: int) -> None:
        """`count` messages are broadcast."""
        for sequence in range(self._sent, self._sent + count):
            begin_us = sequence * 100_000
            self.history.append(Packet(sequence, begin_us, begin_us + 100_000, bytes(SIZE)))
        self._sent += count

    def at(self, address: Address) -> Listener:
        """The listener at `address`."""
        if address not in self._listeners:
            self._listeners[address] = registered(address)
        return self._listeners[address]

    def ask(
        self, *missing: range, address: Address = HERE, rtt_s: float | None = 0.05
    ) -> list[int]:
        """The sequences that are repeated to `address`."""
        listener = self.at(address)
        assert self.core.may_ask(listener, self.now)
        sent = self.core.answer(listener, missing, rtt_s, self.now)
        return [one.sequence for one in sent]

    def refused(self, count: int, address: Address = HERE) -> int:
        """How many of so many REQUESTs are not looked at."""
        return sum(not self.core.may_ask(self.at(address), self.now) for _ in range(count))


def test_what_is_missing_is_repeated_in_order() -> None:
    repeater = Repeater()
    assert repeater.ask(range(990, 992), range(995, 996)) == [990, 991, 995]
    assert repeater.count.repeated == 3
    assert repeater.count.requests_unknown == 0


def test_what_was_never_sent_and_what_is_not_kept_any_more_is_not_repeated() -> None:
    repeater = Repeater()
    assert repeater.ask(range(5), range(2000, 3000), range(10**15, 10**16)) == []
    assert repeater.ask(range(1000 - KEPT - 5, 1000 - KEPT + 2)) == [1000 - KEPT, 1000 - KEPT + 1]
    assert repeater.ask(range(998, 10**16)) == [998, 999]
    assert repeater.count.requests_unknown == 3


def test_before_anything_was_sent_there_is_nothing_to_repeat() -> None:
    assert Repeater(sent=0).ask(range(10)) == []


@pytest.mark.parametrize(
    ("rtt_s", "pause_s"),
    [
        (0.05, 0.05),
        (None, LEAST_REPEAT_S),
        (0.0, LEAST_REPEAT_S),
        (3600.0, MOST_REPEAT_S),
        (1e12, MOST_REPEAT_S),
    ],
)
def test_it_is_not_repeated_again_within_a_round_trip(rtt_s: float | None, pause_s: float) -> None:
    repeater = Repeater()
    assert repeater.ask(range(990, 991), rtt_s=rtt_s) == [990]
    repeater.now += 0.9 * pause_s
    assert repeater.ask(range(990, 992), rtt_s=rtt_s) == [991]
    assert repeater.count.repeats_spared == 1
    repeater.now += 0.2 * pause_s
    assert repeater.ask(range(990, 991), rtt_s=rtt_s) == [990]


def test_what_was_repeated_to_one_is_repeated_to_another() -> None:
    repeater = Repeater()
    assert repeater.ask(range(990, 991)) == repeater.ask(range(990, 991), address=THERE) == [990]


def test_who_asks_for_everything_gets_it_once_and_then_as_much_as_is_broadcast() -> None:
    repeater = Repeater()
    assert len(repeater.ask(range(10**6))) == KEPT
    repeated = 0
    for _ in range(200):
        repeater.now += 0.1
        repeater.send(1)
        repeated += len(repeater.ask(range(10**6)))
    assert repeated == 200
    assert repeater.count.repeats_refused > 0


def test_an_allowance_never_grows_beyond_what_is_kept() -> None:
    repeater = Repeater()
    repeater.ask(range(0))
    repeater.send(5000)
    repeater.now += 500
    assert len(repeater.ask(range(10**6))) == KEPT
    repeater.now += 2
    assert repeater.ask(range(10**6)) == []


def test_all_listeners_together_get_no_more_than_the_bucket_has() -> None:
    repeater = Repeater(rate=10 * SIZE, depth=5 * SIZE)
    repeated = len(repeater.ask(range(990, 1000)))
    assert repeated == 5
    assert repeater.ask(range(990, 1000), address=THERE) == []
    assert repeater.count.repeats_refused == 15
    for number in range(100):
        repeater.now += 0.1
        repeated += len(repeater.ask(range(990, 1000), address=client_address(number)))
    assert repeated <= 5 + 100 + 1


def test_requests_of_one_listener_are_looked_at_only_so_often() -> None:
    repeater = Repeater()
    at_once = LISTENER_REQUESTS * REQUEST_BUCKET_S
    assert repeater.refused(1000) == 1000 - at_once
    assert repeater.refused(1, THERE) == 0
    repeater.now += 0.1
    assert repeater.refused(1000) == pytest.approx(1000 - LISTENER_REQUESTS * 0.1, abs=1)


def test_requests_of_all_listeners_are_looked_at_only_so_often() -> None:
    repeater = Repeater()
    asking = [registered(client_address(n)) for n in range(5000)]
    looked_at = sum(repeater.core.may_ask(one, repeater.now) for one in asking)
    assert looked_at == ALL_REQUESTS * REQUEST_BUCKET_S


def test_a_listener_that_never_asked_has_no_account() -> None:
    repeater = Repeater()
    repeater.ask(range(990, 1000))
    assert repeater.at(HERE).account is not None
    assert repeater.at(THERE).account is None


def test_repairs_are_logged_a_second_at_a_time(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "server")
    repeater = Repeater()
    began = repeater.now
    for pause_s, first, address in ((0.0, 990, HERE), (0.4, 991, HERE), (0.3, 990, THERE)):
        repeater.now += pause_s
        repeater.ask(range(first, first + 2), address=address)
        repeater.core.log_repairs(repeater.now)
    assert caplog.messages == []
    repeater.core.log_repairs(began + LOG_EVERY_S)
    repeater.core.log_repairs(began + 2 * LOG_EVERY_S)
    assert caplog.messages == ["in one second: 6 repeated, listeners: 2"]
    repeater.now += 5
    repeater.ask(range(990, 991))
    repeater.now += LOG_EVERY_S
    repeater.ask(range(990, 991))
    assert caplog.messages[1:] == ["in one second: 1 repeated, listeners: 1"]


def test_no_more_is_remembered_of_a_listener_than_a_second_of_repeats() -> None:
    repeater = Repeater()
    for _ in range(500):
        repeater.send(1)
        repeater.now += 0.1
        repeater.ask(range(10**6), rtt_s=0.0)
    account = repeater.at(HERE).account
    assert account is not None
    assert len(account._repeated_at) <= KEPT + 10 * MOST_REPEAT_S


def test_a_message_that_is_repeated_for_ever_does_not_keep_others_remembered() -> None:
    repeater = Repeater()
    for _ in range(30):
        repeater.send(3)
        repeater.now += 0.3
        newest = repeater.newest
        repeater.ask(range(newest - 40, newest - 39), range(newest, newest + 1))
        repeater.ask(range(990, 991))
    account = repeater.at(HERE).account
    assert account is not None
    assert len(account._repeated_at) < 15


@REPEATABLE
@given(
    st.lists(
        st.tuples(
            st.floats(0, 0.5),
            st.integers(0, 2),
            st.lists(st.integers(0, 300) | st.integers(0, 10**16), max_size=8).map(sorted),
            st.none() | st.floats(0, 1e15),
            st.integers(0, 3),
        ),
        max_size=50,
    )
)
def test_whatever_is_asked_no_budget_is_exceeded(
    asked: list[tuple[float, int, list[int], float | None, int]],
) -> None:
    rate, depth = 20.0 * SIZE, 10.0 * SIZE
    repeater = Repeater(sent=200, rate=rate, depth=depth)
    repeated_bytes = dict.fromkeys(map(client_address, range(3)), 0)
    last: dict[tuple[Address, int], float] = {}
    began, broadcast = repeater.now, repeater.history.bytes_ever
    for pause_s, number, ends, rtt_s, sent in asked:
        repeater.now += pause_s
        repeater.send(sent)
        address = client_address(number)
        listener = repeater.at(address)
        if not repeater.core.may_ask(listener, repeater.now):
            continue
        pairs = zip(ends[::2], ends[1::2], strict=False)
        missing = [range(a, b) for a, b in pairs if a < b]
        for one in repeater.core.answer(listener, missing, rtt_s, repeater.now):
            assert any(one.sequence in wanted for wanted in missing)
            since = repeater.now - last.get((address, one.sequence), float("-inf"))
            assert since >= min(MOST_REPEAT_S, max(LEAST_REPEAT_S, rtt_s or 0.0))
            last[address, one.sequence] = repeater.now
            repeated_bytes[address] += SIZE
    gained = repeater.history.bytes_ever - broadcast
    assert all(total <= KEPT * SIZE + gained for total in repeated_bytes.values())
    assert sum(repeated_bytes.values()) <= depth + rate * (repeater.now - began) + SIZE
