"""Rows of the sweep for people: a line for each, tables at the end. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TextIO

from bench.loss.case import Case, Outcome
from bench.table import print_columns

COLUMNS = ("RTT", "buffer", "loss", "intact", "repaired", "concealed", "lost", "sent", "requests",
           "bit-exact", "balance")  # fmt: skip

LEGEND = """\
Means of all seeds. intact, repaired, concealed: seconds of audio; lost: messages; sent: bytes that
the server sent to this listener over bytes of audio; requests: bytes of them over bytes of audio;
bit-exact: runs whose every sample is that of the file; balance: the identities hold, and the
client's counts agree with those of the network."""


def show(outcomes: Sequence[Outcome], stream: TextIO) -> None:
    """Print a table for each method and network."""
    groups: dict[str, list[Outcome]] = {}
    for one in outcomes:
        groups.setdefault(f"{one.case.method.name}: {one.case.network}", []).append(one)
    for title, group in groups.items():
        print_columns(COLUMNS, [cells(one) for one in group], stream, title=title)
    print(LEGEND, file=stream)


def cells(one: Outcome) -> list[str]:
    """Cells of one row."""
    rtt, buffer = path_text(one.case)
    return [
        rtt,
        buffer,
        one.case.loss_text,
        f"{one.mean('intact_s'):.2f}",
        f"{one.mean('repaired_s'):.2f}",
        f"{one.mean('concealed_s'):.2f}",
        f"{one.mean('lost'):.1f}",
        f"{one.sent_ratio:.3f}",
        f"{100 * one.request_share:.2f} %",
        f"{one.exact} of {len(one.runs)}",
        "; ".join(one.faults) or "yes",
    ]


def path_text(case: Case) -> tuple[str, str]:
    """Round trip and buffer, as text."""
    jitter = f" ± {2e3 * case.conditions.jitter_s:g}" if case.conditions.jitter_s else ""
    return f"{case.rtt_ms:g}{jitter} ms", f"{case.buffer_s:g} s"


def line(one: Outcome) -> str:
    """One row in one line, for the progress."""
    rtt, buffer, loss, _, _, concealed, _, sent, _, exact, balance = cells(one)
    return (
        f"{one.case.method.name}, {one.case.network}, RTT {rtt}, buffer {buffer}, loss {loss}:"
        f" {concealed} s concealed, sent {sent}, bit-exact {exact}, balance {balance}"
    )
