"""Gaps -> what to ask for, when, how often, and when to give up. Repair by request (ARQ).

A message is *missing* when there is a sign that it should have come:

- one of a higher sequence has come, or END has told of it (a *gap*), or
- it is *overdue*: the server sends at the pace of the media, so the arrival and the length of the
  last message say when the next one should come. A gap shows only when a loss is over; this shows
  during a long loss, and at the end of the stream.

Neither proves a loss: messages overtake one another, and are held up. The wait before the first
request is learned (absence.py): twice the time that missing messages have taken to come after all,
and less with every true loss. So nothing is requested on a path that only reorders, and nothing is
waited for on a path that loses much. A stall is no disorder, and teaches nothing.

A missing message is requested, and again when the answer is overdue by the measured round trip (RFC
6298). While there is time, the request waits a little, to be shared with others. After a few in
vain the requests come faster: they may be lost in a burst, too, and the server does not answer the
same one twice in a round trip, so this costs little. While the server is silent they come less and
less often. The last request is the last whose answer can be in time.

Pure: no thread and no clock; `now` is monotonic, in seconds. One object serves one stream.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Protocol

from listening.arrival.absence import Absence, Patience, Waits
from listening.arrival.audio_message import AudioMessage
from listening.arrival.reception_window import ReceptionWindow
from listening.arrival.statistics import Statistics
from message import Accept, Message, Type
from wire.ranges import text_of
from wire.round_trip import RoundTrip

ENOUGH_REQUESTS = 8
"""Shorten the wait so that this many requests find their time: with a fifth lost each way, all of
them fail once in 3,500 times."""

SLOW_REQUESTS = 6
"""The first requests for a message are at least a round trip apart."""

HURRY = 3
"""Later requests for it come this many times faster."""

HASTE = 2
"""The first ones come this many times faster where there is no time for `ENOUGH_REQUESTS`, and a
round trip apart at most: at the start the time-out is three of them."""

LEAST_PAUSE_S = 0.01
"""Lower bound of the pause between two requests for a message."""

PERSISTENCE = 1 / 32
"""The pause is at least this part of the time that the message has been missing: a server that does
not have it gets a few hundred requests."""

SILENCE = 1 / 16
"""Pause between any two requests, as a part of the time since anything was heard: a server that is
gone gets some fifty before it is given up."""

KEPT_S = 10.0
"""Time that the server keeps a message for retransmission, at least."""

TOGETHER_S = 0.005
"""Messages that are due within this share a request."""

SPACING_S = 0.15
"""Distance of the first `SLOW_REQUESTS` for a message from other requests, so that several gaps
share one: with three tenths lost it saves four requests of ten. Not where nothing comes any more:
many requests get through a burst."""

LEISURE_S = 0.5
"""That distance is kept only while this much time is left, and enough for `ENOUGH_REQUESTS`."""

BURST_S = 0.5
"""Time after ACCEPT in which messages before `live_time_us` are still on their way: the server
begins no burst that would have to wait longer for its turn."""

MAX_MISSING = 512
"""Missing messages that are looked after, the newest: more than a server keeps of 320 kbit/s."""

MAX_OVERDUE = 64
"""Messages beyond the newest arrival that are taken for missing: five seconds at 128 kbit/s."""

LEAST_MESSAGE_US = 10_000
"""Overdue messages are at least this far apart, whatever duration a message claims."""

NEVER = float("inf")

message_log = logging.getLogger("client.messages")


class Parity(Protocol):
    """The part of `Rebuilder` that repair needs."""

    def will_give(self, sequence: int) -> bool:
        """Whether this missing message may still be computed."""

    def block_after(self, sequence: int) -> int:
        """Sequence at which the next block begins."""


class Repair:
    """The requests for the missing messages of one stream."""

    def __init__(
        self,
        accept: Accept,
        window: ReceptionWindow,
        round_trip: RoundTrip,
        statistics: Statistics,
        *,
        needed_at: Callable[[int], float],
        time_s: float,
        now: float,
        parity: Parity | None = None,
    ) -> None:
        """`needed_at` returns the deadline of the audio at a media time.

        `time_s`: seconds from the arrival of a message to its deadline, usually.
        A message that `parity` may give is not requested.
        """
        self._window = window
        self._deadline = needed_at
        self._parity = parity
        self._round_trip = round_trip
        self._statistics = statistics
        self._speed = accept.speed
        self._waits = Waits(time_s)
        # The first message that neither came nor is known to be missing, and where it begins.
        self._next = accept.first_sequence
        self._next_time_us = accept.first_time_us
        self._newest = accept.first_sequence - 1
        self._length_us = LEAST_MESSAGE_US
        self._heard_at = self._asked_at = now
        self._ended = False
        self.resume(accept, now)

    def resume(self, accept: Accept, now: float) -> None:
        """The server has registered us (again): messages that are not live are on their way."""
        self._live_time_us = accept.live_time_us
        self._interval_s = accept.interval_s
        self._burst_until = now + BURST_S
        # The newest original that came: when, and its media time. None before the first.
        self._last: tuple[float, int] | None = None

    # What comes.

    def arrived(self, audio: AudioMessage, now: float) -> None:
        """A message came or was rebuilt, and the jitter buffer did not refuse it."""
        self._heard_at = now
        message, sequence = audio.message, audio.sequence
        if sequence > self._next:
            self._see_gap(sequence, message.media_time_us, now)
        elif sequence < self._next:
            self._fill(message, now)
        if sequence <= self._newest:
            return
        if sequence > self._newest + 1:
            self._overtake(range(self._newest + 1, min(sequence, self._next)), now)
        self._newest = sequence
        if sequence >= self._next - 1:
            self._next = sequence + 1
            self._next_time_us = audio.end_us
            # The last message of a file may be much shorter than those that follow it.
            self._length_us = max(self._length_us, audio.duration_us)
        if message.type == Type.AUDIO:
            self._keep_pace(message.media_time_us, now)

    def ended(self, last_sequence: int | None, end_time_us: int, now: float) -> None:
        """Nothing follows `last_sequence`."""
        self._ended = True
        after_last = 0 if last_sequence is None else last_sequence + 1
        for sequence in [one for one in self._window.missing if one >= after_last]:
            # It never was.
            self._statistics.requested -= self._window.missing[sequence].requests > 0
            self._window.forget_absence(sequence)
        if after_last > self._next:
            self._see_gap(after_last, end_time_us, now)
            self._next = after_last

    @property
    def sent_before(self) -> int:
        """The first sequence that has neither come nor is missing."""
        return self._next

    # What is asked for.

    def next_due(self) -> float:
        """When to call `take_due` if nothing comes until then."""
        due = self._overdue_at()
        for sequence, absence in self._window.missing.items():
            due = min(due, self._ask_alone_at(sequence, absence))
        return due

    def take_due(self, now: float) -> list[int]:
        """Sequences to request now, ascending; they count as requested."""
        if self._window.missing:
            self._forget_what_is_over(now)
        while self._last is not None and now >= self._due_at() and now >= self._overdue_at():
            self._presume_missing()
        if not self._window.missing:
            return []
        if not any(self._ask_alone_at(*item) <= now for item in self._window.missing.items()):
            return []
        asked = []
        for sequence, absence in self._window.missing.items():
            if self._ask_at(sequence, absence) <= now + TOGETHER_S:
                self._statistics.requested += absence.requests == 0
                absence.requests += 1
                absence.asked_at = now
                asked.append(sequence)
        self._asked_at = now
        return asked

    # Seeing what is missing.

    def _see_gap(self, sequence: int, media_time_us: int, now: float) -> None:
        """The messages before `sequence` that have not come are missing."""
        step_us = max(0, media_time_us - self._next_time_us) // (sequence - self._next)
        alone = sequence == self._next + 1
        # The burst of a late listener may be overtaken by what is live.
        burst_until = self._burst_until if media_time_us >= self._live_time_us else now
        for one in range(max(self._next, sequence - MAX_MISSING), sequence):
            begin_us = self._next_time_us + (one - self._next) * step_us
            in_burst = begin_us < self._live_time_us
            since = max(now, burst_until) if in_burst else now
            patience = self._waits.alone if alone and not in_burst else self._waits.gap
            self._miss(one, Absence(begin_us, since, patience, overtaken_at=since))
        message_log.info("AUDIO %s: missing", text_of(range(self._next, sequence)))

    def _presume_missing(self) -> None:
        """The next message is overdue."""
        message_log.debug("AUDIO %d: overdue", self._next)
        self._miss(self._next, Absence(self._next_time_us, self._due_at(), None))
        self._next += 1
        self._next_time_us += self._length_us

    def _miss(self, sequence: int, absence: Absence) -> None:
        self._window.miss(sequence, absence)
        if len(self._window.missing) > MAX_MISSING:
            self._window.forget_absence(next(iter(self._window.missing)))

    def _fill(self, message: Message, now: float) -> None:
        """A message came that was missing, perhaps after its repair."""
        absence = self._window.absence(message.sequence)
        if absence is None:
            return
        repaired = self._window.missing.pop(message.sequence, None) is None
        if message.type == Type.REPEAT:
            if not repaired:
                self._lost_indeed(message.sequence, absence, now)
            return
        if message.type == Type.AUDIO:
            self._statistics.spurious += absence.requests > 0
            if absence.overtaken_at is not None:
                self._waits.came_after_all(now - absence.overtaken_at)
        elif absence.requests:
            return
        self._window.forget_absence(message.sequence)

    def _overtake(self, sequences: range, now: float) -> None:
        """A later message came: those of `sequences` that are missing are not just held up."""
        for sequence in sequences:
            absence = self._window.missing.get(sequence)
            if absence is not None:
                left_s = self._left_s(absence.since, absence.media_time_us)
                absence.overtake(left_s, now)

    def _lost_indeed(self, sequence: int, absence: Absence, now: float) -> None:
        message_log.info(
            "AUDIO %d: repaired after %.2f s (requests: %d)",
            sequence,
            now - absence.since,
            absence.requests,
        )
        self._waits.were_in_vain()
        if absence.requests == 1:
            # Karn's rule: nobody knows which of two requests was answered.
            self._round_trip.measure(now - absence.asked_at)

    def _keep_pace(self, media_time_us: int, now: float) -> None:
        """The newest original came now: the others follow at the pace of the media."""
        if self._last is not None and media_time_us >= self._live_time_us:
            at, time_us = self._last
            late_s = now - at - (media_time_us - time_us) / 1e6 / self._speed - self._interval_s
            left_s = self._left_s(at, time_us) if now - at <= TOGETHER_S else None
            self._waits.came_late(late_s, left_s)
        self._last = (now, media_time_us)

    # When.

    def _due_at(self) -> float:
        """When the next message should come."""
        assert self._last is not None
        at, time_us = self._last
        return at + (self._next_time_us - time_us) / 1e6 / self._speed

    def _overdue_at(self) -> float:
        """When the next message counts as missing because of its time alone."""
        if self._last is None or self._ended or self._next - self._newest > MAX_OVERDUE:
            return NEVER
        due_at = self._due_at()
        wait_s = self._bounded(self._waits.overdue, due_at, self._next_time_us)
        return due_at + wait_s + self._interval_s

    def _bounded(self, patience: Patience, since: float, media_time_us: int) -> float:
        """Seconds to wait, so that enough requests find their time."""
        left_s = self._left_s(since, media_time_us)
        enough_s = left_s - ENOUGH_REQUESTS * self._round_trip.timeout_s
        return patience.wait_s(left_s, enough_s)

    def _left_s(self, since: float, media_time_us: int) -> float:
        """Seconds from `since` until an answer is of no use any more."""
        return min(KEPT_S, self._deadline(media_time_us) - since)

    def _ask_alone_at(self, sequence: int, absence: Absence) -> float:
        """When to request it, unless an earlier request is there to share."""
        at = self._ask_at(sequence, absence)
        in_a_burst = self._asked_at - self._heard_at > SPACING_S
        if in_a_burst or absence.requests >= SLOW_REQUESTS:
            return at
        reserve_s = max(LEISURE_S, ENOUGH_REQUESTS * self._round_trip.timeout_s)
        return max(at, min(self._asked_at + SPACING_S, self._needed_at(absence) - reserve_s))

    def _ask_at(self, sequence: int, absence: Absence) -> float:
        """When it may be requested (again); `NEVER` if no answer could be in time."""
        if self._is_left_to_parity(sequence, absence):
            return NEVER
        needed_at = self._needed_at(absence)
        if absence.requests == 0:
            at = absence.since
            if absence.patience is not None:
                at += self._bounded(absence.patience, at, absence.media_time_us)
        else:
            at = absence.asked_at + self._pause_s(absence, needed_at)
        at = max(at, self._asked_at + (self._asked_at - self._heard_at) * SILENCE)
        return at if at + self._round_trip.least_s < needed_at else NEVER

    def _is_left_to_parity(self, sequence: int, absence: Absence) -> bool:
        """Whether parity may give it in time: at the end of its block, at the latest."""
        if self._parity is None or not self._parity.will_give(sequence):
            return False
        if self._last is None:
            return True
        at, time_us = self._last
        rest_us = (self._parity.block_after(sequence) - sequence) * self._length_us
        given_at = at + (absence.media_time_us + rest_us - time_us) / 1e6 / self._speed
        return given_at < self._deadline(absence.media_time_us)

    def _pause_s(self, absence: Absence, needed_at: float) -> float:
        """Seconds to wait for the answer to the last request."""
        pause_s = self._round_trip.timeout_s
        if absence.requests >= SLOW_REQUESTS:
            pause_s /= HURRY
        elif needed_at - absence.since < ENOUGH_REQUESTS * pause_s:
            pause_s = min(pause_s / HASTE, self._round_trip.smoothed_s or pause_s)
        return max(pause_s, LEAST_PAUSE_S, (absence.asked_at - absence.since) * PERSISTENCE)

    def _needed_at(self, absence: Absence) -> float:
        """Its deadline, or when the server has it no longer if that is earlier."""
        needed_at = self._deadline(absence.media_time_us)
        return min(needed_at, absence.since + KEPT_S)

    def _forget_what_is_over(self, now: float) -> None:
        """Give up what no answer can bring in time."""
        answered_at = now + self._round_trip.least_s
        over = [one for one, m in self._window.missing.items() if answered_at >= self._needed_at(m)]
        for sequence in over:
            self._window.forget_absence(sequence)
