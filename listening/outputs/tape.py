"""Where audio lies on the tape, and where on it the device is. No device, no memory, no clock.

The tape is endless, and everything on it is counted in frames (one sample of every channel) from
its start. The device is started once and then reads on at its own pace; what nobody wrote is
silence. So placing audio is all there is to timing, and three positions matter, in this order:

    heard      what leaves the loudspeaker, but for the device's own constant delay: the clock says
    read       what the device has taken into its own buffer, a little further on
    written    the end of what was placed

While `written` stays beyond `read` there is no gap. Two things eat up the distance. The writer may
be late: what it writes then is partly or wholly unheard, the timeline goes on, and it is counted.
And the device's crystal differs from the computer's clock, by 20 to 100 parts in a million: after
an hour a fast device may be 0.36 s ahead, and at last it reads nothing but tape that is still
empty. So where the memory can tell what was read of it, `observe()` takes it in, and
`stretch_frames()` says when to make audio one frame longer or shorter, which nobody hears.

`now` is in seconds on any clock that does not jump.
"""

from __future__ import annotations

READ_AHEAD_S = 0.12
"""How far `read` is ahead of `heard`. simpleaudio asks every system for a buffer of 100 ms; through
ALSA and PulseAudio 16 the distance was measured as 74 to 116 ms."""

CHANGE_WITHIN_S = 0.05
"""What lies so much further ahead than what was read can still be changed, by a writer that looks
first."""

LATE_FOR_S = 1.0
"""A writer that has been late for so long, whatever it wrote, will not catch up."""

SETTLING_S = 1.0
"""After a start devices fill their buffers at once (200 ms were measured): no drift is seen yet."""

LONGEST_LOOK_S = 0.5
"""An observation that is later than this after the one before says too little."""

SMOOTHING = 1 / 64
"""Weight of one observation. They come up to 3 times a second and scatter by 90 ms, for the device
may have passed the place at any time between two looks: the mean of 64 strays by about 10 ms."""

BASELINE_OBSERVATIONS = 64
"""The mean of so many says where the device reads when it has not drifted yet."""

DRIFT_TOLERATED_S = 0.05
"""More than the scatter of single observations, so that a device without drift is left alone, and
little enough for the lead."""

STOOD_STILL_S = 0.5
"""A device that is suddenly so far behind its mean has stood still, or the program has (it was
stopped, the computer slept): it will not catch up. Far more than the scatter of observations."""

KEPT_BEHIND_S = 10.0
"""Tape is given back only when it was heard so long ago: a device that stalls, or drifts unseen for
a day, still finds it."""


