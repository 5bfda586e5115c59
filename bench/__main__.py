"""Run the measurements, and compare each with its limit.

    python -m bench                         all, in less than ten minutes
    python -m bench first-sound pacing      only these
    python -m bench soak                    an hour of joining and leaving, in 90 seconds
    python -m bench repair-cost             the programs with and without repair, in 90 seconds
    python -m bench --json result.json      results for scripts

Run on an idle machine: its other work changes the numbers.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from bench import (
    client_cpu,
    client_path,
    clock,
    fanout_cost,
    first_sound,
    imports,
    live_view,
    lock,
    machine,
    memory,
    pacing,
    peers,
    repair_cost,
    sealing,
    server_cpu,
    soak,
    table,
)
from bench.processes import Failed
from bench.workshop import QUICK, Effort, Workshop

FAMILIES: dict[str, Callable[[Workshop], Iterator[table.Result]]] = {
    "imports": imports.measure,
    "clock": clock.measure,
    "first-sound": first_sound.measure,
    "client-path": client_path.measure,
    "sealing": sealing.measure,
    "lock": lock.measure,
    "fan-out": fanout_cost.measure,
    "server-cpu": server_cpu.measure,
    "pacing": pacing.measure,
    "memory": memory.measure,
    "client-cpu": client_cpu.measure,
    "live-view": live_view.measure,
    "peers": peers.measure,
}
"""Measurements by name, the shortest first."""

ON_REQUEST: dict[str, Callable[[Workshop], Iterator[table.Result]]] = {
    "repair-cost": repair_cost.measure,
    "soak": soak.measure,
}
"""Measurements that run only if they are named: each takes more than a minute."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the measurements that were asked for; return the exit status."""
    options = _parser().parse_args(arguments)
    if sys.platform != "linux":
        print("bench: memory and processor time are read as Linux tells them", file=sys.stderr)
        return 2
    here = machine.description()
    print(machine.as_text(here))
    load = machine.load()
    if load is not None and load > machine.BUSY_LOAD:
        print(f"The machine is busy (load {load:g}): the numbers will be worse than they could be.")
    began = time.monotonic()
    try:
        results = _results(
            options.names or list(FAMILIES),
            QUICK if options.quick else Effort(),
        )
    except Failed as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    took_s = time.monotonic() - began
    table.show(results, machine.as_text(here), sys.stdout)
    print(f"  in {took_s:.0f} s; values are medians where there were several rounds")
    if options.json is not None:
        content = {
            "machine": here,
            "took_s": round(took_s, 1),
            "rows": [one.as_json() for one in results if isinstance(one, table.Row)],
            "left_out": {o.name: o.reason for o in results if isinstance(o, table.LeftOut)},
        }
        options.json.write_text(json.dumps(content, ensure_ascii=False, indent=2) + "\n")
    return 0


def _results(names: Sequence[str], effort: Effort) -> list[table.Result]:
    results: list[table.Result] = []
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        workshop = Workshop(Path(folder), effort, stack)
        for name in names:
            try:
                for result in (FAMILIES | ON_REQUEST)[name](workshop):
                    results.append(result)
                    print(f"  {table.line(result)}", flush=True)
            except Failed as error:
                results.append(table.LeftOut(name, str(error)))
                print(f"  {table.line(results[-1])}", flush=True)
    return results


def _family(name: str) -> str:
    if name not in FAMILIES | ON_REQUEST:
        known = ", ".join(FAMILIES | ON_REQUEST)
        raise argparse.ArgumentTypeError(f"{name!r} is none of {known}")
    return name


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="bench", description="Measure the two programs on this machine."
    )
    parser.add_argument(
        "names",
        nargs="*",
        metavar="NAME",
        type=_family,
        help=f"what to measure: {', '.join(FAMILIES)} (default: all of these),"
        f" {', '.join(ON_REQUEST)}",
    )
    parser.add_argument("--json", type=Path, metavar="PATH", help="write the results as JSON")
    parser.add_argument(
        "--quick", action="store_true", help="try the measurements: short, and not to be quoted"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
