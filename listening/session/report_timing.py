"""When the next REPORT goes. Pure: `now` is monotonic, in seconds; chance comes in as `random`."""

from __future__ import annotations

from random import Random

from message import Status

REPORT_S = 1.0
"""Pause between REPORTs, unless the server asks for a longer one."""

REPORTS_IN_TIMEOUT = 5
"""REPORTs within the time after which the server drops us, each of them a chance to be heard."""

LEAST_TIMEOUT_S = 0.1
"""Shortest --timeout of a server that is believed: its least, and 50 REPORTs a second."""

REPORT_EARLY_S = 0.1
"""A REPORT may go this much earlier, with the arrival of audio: waking a processor for it alone
costs as much as the REPORT, here and there."""

REPORT_AGAIN_S = 0.25
"""An unanswered REPORT is repeated after this, if the server has few listeners: on a path that
loses in bursts, five chances are not many."""

TOGETHER_S = 1.0
"""Where listeners are many, REPORTs reach the server at whole multiples of this on its clock: one
wake-up for several costs a fraction. The server spaces them so that each has few."""

PROBE_S = 0.5
"""After this much silence a REQUEST is followed by a REPORT: a NAT may have given us another
address, and a REPORT is long enough to be answered with the question whether it is us."""

MOST_REPORT_S = 120.0
"""Longest pause between REPORTs that a server may ask for."""


class ReportTiming:
    """What is known of the server's wish, and when the last REPORT went."""

    def __init__(self, random: Random, now: float) -> None:
        self.next_at = now
        """When the next REPORT is due."""
        self._random = random
        self._sent_at = now
        self._usual_s = REPORT_S
        self._asked_s: float | None = None
        """The pause that the server asks for; None until its first STATUS."""
        self._server_ahead_s = 0.0
        """The server's clock when something that is sent now arrives, less ours."""

    def registered(self, timeout_s: float, now: float) -> None:
        """The server has registered us, and drops us after a silence of `timeout_s`."""
        self._usual_s = min(REPORT_S, max(LEAST_TIMEOUT_S, timeout_s) / REPORTS_IN_TIMEOUT)
        self.next_at = now

    def heard(self, now: float) -> None:
        """Audio came: both sides are awake."""
        if self.next_at <= now + REPORT_EARLY_S:
            self.next_at = now

    def requested(self, heard_at: float, now: float) -> None:
        """A REQUEST was sent; the server was heard last at `heard_at`."""
        if now - max(heard_at, self._sent_at) >= PROBE_S:
            self.next_at = now

    def sent(self, now: float) -> None:
        """A REPORT was sent."""
        self._sent_at = now
        self.next_at = self._planned_at()
        if self._asked_s is not None and self._asked_s <= self._usual_s:
            self.next_at = min(self.next_at, now + REPORT_AGAIN_S)

    def answered(self, status: Status, now: float) -> None:
        """STATUS came: it says how often to report, and what the server's clock shows."""
        self._asked_s = status.report_s
        self._server_ahead_s = (status.server_clock_us - status.clock_us) / 1e6
        if self.next_at > now:
            self.next_at = max(now, self._planned_at())

    def _planned_at(self) -> float:
        if self._asked_s is None or self._asked_s <= self._usual_s:
            return self._sent_at + self._usual_s
        # Many listeners that joined together must not all report together (RFC 3550, 6.3.1).
        longest_s = min(MOST_REPORT_S, self._asked_s)
        at = self._sent_at + longest_s * self._random.uniform(0.5, 1.0)
        server_at = TOGETHER_S * round((at + self._server_ahead_s) / TOGETHER_S)
        together_at = server_at - self._server_ahead_s
        pause_s = together_at - self._sent_at
        return together_at if longest_s / 2 <= pause_s <= longest_s + REPORT_EARLY_S else at