class Tape:
    """One endless tape. Until start() it only takes audio."""

    def __init__(self, frame_rate_hz: int, lead_s: float) -> None:
        self.underruns = 0
        self.written_frames = 0
        self._rate_hz = frame_rate_hz
        self._lead_frames = round(lead_s * frame_rate_hz)
        self._started_s: float | None = None
        self._late_since_s: float | None = None
        self._drift = _Drift(frame_rate_hz)
        self._stretched_frames = 0

    @property
    def may_start(self) -> bool:
        """Is there enough on the tape for the device's first mouthful?"""
        return self.written_frames >= self._lead_frames

    def start(self, now: float) -> int:
        """The device begins now, at the frame that is returned.

        That is 0 the first time. Further starts are for further pieces of tape, each of which
        the device begins to play while it still plays the one before.
        """
        if self._started_s is None:
            self._started_s = now
        self._drift.settle(now + SETTLING_S)
        return self.heard_frames(now)

    def restart(self, now: float) -> int:
        """Another device, or the same one anew, begins now, at the frame that is returned.

        The timeline goes on; what was seen of how the device drifts is of no use any more.
        """
        heard_frames = self.heard_frames(now)
        self._started_s = now - heard_frames / self._rate_hz
        self._drift = _Drift(self._rate_hz)
        self._stretched_frames = 0
        return self.start(now)

    def heard_frames(self, now: float) -> int:
        """The frame that is heard now; 0 before the start."""
        if self._started_s is None:
            return 0
        elapsed_frames = (now - self._started_s) * self._rate_hz
        return max(0, round(elapsed_frames + self._drift.frames))

    def fixed_frames(self, now: float) -> int:
        """Everything before this frame is read, or may be at any moment."""
        return self.heard_frames(now) + round((READ_AHEAD_S + CHANGE_WITHIN_S) * self._rate_hz)

    def heard_at(self, frame: int) -> float:
        """When everything before `frame` has been heard. Only after the start."""
        assert self._started_s is not None, "nothing is heard before the start"
        return self._started_s + (frame - self._drift.frames) / self._rate_hz

    def place(self, frames: int, now: float, read_frames: int | None = None) -> int:
        """Put the next audio on the tape. Returns the frame at which it begins.

        That is where the last one ended, too late or not, unless nothing has been in time for so
        long that this will not change: then it is soon. `read_frames`: what the device has taken,
        if that is known.
        """
        if self._started_s is not None:
            if read_frames is None:
                read_frames = self.heard_frames(now) + round(READ_AHEAD_S * self._rate_hz)
            if self.written_frames < read_frames:
                self.underruns += 1
            if self.written_frames + frames > read_frames:
                self._late_since_s = None
            elif self._late_since_s is None:
                self._late_since_s = now
            elif now - self._late_since_s >= LATE_FOR_S:
                self.resync(now)
        begin = self.written_frames
        self.written_frames += frames
        return begin

    def resync(self, now: float) -> None:
        """What is placed next belongs to no timeline: let it be heard soon, as after the start."""
        self._late_since_s = None
        if self._started_s is not None:
            soon = self.heard_frames(now) + self._lead_frames
            if self.written_frames < soon:
                self.written_frames = soon
                self._stretched_frames = round(self._drift.frames)

    def disposable_frames(self, now: float) -> int:
        """Tape before this frame is not needed any more."""
        kept_frames = round(KEPT_BEHIND_S * self._rate_hz)
        return max(0, self.heard_frames(now) - kept_frames)

    def observe(self, read_frames: int, now: float) -> None:
        """It was seen that the device has read everything before `read_frames`.

        To be called often: only a change tells something, that the device has passed the last
        `read_frames` since the last call.
        """
        if self._started_s is not None:
            clock_frames = (now - self._started_s) * self._rate_hz
            self._drift.observe(read_frames, now, clock_frames)

    def observe_heard(self, frame: int, at: float) -> None:
        """The device has said that `frame` is heard at `at`."""
        if self._started_s is not None:
            self._drift.add(frame - (at - self._started_s) * self._rate_hz, at)

    @property
    def device_stood_still(self) -> bool:
        """Whether the device plays what should have been heard long ago: it must be restarted."""
        return self._drift.stood_still

    def stretch_frames(self) -> int:
        """By how many frames (-1, 0, 1) the next audio should be made longer. It is taken to be."""
        missing = self._drift.frames - self._stretched_frames
        if abs(missing) <= DRIFT_TOLERATED_S * self._rate_hz:
            return 0
        step = 1 if missing > 0 else -1
        self._stretched_frames += step
        return step


class _Drift:
    """How far the device has drifted from the clock, from what was seen of it."""

    def __init__(self, frame_rate_hz: int) -> None:
        self.frames = 0.0
        self.stood_still = False
        self._rate_hz = frame_rate_hz
        self._settled_s = 0.0
        self._last_frame = 0
        self._last_s = 0.0
        self._count = 0
        self._baseline_frames = 0.0
        self._mean_frames = 0.0

    def settle(self, until_s: float) -> None:
        """What is seen before `until_s` tells nothing."""
        self._settled_s = until_s

    def observe(self, read_frames: int, now: float, clock_frames: float) -> None:
        """`read_frames` were seen to be read when the clock had counted `clock_frames`."""
        passed_frame, before_s = self._last_frame, self._last_s
        changed = read_frames != passed_frame
        self._last_frame, self._last_s = read_frames, now
        if not changed or before_s < self._settled_s or now - before_s > LONGEST_LOOK_S:
            return
        # The last frame was passed some time between the two looks: halfway, on the average.
        ahead_frames = passed_frame - clock_frames + (now - before_s) / 2 * self._rate_hz
        if self._count and self._mean_frames - ahead_frames > STOOD_STILL_S * self._rate_hz:
            self.stood_still = True
        else:
            self.add(ahead_frames, before_s)

    def add(self, ahead_frames: float, at: float) -> None:
        """The device was seen to be so far ahead of the clock, beside a constant, at `at`."""
        if at < self._settled_s:
            return
        self._count += 1
        if self._count <= BASELINE_OBSERVATIONS:
            self._baseline_frames += (ahead_frames - self._baseline_frames) / self._count
            self._mean_frames = self._baseline_frames
        else:
            self._mean_frames += (ahead_frames - self._mean_frames) * SMOOTHING
        self.frames = self._mean_frames - self._baseline_frames
