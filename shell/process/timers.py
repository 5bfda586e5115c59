"""Timers of Windows, which wake a thread up to 15.6 ms late unless finer ones are asked for."""

from __future__ import annotations

import sys

PERIOD_MS = 1


def ask_for_fine_timers() -> None:
    """Ask for timers of 1 ms until the process ends; other systems have better ones anyway."""
    if sys.platform == "win32":
        import ctypes

        ctypes.windll.winmm.timeBeginPeriod(PERIOD_MS)
