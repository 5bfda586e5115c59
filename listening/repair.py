"""Gaps -> what to ask for, when, how often, and when to give up. Repair by request (ARQ).

A message is *missing* when there is a sign that it should have come:

- one of a higher sequence has come, or END has told of it (a *gap*), or
- it is *overdue*: the server sends at the pace of the media, so the arrival and the length of the
  last message say when the next one should come. A gap shows only when a loss is over; this shows
  during a long loss, and at the end of the stream.

Neither proves a loss: messages overtake one another, and are held up. How long a sign is waited on
is learned: twice as long as messages that were missing have taken to come after all, and less with
every loss that turned out to be one. So a path that loses nothing is asked nothing, whatever
it does to the order; on a path that loses much, nothing is waited for.

What is missing is asked for, and again when the answer is overdue by the measured round trip (RFC
6298). While there is time, it waits a little, to share a request with others. After a few requests
in vain they come closer together: requests may be lost in a burst, too, and the server does not
answer the same twice in a round trip, so this costs little. In a silence of the server they come
less and less often. The last is one whose answer can still be there in time.

Pure: no thread and no clock; `now` is monotonic, in seconds. One object serves one stream.
"""

from __future__ import annotations

import dataclasses
from collections import OrderedDict
from typing import Protocol

from listening.round_trip import RoundTrip
from listening.statistics import Statistics
from message import Accept, Message, Type
from wire.log import get_logger
from wire.ranges import text_of

MARGIN = 2
"""Times the longest that a missing message took to come after all: the first is seldom the last."""

IMPATIENCE = 0.8
"""A loss makes the time that is waited shorter by this."""

LEAST_WAIT_S = 0.005
"""Two datagrams that overtake each other in one machine are seldom further apart."""

FIRST_WAIT = 1 / 4
FIRST_WAIT_ALONE = 1 / 2
MOST_FIRST_S = 1.0
"""Of the play-out delay, or of a second, while nothing was learned. A message that is missing alone
may have been overtaken, and there is time; several in a row are the sign of a burst, which takes
many requests to repair. And what is missing at the start holds up the first sound."""

ENOUGH_REQUESTS = 8
"""If time is short it is waited for less, so that so many requests can be made: with a fifth lost
each way, all of them fail once in 3,500 times."""
LONGEST_WAIT = 3 / 4
"""But if the path is so long that so many cannot be made, up to this part of the time."""

SLOW_REQUESTS = 6
HURRY = 3
HASTE = 2
"""So many requests are a round trip apart, or more, those after them so many times closer together;
and the first ones so many times, where there is not the time for enough of them."""

LEAST_PAUSE_S = 0.01
PERSISTENCE = 1 / 32
"""Between two requests for a message is at least this, and so much of the time that it has been
missing: a server that does not have it gets some hundred."""

SILENCE = 1 / 16
"""Between any two requests is at least so much of the time that nothing was heard: a server that is
gone gets some fifty before it is given up."""

KEPT_S = 10.0
"""So long a message can be missing, and the server still have it."""

TOGETHER_S = 0.005
"""What is due within this goes into the same request."""

SPACING_S = 0.15
LEISURE_S = 0.5
"""The first `SLOW_REQUESTS` for a message keep this distance from other requests while so much time
is left, and enough for `ENOUGH_REQUESTS`: so several gaps share one. Where three tenths are lost it
saves four requests of ten. Not where nothing comes any more: many requests get through a burst."""

BURST_S = 0.5
"""After ACCEPT the messages before `live_time_us` are on their way for so long, at the longest: the
server begins no burst that would have to wait longer for its turn."""

MAX_MISSING = 512
"""Messages: the newest. More than a server keeps of 320 kbit/s."""

MAX_OVERDUE = 64
"""Messages beyond the newest that came: five seconds at 128 kbit/s."""

MAX_REPAIRED = 256
"""Repaired messages whose original may still come, and show that it was not lost."""

LEAST_MESSAGE_US = 10_000
"""Overdue messages are at least so far apart, whatever a message says of its length."""

NEVER = float("inf")

log = get_logger("client")


