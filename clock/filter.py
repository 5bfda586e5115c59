"""Four times of each exchange -> offset and drift of the other clock, and how far to trust them.

An exchange bounds the offset (theirs less ours) from both sides: their answer is neither older than
our question nor younger than its arrival here.

    above = T2 - T1 = offset + delay there        below = T3 - T4 = offset - delay back

Delays have a floor, which is the path's, and chance on top of it. So the least `above` and the
greatest `below` are two envelopes of the offset. While the drift is steady they are parallel lines,
and the offset is half-way between them.

    corridor(drift) = least (above - drift × t) - greatest (below - drift × t)

The likelihood of a drift is exp(samples × corridor ÷ scatter), if chance is exponential. The
estimate is the mean over that and over a prior of the drift, which is all there is to know it by in
the first seconds. So one rule holds from the first exchange on.

The *window* is the longest in which a drift passes for steady: the error by chance is scatter ÷
samples, that of a drift which changes grows as the square of the window.

The corridor *closes* when it is narrower than the least round trip by more than chance explains:
no steady drift fits, so a clock was suspended, or slewed. Then the older half bounds nothing any
more, again and again until the rest is open; what its round trips tell of the path still holds.
Wi-Fi that is busy and quiet in turn changes corridor and round trips alike.

Pure: seconds in, seconds out.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterator, Sequence
from math import exp, log, sqrt
from typing import NamedTuple

from clock.estimate import Estimate

SHORTEST_WINDOW_S = 120.0
LONGEST_WINDOW_S = 1200.0

MOST_SAMPLES = 320
"""One in 4 s for the longest window, and the first ones. Bounds memory, and the time of `add`."""

DRIFT_CHANGE = 2e-9
"""Change of the drift that a window is made for: 0.6 ppm in five minutes, a room that warms up."""

USUAL_DRIFT = 1e-5
"""Scale of the drift between two machines: crystals are cut to 20 ppm, and NTP corrects most."""

KNOWN_DRIFT = 5e-6
"""Scale of its change where something happens to a clock after the drift was measured."""

FARTHEST_DRIFT = 5e-4
"""Farthest drift from its prior that is looked for: what NTP slews by, and more than crystals."""

FREEDOM = 3
"""Degrees of freedom of Student's t, the prior: 300 ppm are rare, but believed when seen."""

LEAST_SCATTER_S = 1e-5
"""No path is as regular as this: timestamps are not, and threads wake late."""

CHANCE = 10.0
"""By how many scatters ÷ √samples the least round trip exceeds the path's floor, at most: for
uniform delays, whose floor is the hardest to see, with a probability of e^-12."""

STEPS = 24
"""Steps from one end of the likely drifts to the other, where the likelihood is computed."""

UNLIKELY = -9.0
"""Logarithm of a likelihood, beside the greatest, that is left out."""


_Point = tuple[float, float]


class _Sample(NamedTuple):
    """One exchange; `at` is the middle of its round trip, on our clock."""

    at: float
    above: float
    below: float

    @property
    def round_trip(self) -> float:
        return self.above - self.below


class _Prior(NamedTuple):
    """What is known of the drift without the samples: Student's t."""

    drift: float
    scale: float

    def log_density(self, drift: float) -> float:
        """Logarithm of the density at `drift`, less a constant."""
        away = (drift - self.drift) / self.scale
        return -(FREEDOM + 1) / 2 * log(1 + away * away / FREEDOM)


class _Fit(NamedTuple):
    """Estimate, standard deviation of its drift, and width of the widest corridor in seconds."""

    estimate: Estimate
    drift_deviation: float
    corridor_s: float


