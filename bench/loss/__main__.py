"""Music heard over a network that loses, for each way to repair.

    python -m bench.loss                    all, in less than ten minutes
    python -m bench.loss --quick            a short run, to try the measurement
    python -m bench.loss --json result.json --picture docs/loss.png

The sweep is in virtual time, with one result on any machine. A few rows are in real time, all of
them at once.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from bench import machine, table
from bench.loss import kernel, picture, programs, show, sweep, virtual
from bench.loss.case import Case, Outcome, Run
from bench.processes import Failed
from bench.workshop import Effort, Workshop

MOST_PAIRS = 16
"""Pairs of programs at one time; each takes about three per cent of a core."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the sweep; return the exit status: 1 if a row does not balance."""
    options = _parser().parse_args(arguments)
    here = machine.description()
    print(machine.as_text(here))
    began = time.monotonic()
    left_out: dict[str, str] = {}
    outcomes: list[Outcome] = []
    for outcome in _outcomes(options, left_out):
        outcomes.append(outcome)
        print(f"  {show.line(outcome)}", flush=True)
    took_s = time.monotonic() - began
    goals = list(sweep.goals(outcomes))
    show.show(outcomes, sys.stdout)
    missed = [table.LeftOut(name, reason) for name, reason in left_out.items()]
    table.show([*goals, *missed], "What must be reached", sys.stdout)
    print(f"  in {took_s:.0f} s")
    if options.json is not None:
        content = _content(here, took_s, outcomes, goals, left_out)
        options.json.write_text(json.dumps(content, ensure_ascii=False, indent=2) + "\n")
    if options.picture is not None:
        picture.draw(outcomes, options.picture)
    return 1 if any(one.faults for one in outcomes) else 0


def _outcomes(options: argparse.Namespace, left_out: dict[str, str]) -> Iterator[Outcome]:
    if not options.virtual:
        # First, while nothing else needs the processor.
        yield from _real_outcomes(left_out)
    seeds = [1] if options.quick else list(sweep.SEEDS)
    # Every loss would be a line of the log.
    with ProcessPoolExecutor(
        os.cpu_count(), initializer=logging.disable, initargs=(logging.CRITICAL,)
    ) as pool:
        waiting = [
            (case, [pool.submit(virtual.run, case, seed) for seed in seeds])
            for case in sweep.virtual_cases(quick=options.quick)
        ]
        for case, runs in waiting:
            yield Outcome(case, [run.result() for run in runs])


def _real_outcomes(left_out: dict[str, str]) -> Iterator[Outcome]:
    """Run all rows at once: each takes a minute, and little processor time."""
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        workshop = Workshop(Path(folder), Effort(), stack)
        pool = stack.enter_context(ThreadPoolExecutor(MOST_PAIRS))
        waiting: list[tuple[Case, Future[Run]]] = [
            (case, pool.submit(programs.run, workshop, case, 1)) for case in sweep.real_cases()
        ]
        reason = kernel.why_not()
        if reason is None:
            waiting += [
                (case, pool.submit(kernel.run, workshop, case)) for case in sweep.kernel_cases()
            ]
        else:
            left_out[sweep.KERNEL] = reason
        for case, run in waiting:
            try:
                yield Outcome(case, [run.result()])
            except Failed as error:
                left_out[f"{case.method.name}, {case.network}, loss {case.loss_text}"] = str(error)


def _content(
    here: dict[str, Any],
    took_s: float,
    outcomes: Sequence[Outcome],
    goals: Sequence[table.Row],
    left_out: dict[str, str],
) -> dict[str, Any]:
    return {
        "machine": here,
        "took_s": round(took_s, 1),
        "rows": [one.as_json() for one in outcomes],
        "goals": [goal.as_json() for goal in goals],
        "left_out": left_out,
    }


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="bench.loss", description="How much of the music is heard over a network that loses."
    )
    add = parser.add_argument
    add("--json", type=Path, metavar="PATH", help="write the results as JSON")
    add("--picture", type=Path, metavar="PATH", help="draw the sweep, as a PNG")
    add("--quick", action="store_true", help="the corners of the sweep, with one seed")
    add("--virtual", action="store_true", help="nothing in real time")
    return parser


if __name__ == "__main__":
    sys.exit(main())
