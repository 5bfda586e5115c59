"""Effect of a flood of datagrams on a thousand listeners, in real time.

    python -m bench.flood                       all floods, in two minutes
    python -m bench.flood connects noise        only these
    python -m bench.flood --per-second 50000    another pace
    python -m bench.flood --json result.json    results for scripts

All datagrams stay on loopback. Server, listeners and attacker share this machine's cores.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from bench import machine, table
from bench.flood import show
from bench.flood.attacks import ATTACKS
from bench.flood.course import Course, Measured, Plan
from bench.processes import Failed
from bench.workshop import Effort, Workshop
from shell.command_line.typed import integer

QUICK = Plan(listeners=200, datagrams=10_000, quiet_s=1.0, settled_s=1.0)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the floods; return the exit status: 1 if something failed other than the server."""
    options = _parser().parse_args(arguments)
    if sys.platform != "linux":
        print("bench: all addresses of 127.0.0.0/8 are there only on Linux", file=sys.stderr)
        return 2
    usual = QUICK if options.quick else Plan()
    asked = {
        name: value
        for name in ("listeners", "datagrams", "per_second")
        if (value := getattr(options, name)) is not None
    }
    plan = dataclasses.replace(usual, **asked)
    here = machine.description()
    print(machine.as_text(here))
    load = machine.load()
    if load is not None and load > machine.BUSY_LOAD:
        print(f"The machine is busy (load {load:g}): the numbers will be worse than they could be.")
    began = time.monotonic()
    courses: list[Course] = []
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        measured = Measured(Workshop(Path(folder), Effort(), stack), plan)
        try:
            for course in measured.courses(options.names or list(ATTACKS)):
                courses.append(course)
                print(f"  {show.line(course)}", flush=True)
        except Failed as error:
            print(f"bench: {error}", file=sys.stderr)
            return 1
    show.show(courses, sys.stdout)
    goals = list(show.goals(courses))
    title = f"{plan.listeners:,} listeners, {plan.datagrams:,} datagrams of each kind"
    table.show(goals, title, sys.stdout)
    print(f"  in {time.monotonic() - began:.0f} s")
    if options.json is not None:
        content = {
            "machine": here,
            "listeners": plan.listeners,
            "rows": [course.as_json() for course in courses],
            "goals": [goal.as_json() for goal in goals],
            "server": measured.server,
        }
        options.json.write_text(json.dumps(content, ensure_ascii=False, indent=2) + "\n")
    return 0


def _attack(name: str) -> str:
    if name not in ATTACKS:
        raise argparse.ArgumentTypeError(f"{name!r} is none of {', '.join(ATTACKS)}")
    return name


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="bench.flood", description="What listeners notice of a flood of datagrams."
    )
    add = parser.add_argument
    add(
        "names",
        nargs="*",
        metavar="NAME",
        type=_attack,
        help=f"what to send: {', '.join(ATTACKS)} (default: all, one after the other)",
    )
    add("--json", type=Path, metavar="PATH", help="write the results as JSON")
    for name, most, usual in (
        ("listeners", 50_000, "1000"),
        ("datagrams", 10_000_000, "100000 of each kind"),
        ("per-second", 1_000_000, "20000"),
    ):
        number = integer(1, most, "a number")
        add(f"--{name}", type=number, metavar="N", help=f"default: {usual}")
    add("--quick", action="store_true", help="try the measurement: short, and not to be quoted")
    return parser


if __name__ == "__main__":
    sys.exit(main())
