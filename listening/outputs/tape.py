"""Timing of a live output: where audio lies on the tape, and where the device is on it.

The tape is endless and counted in frames (one sample of every channel) from its start. The device
is started once and then reads at its own pace; what was not written is silence. So all timing is a
matter of placing audio. Three positions matter, in this order:

    heard      what leaves the loudspeaker, but for the device's constant delay; follows the clock
    read       what the device has taken into its own buffer, a little further on
    written    the end of what was placed

While `written` stays beyond `read` there is no gap. Two things reduce that distance. A late writer:
part of its audio is not heard, the timeline continues, and an underrun is counted. And the device's
crystal, which differs from the computer's clock by 20 to 100 ppm: after an hour a fast device may
be 0.36 s ahead, and finally reads only empty tape. So `observe` and `observe_heard` take in where
the device is, and `stretch_frames` tells when to make audio one frame longer or shorter.

Pure arithmetic; `now` is in seconds, on any clock that does not jump.
"""

from __future__ import annotations

READ_AHEAD_S = 0.12
"""How far `read` is ahead of `heard`. simpleaudio asks every system for a buffer of 100 ms; through
ALSA and PulseAudio 16 the distance was measured as 74 to 116 ms."""

CHANGE_WITHIN_S = 0.05
"""Audio this far beyond `read` can still be changed: it leaves time to write it anew."""

LATE_FOR_S = 1.0
"""A writer that has been late for this long will not catch up: its audio is placed anew."""

SETTLING_S = 1.0
"""Time after a start in which drift cannot be seen: devices fill their buffers (200 ms) at once."""

LONGEST_LOOK_S = 0.5
"""Longest time between two looks whose difference still tells something."""

SMOOTHING = 1 / 64
"""Weight of one observation in the mean. Up to 3 come in a second. They scatter by 90 ms, as the
device may have passed the place at any time between two looks; the mean of 64 by about 10 ms."""

BASELINE_OBSERVATIONS = 64
"""Observations whose mean is the reference: where the device reads before it has drifted."""

DRIFT_TOLERATED_S = 0.05
"""Drift that is left alone: more than the scatter of the mean, little beside the lead."""

STOOD_STILL_S = 0.5
"""A device this far behind its mean has stood still, or the program has (stopped, suspended), and
will not catch up. Far more than the scatter of observations."""

KEPT_BEHIND_S = 10.0
"""Tape is kept for this long after it was heard, for a device that stalls or drifts unseen for a
day."""


class Tape:
    """One endless tape. Before `start` it only takes audio."""

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
    def is_started(self) -> bool:
        """Whether the device plays."""
        return self._started_s is not None

    @property
    def may_start(self) -> bool:
        """Whether the device is to be started: it is not yet, and a lead of audio is there."""
        return not self.is_started and self.written_frames >= self._lead_frames

    def start(self, now: float) -> int:
        """Start the device now; returns the frame at which it begins: 0 the first time.

        Later starts are for further pieces of tape, which the device begins to play while it still
        plays the one before.
        """
        if self._started_s is None:
            self._started_s = now
        self._drift.settle(now + SETTLING_S)
        return self.heard_frames(now)

    def restart(self, now: float) -> int:
        """Start another device, or the same one again; returns the frame at which it begins.

        The timeline continues; the drift seen so far is forgotten.
        """
        heard_frames = self.heard_frames(now)
        self._started_s = now - heard_frames / self._rate_hz
        self._drift = _Drift(self._rate_hz)
        self._stretched_frames = 0
        return self.start(now)

    def heard_frames(self, now: float) -> int:
        """Frame that is heard now; 0 before the start."""
        if self._started_s is None:
            return 0
        elapsed_frames = (now - self._started_s) * self._rate_hz
        return max(0, round(elapsed_frames + self._drift.frames))

    def fixed_frames(self, now: float) -> int:
        """End of the frames that have been read, or may be at any moment."""
        return self.heard_frames(now) + round((READ_AHEAD_S + CHANGE_WITHIN_S) * self._rate_hz)

    def heard_at(self, frame: int) -> float:
        """Time at which everything before `frame` has been heard. Only after the start."""
        assert self._started_s is not None, "nothing is heard before the start"
        return self._started_s + (frame - self._drift.frames) / self._rate_hz

    def place(self, frames: int, now: float, read_frames: int | None = None) -> int:
        """Place the next audio; returns the frame at which it begins.

        That is the end of the last one, too late or not; after `LATE_FOR_S` of being late it is as
        soon as possible instead. `read_frames`: what the device has taken; None: by the clock.
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
        """Begin a new timeline: let what is placed next be heard soon, as after the start."""
        self._late_since_s = None
        if self._started_s is not None:
            soon = self.heard_frames(now) + self._lead_frames
            if self.written_frames < soon:
                self.written_frames = soon
                self._stretched_frames = round(self._drift.frames)

    def disposable_frames(self, now: float) -> int:
        """End of the frames that are not needed any more."""
        kept_frames = round(KEPT_BEHIND_S * self._rate_hz)
        return max(0, self.heard_frames(now) - kept_frames)

    def observe(self, read_frames: int, now: float) -> None:
        """Note that the device has read everything before `read_frames`.

        To be called often: only a change tells something, namely that the device has passed the
        last `read_frames` since the last call.
        """
        if self._started_s is not None:
            clock_frames = (now - self._started_s) * self._rate_hz
            self._drift.observe(read_frames, now, clock_frames)

    def observe_heard(self, frame: int, at: float) -> None:
        """Note that the device says that `frame` is heard at the time `at`."""
        if self._started_s is not None:
            self._drift.add(frame - (at - self._started_s) * self._rate_hz, at)

    @property
    def device_stood_still(self) -> bool:
        """Whether the device has stood still, and must be restarted."""
        return self._drift.stood_still

    def stretch_frames(self) -> int:
        """Frames (-1, 0, 1) by which to make the next audio longer; counted as done."""
        missing = self._drift.frames - self._stretched_frames
        if abs(missing) <= DRIFT_TOLERATED_S * self._rate_hz:
            return 0
        step = 1 if missing > 0 else -1
        self._stretched_frames += step
        return step


class _Drift:
    """How far the device has drifted from the clock, by what was seen of it."""

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
        """Ignore what is seen before `until_s`."""
        self._settled_s = until_s

    def observe(self, read_frames: int, now: float, clock_frames: float) -> None:
        """Note `read_frames` seen at `now`, when the clock had counted `clock_frames`."""
        passed_frame, before_s = self._last_frame, self._last_s
        changed = read_frames != passed_frame
        self._last_frame, self._last_s = read_frames, now
        if not changed or before_s < self._settled_s or now - before_s > LONGEST_LOOK_S:
            return
        # The device passed that frame between the two looks: halfway, on average.
        ahead_frames = passed_frame - clock_frames + (now - before_s) / 2 * self._rate_hz
        if self._count and self._mean_frames - ahead_frames > STOOD_STILL_S * self._rate_hz:
            self.stood_still = True
        else:
            self.add(ahead_frames, before_s)

    def add(self, ahead_frames: float, at: float) -> None:
        """Note that at `at` the device was this far ahead of the clock, plus a constant."""
        if at < self._settled_s:
            return
        self._count += 1
        if self._count <= BASELINE_OBSERVATIONS:
            self._baseline_frames += (ahead_frames - self._baseline_frames) / self._count
            self._mean_frames = self._baseline_frames
        else:
            self._mean_frames += (ahead_frames - self._mean_frames) * SMOOTHING
        self.frames = self._mean_frames - self._baseline_frames
