"""When what is missing is left to parity, and when it is asked for after all."""

from __future__ import annotations

import pytest

from listening.arrival.audio_message import AudioMessage
from listening.arrival.reception_window import ReceptionWindow
from listening.arrival.repair import NEVER, Repair
from listening.arrival.statistics import Statistics
from message import Accept, Message, Type
from wire.round_trip import RoundTrip

STEP_US = 80_000
BLOCK = 20
START = 1000.0
BURST_S = 2.6


class Parity:
    """What may be given, as the test says."""

    def __init__(self) -> None:
        self.gives: set[int] = set()

    def will_give(self, sequence: int) -> bool:
        return sequence in self.gives

    def block_after(self, sequence: int) -> int:
        return (sequence // BLOCK + 1) * BLOCK


class Listener:
    """A repair to which messages come at their time, one step after another."""

    def __init__(self) -> None:
        self.now = START
        self.count = Statistics()
        self.parity = Parity()
        self.repair = Repair(
            accept(),
            ReceptionWindow(0, 0, BURST_S),
            RoundTrip(),
            self.count,
            # All is needed `BURST_S` after it was sent.
            needed_at=lambda media_time_us: START + media_time_us / 1e6 + BURST_S,
            time_s=1.0,
            now=START,
            parity=self.parity,
        )

    def come(self, sequence: int, kind: Type = Type.AUDIO, late_s: float = 0.0) -> None:
        self.now = max(self.now, START + sequence * STEP_US / 1e6 + late_s)
        message = Message(sequence, kind, b"", 1, sequence * STEP_US)
        self.repair.arrived(AudioMessage(message, STEP_US), self.now)

    def asked(self, seconds: float) -> list[int]:
        """What is asked for within so long, if nothing comes."""
        end, asked = self.now + seconds, set()
        while (due := self.repair.next_due()) <= end:
            self.now = max(self.now, due)
            asked |= {*self.repair.take_due(self.now)}
        self.now = end
        return sorted(asked)


def accept() -> Accept:
    return Accept(
        nonce="n",
        session="s",
        first_sequence=0,
        first_time_us=0,
        live_time_us=0,
        burst_s=BURST_S,
        timeout_s=5.0,
        speed=1.0,
        title="",
        artist=None,
        duration_s=None,
        frame_rate_hz=44_100,
        channels=2,
        bit_rate_bps=None,
    )


def test_what_parity_will_give_is_waited_for_and_asked_for_when_it_will_not() -> None:
    listener = Listener()
    listener.parity.gives = {1}
    listener.come(0)
    listener.come(2)
    for sequence in range(3, 10):
        listener.come(sequence)
        assert listener.asked(0.01) == []
    listener.parity.gives = set()
    assert listener.repair.next_due() <= listener.now
    assert listener.asked(0.001) == [1]


def test_what_parity_gave_is_not_asked_for_and_was_not_asked_for_needlessly() -> None:
    listener = Listener()
    listener.parity.gives = {1}
    listener.come(0)
    listener.come(2)
    listener.come(1, Type.PARITY)
    listener.parity.gives = set()
    assert listener.asked(0.05) == []
    # The original comes after all.
    listener.come(1)
    assert (listener.count.requested, listener.count.spurious) == (0, 0)


def test_what_was_asked_for_and_comes_after_parity_gave_it_was_asked_for_needlessly() -> None:
    listener = Listener()
    listener.come(0)
    listener.come(2)
    for sequence in range(3, 16):
        listener.come(sequence)
    assert 1 in listener.asked(0.01)
    listener.come(1, Type.PARITY)
    listener.come(1)
    assert (listener.count.requested, listener.count.spurious) == (1, 1)


def test_the_last_of_a_block_that_parity_gave_is_not_missing_when_the_next_block_begins() -> None:
    listener = Listener()
    listener.come(0)
    listener.come(1, Type.PARITY)
    listener.come(2)
    assert listener.asked(0.05) == []
    assert listener.repair.sent_before == 3


@pytest.mark.parametrize(
    ("burst_s", "left"), [(2.6, True), (1.7, True), (1.4, False), (0.5, False)]
)
def test_what_parity_would_give_too_late_is_asked_for(
    burst_s: float, left: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.listening.arrival.test_repair_with_parity.BURST_S", burst_s)
    listener = Listener()
    listener.parity.gives = {1}
    listener.come(0)
    listener.come(2)
    asked = set()
    for sequence in range(3, 16):
        listener.come(sequence)
        asked |= {*listener.asked(0.01)}
    # The block ends with 19, 1.52 s after 1 began.
    assert asked == (set() if left else {1})


def test_in_a_silence_nothing_is_left_to_parity_for_ever() -> None:
    listener = Listener()
    listener.come(0)
    assert listener.repair.next_due() != NEVER
    assert listener.asked(1.0) != []
