"""Where media time lies on our clock: when each message must be given to the output.

The timeline moves a little with each message, which is stretched by as much, and by silence in a
gap: as the measured path wants it (playout_delay.py), or as the server's clock does
(server_timeline.py). If it is far from where the server's clock puts it, it jumps.

Pure: no thread and no clock; `now` is monotonic, in seconds.
"""

from __future__ import annotations

import logging

from listening.arrival.audio_message import AudioMessage
from listening.arrival.playout_delay import STRETCH, PlayoutDelay
from listening.arrival.server_timeline import ServerTimeline
from listening.arrival.statistics import Statistics
from message import Message

log = logging.getLogger("client")


class PlayoutTimeline:
    """Media time -> deadlines, in one line that runs at `speed`."""

    def __init__(
        self,
        statistics: Statistics,
        *,
        speed: float,
        lead_s: float,
        delay: PlayoutDelay | None,
        server: ServerTimeline | None,
    ) -> None:
        """`lead_s`: how early the output wants audio. `delay` and `server` need a `speed` of 1."""
        self.speed = speed
        self.lead_s = lead_s
        self._statistics = statistics
        self._delay = delay
        self._server = server
        self._silence_s = 0.0
        # Media time that sounds at that moment; None before the start, infinitely early at the end.
        self._began: float | None = None
        self._began_us = 0

    @property
    def is_set(self) -> bool:
        """Whether it has begun."""
        return self._began is not None

    @property
    def is_closed(self) -> bool:
        """Whether everything is due."""
        return self._began == float("-inf")

    def set(self, at: float, media_time_us: int) -> None:
        """`media_time_us` sounds at `at`, and everything else accordingly."""
        self._began, self._began_us = at, media_time_us

    def begin(self, at: float, media_time_us: int, sequence: int) -> None:
        """Begin like that with AUDIO `sequence`, and keep the distance from the server's clock."""
        self.set(at, media_time_us)
        if self._server is not None:
            self._server.begin(sequence, media_time_us, self.offset_s)

    def clear(self) -> None:
        """It is to begin anew: the path has become another one."""
        self._began, self._silence_s = None, 0.0
        if self._delay is not None:
            self._delay.restart()

    def close(self) -> None:
        """Everything is due from now on."""
        self.set(float("-inf"), 0)
        self._delay = self._server = None

    def deadline(self, media_time_us: int) -> float:
        """When the audio at `media_time_us` must be given to the output."""
        assert self._began is not None, "before the start nothing is due"
        return self._began + (media_time_us - self._began_us) / 1e6 / self.speed - self.lead_s

    def media_time_us(self, now: float) -> int:
        """The media time that sounds now."""
        assert self._began is not None, "before the start nothing sounds"
        return self._began_us + round((now - self._began) * self.speed * 1e6)

    @property
    def offset_s(self) -> float:
        """Media time t is needed at t + this, at speed 1."""
        return self.deadline(0)

    # Following the path.

    def measure(self, message: Message, now: float, *, in_gap: bool) -> None:
        """A message came for the first time; in a gap, the timeline may move at once."""
        if self._delay is not None:
            self._delay.arrived(message.media_time_us, now)
            if in_gap:
                self.lengthen_gap()

    def missed(self) -> bool:
        """A message is missing at its deadline; whether that is measured."""
        if self._delay is None:
            return False
        self._delay.missed(self.offset_s)
        return True

    def lengthen_gap(self) -> bool:
        """Move to where the path wants it, if that is later; whether it was."""
        if self._delay is None or self._began is None:
            return False
        silence_s = self._delay.silence_s(self.offset_s)
        self._silence_s += silence_s
        self._move(silence_s)
        return silence_s > 0

    def take_silence(self) -> float:
        """Seconds of silence by which it was lengthened, and that were not inserted yet."""
        silence_s, self._silence_s = self._silence_s, 0.0
        return silence_s

    def stretch_s(self, audio: AudioMessage) -> float:
        """Seconds by which to stretch `audio`, which is given out; the delay is counted."""
        offset_s, duration_s = self.offset_s, audio.duration_us / 1e6
        longer_s = 0.0
        if self._delay is not None:
            self._statistics.measure_delay(self._delay.delay_s(offset_s), self._delay.wanted_s())
            longer_s = self._delay.stretch_s(offset_s, duration_s)
        elif self._server is not None:
            place = audio.sequence, audio.message.media_time_us
            longer_s = self._server.correction_s(*place, offset_s, duration_s * STRETCH)
        if longer_s:
            self._move(longer_s)
        return longer_s

    # Following the server's clock.

    def has_jumped(self, message: Message, now: float) -> bool:
        """Whether the server's clock puts it elsewhere, so that it was moved there at once.

        To be asked for each message that comes `now`, as it was first sent.
        """
        if self._server is None or self._began is None:
            return False
        place = message.sequence, message.media_time_us
        if not self._server.is_astray(*place, self.offset_s, now):
            return False
        wanted_s = self._server.wanted_s(*place)
        assert wanted_s is not None, "else it is not astray"
        by_s = wanted_s - self.offset_s
        what = "is silent for" if by_s > 0 else "leaves out"
        log.warning("the sound %s %.2f s, to follow the server's clock", what, abs(by_s))
        self._statistics.jumps += 1
        self._silence_s = 0.0
        self._move(by_s)
        return True

    def _move(self, by_s: float) -> None:
        assert self._began is not None
        self._began += by_s
