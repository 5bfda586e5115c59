"""Figures of a listener over time."""

from __future__ import annotations

import pytest

from listening.arrival.statistics import Statistics
from listening.display.page import figures
from listening.listen import ListenSnapshot
from listening.session.session import State


@pytest.mark.parametrize(("state", "known"), [(State.LISTENING, True), (State.CONNECTING, False)])
def test_nothing_is_measured_while_a_lost_server_is_looked_for(state: State, known: bool) -> None:
    count = Statistics(expected=9, concealed_s=0.5, jitter_s=0.004, rtt_s=0.02)
    now = figures(ListenSnapshot(state, "", None, 3.0, None, 0.0, None, count))
    assert (now.jitter_ms, now.rtt_ms) == ((4.0, 20.0) if known else (None, None))
    assert (now.concealed_s, now.buffer_s) == (0.5, 0.0)
