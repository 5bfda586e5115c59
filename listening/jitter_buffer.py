"""Arrivals -> order, on one timeline. The bounded queue between receiver and playback thread.

What has come in order may be given out at once (an output may be filled ahead of the time it
sounds); a hole waits until the moment its audio is needed, its *deadline*, and is then given up:
a `Gap` stands for it, and the timeline goes on. What comes after its deadline is late.

Whoever takes is asked to come a few times a second, and not for each message: `is_ready` says when
it is worth while, `next_due` when it must be at the latest.

The timeline begins when `buffer_s` of audio lies ready without a hole, or `buffer_s` after the
first arrival, whichever is first: so what was lost at the start can still be repaired. From then on
media time t is needed at `deadline(t)`. An output that cannot wait (a sound card) makes the
timeline *strict*: it never stops. Only when everything has come too late for `RESTART_S` (a path
that has become longer, two clocks that drifted apart) does it begin anew. Any other output lets
each hole wait `buffer_s`, however long the stream stood still, so that a copy at many times real
time loses nothing.

A strict timeline may follow what is measured of the path (playout_delay.py). It is then moved: by a
little with each message that is given out, which must be made as much longer, and by silence (a
`Pause`) in a gap, where what is missing may still come in the time that is won.

Pure: no thread and no clock; `now` is monotonic, in seconds. One object serves one stream.
"""

from __future__ import annotations

import enum
from collections import OrderedDict
from typing import NamedTuple

from listening.playout_delay import PlayoutDelay
from listening.statistics import Statistics
from message import Message, Type
from wire.log import get_logger

MIN_CAPACITY = 4096
"""Messages: five minutes of 128 kbit/s, far more than any delay a listener would choose."""

MAX_CAPACITY = 16_384
"""Messages: 24 MB at the default MTU, so the buffer alone never makes the client large."""

MAX_MESSAGE_US = 250_000
"""No sender puts more into one message (RFC 3551 section 4.2: up to 200 ms, and one frame); a
media time beyond what the sequence allows by this is not of this stream."""

ROUNDING_US = 1_000
"""Neighbours may overlap by less than this: media times and durations are rounded each alone."""

MAX_GIVEN_UP = 65_536
"""Sequences remembered as given up, so that a late one can be told from a duplicate."""

MAX_ABSENCE = 1 << 20
"""Messages that a listener can miss and still go on in the stream: 15 hours at the least."""

HAND_OUT_S = 0.25
"""From one hand-out of a steady stream to the next. To wake a thread and decode one message costs
0.35 ms, to decode another one then 0.08."""

RESTART_S = 1.0
"""A strict timeline on which everything came too late for so long begins anew."""

log = get_logger("client")


class Arrival(enum.Enum):
    """What became of a message that arrived."""

    IN_TIME = enum.auto()
    DUPLICATE = enum.auto()
    LATE = enum.auto()
    OVERFLOW = enum.auto()


class Ready(NamedTuple):
    """A message whose turn it is."""

    message: Message
    longer_s: float = 0.0
    """By how much it must be made longer, or (below 0) shorter."""


class Gap(NamedTuple):
    """What should come here was given up, or has not come when it was needed."""


class Pause(NamedTuple):
    """So much silence more is needed in this gap: all that follows sounds later by as much."""

    length_s: float


class Restart(NamedTuple):
    """The timeline begins anew: what follows sounds as soon as it can."""


class End(NamedTuple):
    """The last message of the stream was given out, or given up; media time of its end."""

    media_time_us: int | None


Item = Ready | Gap | Pause | Restart | End


