"""How much is tried on which Python: everything on one, less on the others beside it.

What an interpreter does differently shows in one example of what depends on luck, and in a few runs
of the real programs. What only chance, a sound server, a network or a browser finds, it finds on
any.
"""

from __future__ import annotations

import os

import pytest

LITTLE = "LITTLE_LUCK" in os.environ
"""Set by tools/test.py for all Pythons but the first."""

once = pytest.mark.once
"""Mark of hours and crowds in virtual time, and of what tries the machine more than Python: they
run on the first Python only."""


def seeds(count: int) -> range:
    """Seeds of random networks."""
    return range(1 if LITTLE else count)


def examples(count: int) -> int:
    """How many Hypothesis should make up."""
    return count // 5 if LITTLE else count
