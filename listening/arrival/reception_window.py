"""Sequence -> one record of that message: it came, is missing, was asked for, rebuilt, or lost.

Jitter buffer, repair and parity share one window of one stream. A message is in one state:

    AWAITED ----- came in time, or rebuilt ----> READY ----- its turn ----> GIVEN_OUT
       |  `------ came after its deadline -----> LATE
       `--------- its turn, and not there -----> LOST ------ came --------> LATE

`next` is the sequence whose turn is next, and `end` the first that is not known to exist. So the
messages that are `awaited` are counted here, not derived from the other counters, and the sum of
all counters can be checked at any time.

Bounded: at most `capacity` messages are READY, nothing from `horizon` on is taken, and a record is
forgotten `REMEMBERED` messages after its turn. Pure: no thread and no clock.
"""

from __future__ import annotations

import dataclasses
import enum

from listening.arrival.absence import Absence
from listening.arrival.audio_message import AudioMessage
from message import Message

MIN_CAPACITY = 4096
"""Messages: five minutes of 128 kbit/s, far more than any play-out delay that a user chooses."""

MAX_CAPACITY = 16_384
"""Messages: 24 MB at the default MTU, and as much again for their frames."""

SHORT_MESSAGE_S = 0.02
"""The capacity is four play-out delays of messages as short as this."""

REMEMBERED = 2048
"""Messages: nearly three minutes of 128 kbit/s. What comes later than that is a duplicate."""

MAX_MESSAGE_US = 250_000
"""Longest audio of one message (RFC 3551 section 4.2: up to 200 ms, and one frame). A media time
that is further ahead than the sequence allows by this is not of this stream."""

ROUNDING_US = 1_000
"""Neighbours may overlap by less than this: media times and durations are rounded each alone."""

MAX_ABSENCE = 1 << 20
"""Messages that a listener can miss and still go on in the stream: 15 hours at the least."""


class State(enum.Enum):
    """Where a message is between the network and the output."""

    AWAITED = enum.auto()
    READY = enum.auto()
    LATE = enum.auto()
    """It counts as lost when its turn comes; when it comes again it is a duplicate."""
    GIVEN_OUT = enum.auto()
    LOST = enum.auto()


@dataclasses.dataclass(slots=True)
class Record:
    """What is known of one message."""

    state: State
    audio: AudioMessage | None = None
    """The message as it came or was rebuilt, in time or not, as long as parity needs it."""
    absence: Absence | None = None
    """How it was missed; kept after a repair, because the original may still come."""


