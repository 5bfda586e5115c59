"""Floods for people: a line for each, tables at the end, and what must be reached. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TextIO

from bench.flood.course import Course
from bench.table import Row, below, number, print_columns

LATE_P99_MS = 20.0
MEMORY_MB = 2.0

HEARD = ("flood", "a second", "late 99 %", "worst", "lost")
HEARD_LEGEND = """\
At the listeners, before / during / after; late 99 %, worst: of every copy of every message, in ms;
lost: copies."""

SPENT = ("flood", "CPU", "each", "answered", "bytes back", "kernel dropped", "memory")
SPENT_LEGEND = """\
By the server. CPU: % of a core, before / during; each: µs of it for a hostile datagram; answered:
answers over datagrams; bytes back: over bytes sent; kernel dropped: of all that came, as the
server's socket was full; memory: grown from before to after."""


def line(course: Course) -> str:
    """One flood in one line, for the progress."""
    during = course.during
    return (
        f"{course.name}: {_rate(course)} a second, 99 % within {_ms(during.late_p99_ms)} ms,"
        f" {during.lost} of {during.received + during.lost:,} lost"
    )


def show(courses: Sequence[Course], stream: TextIO) -> None:
    """Print the tables."""
    for head, cells, legend in (
        (HEARD, _heard, HEARD_LEGEND),
        (SPENT, _spent, SPENT_LEGEND),
    ):
        rows = [(one.name, *cells(one)) for one in courses]
        print_columns(head, rows, stream, left=("flood",))
        print(f"{legend}\n", file=stream)


def _heard(course: Course) -> Iterator[str]:
    windows = (course.before, course.during, course.after)
    yield _rate(course)
    yield " / ".join(_ms(window.late_p99_ms) for window in windows)
    yield " / ".join(_ms(window.late_max_ms) for window in windows)
    yield " / ".join(str(window.lost) for window in windows)


def _spent(course: Course) -> Iterator[str]:
    sent = course.sent
    yield f"{course.before.cpu_percent:.0f} / {course.during.cpu_percent:.0f} %"
    yield f"{course.each_us:.1f} µs"
    yield f"{sent.answers / sent.datagrams:.1%}"
    yield f"{sent.bytes_back / sent.bytes_out:.1%}"
    yield f"{course.kernel_dropped / sent.datagrams:.1%}"
    yield f"{(course.memory_bytes[1] - course.memory_bytes[0]) / 1e6:+.1f} MB"


def goals(courses: Sequence[Course]) -> Iterator[Row]:
    """Rows with a limit."""
    lost = [float(one.during.lost + one.after.lost) for one in courses]
    late = [one.during.late_p99_ms or 0.0 for one in courses]
    grown = (courses[-1].memory_bytes[1] - courses[0].memory_bytes[0]) / 1e6
    yield Row("lost", "copies, during and after all floods", [sum(lost)], "", below(1))
    yield Row("lateness, 99 %", "during the worst flood", [max(late)], "ms", below(LATE_P99_MS))
    yield Row("memory", "of the server, grown in all floods", [grown], "MB", below(MEMORY_MB))


def _rate(course: Course) -> str:
    return f"{course.sent.datagrams / course.sent.seconds:,.0f}"


def _ms(value: float | None) -> str:
    return "?" if value is None else number(value)
