"""Silence in the place of a source that stalls.

A live source may be slower than real time, and a disk may hang. When nothing is left to be sent,
silence is sent in its place until a cushion of it lies ready: media time never stops, so listeners
stay as far behind as they were and lose nothing. Nothing of the source is dropped either: its
segments are held and follow the silence.
"""

from __future__ import annotations

import dataclasses
import logging

from audio.mpeg_audio import FrameHeader, silent_frame
from broadcasting.source.segments import Segment
from broadcasting.source.tracks import Track
from wire.parity import MESSAGE_S

log = logging.getLogger("server")


class StandIn:
    """Stalls of the source, and the segments held during one."""

    def __init__(self, cushion_us: int) -> None:
        """`cushion_us`: media that must be held before the source goes on."""
        self.cushion_us = cushion_us
        self.stalls = 0
        self.duration_us = 0
        """Duration of all silence sent, in microseconds."""
        self.is_stalled = False
        self._held: list[Segment] = []

    def wire_track(self, track: Track) -> int:
        """Track number on the wire: it changes at both ends of a silence.

        A decoder begins anew where the number changes, as it must there.
        """
        return track.number + 2 * self.stalls - self.is_stalled

    def silence(self, like: Segment) -> Segment:
        """A message of silence in the format of `like`, which was sent last; begins a stall."""
        if not self.is_stalled:
            self.is_stalled = True
            self.stalls += 1
            log.warning("the source stalls: silence is sent until it goes on")
        header = FrameHeader.parse(like.data)
        frames = max(1, int(MESSAGE_S * header.sample_rate_hz / header.samples))
        duration_us = round(frames * header.samples * 1e6 / header.sample_rate_hz)
        self.duration_us += duration_us
        data = silent_frame(header) * frames
        return dataclasses.replace(
            like, data=data, duration_us=duration_us, skip_samples=0, discard_samples=0
        )

    def hold(self, segment: Segment) -> bool:
        """Keep `segment` during a stall; whether the cushion is full."""
        self._held.append(segment)
        return sum(one.duration_us for one in self._held) >= self.cushion_us

    def take_held(self) -> list[Segment]:
        """The segments held; none are held any more."""
        held, self._held = self._held, []
        return held

    def go_on(self) -> list[Segment]:
        """End the stall; the segments that follow the silence."""
        log.info("the source goes on")
        self.is_stalled = False
        return self.take_held()
