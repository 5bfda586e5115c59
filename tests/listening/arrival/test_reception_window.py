"""The records of a stream's messages, against a model; the lines of losses; the jitter."""

from __future__ import annotations

import logging

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from listening.arrival.absence import Absence
from listening.arrival.audio_message import AudioMessage
from listening.arrival.jitter import JitterEstimate
from listening.arrival.loss_log import LossLog
from listening.arrival.reception_window import MAX_MESSAGE_US, REMEMBERED, ReceptionWindow, State
from listening.arrival.statistics import Statistics
from message import Message, Type

STEP_US = 20_000

REPEATABLE = settings(deadline=None, derandomize=True, database=None, max_examples=200)


def audio(sequence: int) -> AudioMessage:
    return AudioMessage(Message(sequence, Type.AUDIO, b"data", 1, sequence * STEP_US), STEP_US)


@REPEATABLE
@given(st.lists(st.one_of(st.integers(0, 30), st.just("late"), st.just("turn")), max_size=80))
def test_every_message_is_in_the_state_that_the_model_says(events: list[int | str]) -> None:
    window = ReceptionWindow(0, 0, 1.0)
    model: dict[int, State] = {}
    turn = end = 0
    late = False
    for event in events:
        if event == "late":
            late = True
        elif event == "turn" and turn < end:
            if model.get(turn) is State.READY:
                assert window.give_out() == audio(turn)
                model[turn] = State.GIVEN_OUT
            else:
                window.give_up()
                model.setdefault(turn, State.LOST)
            turn += 1
        elif isinstance(event, int) and model.get(event, State.LOST) is State.LOST:
            state = State.LATE if late or event < turn else State.READY
            assert window.put(audio(event), state) == max(0, event + 1 - end)
            model[event], late = state, False
            end = max(end, event + 1)
        assert (window.next, window.end) == (turn, end)
        assert all(window.state(n) is model.get(n, State.AWAITED) for n in range(31))
        assert window.awaited == sum(model.get(n) is not State.READY for n in range(turn, end))


def test_what_parity_needs_is_kept_after_its_turn_and_nothing_for_ever() -> None:
    window = ReceptionWindow(0, 0, 1.0)
    window.kept_messages = 3
    for sequence in range(3 * REMEMBERED):
        window.put(audio(sequence), State.READY)
        window.give_out()
    assert len(window._records) <= REMEMBERED
    newest = 3 * REMEMBERED - 1
    assert list(window.messages(newest - 9, 10)) == [7, 8, 9]
    assert window.state(0) is State.GIVEN_OUT


def test_what_is_given_up_is_not_missing_any_more() -> None:
    window = ReceptionWindow(0, 0, 1.0)
    window.put(audio(2), State.READY)
    for sequence in (0, 1):
        window.miss(sequence, Absence(sequence * STEP_US, 0.0, None))
    window.give_up()
    assert list(window.missing) == [1]
    assert window.absence(0) is None


def test_a_media_time_that_its_sequence_cannot_have_is_not_plausible() -> None:
    window = ReceptionWindow(0, 0, 1.0)
    far_us = MAX_MESSAGE_US + 1_001
    assert window.is_plausible(audio(1))
    assert not window.is_plausible(AudioMessage(Message(1, Type.AUDIO, b"", 1, far_us), STEP_US))
    assert not window.is_plausible(AudioMessage(audio(1).message, MAX_MESSAGE_US + 1))


# The log.


def test_each_second_with_a_loss_is_one_line(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "client")
    count = Statistics()
    log = LossLog(count, 10.0)
    for tenth in range(40):
        log.on_due(10.0 + tenth / 10)
        if tenth == 3:
            count.retransmitted += 4
            count.rebuilt += 1
            count.lost += 2
        elif tenth == 25:
            count.late += 1
    assert [(one.levelno, one.message) for one in caplog.records] == [
        (
            logging.WARNING,
            "in one second: 2 lost, 5 repaired (4 retransmitted, 1 rebuilt)",
        ),
        (logging.INFO, "in one second: 1 late"),
    ]


# The jitter.


def test_the_jitter_is_that_of_rfc_3550() -> None:
    estimate = JitterEstimate(2.0, None)
    for index, late_s in enumerate((0.0, 0.016, 0.016)):
        estimate.arrived(index * 2 * STEP_US, 5.0 + index * STEP_US / 1e6 + late_s)
    assert estimate.jitter_s == pytest.approx(0.001 * 15 / 16)
