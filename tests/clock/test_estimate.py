"""From our clock to another and back."""

import pytest

from clock.estimate import Estimate


def test_the_other_clock_is_ahead_and_gains() -> None:
    estimate = Estimate(at=100.0, offset_s=5.0, drift=1e-4, spread_s=0.0, path_s=0.0)
    assert estimate.theirs(100.0) == 105.0
    assert estimate.theirs(1100.0) == pytest.approx(1105.1)


@pytest.mark.parametrize("drift", [-3e-4, 0.0, 3e-4])
def test_there_and_back_is_the_same_time(drift: float) -> None:
    estimate = Estimate(at=7.0, offset_s=-3.0, drift=drift, spread_s=0.0, path_s=0.0)
    for ours in (0.0, 7.0, 86_400.0):
        assert estimate.ours(estimate.theirs(ours)) == pytest.approx(ours, abs=1e-9)
