"""Arrivals -> order, on one timeline. The bounded queue between receiver and playback thread.

Messages in order may be given out at once (an output may be filled ahead of the time it sounds). A
hole waits until its audio is needed, its *deadline*, and is then given up: a `Gap` stands for it,
and the timeline goes on. What comes after its deadline is late.

The timeline begins when `buffer_s` of audio lies ready without a hole, or `buffer_s` after the
first arrival: so losses at the start can still be repaired. From then on media time t is needed at
`deadline(t)`. For an output that cannot wait (a sound card) the timeline is *strict*: it never
stops. Only when everything has come too late for `RESTART_S` (a longer path, two clocks that
drifted apart) does it begin anew. For any other output each hole waits `buffer_s`, however long
the stream stood still: a copy at many times real time loses nothing.

A strict timeline may follow the measured path (playout_delay.py): it moves a little with each
message, which is stretched by as much, and by `InsertedSilence` in a gap.

Pure: no thread and no clock; `now` is monotonic, in seconds. One object serves one stream.
"""

from __future__ import annotations

import logging

from listening.arrival.audio_message import Arrival, AudioMessage
from listening.arrival.playable import EndOfStream, Gap, InsertedSilence, Item, Ready, Restart
from listening.arrival.playout_delay import PlayoutDelay
from listening.arrival.reception_window import ReceptionWindow, State
from listening.arrival.server_timeline import ServerTimeline
from listening.arrival.statistics import Statistics
from listening.arrival.timeline import PlayoutTimeline
from message import Message, Type

HAND_OUT_S = 0.25
"""Pause between hand-outs of a steady stream: waking the thread and decoding one message costs
0.35 ms, decoding each further one 0.08 ms."""

RESTART_S = 1.0
"""A strict timeline begins anew after this of late messages; a hole of it ends with an event."""

log = logging.getLogger("client")
message_log = logging.getLogger("client.messages")


