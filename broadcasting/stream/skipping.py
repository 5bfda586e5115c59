"""Which track is skipped, and how long the programme is without what was skipped."""

from __future__ import annotations

from broadcasting.source.tracks import Track


class Skipping:
    """The track that was skipped last, and the duration of all of them."""

    def __init__(self, duration_s: float | None) -> None:
        """`duration_s` is that of the whole programme; None if it is not known or endless."""
        self._whole_s = duration_s
        self.number = 0
        """Number of the track that was skipped last; 0: none was."""
        self._shorter_us = 0
        # Silence within one track, and the number of that track.
        self._silence_us, self._silent_track = 0, 0

    def is_skipped(self, track: Track) -> bool:
        """Whether segments of `track` are to be dropped."""
        return track.number == self.number

    def skip(self, track: Track, sent_us: int) -> None:
        """Leave out the rest of `track`, whose sound and silence so far last `sent_us`.

        Only the first call for a track counts.
        """
        if not self.is_skipped(track) and track.duration_s is not None:
            silence_us = self._silence_us if track.number == self._silent_track else 0
            self._shorter_us += max(0, round(track.duration_s * 1e6) - sent_us + silence_us)
        self.number = track.number

    def lengthen(self, track: Track, silence_us: int) -> None:
        """Count silence that was sent within or after `track`, in place of the source."""
        if track.number != self._silent_track:
            self._silence_us, self._silent_track = 0, track.number
        self._silence_us += silence_us
        self._shorter_us -= silence_us

    @property
    def duration_s(self) -> float | None:
        """Duration of the programme as it is sent, in seconds; None if not known."""
        return None if self._whole_s is None else self._whole_s - self._shorter_us / 1e6

    @property
    def new_duration_s(self) -> float | None:
        """`duration_s` if skips or silence have changed it, else None."""
        return self.duration_s if self._shorter_us else None