class ClockFilter:
    """Offset and drift of another clock, from exchanges with it."""

    def __init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """Forget everything, for it is another clock."""
        self._samples: list[_Sample] = []
        """All of the window, the oldest first."""
        self._steady_since = float("-inf")
        """Samples before this tell of the path, but not of the clock."""
        self._moved_at = float("-inf")
        self._fit: _Fit | None = None
        self._known: Estimate | None = None
        """The last whose drift was measured well."""

    def move(self) -> None:
        """Another path leads to the same clock: what the old one told goes within two minutes.

        Until then it holds: offset and drift stay, unless the new path is faster.
        """
        if self._samples:
            self._moved_at = self._samples[-1].at

    def add(self, sent: float, received: float, answered: float, came: float) -> None:
        """Take an exchange: `sent` and `came` on our clock, `received` and `answered` on theirs.

        What was answered before it was received, or for longer than it took in all, is ignored.
        """
        sample = _Sample((sent + came) / 2, received - sent, answered - came)
        if answered < received or sample.round_trip < 0:
            return
        insort(self._samples, sample)
        round_trips = sorted(one.round_trip for one in self._samples)
        scatter_s = _scatter(round_trips)
        self._drop_old(scatter_s)
        prior = self._prior()
        samples = [one for one in self._samples if one.at >= self._steady_since]
        fit = _fitted(samples, scatter_s, prior)
        chance_s = CHANCE * scatter_s / sqrt(len(round_trips))
        least = max(0.0, round_trips[0] - chance_s)
        while fit.corridor_s < least and len(samples) > 1:
            samples = samples[-(len(samples) // 2) :]
            self._steady_since = samples[0].at
            fit = _fitted(samples, scatter_s, prior)
        self._fit = fit
        if fit.drift_deviation < KNOWN_DRIFT:
            self._known = fit.estimate

    def estimate(self, now: float) -> Estimate | None:
        """The other clock as known at `now`; None before the first exchange."""
        if self._fit is None:
            return None
        estimate, drift_deviation, _ = self._fit
        age = max(0.0, now - estimate.at)
        return estimate._replace(spread_s=estimate.spread_s + 2 * drift_deviation * age)

    def _prior(self) -> _Prior:
        if self._known is None:
            return _Prior(0.0, USUAL_DRIFT)
        return _Prior(self._known.drift, KNOWN_DRIFT)

    def _drop_old(self, scatter_s: float) -> None:
        samples = self._samples
        newest = samples[-1].at
        pause_s = (newest - samples[0].at) / len(samples)
        # Where both errors are equal: 2 × scatter × pause ÷ window, and change × window² ÷ 8.
        window_s = (16 * scatter_s * pause_s / DRIFT_CHANGE) ** (1 / 3)
        window_s = min(max(window_s, SHORTEST_WINDOW_S), LONGEST_WINDOW_S)
        oldest = newest - window_s
        if self._moved_at < newest - SHORTEST_WINDOW_S:
            oldest = max(oldest, self._moved_at)
        kept = [one for one in samples[-MOST_SAMPLES:] if one.at > oldest]
        self._samples = kept or samples[-1:]


def _scatter(round_trips: Sequence[float]) -> float:
    """Mean delay of one direction above its floor, in seconds, from sorted round trips.

    From their quartiles, which tell it whatever the clocks do and however late the latest are.
    The quotient lies between those of exponential and of uniform delays, 1.7 and 1.2.
    """
    count = len(round_trips)
    apart = round_trips[3 * count // 4] - round_trips[count // 4]
    return max(LEAST_SCATTER_S, apart / 1.2 * (1 + 4 / count))


def _fitted(samples: Sequence[_Sample], scatter_s: float, prior: _Prior) -> _Fit:
    """Mean and deviation over the likelihood of the drift, at the newest of `samples`."""
    newest = samples[-1]
    # Small numbers: after a year of uptime a float of seconds has no nanoseconds left.
    at, base = newest.at, (newest.above + newest.below) / 2
    above = _lower_hull([(one.at - at, one.above - base) for one in samples])
    below = _lower_hull([(one.at - at, base - one.below) for one in samples])
    # Near their floor uniform delays, of the same mean, are half as dense as exponential ones.
    weight = len(samples) / (2 * scatter_s)
    drifts, highest, lowest, logs = _likely(above, below, weight, prior)
    greatest = max(logs)
    likelihoods = [exp(one - greatest) for one in logs]
    middles = [(top + bottom) / 2 for top, bottom in zip(highest, lowest, strict=True)]
    offset, offset_deviation = _mean(middles, likelihoods)
    drift, drift_deviation = _mean(drifts, likelihoods)
    envelope_s = 2 * scatter_s / len(samples)
    estimate = Estimate(
        at=at,
        offset_s=base + offset,
        drift=drift,
        spread_s=2 * sqrt(offset_deviation**2 + envelope_s**2 / 2),
        path_s=min(one.round_trip for one in samples) / 2,
    )
    return _Fit(estimate, drift_deviation, max(map(float.__sub__, highest, lowest)))


def _likely(
    above: Sequence[_Point], below: Sequence[_Point], weight: float, prior: _Prior
) -> tuple[list[float], list[float], list[float], list[float]]:
    """Drifts that are likely; for each the upper and lower bound of the offset, and the logarithm
    of its likelihood."""
    low, high = prior.drift - FARTHEST_DRIFT, prior.drift + FARTHEST_DRIFT
    while True:
        drifts = [low + (high - low) * step / STEPS for step in range(STEPS + 1)]
        highest = list(_least(above, drifts))
        lowest = [-one for one in _least(below, [-one for one in reversed(drifts)])][::-1]
        corridors = [top - bottom for top, bottom in zip(highest, lowest, strict=True)]
        logs = [
            weight * corridor + prior.log_density(drift)
            for corridor, drift in zip(corridors, drifts, strict=True)
        ]
        greatest = max(logs)
        likely = [step for step, one in enumerate(logs) if one - greatest > UNLIKELY]
        first, last = max(0, likely[0] - 1), min(STEPS, likely[-1] + 1)
        if last - first > STEPS // 2 or high - low < 1e-12:
            return drifts, highest, lowest, logs
        low, high = drifts[first], drifts[last]


def _mean(values: Sequence[float], weights: Sequence[float]) -> tuple[float, float]:
    """Weighted mean and standard deviation."""
    total = sum(weights)
    mean = sum(map(float.__mul__, values, weights)) / total
    variance = sum((one - mean) ** 2 * weight for one, weight in zip(values, weights, strict=True))
    return mean, sqrt(variance / total)


def _lower_hull(points: Sequence[_Point]) -> list[_Point]:
    """The points that a line below all can touch, by ascending x (Andrew's monotone chain)."""
    hull: list[_Point] = []
    for x, y in points:
        while len(hull) > 1:
            (x0, y0), (x1, y1) = hull[-2:]
            if (x1 - x0) * (y - y0) > (y1 - y0) * (x - x0):
                break
            hull.pop()
        hull.append((x, y))
    return hull


def _least(hull: Sequence[_Point], slopes: Sequence[float]) -> Iterator[float]:
    """The least y - slope × x of a lower hull, for each of `slopes`, which ascend."""
    place = 0
    for slope in slopes:
        x, y = hull[place]
        least = y - slope * x
        while place + 1 < len(hull):
            x, y = hull[place + 1]
            if y - slope * x > least:
                break
            least = y - slope * x
            place += 1
        yield least