class JitterBuffer:
    """The messages of one stream that wait for their turn."""

    def __init__(
        self,
        first_sequence: int,
        first_time_us: int,
        statistics: Statistics,
        *,
        buffer_s: float,
        speed: float = 1.0,
        lead_s: float = 0.0,
        strict: bool = True,
        delay: PlayoutDelay | None = None,
    ) -> None:
        """`lead_s` is how long before it sounds the output must have the audio.

        With `delay` a strict timeline is moved as that wants; at `speed` 1 only.
        """
        assert delay is None or (strict and speed == 1.0), "nothing would be measured"
        self._delay = delay
        self._pause_s = 0.0
        self._statistics = statistics
        self._buffer_s = buffer_s
        self._speed = speed
        self._lead_s = lead_s
        self._strict = strict
        wanted = round(4 * buffer_s * speed / 0.02)
        self._capacity = min(MAX_CAPACITY, max(MIN_CAPACITY, wanted))
        self._horizon = first_sequence + self._capacity
        # Whose turn is next, and where on the timeline it begins (within a hole: by estimate).
        self._next = first_sequence
        self._next_time_us = first_time_us
        # The same, after the last message that was given out: this is certain.
        self._certain = first_sequence
        self._certain_time_us = first_time_us
        self._waiting: dict[int, tuple[Message, int]] = {}
        self._highest = first_sequence - 1
        self._highest_end_us = first_time_us
        self._highest_come = self._highest
        self._given_up: OrderedDict[int, None] = OrderedDict()
        self._came_late: set[int] = set()
        self._late_since: float | None = None
        self._first_arrival: float | None = None
        self._timeline: tuple[float, int] | None = None
        self._restarted = False
        self._handed_out_at = float("-inf")
        self._in_gap = False
        self._was_silent = True
        self._after_last: int | None = None
        self._end_time_us: int | None = None
        self._ended = False

    def insert(self, message: Message, duration_us: int, now: float) -> Arrival:
        """Take an AUDIO or REPEAT message that holds `duration_us` of audio, and count it."""
        arrival = self._arrival(message, duration_us, now)
        count = self._statistics
        if arrival is Arrival.OVERFLOW:
            count.overflows += 1
            return arrival
        count.received += 1
        count.received_bytes += len(message.data)
        if arrival is Arrival.DUPLICATE:
            count.duplicates += 1
            return arrival
        repeat = message.type == Type.REPEAT
        count.out_of_order += message.sequence < self._highest_come and not repeat
        self._highest_come = max(self._highest_come, message.sequence)
        if arrival is Arrival.LATE:
            count.late += 1
            self._reach(message.sequence, message.media_time_us + duration_us)
        else:
            count.intact += not repeat
            count.retransmitted += repeat
            self._put(message, duration_us, now)
        return arrival

    def insert_rebuilt(self, message: Message, duration_us: int, now: float) -> bool:
        """Take AUDIO that was computed from parity, and count it, if it is missing and in time."""
        sequence = message.sequence
        there = sequence < self._next or sequence in self._waiting or sequence in self._came_late
        if there or not self._plausible(message, duration_us):
            return False
        self._measure(message, now)
        if self._is_past(message.media_time_us + duration_us, now):
            return False
        self._statistics.rebuilt += 1
        self._put(message, duration_us, now)
        return True

    def end(self, last_sequence: int | None, end_time_us: int, now: float) -> bool:
        """Nothing follows `last_sequence` (None: nothing was sent at all).

        False, and nothing changes, if that contradicts what has come.
        """
        after_last = 0 if last_sequence is None else last_sequence + 1
        if self._after_last is not None or not self._highest < after_last <= self._horizon:
            return False
        self._after_last = after_last
        # A time before what has come, or that so few messages cannot reach, is not believed.
        earliest_us = self._highest_end_us - ROUNDING_US
        room_us = (after_last - self._certain) * MAX_MESSAGE_US
        if earliest_us <= end_time_us <= self._certain_time_us + room_us + ROUNDING_US:
            self._end_time_us = end_time_us
        self._be_patient(now)
        self._reach(after_last - 1, self._end_time_us or self._highest_end_us)
        if self._first_arrival is None:
            self._first_arrival = now
        return True

    def resume(self, first_sequence: int) -> None:
        """The server has registered us anew within the stream: it goes on from there."""
        # Each message in between is given up by itself: no word of the network may make that
        # an endless task.
        first_sequence = min(first_sequence, self._next + MAX_ABSENCE)
        self._horizon = max(self._horizon, first_sequence + self._capacity)

    def close(self) -> None:
        """Nothing more will come: what waits is due now, and holes are given up."""
        self._after_last = self._highest + 1
        self._timeline = (float("-inf"), 0)
        self._delay = None

    def take(self, now: float) -> list[Item]:
        """What is due, in order. Ends with an `End`, once, when the stream has ended."""
        items: list[Item] = []
        if self._ended or not (self._timeline or self._start_if_ready(now, items)):
            return items
        while True:
            if self._next in self._waiting:
                if self._pause_s:
                    items.append(Pause(self._pause_s))
                    self._pause_s = 0.0
                items.append(self._give_out(now))
                self._handed_out_at = now
            elif self._next == self._after_last:
                self._ended = True
                items.append(End(self._end_time_us))
                return items
            elif now < self._deadline(self._next_time_us):
                return items
            elif self._next <= self._highest:
                if not self._wait_longer(items):
                    self._give_up(items)
            else:
                if self._strict and not self._in_gap:
                    self._statistics.underruns += 1
                    self._open_gap(items)
                return items

    def next_due(self) -> float | None:
        """When `take` must be called at the latest if nothing arrives until then."""
        if self._ended:
            return None
        if self._timeline is None:
            if self._first_arrival is None:
                return None
            return self._first_arrival + (self._buffer_s if self._strict else 0.0)
        if self._next == self._after_last:
            return float("-inf")
        if self._next > self._highest and (self._in_gap or not self._strict):
            return None
        return self._deadline(self._next_time_us)

    def is_ready(self, now: float) -> bool:
        """Whether it is worth while to call `take` before it is due."""
        if self._timeline is None:
            return self._may_start(now)
        if self._after_last is not None:
            return self._next in self._waiting or self._next == self._after_last
        enough = now >= self._handed_out_at + HAND_OUT_S / self._speed
        return enough and self._next in self._waiting

    @property
    def next_sequence(self) -> int:
        """Whose turn is next: what is before was given out, or given up."""
        return self._next

    def needed_at(self, media_time_us: int) -> float:
        """The deadline of the audio at `media_time_us`, or the earliest that it can have.

        Infinite if it is waited for as long as need be.
        """
        if not self._strict and (self._timeline is None or media_time_us >= self._highest_end_us):
            return float("inf")
        if self._timeline is not None:
            return self._deadline(media_time_us)
        if self._first_arrival is None:
            return float("inf")
        # Within the first `buffer_s` it is itself what the start waits for.
        after_s = (media_time_us - self._next_time_us) / 1e6 / self._speed
        waited_s = self._buffer_s if after_s < self._buffer_s else 0.0
        return self._first_arrival + waited_s + after_s - self._lead_s

    def buffered_s(self, now: float) -> float:
        """How long what has come, handed to the output or not, still lasts."""
        if self._timeline is None or not self._strict:
            # What was given up may have seemed to last longer than it did.
            return max(0, self._highest_end_us - self._next_time_us) / 1e6 / self._speed
        return max(0.0, self._deadline(self._highest_end_us) + self._lead_s - now)

    def position_us(self, now: float) -> int:
        """The media time that sounds now."""
        if self._timeline is None or self._ended or not self._strict:
            return self._next_time_us
        began, origin_us = self._timeline
        if began == float("-inf"):
            return self._next_time_us
        return min(self._highest_end_us, origin_us + round((now - began) * self._speed * 1e6))

    # Arriving.

    def _arrival(self, message: Message, duration_us: int, now: float) -> Arrival:
        sequence = message.sequence
        if sequence < self._next:
            # Only the first arrival of what was given up is late; after that it is a duplicate.
            given_up = self._given_up.pop(sequence, sequence)
            if given_up is None and message.media_time_us <= self._next_time_us:
                self._measure(message, now)
            return Arrival.LATE if given_up is None else Arrival.DUPLICATE
        if sequence in self._waiting or sequence in self._came_late:
            return Arrival.DUPLICATE
        if not self._plausible(message, duration_us):
            return Arrival.OVERFLOW
        self._measure(message, now)
        if self._timeline is None or not self._strict:
            return Arrival.IN_TIME
        in_time = now < self._deadline(message.media_time_us + duration_us)
        # How late an answer comes says nothing of how long the path has become.
        if message.type != Type.REPEAT and self._late_for_long(in_time, now):
            self._begin_anew()
            in_time = True
        if in_time:
            return Arrival.IN_TIME
        self._came_late.add(sequence)
        return Arrival.LATE

    def _is_past(self, end_us: int, now: float) -> bool:
        """Whether audio that ends at this media time could not be heard any more."""
        return self._strict and self._timeline is not None and now >= self._deadline(end_us)

    def _late_for_long(self, in_time: bool, now: float) -> bool:
        """Whether, with this one, everything has come too late for `RESTART_S`."""
        if in_time:
            self._late_since = None
        elif self._late_since is None:
            self._late_since = now
        return self._late_since is not None and now - self._late_since >= RESTART_S

    def _plausible(self, message: Message, duration_us: int) -> bool:
        """Room for it, and a media time that its sequence can have."""
        if message.sequence >= self._horizon or len(self._waiting) >= self._capacity:
            return False
        if self._after_last is not None and message.sequence >= self._after_last:
            return False
        after_us = message.media_time_us - self._certain_time_us
        room_us = (message.sequence - self._certain) * MAX_MESSAGE_US
        return (
            -ROUNDING_US <= after_us <= room_us + ROUNDING_US and 0 <= duration_us <= MAX_MESSAGE_US
        )

    def _put(self, message: Message, duration_us: int, now: float) -> None:
        if self._first_arrival is None:
            self._first_arrival = now
        if message.sequence > self._highest:
            self._be_patient(now)
        self._waiting[message.sequence] = (message, duration_us)
        self._reach(message.sequence, message.media_time_us + duration_us)

    def _reach(self, sequence: int, end_us: int) -> None:
        if sequence > self._highest:
            self._statistics.expected += sequence - self._highest
            self._highest = sequence
            self._highest_end_us = max(self._highest_end_us, end_us)

    def _be_patient(self, now: float) -> None:
        """A hole beyond what is known waits its full time, unless the output cannot wait."""
        if self._strict or self._timeline is None:
            return
        enough = now + self._buffer_s
        if self._deadline(self._highest_end_us) < enough:
            self._timeline = (enough, self._highest_end_us)

    def _begin_anew(self) -> None:
        if self._delay is not None:
            self._delay.restart()
        self._pause_s = 0.0
        self._timeline = None
        self._first_arrival = None
        self._late_since = None
        self._restarted = self._was_silent = True

    # Following what is measured.

    def _measure(self, message: Message, now: float) -> None:
        """It came for the first time; if that is in a gap, the gap may be used."""
        if self._delay is not None:
            self._delay.arrived(message.media_time_us, now)
            if self._in_gap:
                self._lengthen_gap()

    def _wait_longer(self, items: list[Item]) -> bool:
        """Whether the hole whose deadline has come is given more time: once in a gap."""
        if self._delay is None or self._in_gap:
            return False
        self._delay.missed(self._offset_s)
        self._open_gap(items)
        return self._lengthen_gap()

    def _lengthen_gap(self) -> bool:
        """Move what follows the gap to where it is wanted, if that is later."""
        if self._delay is None or self._timeline is None:
            return False
        pause_s = self._delay.pause_s(self._offset_s)
        self._pause_s += pause_s
        self._move_timeline(pause_s)
        return pause_s > 0

    def _move_timeline(self, by_s: float) -> None:
        assert self._timeline is not None
        began, origin_us = self._timeline
        self._timeline = (began + by_s, origin_us)

    @property
    def _offset_s(self) -> float:
        """Media time t is needed at t + this, at speed 1."""
        return self._deadline(0)

    def _stretch_s(self, duration_us: int) -> float:
        """By how much the message that is given out is made longer; tell how it stands."""
        if self._delay is None:
            return 0.0
        offset_s = self._offset_s
        self._statistics.measure_delay(self._delay.delay_s(offset_s), self._delay.wanted_s())
        longer_s = self._delay.stretch_s(offset_s, duration_us / 1e6)
        self._move_timeline(longer_s)
        return longer_s

    # Being due.

    def _deadline(self, media_time_us: int) -> float:
        """When the audio at `media_time_us` must be given to the output."""
        assert self._timeline is not None, "before the start nothing is due"
        began, origin_us = self._timeline
        return began + (media_time_us - origin_us) / 1e6 / self._speed - self._lead_s

    def _may_start(self, now: float) -> bool:
        if self._first_arrival is None:
            return False
        waited = not self._strict or now >= self._first_arrival + self._buffer_s
        return waited or self._is_full()

    def _start_if_ready(self, now: float, items: list[Item]) -> bool:
        if not self._may_start(now):
            return False
        origin_us = self._next_time_us
        if self._restarted:
            # Nobody waits for what was given up in the meantime.
            origin_us = min(m.media_time_us for m, _ in self._waiting.values())
            items.append(Restart())
            self._restarted = False
        # An output that can wait does so, also for what is missing already.
        self._timeline = (now if self._strict else now + self._buffer_s, origin_us)
        return True

    def _is_full(self) -> bool:
        """Whether the play-out delay, or all there will ever be, lies ready."""
        if self._after_last is not None and len(self._waiting) == self._after_last - self._next:
            return True
        wanted_us = self._buffer_s * self._speed * 1e6
        if self._restarted:
            begin_us = min(m.media_time_us for m, _ in self._waiting.values())
            return self._highest_end_us - begin_us >= wanted_us
        sequence, end_us = self._next, self._next_time_us
        while sequence in self._waiting and end_us < self._next_time_us + wanted_us:
            message, duration_us = self._waiting[sequence]
            sequence, end_us = sequence + 1, message.media_time_us + duration_us
        return sequence > self._next and end_us >= self._next_time_us + wanted_us

    def _give_out(self, now: float) -> Ready:
        message, duration_us = self._waiting.pop(self._next)
        if self._was_silent:
            needed_at = self._deadline(message.media_time_us) if self._strict else now
            heard_in_s = max(0.0, needed_at + self._lead_s - now)
            log.info("AUDIO %d: heard in %.2f s", message.sequence, heard_in_s)
            self._was_silent = False
        self._next = self._certain = message.sequence + 1
        self._next_time_us = self._certain_time_us = message.media_time_us + duration_us
        self._horizon = max(self._horizon, self._next + self._capacity)
        self._in_gap = False
        return Ready(message, self._stretch_s(duration_us))

    def _give_up(self, items: list[Item]) -> None:
        """Pass over the next message; where the one after it begins is estimated."""
        self._statistics.lost += 1
        log.warning("AUDIO %d: lost", self._next)
        if self._next in self._came_late:
            self._came_late.remove(self._next)
        else:
            self._given_up[self._next] = None
            if len(self._given_up) > MAX_GIVEN_UP:
                self._given_up.popitem(last=False)
        present = min(self._waiting, default=None)
        if present is not None:
            present_us = self._waiting[present][0].media_time_us
        else:
            present, present_us = self._highest + 1, self._highest_end_us
        self._next_time_us += max(0, present_us - self._next_time_us) // (present - self._next)
        self._next += 1
        self._open_gap(items)

    def _open_gap(self, items: list[Item]) -> None:
        if not self._in_gap:
            items.append(Gap())
            self._in_gap = self._was_silent = True