class ReceptionWindow:
    """The records of one stream."""

    def __init__(self, first_sequence: int, first_time_us: int, buffered_s: float) -> None:
        """`buffered_s`: seconds of audio that the play-out delay amounts to."""
        wanted = round(4 * buffered_s / SHORT_MESSAGE_S)
        self.capacity = min(MAX_CAPACITY, max(MIN_CAPACITY, wanted))
        self.horizon = first_sequence + self.capacity
        self.next = self.end = first_sequence
        self.end_us = first_time_us
        """Media time at which the last message that is known to exist ends, about."""
        self.after_last: int | None = None
        """The first sequence that will never be; None until the stream's end is known."""
        self.ready: dict[int, AudioMessage] = {}
        self.missing: dict[int, Absence] = {}
        """What may still be repaired, ascending."""
        self.kept_messages = 0
        """Messages that parity needs after their turn."""
        self._records: dict[int, Record] = {}
        # The end of the last message that was given out: a place in the stream that is certain.
        self._certain = first_sequence
        self._certain_us = first_time_us

    @property
    def awaited(self) -> int:
        """Messages that exist, and are neither READY nor past their turn."""
        return self.end - self.next - len(self.ready)

    def state(self, sequence: int) -> State:
        """The state of this message; what is forgotten counts as given out."""
        record = self._records.get(sequence)
        if record is not None:
            return record.state
        return State.AWAITED if sequence >= self.next else State.GIVEN_OUT

    def record(self, sequence: int) -> Record:
        """The record of this message."""
        record = self._records.get(sequence)
        if record is None:
            record = self._records[sequence] = Record(self.state(sequence))
        return record

    def messages(self, first_sequence: int, count: int) -> dict[int, Message]:
        """The messages at hand among `count` of them, by their place from 0."""
        records = map(self._records.get, range(first_sequence, first_sequence + count))
        return {i: one.audio.message for i, one in enumerate(records) if one and one.audio}

    def earliest_ready(self) -> AudioMessage | None:
        """The first message that is READY."""
        return self.ready[min(self.ready)] if self.ready else None

    # What comes.

    def is_plausible(self, audio: AudioMessage) -> bool:
        """Whether there is room for it, and its media time fits its sequence."""
        end = self.horizon if self.after_last is None else min(self.horizon, self.after_last)
        if audio.sequence >= end or len(self.ready) >= self.capacity:
            return False
        after_us = audio.message.media_time_us - self._certain_us
        fits = -ROUNDING_US <= after_us <= self._room_us(audio.sequence)
        return fits and 0 <= audio.duration_us <= MAX_MESSAGE_US

    def put(self, audio: AudioMessage, state: State) -> int:
        """Take `audio` as READY or LATE; the number of messages that were not known to exist."""
        self.keep(audio).state = state
        if state is State.READY:
            self.ready[audio.sequence] = audio
        return self.reach(audio.sequence + 1, audio.end_us)

    def keep(self, audio: AudioMessage) -> Record:
        """The record of `audio`, which is kept for parity, whether or not it can be played."""
        record = self.record(audio.sequence)
        if record.audio is None and audio.sequence >= self.next - self.kept_messages:
            record.audio = audio
        return record

    def reach(self, end: int, end_us: int) -> int:
        """All before `end` exists; the number of messages that were not known to."""
        new = max(0, end - self.end)
        if new:
            self.end, self.end_us = end, max(self.end_us, end_us)
        return new

    def end_at(self, after_last: int, end_us: int) -> bool | None:
        """The stream ends before `after_last`; whether `end_us` can be the media time of its end.

        None, and nothing changes, if that contradicts what is known.
        """
        if self.after_last is not None or not self.end <= after_last <= self.horizon:
            return None
        self.after_last = after_last
        return self.end_us - ROUNDING_US <= end_us <= self._certain_us + self._room_us(after_last)

    def resume(self, first_sequence: int) -> None:
        """The stream goes on at `first_sequence`."""
        # Each message in between is given up by itself, so the network may not name any number.
        first_sequence = min(first_sequence, self.next + MAX_ABSENCE)
        self.horizon = max(self.horizon, first_sequence + self.capacity)

    # Whose turn it is.

    def give_out(self) -> AudioMessage:
        """The next message, which is READY."""
        audio = self.ready.pop(self.next)
        self._records[self.next].state = State.GIVEN_OUT
        self._advance()
        self._certain, self._certain_us = self.next, audio.end_us
        self.horizon = max(self.horizon, self.next + self.capacity)
        return audio

    def give_up(self) -> None:
        """Pass over the next message, which is not READY."""
        record = self.record(self.next)
        if record.state is State.AWAITED:
            record.state = State.LOST
        self.forget_absence(self.next)
        self._advance()

    def miss(self, sequence: int, absence: Absence) -> None:
        """This message is missing; it is behind all others that are."""
        self.missing[sequence] = self.record(sequence).absence = absence

    def absence(self, sequence: int) -> Absence | None:
        """The absence of this message; None if it was not missing, or that is settled."""
        record = self._records.get(sequence)
        return None if record is None else record.absence

    def forget_absence(self, sequence: int) -> None:
        """The absence of this message does not matter any more."""
        self.missing.pop(sequence, None)
        self.record(sequence).absence = None

    def _advance(self) -> None:
        self.next += 1
        played = self._records.get(self.next - 1 - self.kept_messages)
        if played is not None:
            played.audio = None
        self._records.pop(self.next - REMEMBERED, None)

    def _room_us(self, sequence: int) -> int:
        """The latest media time at which this message can begin, after the certain one."""
        return (sequence - self._certain) * MAX_MESSAGE_US + ROUNDING_US
