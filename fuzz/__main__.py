"""Fuzz for a bounded time or a bounded count, one target after another.

    python -m fuzz                           60 seconds in all, from the kept corpus
    python -m fuzz --seconds 600 server      one target, longer
    python -m fuzz --runs 10000000           a number of inputs in all, however long it takes

Options of libFuzzer, such as `-timeout=60`, are passed on. An input that breaks a promise is kept
in `fuzz/found/`, and the exit status is 1.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from fuzz.targets import CORPUS, TARGETS

FOUND = CORPUS.parent / "found"

SECONDS = 60.0
"""Default time for all targets together."""

SHARE_OF_RUNS = {"unpack": 96, "server": 2, "client": 2}
"""Weights: an input of a core is a dozen datagrams at a dozen times, and takes a hundred times as
long as one of `unpack`."""

LIMITS = ("-timeout=10", "-rss_limit_mb=600", "-max_len=4096")
"""Bounds for seconds of one input, for megabytes of the fuzzer, and for bytes of an input."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Fuzz what was asked for; the exit status."""
    options, for_libfuzzer = _parser().parse_known_args(arguments)
    names = options.targets or list(TARGETS)
    shares = sum(SHARE_OF_RUNS[name] for name in names)
    for name in names:
        if options.runs is None:
            bound = f"-max_total_time={options.seconds / len(names):.0f}"
        else:
            bound = f"-runs={options.runs * SHARE_OF_RUNS[name] // shares}"
        began = time.monotonic()
        if status := _fuzz(name, [bound, *LIMITS, *for_libfuzzer]):
            return status
        print(f"fuzz: {name} held, {time.monotonic() - began:.0f} s", flush=True)
    return 0


def _fuzz(name: str, options: Sequence[str]) -> int:
    """Fuzz one target in a process of its own; 0 if nothing was found."""
    FOUND.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as new, tempfile.TemporaryFile("w+") as said:
        # New interesting inputs go into the first folder, and are forgotten.
        folders = [new, str(CORPUS / name)]
        done = subprocess.run(
            [
                *(sys.executable, "-m", "fuzz.one_target", name, *options),
                *(f"-artifact_prefix={FOUND / name}-", *folders),
            ],
            cwd=CORPUS.parent.parent,
            stderr=subprocess.STDOUT,
            stdout=said,
            check=False,
        )
        said.seek(0)
        lines = said.read().splitlines()
    if done.returncode == 0:
        print(*(line for line in lines if line.startswith("Done ")), sep="\n")
        return 0
    print(*lines[-60:], sep="\n")
    found = max(FOUND.glob(f"{name}-*"), key=lambda path: path.stat().st_mtime, default=None)
    if found is not None:
        print(f"fuzz: again with: {sys.executable} -m fuzz.one_target {name} {_short(found)}")
    return 1


def _short(path: Path) -> Path:
    return path.relative_to(CORPUS.parent.parent)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="fuzz", description="Fuzz the wire and both cores.", allow_abbrev=False
    )
    parser.add_argument(
        "targets",
        nargs="*",
        metavar="TARGET",
        type=_target,
        help=f"what to fuzz: {', '.join(TARGETS)} (default: all)",
    )
    bound = parser.add_mutually_exclusive_group()
    bound.add_argument(
        "--seconds", type=float, default=SECONDS, help="for how long in all (default %(default)g)"
    )
    bound.add_argument("--runs", type=int, metavar="COUNT", help="how many inputs in all")
    return parser


def _target(name: str) -> str:
    if name not in TARGETS:
        raise argparse.ArgumentTypeError(f"{name!r} is none of {', '.join(TARGETS)}")
    return name


if __name__ == "__main__":
    sys.exit(main())
