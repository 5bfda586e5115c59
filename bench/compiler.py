"""Compiler of the C parts, into the folder of the run."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from bench.processes import Failed
from bench.workshop import Workshop

FOLDER = Path(__file__).resolve().parent

COMPILERS = ("cc", "gcc", "clang")
OPTIONS = ("-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror")


def compiled(workshop: Workshop, source: str, *, shared: bool = False) -> Path:
    """Program, or shared library, made of `source` in this folder; raises Failed."""
    compiler = next(filter(None, map(shutil.which, COMPILERS)), None)
    if compiler is None:
        raise Failed("there is no C compiler")
    made = workshop.new_path(Path(source).stem + (".so" if shared else ""))
    command = [compiler, *OPTIONS, *(("-shared", "-fPIC") if shared else ())]
    run = subprocess.run(
        [*command, "-o", str(made), str(FOLDER / source)],
        check=False,
        capture_output=True,
        text=True,
    )
    if run.returncode != 0:
        raise Failed(f"{source} does not compile: {run.stderr.strip().splitlines()[0]}")
    return made
