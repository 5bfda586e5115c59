"""Compares what was heard with what should have been heard, sample by sample.

    hearing = ear.compare(recording, reference)
    assert hearing                     # if not, pytest shows what was heard, and where

Both are PCM, signed 16 bit, interleaved, of one rate. The reference may lie anywhere in the
recording; before and after it there must be silence. The comparison is exact: one sample missing,
added or different is a fault. The reference must not repeat itself: noise and music do not, but a
piece that is missing from a pure tone cannot be seen.

It works like `diff`: an exact piece of the reference is looked for in the recording, the match is
extended both ways as far as possible, and what lies between two matches is a fault.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

ANCHOR_FRAMES = 64
"""Length of a match to begin with: 256 bytes of stereo occur only once in noise or music."""

HASTE = 8
"""Matches shorter than this part of the hole before them are not found: looking for every piece of
a long hole would take long."""


@dataclass(frozen=True, slots=True)
class Fault:
    kind: str
    """gap (silence put in), silence (instead of audio), cut (audio left out), repeat (of what came
    just before), alteration (other audio, just as long), insertion, or jump (anything else)."""
    at_s: float
    """Place in the reference."""
    missing_s: float
    """Length of the part of the reference that was not heard."""
    added_s: float
    """Length of what was heard in its place."""

    def __str__(self) -> str:
        return (
            f"{self.kind} at {self.at_s:.4f} s:"
            f" {1000 * self.missing_s:.2f} ms missing, {1000 * self.added_s:.2f} ms added"
        )


@dataclass(frozen=True, slots=True, repr=False)
class Hearing:
    """What was heard; true if it is the whole reference and nothing else."""

    reference_s: float
    begins_s: float | None
    """Place in the recording where the reference begins; None: nothing of it was heard."""
    missing_at_start_s: float
    missing_at_end_s: float
    noise_before: bool
    """The recording is not silent before the reference."""
    noise_after: bool
    faults: tuple[Fault, ...]

    def __bool__(self) -> bool:
        return not self.complaints()

    def complaints(self) -> list[str]:
        """One line for each thing that is wrong."""
        if self.begins_s is None:
            return ["nothing of the reference was heard"]
        lines = [str(fault) for fault in self.faults]
        if self.missing_at_start_s:
            lines.insert(0, f"the first {1000 * self.missing_at_start_s:.2f} ms are missing")
        if self.missing_at_end_s:
            lines.append(f"the last {1000 * self.missing_at_end_s:.2f} ms are missing")
        if self.noise_before:
            lines.append("there is sound before the start")
        if self.noise_after:
            lines.append("there is sound after the end")
        return lines

    def __repr__(self) -> str:
        complaints = self.complaints() or ["all of it, without a fault"]
        heading = f"what was heard of {self.reference_s:.3f} s of audio:"
        return "\n  ".join([heading, *complaints])


class _Match(NamedTuple):
    """Equal frames, and their places in both."""

    reference: int
    recording: int
    frames: int


def compare(
    recording: bytes, reference: bytes, frame_rate_hz: int = 44_100, channels: int = 2
) -> Hearing:
    """Compare `recording` with `reference`. Both must be whole frames."""
    return _Ear(recording, reference, frame_rate_hz, 2 * channels).listen()


class _Ear:
    def __init__(self, recording: bytes, reference: bytes, rate_hz: int, frame_bytes: int) -> None:
        assert len(recording) % frame_bytes == len(reference) % frame_bytes == 0, "whole frames"
        self._heard = recording
        self._wanted = reference
        self._rate_hz = rate_hz
        self._size = frame_bytes

    def listen(self) -> Hearing:
        matches = list(self._matches())
        wanted_frames = len(self._wanted) // self._size
        if not matches:
            return Hearing(wanted_frames / self._rate_hz, None, 0, 0, False, False, ())
        first, last = matches[0], matches[-1]
        faults = [self._fault(left, right) for left, right in itertools.pairwise(matches)]
        end = last.reference + last.frames
        return Hearing(
            reference_s=wanted_frames / self._rate_hz,
            begins_s=(first.recording - first.reference) / self._rate_hz,
            missing_at_start_s=first.reference / self._rate_hz,
            missing_at_end_s=(wanted_frames - end) / self._rate_hz,
            noise_before=any(self._heard[: first.recording * self._size]),
            noise_after=any(self._heard[(last.recording + last.frames) * self._size :]),
            faults=tuple(faults),
        )

    def _matches(self) -> Iterator[_Match]:
        """The longest equal pieces, in the order of both."""
        wanted = heard = 0
        while (anchor := self._next_anchor(wanted, heard)) is not None:
            back = self._equal_before(*anchor, most=min(anchor[0] - wanted, anchor[1] - heard))
            begin = (anchor[0] - back, anchor[1] - back)
            match = _Match(*begin, self._equal_after(*begin))
            yield match
            wanted, heard = match.reference + match.frames, match.recording + match.frames

    def _next_anchor(self, wanted: int, heard: int) -> tuple[int, int] | None:
        last = len(self._wanted) // self._size - ANCHOR_FRAMES
        frame = wanted
        while frame <= last:
            piece = self._wanted[frame * self._size : (frame + ANCHOR_FRAMES) * self._size]
            if piece != piece[: self._size] * ANCHOR_FRAMES:  # silence is everywhere
                byte = self._heard.find(piece, heard * self._size)
                while byte % self._size and byte >= 0:
                    byte = self._heard.find(piece, byte + 1)
                if byte >= 0:
                    return frame, byte // self._size
            frame += max(ANCHOR_FRAMES, (frame - wanted) // HASTE)
        return None

    def _equal_after(self, wanted: int, heard: int) -> int:
        most = min(len(self._wanted) // self._size - wanted, len(self._heard) // self._size - heard)
        return _longest(most, lambda n: self._equal(wanted, heard, n))

    def _equal_before(self, wanted: int, heard: int, most: int) -> int:
        return _longest(most, lambda n: self._equal(wanted - n, heard - n, n))

    def _equal(self, wanted: int, heard: int, frames: int) -> bool:
        size = self._size
        left = memoryview(self._wanted)[wanted * size : (wanted + frames) * size]
        return left == memoryview(self._heard)[heard * size : (heard + frames) * size]

    def _fault(self, left: _Match, right: _Match) -> Fault:
        begin, end = left.recording + left.frames, right.recording
        at = left.reference + left.frames
        added, missing = end - begin, right.reference - at
        heard = self._heard[begin * self._size : end * self._size]
        before = self._wanted[max(0, at - added) * self._size : at * self._size]
        if not added:
            kind = "cut"
        elif not any(heard):
            kind = "gap" if added > missing else "silence"
        elif not missing:
            kind = "repeat" if heard == before else "insertion"
        else:
            kind = "alteration" if added == missing else "jump"
        return Fault(kind, at / self._rate_hz, missing / self._rate_hz, added / self._rate_hz)


def _longest(most: int, holds: Callable[[int], bool]) -> int:
    """The largest n up to `most` for which `holds` is true; it is true for all smaller n."""
    good, step = 0, 1
    while step and good < most:
        if holds(min(good + step, most)):
            good = min(good + step, most)
            step *= 2
        else:
            # Between good and good + step: halve, until nothing is left between.
            most = min(most, good + step - 1)
            step //= 2
    return good
