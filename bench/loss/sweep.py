"""Rows of the sweep, and what they must reach."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from bench.loss.case import Case, Method, Outcome
from bench.table import Limit, Row, at_least, below
from broadcasting.settings import Fec
from listening.arrival.playout_delay import FLOOR_S
from listening.outputs.speaker import Speaker
from simulation.link_conditions import LinkConditions

NONE, REQUEST, PARITY, BOTH = "none", "ARQ", "FEC 20+4", "ARQ and FEC 20+4"

_FEC: dict[str, Any] = {"server": ("--fec", "20+4"), "settings": {"fec": Fec(20, 4)}}

METHODS = {
    NONE: Method(NONE, withheld=("REQUEST",)),
    REQUEST: Method(REQUEST),
    PARITY: Method(PARITY, withheld=("REQUEST",), **_FEC),
    BOTH: Method(BOTH, **_FEC),
}
"""Ways to repair, with the settings that leave only this one."""

RANDOM_LOSSES = (0.0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3)
BURST_LOSS, BURSTS = 0.1, (2.0, 5.0, 10.0)
SHORTEST_BUFFER_S = round(Speaker.lead_s + FLOOR_S, 3)
"""Shortest play-out delay with the loudspeaker."""

PATHS = ((1.0, 0.002), (1.0, 0.05), (1.0, 0.15), (SHORTEST_BUFFER_S, 0.002),
         (SHORTEST_BUFFER_S, 0.02))  # fmt: skip
"""Buffer and round trip, in seconds."""

DISORDER = LinkConditions(delay_s=0.1, jitter_s=0.1, duplicate=0.05)
"""Disorder without loss: one message in three overtakes another."""

SEEDS = range(1, 6)

SIMULATED, KERNEL = "programs, --simulate", "programs, kernel drops"


def losses() -> Iterator[tuple[float, float | None]]:
    """Loss and burst length of each column."""
    yield from ((loss, None) for loss in RANDOM_LOSSES)
    yield from ((BURST_LOSS, burst) for burst in BURSTS)


def virtual_cases(*, quick: bool) -> list[Case]:
    """Cases in virtual time; `quick`: only the corners."""
    paths, columns = list(PATHS), list(losses())
    if quick:
        paths, columns = paths[1:2], columns[::3]
    cases = [
        Case(method, LinkConditions(loss=loss, burst=burst, delay_s=rtt_s / 2), buffer_s)
        for method, (buffer_s, rtt_s), (loss, burst) in itertools.product(
            METHODS.values(), paths, columns
        )
    ]
    return [*cases, *(Case(method, DISORDER) for method in METHODS.values())]


def real_cases() -> list[Case]:
    """Cases with the real programs."""
    worst = (LinkConditions(loss=0.1, burst=5, delay_s=0.025), LinkConditions(0.2, delay_s=0.025))
    return [
        Case(method, conditions, network=SIMULATED)
        for method, conditions in itertools.product(_real_methods(), worst)
    ]


def kernel_cases() -> list[Case]:
    """Cases with the real programs and a kernel that drops; delay is simulated."""
    return [
        Case(method, LinkConditions(loss=loss, delay_s=delay_s), network=KERNEL)
        for method, (loss, delay_s) in itertools.product(
            _real_methods(), ((0.1, 0.0), (0.2, 0.025))
        )
    ]


def _real_methods() -> list[Method]:
    """Methods that the programs have options for."""
    return [method for method in METHODS.values() if not method.withheld]


def goals(outcomes: Sequence[Outcome]) -> Iterator[Row]:
    """Limits for the rows that there are."""
    yield Row(
        "rows that balance",
        "identities hold, and the client agrees with what the network lost",
        [float(sum(not one.faults for one in outcomes))],
        "",
        at_least(len(outcomes)),
    )

    def near(one: Outcome) -> bool:
        case = one.case
        return case.buffer_s == 1.0 and case.rtt_ms <= 50 and not case.conditions.jitter_s

    def random(one: Outcome, most: float) -> bool:
        return one.case.conditions.burst is None and one.case.conditions.loss <= most

    def of(method: str, fits: Callable[[Outcome], bool]) -> list[Outcome]:
        return [one for one in outcomes if one.case.method.name == method and fits(one)]

    requested = of(REQUEST, near)
    yield from _all_exact(
        f"{REQUEST}, loss up to 20 %, RTT up to 50 ms", [o for o in requested if random(o, 0.2)]
    )
    yield from _all_exact(
        f"{REQUEST}, 10 % in bursts of 5", [o for o in requested if o.case.conditions.burst == 5]
    )
    yield from _heard(
        f"{REQUEST}, loss of 30 %", [o for o in requested if o.case.conditions.loss == 0.3]
    )
    for losses_text, severe in (("up to 20 %", False), ("of 30 %", True)):
        some = [o for o in requested if (o.case.conditions.loss > 0.2) is severe]
        yield from _most(
            f"{REQUEST}, loss {losses_text}, bytes sent · (1 - loss)",
            "over bytes of audio, at most",
            [o.sent_ratio * (1 - o.case.conditions.loss) for o in some],
            "",
            below(1.10),
        )
        yield from _most(
            f"{REQUEST}, loss {losses_text}, requests",
            "over bytes of audio, at most",
            [100 * o.request_share for o in some],
            "%",
            below(3),
        )
    parity = [o for o in of(PARITY, near) if random(o, 0.05) and o.case.conditions.loss == 0.05]
    yield from _heard(f"{PARITY}, loss of 5 %", parity)
    yield from _most(
        f"{PARITY}, overhead",
        "bytes beyond the AUDIO messages, over these, at most",
        [100 * run.overhead for o in parity for run in o.runs],
        "%",
        below(25),
    )
    far = of(BOTH, lambda o: o.case.rtt_ms == 150 and random(o, 0.1))
    yield from _all_exact(f"{BOTH}, loss up to 10 %, RTT 150 ms", far)
    for method in METHODS:
        disorder = of(method, lambda o: bool(o.case.conditions.jitter_s))
        yield from _all_exact(f"{method}, disorder and 5 % doubled, no loss", disorder)
        yield from _most(
            f"{method}, spurious repeats",
            "of all messages, in disorder without a loss",
            [100 * r.repeats / r.programme.messages for o in disorder for r in o.runs],
            "%",
            Limit("<", 0.1),
        )


def _all_exact(name: str, outcomes: Iterable[Outcome]) -> Iterator[Row]:
    runs = [run for outcome in outcomes for run in outcome.runs]
    if runs:
        exact = float(sum(run.exact for run in runs))
        measured = f"runs that are bit-exact, of {len(runs)}"
        yield Row(name, measured, [exact], "", at_least(len(runs)))


def _heard(name: str, outcomes: Iterable[Outcome]) -> Iterator[Row]:
    shares = [100 * run.heard_share for outcome in outcomes for run in outcome.runs]
    if shares:
        mean = statistics.fmean(shares)
        measured = f"audio not concealed, of {len(shares)} runs; the worst: {min(shares):.2f} %"
        yield Row(name, measured, [mean], "%", at_least(99.9))


def _most(
    name: str, measured: str, values: Sequence[float], unit: str, limit: Limit
) -> Iterator[Row]:
    if values:
        yield Row(name, measured, [max(values)], unit, limit)
