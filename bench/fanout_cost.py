"""Cost of sending to every listener: our fan-out beside a C program that does the same.

Datagrams for each second of processor time, user and system, of the process that sends: ours is
`Fanout` of broadcasting/sending/ with N listeners joined, called once a tick as the server calls
it; the other is `fanout.c`, sendmmsg(2) on headers prepared once, in batches of 256 and of 1,024.
One datagram a tick, then seven, which both hand to the kernel as one payload to cut (UDP_SEGMENT).
Same bytes, same addresses (127.1.0.1 and on), same options of the socket. All of them reach one
socket, whose buffer holds one datagram: the rest is dropped there, alike for both, which makes a
datagram as cheap as possible, and so our share of its cost as large as possible.

Both take turns; a ratio is that of two neighbours in one round. Below a thousand listeners the
ratio is for information: a tick is one call, which costs next to nothing in either.
"""

from __future__ import annotations

import contextlib
import itertools
import socket
import statistics
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from bench.compiler import compiled
from bench.processes import HOST, PATIENCE_S, Failed
from bench.table import Result, Row, at_least
from bench.workshop import QUICK, Workshop
from broadcasting.sending.fanout import Fanout
from shell.network.udp import open_server_sockets

LISTENERS = (10, 100, 1_000, 10_000)
DATAGRAM_BYTES = 1_286
TOGETHER = 7
BATCHES = (256, 1024)
MTU_BYTES = 1400

MESSAGES = 50_000
"""Messages of each program in each round: they take a quarter of a second."""

ROUNDS = 11
"""Rounds of a ratio that has a limit: a busy machine hides the small difference."""

LIMITED_FROM = 1_000
LIMITS = {1: 0.95, TOGETHER: 0.9}

FIRST_LISTENER = 0x7F01_0001
SMALLEST_BUFFER_BYTES = 1


def measure(workshop: Workshop) -> Iterator[Result]:
    program = compiled(workshop, "fanout.c")
    quick = workshop.effort.rounds <= QUICK.rounds
    for datagrams, listeners in itertools.product((1, TOGETHER), LISTENERS):
        limited = listeners >= LIMITED_FROM
        rounds = workshop.effort.rounds if quick or not limited else ROUNDS
        ticks = max(3, MESSAGES // listeners)
        ours, theirs = _rounds(program, listeners, datagrams, ticks, rounds)
        together = f", {datagrams} together" if datagrams > 1 else ""
        for batch, values in theirs.items():
            speeds = [f"{round(statistics.median(one), -3):,.0f}" for one in (ours, values)]
            yield Row(
                f"fan-out beside C ({batch:,} a call), {listeners:,} listeners{together}",
                f"datagrams a CPU second: {speeds[0]} / {speeds[1]}",
                [our / their for our, their in zip(ours, values, strict=True)],
                "",
                at_least(LIMITS[datagrams]) if limited else None,
            )


def _rounds(
    program: Path, listeners: int, datagrams: int, ticks: int, rounds: int
) -> tuple[list[float], dict[int, list[float]]]:
    """Datagrams per CPU second: ours, and C's by batch, one value for each round."""
    ours: list[float] = []
    theirs: dict[int, list[float]] = {batch: [] for batch in BATCHES}
    sent = listeners * datagrams * ticks
    with _receiver() as receiver, contextlib.ExitStack() as stack:
        port = receiver.getsockname()[1]
        sockets = [stack.enter_context(one) for one in open_server_sockets(HOST, 0)]
        fanout = Fanout(sockets, MTU_BYTES)
        for number in range(FIRST_LISTENER, FIRST_LISTENER + listeners):
            fanout.join((socket.inet_ntoa(number.to_bytes(4)), port))
        for turn in range(rounds):
            # The order changes, so that a machine that gets faster or slower favours neither.
            for who in (None, *BATCHES) if turn % 2 else (*BATCHES, None):
                if who is None:
                    ours.append(sent / _our_cpu_s(fanout, datagrams, ticks))
                else:
                    cpu_s = _their_cpu_s(program, port, listeners, datagrams, who, ticks)
                    theirs[who].append(sent / cpu_s)
    return ours, theirs


def _receiver() -> socket.socket:
    """Socket of every address of this machine, which drops nearly all datagrams."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALLEST_BUFFER_BYTES)
    sock.bind(("0.0.0.0", 0))  # noqa: S104 - the listeners' addresses are all of 127.0.0.0/8
    return sock


def _our_cpu_s(fanout: Fanout, datagrams: int, ticks: int) -> float:
    due = [bytes(DATAGRAM_BYTES)] * datagrams
    fanout.broadcast(due, time.monotonic() + 1)
    missed = 0
    began = time.process_time()
    for _ in range(ticks):
        missed += len(fanout.broadcast(due, time.monotonic() + 1).missed)
    used_s = time.process_time() - began
    if missed:
        raise Failed(f"our fan-out could not send {missed} datagrams")
    return used_s


def _their_cpu_s(
    program: Path, port: int, listeners: int, datagrams: int, batch: int, ticks: int
) -> float:
    arguments = (port, listeners, DATAGRAM_BYTES, datagrams, batch, ticks)
    run = subprocess.run(
        [program, *map(str, arguments)],
        check=False,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )
    if run.returncode != 0:
        raise Failed(f"fanout.c: {run.stderr.strip()}")
    used_s, refused = run.stdout.split()
    if int(refused):
        raise Failed(f"C could not send {refused} messages")
    return float(used_s)
