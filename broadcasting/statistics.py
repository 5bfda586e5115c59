"""Counters of the server. Each number has one definition, written beside it.

The hot path adds to these; `snapshot` copies them. Reading changes nothing.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Sequence

_STEP_S = 0.0001
"""Width of a step of the histogram."""

_STEPS = 10_000
"""Steps of the histogram: up to a second."""


class Lateness:
    """Lateness of the sends: a histogram in steps of 0.1 ms up to a second, in bounded memory."""

    def __init__(self) -> None:
        self._counts = [0] * (_STEPS + 1)
        self._total = 0
        self.max_s: float | None = None

    def add(self, late_s: float) -> None:
        """Count a send that happened `late_s` after its deadline."""
        self._counts[min(_STEPS, max(0, int(late_s / _STEP_S)))] += 1
        self._total += 1
        self.max_s = late_s if self.max_s is None else max(self.max_s, late_s)

    def within(self, bounds_s: Sequence[float]) -> list[int]:
        """Number of sends that were late by less than each of `bounds_s`, and of all sends.

        The bounds are whole steps, ascending, at most a second.
        """
        counts, seen, begin = [], 0, 0
        for end in (round(bound_s / _STEP_S) for bound_s in bounds_s):
            seen, begin = seen + sum(self._counts[begin:end]), end
            counts.append(seen)
        return [*counts, self._total]

    def percentile_s(self, percent: float) -> float | None:
        """Lateness that `percent` of the sends stayed below, to 0.1 ms; None without sends."""
        if self.max_s is None:
            return None
        wanted = self._total * percent / 100
        seen = 0
        for step, count in enumerate(self._counts):
            seen += count
            if seen >= wanted:
                # None was later than the latest; beyond the last step only that is known.
                return self.max_s if step == _STEPS else min((step + 1) * _STEP_S, self.max_s)
        raise AssertionError("the counts add up to the total")


@dataclasses.dataclass(slots=True)
class ServerStatistics:
    """Counters of one run of the server."""

    messages: int = 0
    """AUDIO messages of the stream; each is sent to every listener."""
    audio_bytes: int = 0
    """Bytes of MP3 in `messages`."""
    datagrams: int = 0
    """AUDIO datagrams handed to the kernel, for all listeners."""
    unsent: int = 0
    """AUDIO datagrams that the kernel would not take (buffer full, no route)."""
    parity_messages: int = 0
    """PARITY messages of the stream; each is sent to every listener."""
    parity_bytes: int = 0
    """Bytes of data in `parity_messages`."""
    parity_datagrams: int = 0
    """PARITY datagrams handed to the kernel, for all listeners."""
    parity_unsent: int = 0
    """PARITY datagrams that the kernel would not take."""
    narrow_paths: int = 0
    """Listeners whose datagrams are fragmented, because their path is narrower than `--mtu`."""
    requests: int = 0
    """REQUESTs of listeners that were looked at."""
    requests_refused: int = 0
    """REQUESTs that were not looked at: of no session here, or too many."""
    requests_unknown: int = 0
    """REQUESTs that named messages not sent yet, or not kept any more."""
    repeated: int = 0
    """AUDIO messages that were sent again, to the listener that asked."""
    repeated_bytes: int = 0
    """Bytes of MP3 in `repeated`."""
    repeats_spared: int = 0
    """Messages that a listener asked for within a round trip of their repeat: not sent again."""
    repeats_refused: int = 0
    """Messages not sent again because the budget of the listener, or of all, was spent."""
    control_received: int = 0
    """Control messages that were understood."""
    malformed: int = 0
    """Datagrams that are no message of this protocol, or have a wrong field."""
    forged: int = 0
    """Datagrams that are not sealed with our key, where there is one."""
    replayed: int = 0
    """Sealed messages that came again, or too late to know."""
    ignored: int = 0
    """Messages of an unknown type, or of a type that a server does not take."""
    passed_over: int = 0
    """Messages not looked at because too many came: from unproved addresses (in all, or from one
    source), or from one listener."""
    lines_left_out: int = 0
    """Lines about unproved addresses left out of the log because there were too many."""
    unproved: int = 0
    """CONNECTs that were answered with a CHALLENGE."""
    accepted: int = 0
    """Registrations."""
    moved: int = 0
    """Listeners that went on from another address or port, with the same registration."""
    rejected: Counter[str] = dataclasses.field(default_factory=Counter)
    """REJECTs by reason."""
    expired: int = 0
    """Listeners that lost their slot because they fell silent."""
    listeners_peak: int = 0
    """Largest number of listeners at one time."""
    skipped_files: int = 0
    """Files of the programme that could not be played."""
    source_stalls: int = 0
    """Number of times the source had nothing when it was due."""
    silence_s: float = 0.0
    """Seconds of silence sent in its place."""