class Deadlines(Protocol):
    """What of the jitter buffer is needed here."""

    @property
    def next_sequence(self) -> int:
        """Whose turn is next."""

    def needed_at(self, media_time_us: int) -> float:
        """When the audio at this media time must have come."""


class Parity(Protocol):
    """What of the parity is needed here."""

    def will_give(self, sequence: int) -> bool:
        """Whether this message, which should have come, may yet be computed."""

    def block_after(self, sequence: int) -> int:
        """The first message of the block after that of this one."""


class Patience:
    """How long it is worth waiting for what should have come."""

    def __init__(self, wait_s: float) -> None:
        self.wait_s = wait_s

    def came_after(self, waited_s: float) -> None:
        """Something came after all, after `waited_s`."""
        self.wait_s = max(self.wait_s, waited_s * MARGIN)

    def in_vain(self) -> None:
        """Something was lost: to wait for it was of no use."""
        self.wait_s = max(LEAST_WAIT_S, self.wait_s * IMPATIENCE)


@dataclasses.dataclass(slots=True)
class _Missing:
    """A message that should have come."""

    media_time_us: int
    """Where it begins, about."""
    since: float
    """When it was seen to be missing."""
    patience: Patience | None
    """None if it was waited for already, because it was overdue."""
    requests: int = 0
    asked_at: float = 0.0


