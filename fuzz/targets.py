"""The targets: each takes the fuzzer's bytes, and raises if a promise breaks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from fuzz import client_core, server_core, unpack

TARGETS: dict[str, Callable[[bytes], None]] = {
    "unpack": unpack.one_input,
    "server": server_core.one_input,
    "client": client_core.one_input,
}

CORPUS = Path(__file__).parent / "corpus"
"""A folder for each target, with the inputs that the fuzzer begins with."""
