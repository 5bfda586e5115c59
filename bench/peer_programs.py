"""Other programs that send one MP3 to many listeners, for comparison: GStreamer and Icecast 2.

Each sends as `server.py` does by default: three frames of MP3 every 78 ms, in real time, to as
many listeners. GStreamer packs them into RTP, which puts as many into a datagram as fit an MTU of
1,400 bytes, and its `multiudpsink` sends that to a list of addresses, without registration, reports
or answers. Icecast is fed by a source client and serves TCP connections (`icecast_crowd.py`).
"""

from __future__ import annotations

import contextlib
import grp
import json
import os
import pwd
import resource
import select
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from bench.crowd import Crowd
from bench.crowd_socket import address_of
from bench.icecast_crowd import MOUNT, PASSWORD
from bench.processes import CPU_CLOCK_OF_PROCESS, HOST, PATIENCE_S, ROOT, Failed
from bench.workshop import BIT_RATE_BPS

GSTREAMER, ICECAST = "gst-launch-1.0", "icecast2"

DATAGRAMS_PER_S = 44_100 / 1152 / 3
"""Datagrams per second of three frames each."""

CLIENTS_A_SINK = 5_000
"""Most listeners: their addresses must fit one argument, 128 KiB (MAX_ARG_STRLEN)."""

ENOUGH = 0.9
"""Least share that must come, as proof that the peer works; counting and sending do not end
together."""

NOBODY = "nobody"

_CONFIGURATION = """<icecast>
  <limits>
    <clients>{clients}</clients><sources>2</sources><threadpool>5</threadpool>
    <queue-size>524288</queue-size><client-timeout>30</client-timeout>
    <header-timeout>15</header-timeout><source-timeout>60</source-timeout>
    <burst-on-connect>0</burst-on-connect><burst-size>0</burst-size>
  </limits>
  <authentication>
    <source-password>{password}</source-password>
    <admin-user>admin</admin-user><admin-password>{password}</admin-password>
  </authentication>
  <hostname>localhost</hostname>
  <listen-socket><port>{port}</port><bind-address>{host}</bind-address></listen-socket>
  <fileserve>0</fileserve>
  <paths>
    <basedir>/</basedir><logdir>{folder}</logdir><webroot>/</webroot><adminroot>/</adminroot>
  </paths>
  <logging><accesslog>-</accesslog><errorlog>-</errorlog><loglevel>1</loglevel></logging>
  <security><chroot>0</chroot>{owner}</security>
</icecast>
"""

CpuClock = Callable[[], float]
"""Processor time used by a running program, in seconds."""


def missing(program: str) -> str | None:
    """Why the program cannot be measured; None if it can."""
    return None if shutil.which(program) else f"{program} is not installed"


@contextlib.contextmanager
def gstreamer(library: Path, mp3: Path, listeners: int) -> Iterator[CpuClock]:
    """Run GStreamer; raises Failed at the end if too little has come."""
    with Crowd(library, listeners) as crowd:
        clients = [f"{address_of(one)}:{crowd.port}" for one in range(listeners)]
        sinks = [
            f"multiudpsink name=sink{at} async=false buffer-size=4194304 "
            f"clients={','.join(clients[at : at + CLIENTS_A_SINK])}"
            for at in range(0, listeners, CLIENTS_A_SINK)
        ]
        pipeline = f"filesrc location={mp3} ! mpegaudioparse ! rtpmpapay mtu=1400 ! "
        if len(sinks) > 1:
            pipeline += "tee name=all " + " ".join(f"all. ! {sink}" for sink in sinks)
        else:
            pipeline += sinks[0]
        with _running([GSTREAMER, "-q", *pipeline.split()]) as clock:
            while crowd.count().received == 0:
                clock()
            began, before = time.monotonic(), crowd.count().fewest
            yield clock
            # Both counts wait equally long, so that the time between them fits what came.
            expected = (time.monotonic() - began) * DATAGRAMS_PER_S
            came = crowd.count().fewest - before
            if came < ENOUGH * expected:
                raise Failed(f"GStreamer sent {came} of {expected:.0f} datagrams")


@contextlib.contextmanager
def icecast(folder: Path, mp3: Path, listeners: int) -> Iterator[CpuClock]:
    """Run Icecast; raises Failed at the end if too little has come."""
    folder.mkdir()
    raise_file_limit()
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port = probe.getsockname()[1]
    configuration = folder / "icecast.xml"
    configuration.write_text(
        _CONFIGURATION.format(
            clients=listeners + 10,
            password=PASSWORD,
            port=port,
            host=HOST,
            folder=escape(str(folder)),
            owner=_owner(),
        )
    )
    arguments = [str(port), str(listeners), str(mp3)]
    with (
        _running([ICECAST, "-c", str(configuration)]) as clock,
        subprocess.Popen(
            [sys.executable, "-m", "bench.icecast_crowd", *arguments],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        ) as crowd,
    ):
        try:
            _line(crowd)
            began, before = time.monotonic(), _asked(crowd)["fewest_bytes"]
            yield clock
            expected = (time.monotonic() - began) * BIT_RATE_BPS / 8
            came = _asked(crowd)["fewest_bytes"] - before
            if came < ENOUGH * expected:
                raise Failed(f"Icecast sent {came} of {expected:.0f} bytes at {MOUNT}")
        finally:
            crowd.kill()


def raise_file_limit() -> None:
    """Raise the limit of open files of this process and its children to the maximum."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


@contextlib.contextmanager
def _running(command: list[str]) -> Iterator[CpuClock]:
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )

    def clock() -> float:
        if process.poll() is not None:
            raise Failed(f"{command[0]} has ended with status {process.returncode}")
        return time.clock_gettime(~process.pid << 3 | CPU_CLOCK_OF_PROCESS)

    try:
        yield clock
    finally:
        process.kill()
        process.wait()


def _owner() -> str:
    """User that Icecast becomes: it does not run as root."""
    if os.geteuid() != 0:
        return ""
    group = grp.getgrgid(pwd.getpwnam(NOBODY).pw_gid).gr_name
    return f"<changeowner><user>{NOBODY}</user><group>{group}</group></changeowner>"


def _asked(crowd: subprocess.Popen[str]) -> dict[str, Any]:
    assert crowd.stdin is not None
    crowd.stdin.write("count\n")
    crowd.stdin.flush()
    return _line(crowd)


def _line(crowd: subprocess.Popen[str]) -> dict[str, Any]:
    assert crowd.stdout is not None
    ready, _, _ = select.select([crowd.stdout], [], [], 2 * PATIENCE_S)
    line = crowd.stdout.readline() if ready else ""
    if not line:
        raise Failed("the listeners of Icecast were not all served")
    answer: dict[str, Any] = json.loads(line)
    return answer
