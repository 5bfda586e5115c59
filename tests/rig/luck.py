"""How much is tried of what depends on luck: much on one Python, little on the others beside it.

What an interpreter does differently shows in one example; what only chance finds, it finds on any.
"""

from __future__ import annotations

import os

import pytest

LITTLE = "LITTLE_LUCK" in os.environ
"""Set by tools/test.py for all Pythons but the first."""

once = pytest.mark.once
"""Mark of hours, crowds and networks in virtual time: they run on the first Python only."""


def seeds(count: int) -> range:
    """Seeds of random networks."""
    return range(1 if LITTLE else count)


def examples(count: int) -> int:
    """How many Hypothesis should make up."""
    return count // 5 if LITTLE else count