class JitterBuffer:
    """The timeline of one stream. `take` should be called a few times a second, when `is_ready`."""

    def __init__(
        self,
        window: ReceptionWindow,
        statistics: Statistics,
        *,
        buffer_s: float,
        speed: float = 1.0,
        lead_s: float = 0.0,
        strict: bool = True,
        delay: PlayoutDelay | None = None,
        server: ServerTimeline | None = None,
    ) -> None:
        """`lead_s`: seconds by which the output must have the audio before it sounds.

        `delay` and `server` move a strict timeline, at `speed` 1 only.
        """
        assert not (delay or server) or (strict and speed == 1.0), "nothing would be measured"
        self._window = window
        self._statistics = statistics
        self._buffer_s = buffer_s
        self._strict = strict
        self._timeline = PlayoutTimeline(
            statistics, speed=speed, lead_s=lead_s, delay=delay, server=server
        )
        # Where the next message begins on the timeline (within a hole: by estimate).
        self._next_time_us = window.end_us
        self._newest_received = window.end - 1
        self._late_since: float | None = None
        self._first_arrival: float | None = None
        self._restarted = self._jumped = self._is_placed = False
        self._handed_out_at = float("-inf")
        self._gap_us: int | None = None
        self._was_silent = True
        self._end_time_us: int | None = None
        self._ended = False

    def insert(self, audio: AudioMessage, now: float) -> Arrival:
        """Take AUDIO or REPEAT as it was received, and count it."""
        arrival = self._arrival(audio, now)
        count, message = self._statistics, audio.message
        if arrival is Arrival.OVERFLOW:
            count.overflows += 1
            return arrival
        count.received += 1
        count.received_bytes += len(message.data)
        if arrival is Arrival.DUPLICATE:
            count.duplicates += 1
            return arrival
        repeat = message.type == Type.REPEAT
        count.out_of_order += message.sequence < self._newest_received and not repeat
        self._newest_received = max(self._newest_received, message.sequence)
        if arrival is Arrival.LATE:
            count.late += 1
            count.expected += self._window.put(audio, State.LATE)
        else:
            count.intact += not repeat
            count.retransmitted += repeat
            self._put(audio, now)
        return arrival

    def insert_rebuilt(self, audio: AudioMessage, now: float) -> bool:
        """Take AUDIO that was computed from parity, and count it, if it is missing and in time."""
        awaited = self._window.state(audio.sequence) is State.AWAITED
        if not awaited or not self._window.is_plausible(audio):
            return False
        self._measure(audio.message, now)
        if self._is_past(audio.end_us, now):
            return False
        self._statistics.rebuilt += 1
        self._put(audio, now)
        return True

    def end(self, last_sequence: int | None, end_time_us: int, now: float) -> bool:
        """Nothing follows `last_sequence` (None: nothing was sent at all).

        False, and nothing changes, if that contradicts what has come.
        """
        after_last = 0 if last_sequence is None else last_sequence + 1
        believed = self._window.end_at(after_last, end_time_us)
        if believed is None:
            return False
        if believed:
            self._end_time_us = end_time_us
        self._be_patient(now)
        end_us = self._end_time_us or self._window.end_us
        self._statistics.expected += self._window.reach(after_last, end_us)
        if self._first_arrival is None:
            self._first_arrival = now
        return True

    def close(self) -> None:
        """Nothing more will come: everything is due now, and holes are given up."""
        self._window.after_last = self._window.end
        self._timeline.close()
        self._jumped = False

    def take(self, now: float) -> list[Item]:
        """What is due, in order. Ends with an `EndOfStream`, once, when the stream has ended."""
        items: list[Item] = []
        window = self._window
        if self._ended or not (self._timeline.is_set or self._start_if_ready(now, items)):
            return items
        if self._jumped and not self._leave_out_the_past(items, now):
            return items
        while True:
            if window.next in window.ready:
                if silence_s := self._timeline.take_silence():
                    items.append(InsertedSilence(silence_s))
                items.append(self._give_out(now))
                self._handed_out_at = now
            elif window.next == window.after_last:
                self._ended = True
                items.append(EndOfStream(self._end_time_us))
                return items
            elif now < self._timeline.deadline(self._next_time_us):
                return items
            elif window.next < window.end:
                if not self._waits_longer(items):
                    self._lose()
                    self._open_gap(items)
            else:
                if self._strict and self._gap_us is None:
                    self._statistics.underruns += 1
                    self._was_silent = True
                    self._open_gap(items)
                return items

    def next_due(self) -> float | None:
        """When `take` must be called at the latest if nothing arrives until then."""
        if self._ended:
            return None
        if not self._timeline.is_set:
            if self._first_arrival is None:
                return None
            return self._first_arrival + (self._buffer_s if self._strict else 0.0)
        if self._window.next == self._window.after_last:
            return float("-inf")
        if self._window.next == self._window.end and self._jumped:
            return None
        if self._window.next == self._window.end and (self._gap_us is not None or not self._strict):
            return None
        return self._timeline.deadline(self._next_time_us)

    def is_ready(self, now: float) -> bool:
        """Whether calling `take` before it is due is worth while."""
        if not self._timeline.is_set:
            return self._may_start(now)
        next_is_ready = self._window.next in self._window.ready
        if self._window.after_last is not None:
            return next_is_ready or self._window.next == self._window.after_last
        return next_is_ready and now >= self._handed_out_at + HAND_OUT_S / self._timeline.speed

    def needed_at(self, media_time_us: int) -> float:
        """The deadline of the audio at `media_time_us`, or the earliest possible one.

        Infinite if the output waits for it.
        """
        if not self._strict and (not self._timeline.is_set or media_time_us >= self._window.end_us):
            return float("inf")
        if self._timeline.is_set:
            return self._timeline.deadline(media_time_us)
        if self._first_arrival is None:
            return float("inf")
        # Within the first `buffer_s` it is itself what the start waits for.
        after_s = (media_time_us - self._next_time_us) / 1e6 / self._timeline.speed
        waited_s = self._buffer_s if after_s < self._buffer_s else 0.0
        return self._first_arrival + waited_s + after_s - self._timeline.lead_s

    def buffered_s(self, now: float) -> float:
        """Seconds that the audio lasts which has come, handed to the output or not."""
        if not self._timeline.is_set or not self._strict:
            # The estimated length of what was given up may have been too large.
            return max(0, self._window.end_us - self._next_time_us) / 1e6 / self._timeline.speed
        return max(0.0, self._timeline.deadline(self._window.end_us) + self._timeline.lead_s - now)

    def position_us(self, now: float) -> int:
        """The media time that sounds now."""
        if self._ended or not self._strict or not self._timeline.is_set or self._timeline.is_closed:
            return self._next_time_us
        return min(self._window.end_us, self._timeline.media_time_us(now))

    # Arriving.

    def _arrival(self, audio: AudioMessage, now: float) -> Arrival:
        message, state = audio.message, self._window.state(audio.sequence)
        if state is State.LOST:
            if message.media_time_us <= self._next_time_us:
                self._measure(message, now)
            return Arrival.LATE
        if state is not State.AWAITED:
            return Arrival.DUPLICATE
        if not self._window.is_plausible(audio):
            return Arrival.OVERFLOW
        self._measure(message, now)
        in_time = not self._is_past(audio.end_us, now)
        # The lateness of a retransmission does not tell how long the path has become.
        if message.type == Type.REPEAT:
            return Arrival.IN_TIME if in_time else Arrival.LATE
        if self._timeline.has_jumped(message, now):
            self._jumped, self._is_placed, self._late_since = True, False, None
            in_time = not self._is_past(audio.end_us, now)
        elif self._late_for_long(in_time, now):
            self._begin_anew()
            in_time = True
        return Arrival.IN_TIME if in_time else Arrival.LATE

    def _measure(self, message: Message, now: float) -> None:
        self._timeline.measure(message, now, in_gap=self._gap_us is not None)

    def _is_past(self, end_us: int, now: float) -> bool:
        """Whether audio that ends at this media time is too late to be heard."""
        return self._strict and self._timeline.is_set and now >= self._timeline.deadline(end_us)

    def _late_for_long(self, in_time: bool, now: float) -> bool:
        """Whether everything has come too late for `RESTART_S`, this message too."""
        if in_time:
            self._late_since = None
        elif self._late_since is None:
            self._late_since = now
        return self._late_since is not None and now - self._late_since >= RESTART_S

    def _put(self, audio: AudioMessage, now: float) -> None:
        if self._first_arrival is None:
            self._first_arrival = now
        if audio.sequence >= self._window.end:
            self._be_patient(now)
        self._statistics.expected += self._window.put(audio, State.READY)

    def _be_patient(self, now: float) -> None:
        """Give a hole behind the newest message its full time, if the output can wait."""
        if self._strict or not self._timeline.is_set:
            return
        enough = now + self._buffer_s
        if self._timeline.deadline(self._window.end_us) < enough:
            self._timeline.set(enough, self._window.end_us)

    def _begin_anew(self) -> None:
        self._timeline.clear()
        self._first_arrival = None
        self._late_since = None
        self._restarted = self._was_silent = True

    def _leave_out_the_past(self, items: list[Item], now: float) -> bool:
        """After a jump: pass over what cannot be heard any more; whether what follows is due."""
        window, deadline = self._window, self._timeline.deadline
        while window.next < window.end and self._is_left_out(now):
            if window.next in window.ready:
                self._next_time_us = window.give_out().end_us
            else:
                self._lose()
        if window.next != window.after_last:
            if window.next == window.end:
                return False
            if now < deadline(self._next_time_us):
                self._is_placed = True
                return False
        self._jumped = self._is_placed = False
        self._gap_us, self._was_silent = None, True
        items.append(Restart())
        return True

    def _is_left_out(self, now: float) -> bool:
        """Whether the next message is past; of one that was waited for, all of it."""
        audio = self._window.ready.get(self._window.next)
        end_us = audio.end_us if audio is not None and self._is_placed else self._next_time_us
        return self._timeline.deadline(end_us) < now

    # Being due.

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
            # What was given up in the meantime takes no time.
            origin_us = self._earliest_ready_us()
            items.append(Restart())
            self._restarted = False
        # An output that can wait also waits for what is missing already.
        begins_at = now if self._strict else now + self._buffer_s
        self._timeline.begin(begins_at, origin_us, self._window.next)
        return True

    def _earliest_ready_us(self) -> int:
        ready = self._window.earliest_ready()
        assert ready is not None, "the timeline began anew with an arrival in time"
        return ready.message.media_time_us

    def _is_full(self) -> bool:
        """Whether the play-out delay, or all there will ever be, lies ready."""
        window = self._window
        if window.after_last is not None and len(window.ready) == window.after_last - window.next:
            return True
        wanted_us = self._buffer_s * self._timeline.speed * 1e6
        if self._restarted:
            return window.end_us - self._earliest_ready_us() >= wanted_us
        sequence, end_us = window.next, self._next_time_us
        while sequence in window.ready and end_us < self._next_time_us + wanted_us:
            sequence, end_us = sequence + 1, window.ready[sequence].end_us
        return sequence > window.next and end_us >= self._next_time_us + wanted_us

    def _give_out(self, now: float) -> Ready:
        audio = self._window.give_out()
        begin_us = audio.message.media_time_us
        hole_us = 0 if self._gap_us is None else begin_us - self._gap_us
        if self._was_silent or hole_us >= RESTART_S * 1e6:
            heard_at = self._timeline.lead_s + (
                self._timeline.deadline(begin_us) if self._strict else now
            )
            log.info("AUDIO %d: heard in %.2f s", audio.sequence, max(0.0, heard_at - now))
        self._next_time_us = audio.end_us
        self._was_silent, self._gap_us = False, None
        return Ready(*audio, longer_s=self._timeline.stretch_s(audio))

    def _waits_longer(self, items: list[Item]) -> bool:
        """Whether the hole whose deadline has come gets more time: once in a gap."""
        if self._gap_us is not None or not self._timeline.missed():
            return False
        self._open_gap(items)
        return self._timeline.lengthen_gap()

    def _lose(self) -> None:
        """Pass over the next message, and estimate where the one after it begins."""
        window = self._window
        self._statistics.lost += 1
        message_log.warning("AUDIO %d: lost", window.next)
        ready = window.earliest_ready()
        present, present_us = window.end, window.end_us
        if ready is not None:
            present, present_us = ready.sequence, ready.message.media_time_us
        self._next_time_us += max(0, present_us - self._next_time_us) // (present - window.next)
        window.give_up()

    def _open_gap(self, items: list[Item]) -> None:
        if self._gap_us is None:
            items.append(Gap())
            self._gap_us = self._next_time_us
