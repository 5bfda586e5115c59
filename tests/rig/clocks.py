"""Two clocks and the path between them, in virtual time: what a clock filter makes of exchanges."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from random import Random
from typing import NamedTuple

from clock.estimate import Estimate
from clock.filter import ClockFilter
from simulation.link_conditions import LinkConditions
from simulation.simulated_link import Fate, fates

Path = Callable[[int, str], Iterator[Fate]]
"""Seed and direction -> the fates of one datagram after the other."""

UPTIME_S = 400 * 86_400.0
"""What our clock says at the start: computers run for a year."""

ANSWERING_S = 2e-5
"""From T2 to T3."""


def link(text: str) -> Path:
    """A path of fixed conditions, as for `--simulate`."""
    return lambda seed, direction: fates(LinkConditions.parse(text, seed=seed), direction)


LAN = link("delay=0.15ms,jitter=0.05ms")
FAR = link("delay=30ms,jitter=20ms")
FAR_AND_LOSSY = link("delay=30ms,jitter=20ms,loss=30%")


def wifi(seed: int, direction: str, busy_s: float = 0.001) -> Iterator[Fate]:
    """1 ms and an exponential delay; one in twenty waits up to 80 ms more, one in fifty is lost."""
    random = Random(f"{seed} {direction}")
    while True:
        waits = random.uniform(0, 0.08) if random.random() < 0.05 else 0.0
        delay = 0.001 + random.expovariate(1 / busy_s) + waits
        yield [] if random.random() < 0.02 else [delay]


def busy_wifi(seed: int, direction: str) -> Iterator[Fate]:
    """Wi-Fi that is ten times as busy half of the time, for some minutes on end."""
    quiet, busy = wifi(seed, direction), wifi(seed, direction, busy_s=0.01)
    random = Random(f"{seed} busy")  # in both directions alike
    while True:
        for conditions in (quiet, busy):
            for _ in range(random.randint(10, 60)):
                yield next(conditions)


def rhythm(random: Random) -> Iterator[float]:
    """Seconds from the start to each exchange: often, then one in 4 s."""
    at = 0.0
    for count in range(1_000_000):
        yield at
        pause = 0.1 if count < 7 else 1.0 if at < 20 else 4.0
        at += pause * random.uniform(0.95, 1.05)
    raise AssertionError("no test is as long")


class Reading(NamedTuple):
    """What is believed, at an instant in seconds since the start, and how wrong it is."""

    at: float
    error_s: float
    estimate: Estimate


def even(now: float) -> float:
    """Seconds ahead of a clock that does nothing else than drift."""
    return 0.0


def steady(drift: float) -> Callable[[float], float]:
    return lambda now: drift * now


def warming(now: float) -> float:
    """Seconds ahead of a crystal that warms up from the tenth minute on, by 3 ppm in 5 minutes."""
    for_s = min(max(now - 600, 0), 300)
    return 1e-8 * for_s**2 / 2 + 3e-6 * max(now - 900, 0)


def wandering(now: float) -> float:
    """Seconds ahead of a clock whose drift goes from -1 to 1 ppm and back in 15 minutes."""
    turn = 2 * math.pi / 900
    return 1e-6 / turn * (1 - math.cos(turn * now))


def slewed(now: float) -> float:
    """Seconds ahead of a clock that NTP slews by 500 ppm from the tenth minute on, for 20 s."""
    return 5e-4 * min(max(now - 600, 0), 20)


def suspended(for_s: float) -> Callable[[float], float]:
    """Seconds ahead when our clock stood still in the tenth minute; below 0 if it was theirs."""
    return lambda now: for_s if now > 600 else 0.0


class Clocks:
    """Our clock, theirs, which is ahead by `ahead(seconds since the start)`, and a filter of ours.

    What is added to `ahead`, a constant, is drawn from the seed, and so is the drift: up to
    `drift` in either direction.
    """

    def __init__(
        self,
        path: Path,
        seed: int = 1,
        ahead: Callable[[float], float] = even,
        drift: float = 2e-5,
    ) -> None:
        random = Random(seed)
        self.filter = ClockFilter()
        self.drift = random.uniform(-drift, drift)
        self._offset_s = random.uniform(-1e6, 1e6)
        self._ahead = ahead
        self._seed = seed
        self._exchanges = rhythm(random)
        self.take(path)

    def take(self, path: Path) -> None:
        """From now on exchanges take another path."""
        self._there, self._back = path(self._seed, "there"), path(self._seed, "back")

    def offset_s(self, at: float) -> float:
        """By how much their clock is ahead of ours, in truth."""
        return self._offset_s + self.drift * at + self._ahead(at)

    def readings(self, until: float) -> Iterator[Reading]:
        """What is believed after each exchange, and just before the next one has its answer."""
        for sent in self._exchanges:
            there, back = next(self._there), next(self._back)
            if there and back:
                received = sent + there[0]
                answered = received + ANSWERING_S
                came = answered + back[0]
                yield from self._reading(came)
                self.filter.add(
                    UPTIME_S + sent,
                    self._stamp(received),
                    self._stamp(answered),
                    UPTIME_S + came,
                )
                yield from self._reading(came)
            if sent > until:
                return

    def _stamp(self, at: float) -> float:
        """Their clock, in whole microseconds as TIME tells it."""
        return math.floor((UPTIME_S + at + self.offset_s(at)) * 1e6) / 1e6

    def _reading(self, at: float) -> Iterator[Reading]:
        now = UPTIME_S + at
        estimate = self.filter.estimate(now)
        if estimate is not None:
            error_s = estimate.theirs(now) - now - self.offset_s(at)
            yield Reading(at, error_s, estimate)


def largest_ms(readings: list[Reading], since: float = 0.0, until: float = math.inf) -> float:
    """The largest error between two times, in milliseconds."""
    return max(abs(one.error_s) for one in readings if since <= one.at < until) * 1e3
