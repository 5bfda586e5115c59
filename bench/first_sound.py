"""Time to the first sound of a listener, and its buffer by then.

*Connecting* begins when client.py sends its first CONNECT; the *first sound* is there when the
first sample was handed to the output: to the sound device, which plays from then on, to the file,
or to `null`. Both times are in the client's log, to the millisecond. From the start of the
program (its first line, after Python has started) is `first_sound_s` of its JSON.

The *first* listener is the one that the server waits for; a *late* one comes after 5 s of the
stream. The buffer is all audio that has come before the first sound.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from bench.processes import Failed
from bench.table import LeftOut, Result, Row, at_least, below
from bench.workshop import BIT_RATE_BPS, SAMPLE, Workshop

OUTPUTS = ("null", "wav", "speaker")
LATE_S = 5.0

LIMIT_MS = 200.0
BUFFER_S = 1.0

_CONNECTING = "sent CONNECT 0,"
_FIRST_SOUND = "first sound"
_AUDIO = re.compile(r" received AUDIO \d+, (\d+) bytes$")
_TIME = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}")


@dataclass(frozen=True, slots=True)
class Start:
    """Start of one run of the client."""

    after_connecting_ms: float
    after_program_ms: float
    buffer_s: float


def measure(workshop: Workshop) -> Iterator[Result]:
    buffers: list[float] = []
    for output in OUTPUTS:
        try:
            for listener, start in (("first", _first), ("late", _late)):
                starts = start(workshop, output)
                buffers += [start.buffer_s for start in starts]
                yield from _rows(f"{output}, {listener} listener", starts)
        except Failed as error:
            yield LeftOut(f"first sound, {output}", str(error))
    if buffers:
        yield Row(
            "buffer at first sound",
            "audio that had come, the least of all the above",
            [min(buffers)],
            "s",
            at_least(BUFFER_S),
        )


def _rows(whose: str, starts: list[Start]) -> Iterator[Result]:
    yield Row(
        f"connecting to sound, {whose}",
        "first CONNECT to first sample handed over",
        [start.after_connecting_ms for start in starts],
        "ms",
        below(LIMIT_MS),
    )
    yield Row(
        f"starting to sound, {whose}",
        "start of the program to the same",
        [start.after_program_ms for start in starts],
        "ms",
    )


def _first(workshop: Workshop, output: str) -> list[Start]:
    starts = []
    for _ in range(workshop.effort.rounds):
        with workshop.server(str(SAMPLE)) as server:
            starts.append(_start(workshop, server.port, output))
    return starts


def _late(workshop: Workshop, output: str) -> list[Start]:
    with workshop.server(str(SAMPLE), "--loop", "--wait-for", "0") as server:
        time.sleep(LATE_S)
        return [_start(workshop, server.port, output) for _ in range(workshop.effort.rounds)]


def _start(workshop: Workshop, port: int, output: str) -> Start:
    with workshop.client(port, output) as client:
        client.wait_for(_FIRST_SOUND)
        result = client.stop()
        lines = client.log.splitlines()
    first_sound = _index(lines, _FIRST_SOUND)
    connecting_at = _written_at(lines[_index(lines, _CONNECTING)])
    after_connecting = _written_at(lines[first_sound]) - connecting_at
    audio = filter(None, map(_AUDIO.search, lines[:first_sound]))
    return Start(
        after_connecting_ms=after_connecting.total_seconds() * 1e3,
        after_program_ms=result["first_sound_s"] * 1e3,
        buffer_s=sum(int(found[1]) for found in audio) * 8 / BIT_RATE_BPS,
    )


def _index(lines: list[str], text: str) -> int:
    for index, line in enumerate(lines):
        if text in line:
            return index
    raise Failed(f"no {text!r} in the log of the client")


def _written_at(line: str) -> datetime:
    found = _TIME.match(line)
    if found is None:
        raise Failed(f"a line of the log without a time: {line}")
    return datetime.strptime(found[0], "%Y-%m-%d %H:%M:%S,%f")