class Repair:
    """What of one stream is missing, and what is done about it."""

    def __init__(
        self,
        accept: Accept,
        deadlines: Deadlines,
        round_trip: RoundTrip,
        statistics: Statistics,
        *,
        buffer_s: float,
        now: float,
        parity: Parity | None = None,
    ) -> None:
        """What `parity` may give is not asked for."""
        self._parity = parity
        self._deadlines = deadlines
        self._round_trip = round_trip
        self._statistics = statistics
        self._speed = accept.speed
        unit_s = min(buffer_s, MOST_FIRST_S)
        self._gap = Patience(unit_s * FIRST_WAIT)
        self._alone = Patience(unit_s * FIRST_WAIT_ALONE)
        self._overdue = Patience(unit_s * FIRST_WAIT)
        self._missing: OrderedDict[int, _Missing] = OrderedDict()
        self._repaired: OrderedDict[int, float] = OrderedDict()
        # The first message that neither came nor is known to be missing, and where it begins.
        self._next = accept.first_sequence
        self._next_time_us = accept.first_time_us
        self._newest = accept.first_sequence - 1
        self._length_us = LEAST_MESSAGE_US
        self._heard_at = self._asked_at = now
        self._ended = False
        self.resume(accept, now)

    def resume(self, accept: Accept, now: float) -> None:
        """The server has registered us (anew): what is not live yet is on its way."""
        self._live_time_us = accept.live_time_us
        self._interval_s = accept.interval_s
        self._burst_until = now + BURST_S
        # The newest original that came: when, and its media time. None before the first.
        self._last: tuple[float, int] | None = None

    # What comes.

    def arrived(self, message: Message, duration_us: int, now: float) -> None:
        """A message came, or was computed from PARITY, that the jitter buffer did not refuse."""
        self._heard_at = now
        sequence = message.sequence
        if sequence > self._next:
            self._see_gap(sequence, message.media_time_us, now)
        elif sequence < self._next and (self._missing or self._repaired):
            self._fill(message, now)
        if sequence <= self._newest:
            return
        self._newest = sequence
        if sequence >= self._next - 1:
            self._next = sequence + 1
            self._next_time_us = message.media_time_us + duration_us
            # The last message of a file may be much shorter than those that follow it.
            self._length_us = max(self._length_us, duration_us)
        if message.type == Type.AUDIO:
            self._keep_pace(message.media_time_us, now)

    def ended(self, last_sequence: int | None, end_time_us: int, now: float) -> None:
        """Nothing follows `last_sequence`."""
        self._ended = True
        after_last = 0 if last_sequence is None else last_sequence + 1
        for sequence in [one for one in self._missing if one >= after_last]:
            # It never was.
            self._statistics.requested -= self._missing.pop(sequence).requests > 0
        if after_last > self._next:
            self._see_gap(after_last, end_time_us, now)
            self._next = after_last

    @property
    def sent_before(self) -> int:
        """All before this has been sent: it came, or is missing."""
        return self._next

    # What is asked for.

    def next_due(self) -> float:
        """When `take_due` may have something if nothing comes until then."""
        due = self._overdue_at()
        for sequence, missing in self._missing.items():
            due = min(due, self._ask_alone_at(sequence, missing))
        return due

    def take_due(self, now: float) -> list[int]:
        """The sequences to ask for now, ascending. They count as asked for."""
        if self._missing:
            self._forget_what_is_over(now)
        while self._last is not None and now >= self._due_at() and now >= self._overdue_at():
            self._presume_missing()
        if not self._missing:
            return []
        if not any(self._ask_alone_at(*item) <= now for item in self._missing.items()):
            return []
        asked = []
        for sequence, missing in self._missing.items():
            if self._ask_at(sequence, missing) <= now + TOGETHER_S:
                self._statistics.requested += missing.requests == 0
                missing.requests += 1
                missing.asked_at = now
                asked.append(sequence)
        self._asked_at = now
        return asked

    # Seeing what is missing.

    def _see_gap(self, sequence: int, media_time_us: int, now: float) -> None:
        """What is before `sequence` and has not come is missing."""
        step_us = max(0, media_time_us - self._next_time_us) // (sequence - self._next)
        alone = sequence == self._next + 1
        # The burst of a late listener may be overtaken by what is live.
        burst_until = self._burst_until if media_time_us >= self._live_time_us else now
        for one in range(max(self._next, sequence - MAX_MISSING), sequence):
            begin_us = self._next_time_us + (one - self._next) * step_us
            if begin_us < self._live_time_us:
                self._miss(one, _Missing(begin_us, max(now, burst_until), self._gap))
            else:
                self._miss(one, _Missing(begin_us, now, self._alone if alone else self._gap))
        log.info("AUDIO %s: missing", text_of(range(self._next, sequence)))

    def _presume_missing(self) -> None:
        """The next message is overdue."""
        log.debug("AUDIO %d: overdue", self._next)
        self._miss(self._next, _Missing(self._next_time_us, self._due_at(), None))
        self._next += 1
        self._next_time_us += self._length_us

    def _miss(self, sequence: int, missing: _Missing) -> None:
        self._missing[sequence] = missing
        if len(self._missing) > MAX_MISSING:
            self._missing.popitem(last=False)

    def _fill(self, message: Message, now: float) -> None:
        """A message came that was missing, or one that has come before."""
        self._forget_what_was_given_up()
        sequence = message.sequence
        missing = self._missing.pop(sequence, None)
        original = message.type == Type.AUDIO
        if missing is None:
            since = self._repaired.pop(sequence, None) if original else None
            if since is not None:
                self._statistics.needless += 1
                self._came_after_all(now - since)
        elif message.type == Type.PARITY:
            if missing.requests:
                self._remember(sequence, missing)
        elif original:
            self._statistics.needless += missing.requests > 0
            self._came_after_all(now - missing.since)
        else:
            self._lost_indeed(sequence, missing, now)

    def _came_after_all(self, waited_s: float) -> None:
        for patience in (self._gap, self._alone, self._overdue):
            patience.came_after(waited_s)

    def _lost_indeed(self, sequence: int, missing: _Missing, now: float) -> None:
        log.info(
            "AUDIO %d: repaired after %.2f s (requests: %d)",
            sequence,
            now - missing.since,
            missing.requests,
        )
        for patience in (self._gap, self._alone, self._overdue):
            patience.in_vain()
        if missing.requests == 1:
            # Karn's rule: which of two requests was answered, nobody knows.
            self._round_trip.measure(now - missing.asked_at)
        self._remember(sequence, missing)

    def _remember(self, sequence: int, missing: _Missing) -> None:
        """It was asked for and is there: its original may still come."""
        self._repaired[sequence] = missing.since
        if len(self._repaired) > MAX_REPAIRED:
            self._repaired.popitem(last=False)

    def _keep_pace(self, media_time_us: int, now: float) -> None:
        """The newest original came now: the others follow at the pace of the media."""
        if self._last is not None and media_time_us >= self._live_time_us:
            at, time_us = self._last
            late_s = now - at - (media_time_us - time_us) / 1e6 / self._speed - self._interval_s
            if late_s > 0:
                self._overdue.came_after(late_s)
        self._last = (now, media_time_us)

    # When.

    def _due_at(self) -> float:
        """When the next message should come."""
        assert self._last is not None
        at, time_us = self._last
        return at + (self._next_time_us - time_us) / 1e6 / self._speed

    def _overdue_at(self) -> float:
        """When the next message is taken for missing, by its time alone."""
        if self._last is None or self._ended or self._next - self._newest > MAX_OVERDUE:
            return NEVER
        due_at = self._due_at()
        wait_s = self._bounded(self._overdue, due_at, self._next_time_us)
        return due_at + wait_s + self._interval_s

    def _bounded(self, patience: Patience, since: float, media_time_us: int) -> float:
        """How long to wait, if as many requests as may be needed shall find their time."""
        left_s = min(KEPT_S, self._deadlines.needed_at(media_time_us) - since)
        enough_s = left_s - ENOUGH_REQUESTS * self._round_trip.timeout_s
        return max(0.0, min(patience.wait_s, max(enough_s, left_s * LONGEST_WAIT)))

    def _ask_alone_at(self, sequence: int, missing: _Missing) -> float:
        """When to ask for it if until then nothing else is asked for, whose request it shares."""
        at = self._ask_at(sequence, missing)
        in_a_burst = self._asked_at - self._heard_at > SPACING_S
        if in_a_burst or missing.requests >= SLOW_REQUESTS:
            return at
        reserve_s = max(LEISURE_S, ENOUGH_REQUESTS * self._round_trip.timeout_s)
        return max(at, min(self._asked_at + SPACING_S, self._needed_at(missing) - reserve_s))

    def _ask_at(self, sequence: int, missing: _Missing) -> float:
        """When it may be asked for (again); never, if no answer could be there in time."""
        if self._is_left_to_parity(sequence, missing):
            return NEVER
        needed_at = self._needed_at(missing)
        if missing.requests == 0:
            at = missing.since
            if missing.patience is not None:
                at += self._bounded(missing.patience, at, missing.media_time_us)
        else:
            at = missing.asked_at + self._pause_s(missing, needed_at)
        at = max(at, self._asked_at + (self._asked_at - self._heard_at) * SILENCE)
        return at if at + self._round_trip.least_s < needed_at else NEVER

    def _is_left_to_parity(self, sequence: int, missing: _Missing) -> bool:
        """Whether parity may give it, and in time: at the end of its block, at the latest."""
        if self._parity is None or not self._parity.will_give(sequence):
            return False
        if self._last is None:
            return True
        at, time_us = self._last
        rest_us = (self._parity.block_after(sequence) - sequence) * self._length_us
        given_at = at + (missing.media_time_us + rest_us - time_us) / 1e6 / self._speed
        return given_at < self._deadlines.needed_at(missing.media_time_us)

    def _pause_s(self, missing: _Missing, needed_at: float) -> float:
        """How long to wait for the answer to the last request."""
        pause_s = self._round_trip.timeout_s
        if missing.requests >= SLOW_REQUESTS:
            pause_s /= HURRY
        elif needed_at - missing.since < ENOUGH_REQUESTS * pause_s:
            pause_s /= HASTE
        return max(pause_s, LEAST_PAUSE_S, (missing.asked_at - missing.since) * PERSISTENCE)

    def _needed_at(self, missing: _Missing) -> float:
        """When it must be there, or the server has it no longer."""
        needed_at = self._deadlines.needed_at(missing.media_time_us)
        return min(needed_at, missing.since + KEPT_S)

    def _forget_what_is_over(self, now: float) -> None:
        """What was given up, and what no answer can bring in time."""
        self._forget_what_was_given_up()
        answered_at = now + self._round_trip.least_s
        over = [one for one, m in self._missing.items() if answered_at >= self._needed_at(m)]
        for sequence in over:
            del self._missing[sequence]

    def _forget_what_was_given_up(self) -> None:
        after = self._deadlines.next_sequence
        while self._missing and next(iter(self._missing)) < after:
            self._missing.popitem(last=False)
