"""What goes wrong around the programs, and what they make of it: real processes, real sockets.

One fault lasts half a minute: it begins before the first test and ends in the last one. Others that
take some seconds to be seen begin there, too, so that all of them together take no longer.
"""

from __future__ import annotations

import contextlib
import os
import re
import resource
import shutil
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from shell.network import udp
from shell.process import log
from tests.rig import ear, pulse
from tests.rig.cable import cable
from tests.rig.faults import (
    MOST_S,
    heard_again_s,
    logged_at_s,
    set_limit,
    tell,
)
from tests.rig.luck import once
from tests.rig.programs import (
    ROOT,
    SAMPLE,
    Program,
    Server,
    balances,
    client,
    end,
    pcm_in,
    server,
    usual_environment,
)
from tests.rig.zoo import frames_in, reference_pcm, zoo_file

pytestmark = once

TIMEOUT_S = 1.0
"""A listener that reported as seldom as by default would lose its slot all the time."""

SHORT_S, LONG_S = 3.0, 30.0
"""How long a listener stands still, and the network is cut: less than --timeout, and far more."""

CROWD = 20
STANDARD_STREAMS = 3
"""As many descriptors as every program has: with so many allowed nothing can be opened."""

OBEYING = () if os.geteuid() else ("setpriv", "--bounding-set=-dac_override,-dac_read_search")
"""Root as others are: what may not be written cannot be."""

COPIES = 16
"""Listeners that only copy: without a decoder they start several times as fast."""


SPEED = 4
"""For what lasts longer than the server reads ahead, and need not be heard."""

BYTES_PER_S = 44_100 * 4

ONE_START_S, RECORDED_S = 0.15, 0.2
"""How far one start of a sound device may differ from another, and how late a recording is."""


class Pair(NamedTuple):
    """Programs that belong together."""

    broadcast: Server
    listener: Program
    other: Program | None = None


class Away(NamedTuple):
    """Programs that are out of reach for a while, how, and since when (seconds since the epoch)."""

    what: str
    broadcast: Server
    listener: Program
    since: float


class OutOfReach:
    """Three pairs that lose each other at the same time, each in its own way."""

    def __init__(self, folder: Path, stack: contextlib.ExitStack) -> None:
        self._wire = stack.enter_context(cable())
        within = self._wire.within
        pairs = []
        for _ in range(3):
            broadcast = stack.enter_context(server(folder, SAMPLE, "--loop", within=within))
            port = self._wire.port_to(broadcast.port)
            output = ("--output", "null")
            listener = stack.enter_context(client(folder, port, *output, within=within))
            pairs.append((broadcast, listener))
        for _, listener in pairs:
            listener.wait_for_log("first sound")
        now = time.time()
        self.briefly = Away("the network is cut", *pairs[0], now)
        self.long = Away("the network is cut", *pairs[1], now)
        self.stopped = Away("a listener stands still", *pairs[2], now)
        self._wire.cut(self.briefly.broadcast.port)
        self._wire.cut(self.long.broadcast.port)
        self.stopped.listener.send(signal.SIGSTOP)
        self._returns = {
            self.briefly: threading.Timer(SHORT_S, self._mend, (self.briefly,)),
            self.stopped: threading.Timer(SHORT_S, self._go_on, (self.stopped,)),
            self.long: threading.Timer(LONG_S, self._mend, (self.long,)),
        }
        self._back_at: dict[Away, float] = {}
        for timer in self._returns.values():
            timer.start()

    def back_at(self, away: Away) -> float:
        """Wait until it can be reached again; when that was."""
        self._returns[away].join()
        return self._back_at[away]

    def stop(self) -> None:
        """Nobody waits any more."""
        for timer in self._returns.values():
            timer.cancel()
            timer.join()

    def _mend(self, away: Away) -> None:
        self._back_at[away] = time.time()
        self._wire.mend(away.broadcast.port)

    def _go_on(self, away: Away) -> None:
        self._back_at[away] = time.time()
        away.listener.send(signal.SIGCONT)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the programs that run beside the tests."""
    return tmp_path_factory.mktemp("beside")


@pytest.fixture(scope="module", autouse=True)
def out_of_reach(folder: Path) -> Iterator[OutOfReach]:
    with contextlib.ExitStack() as stack:
        pairs = OutOfReach(folder, stack)
        yield pairs
        pairs.stop()


# Gone, and back.


def test_a_crowd_finds_a_killed_server_again_and_half_of_it_survives_the_other(
    tmp_path: Path,
) -> None:
    options = (
        SAMPLE,
        "--wait-for",
        CROWD,
        "--max-clients-per-address",
        CROWD,
        "--timeout",
        TIMEOUT_S,
    )
    with contextlib.ExitStack() as stack:
        first = stack.enter_context(server(tmp_path, *options))
        outputs = ["heard.mp3"] * COPIES + ["null"] * (CROWD - COPIES)
        crowd = [
            stack.enter_context(client(tmp_path, first, "--output", output)) for output in outputs
        ]
        for one in crowd:
            one.wait_for_log("received AUDIO")
        first.send(signal.SIGKILL)
        first.process.wait()
        second = stack.enter_context(server(tmp_path, *options, port=first.port))
        second.wait_for_log("listening on")
        back_at = logged_at_s(second, "listening on")
        again_s = [heard_again_s(one, back_at) for one in crowd]
        tell(f"a server is killed and started again under {CROWD} listeners", again_s)
        assert max(again_s) < MOST_S

        killed, left = crowd[::2], crowd[1::2]
        for one in killed:
            one.send(signal.SIGKILL)
        killed_at = time.time()
        second.wait_for_log(rf"left \(silent\), {len(left)} remain")
        free_s = logged_at_s(second, rf"left \(silent\), {len(left)} remain") - killed_at
        print(f"half of them are killed: their slots are free after {free_s:.2f} s")
        assert free_s < 2 * TIMEOUT_S
        second.send(signal.SIGINT)
        end(second, *left)
        assert second.result["expired"] == len(killed)
        how = [one["how"] for one in second.result["listeners"]]
        assert how == ["silent"] * len(killed) + ["goodbye"] * len(left)
        for one in left:
            result = one.result
            assert balances(result)
            assert result["intact"] == result["expected"]
            assert (result["reconnections"], result["failure"]) == (1, None)


def test_a_server_that_is_killed_and_missed_is_found_and_heard_to_its_end(tmp_path: Path) -> None:
    song = zoo_file("mono.mp3")
    with (
        server(tmp_path, SAMPLE, "--timeout", TIMEOUT_S) as first,
        client(tmp_path, first, "--output", "heard.mp3") as copies,
        client(tmp_path, first, "--output", "null") as listens,
    ):
        for listener in (copies, listens):
            listener.wait_for_log("received AUDIO")
        first.send(signal.SIGKILL)
        first.process.wait()
        for listener in (copies, listens):
            listener.wait_for_log(r"(?s)nothing heard for.*sent CONNECT")
        with server(tmp_path, song.path, "--wait-for", 2, "--speed", 10, port=first.port) as second:
            end(copies, listens, second)
            assert second.result["accepted"] == 2
        heard = (copies.folder / "heard.mp3").read_bytes()
        assert heard.endswith(b"".join(song.frames))
        for listener in (copies, listens):
            result = listener.result
            assert result["reconnections"] == 1
            assert result["failure"] is None
            assert balances(result)
        assert copies.result["received_bytes"] == len(heard)


@pytest.fixture(scope="module", autouse=True)
def stands_still(folder: Path) -> Iterator[Pair]:
    """The listener is stopped, for longer than it may be silent."""
    with (
        server(folder, SAMPLE, "--loop", "--timeout", TIMEOUT_S) as broadcast,
        client(folder, broadcast, "--output", "null") as listener,
    ):
        listener.wait_for_log("first sound")
        listener.send(signal.SIGSTOP)
        yield Pair(broadcast, listener)


def test_a_listener_that_stood_still_for_long_is_let_in_again_and_goes_on(
    stands_still: Pair,
) -> None:
    broadcast, listener, _ = stands_still
    broadcast.wait_for_log(r"left \(silent\), 0 remain")
    back_at = time.time()
    listener.send(signal.SIGCONT)
    assert heard_again_s(listener, back_at) < MOST_S
    broadcast.send(signal.SIGINT)
    end(listener, broadcast)
    assert listener.result["reconnections"] == 1
    assert balances(listener.result)
    last = int(re.findall(r"the stream ends with message (\d+)", broadcast.log)[0])
    assert listener.result["expected"] == last + 1


STOPPED_S = 2.5
"""More than the server sends ahead, and less than a listener waits for it."""


def test_a_server_that_was_stopped_goes_on_with_a_burst_and_loses_nothing_but_the_time(
    tmp_path: Path,
) -> None:
    with (
        server(tmp_path, SAMPLE, "--loop", "--timeout", 1.5) as broadcast,
        client(tmp_path, broadcast, "--output", "null") as listener,
    ):
        listener.wait_for_log("received TIME 8,|received TIME 9,")
        broadcast.send(signal.SIGSTOP)
        time.sleep(STOPPED_S)
        back_at = time.time()
        broadcast.send(signal.SIGCONT)
        listener.wait_for_log(r"the sound is silent for \d")
        assert heard_again_s(listener, back_at) < MOST_S
        broadcast.send(signal.SIGINT)
        end(listener, broadcast)
    assert "the server stood still" in broadcast.log
    assert broadcast.result["expired"] == 0
    assert listener.result["jumps"] == 1
    assert listener.result["lost"] == 0
    # The sound dies away where it ends, and a decoder begins anew behind it.
    assert listener.result["concealed_s"] < 0.1
    assert balances(listener.result)


# What the programs need of the machine.


WALL_CLOCK = """
import pathlib
import sys
import time

ASKED = pathlib.Path(__file__).with_name("asked.txt")

def jumping(real, a_day):
    calls = 0
    def told():
        nonlocal calls
        calls += 1
        with ASKED.open("a") as asked:
            print(sys._getframe(1).f_code.co_filename, file=asked)
        return real() + (calls * 37 % 9 - 4) * a_day
    return told

time.time = jumping(time.time, 86_400)
time.time_ns = jumping(time.time_ns, 86_400_000_000_000)
"""
"""What Python runs first: whoever asks for the time of day is told another day each time."""


def test_the_time_of_day_matters_to_nothing_but_stamps(tmp_path: Path) -> None:
    song = zoo_file("cbr-128.mp3").path
    (tmp_path / "sitecustomize.py").write_text(WALL_CLOCK)
    environment = {**usual_environment(), "PYTHONPATH": str(tmp_path)}
    how: dict[str, Any] = {"environment": environment}
    with (
        server(tmp_path, song, song, "--wait-for", 2, "--fec", "5+1", **how) as broadcast,
        client(tmp_path, broadcast, "--output", "heard.wav", **how) as copies,
        client(tmp_path, broadcast, "--output", "null", **how) as listens,
    ):
        everything_was_heard(broadcast, copies, listens)
        assert pcm_in(copies.folder / "heard.wav") == 2 * reference_pcm(song)
        assert broadcast.result["lateness_max_ms"] < 1000
        for one in (copies, listens):
            assert (one.result["requested"], one.result["concealed_s"]) == (0, 0)
            assert 0 < one.result["first_sound_s"] < MOST_S
            assert one.result["jitter_ms"] < 1000
        for program in (broadcast, copies, listens):
            stamps = re.findall(r"^(\S+ \S+) - ", program.events, re.MULTILINE)
            assert stamps != sorted(stamps), "the clock has not jumped"
        asked = set((tmp_path / "asked.txt").read_text().splitlines())
        ours = {str(path) for path in (*ROOT.glob("*.py"), *ROOT.glob("[!.]*/**/*.py"))}
        allowed = {log.__file__, udp.__file__}
        assert asked & ours == allowed, "only the stamps of logs and of datagrams may ask"


def everything_was_heard(broadcast: Server, *listeners: Program) -> None:
    """All end well, and nothing that was sent to them was lost."""
    end(broadcast, *listeners)
    for one in listeners:
        assert balances(one.result)
        assert one.result["intact"] == one.result["expected"] > 0


def test_a_log_on_a_full_disk_is_told_and_costs_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "full.log"
    path.symlink_to("/dev/full")
    options = ("--log-file", path)
    with (
        server(tmp_path, zoo_file("cbr-128.mp3").path, "--speed", 2, *options) as broadcast,
        client(tmp_path, broadcast, "--output", "null", *options) as listener,
    ):
        everything_was_heard(broadcast, listener)
        reason = f"lines are missing in the log: cannot write {path}: No space left on device"
        assert broadcast.stderr == f"server.py: {reason}\n"
        assert listener.stderr == f"client.py: {reason}\n"


def test_a_log_in_a_folder_that_is_read_only_is_told_and_costs_nothing_else(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "read only"
    folder.mkdir(mode=0o555)
    options = ("--log-file", folder / "x.log")
    with (
        server(
            tmp_path, zoo_file("cbr-128.mp3").path, "--speed", 2, *options, within=OBEYING
        ) as broadcast,
        client(tmp_path, broadcast, "--output", "null", *options, within=OBEYING) as listener,
    ):
        everything_was_heard(broadcast, listener)
        reason = f"no log: cannot write {folder / 'x.log'}: Permission denied"
        assert broadcast.stderr == f"server.py: {reason}\n"
        assert listener.stderr == f"client.py: {reason}\n"


@pytest.fixture(scope="module", autouse=True)
def filled_up(folder: Path) -> Iterator[Pair]:
    """No file can grow, for a while."""
    with (
        server(folder, SAMPLE, "--loop", "--wait-for", 2) as broadcast,
        client(folder, broadcast, "--output", "null") as listener,
        client(folder, broadcast, "--output", "heard.mp3") as other,
    ):
        listener.wait_for_log("received AUDIO 10,")
        for program in (broadcast, listener):
            set_limit(program, resource.RLIMIT_FSIZE, 0)
        yield Pair(broadcast, listener, other)


def test_a_log_goes_on_when_the_disk_has_room_again(filled_up: Pair) -> None:
    broadcast, listener, other = filled_up
    assert other is not None
    other.wait_for_log("received AUDIO 50,")
    for program in (broadcast, listener):
        set_limit(program, resource.RLIMIT_FSIZE, None)
    sent = re.findall("received AUDIO (\\d+),", other.log)[-1]
    again = int(sent) + 15
    listener.wait_for_log(f"received AUDIO {again},")
    broadcast.wait_for_log(f"sent AUDIO {again},")
    broadcast.send(signal.SIGINT)
    everything_was_heard(broadcast, listener, other)
    assert "received AUDIO 40," not in listener.log
    assert "sent AUDIO 40," not in broadcast.log
    for program in (broadcast, listener):
        assert re.fullmatch(
            r"\w+.py: lines are missing in the log: cannot write \S+: File too large\n",
            program.stderr,
        )


@pytest.fixture(scope="module", autouse=True)
def cut_off(folder: Path) -> Iterator[Pair]:
    """The file that is sent is not that long any more."""
    path = folder / "cut off.mp3"
    shutil.copy(SAMPLE, path)
    with (
        server(folder, path, zoo_file("mono.mp3").path, "--speed", SPEED) as broadcast,
        client(folder, broadcast, "--output", "heard.mp3") as listener,
    ):
        listener.wait_for_log("received AUDIO 30,")
        os.truncate(path, 1000)
        yield Pair(broadcast, listener)


def test_a_file_cut_off_while_it_streams_is_heard_to_there_and_the_next_one_whole(
    cut_off: Pair,
) -> None:
    everything_was_heard(cut_off.broadcast, cut_off.listener)
    heard = (cut_off.listener.folder / "heard.mp3").read_bytes()
    rest = b"".join(zoo_file("mono.mp3").frames)
    assert heard.endswith(rest)
    begin = heard.removesuffix(rest)
    frames = frames_in(SAMPLE)
    assert b"".join(frames).startswith(begin)
    assert len(b"".join(frames[:90])) < len(begin) < len(b"".join(frames))


@pytest.fixture(scope="module", autouse=True)
def deleted(folder: Path) -> Iterator[Pair]:
    """The file that is sent is deleted, and so is the one that follows it."""
    paths = folder / "deleted.mp3", folder / "next.mp3"
    for path in paths:
        shutil.copy(SAMPLE, path)
    with (
        server(folder, *paths, "--speed", SPEED) as broadcast,
        client(folder, broadcast, "--output", "heard.mp3") as listener,
    ):
        listener.wait_for_log("received AUDIO 30,")
        for path in paths:
            path.unlink()
        yield Pair(broadcast, listener)


def test_a_file_deleted_while_it_streams_is_heard_whole_and_one_before_that_is_skipped(
    deleted: Pair,
) -> None:
    everything_was_heard(deleted.broadcast, deleted.listener)
    heard = (deleted.listener.folder / "heard.mp3").read_bytes()
    assert heard == b"".join(frames_in(SAMPLE))
    assert deleted.broadcast.result["skipped_files"] == 1
    assert re.search(r"skipped: \S+/next.mp3: no such file", deleted.broadcast.log)


def test_programs_out_of_file_descriptors_go_on_and_take_who_comes(tmp_path: Path) -> None:
    with (
        server(tmp_path, SAMPLE, zoo_file("mono.mp3").path) as broadcast,
        client(tmp_path, broadcast, "--output", "null") as listener,
        client(tmp_path, broadcast, "--output", "null") as leaves,
    ):
        for one in (listener, leaves):
            one.wait_for_log("first sound")
        for program in (broadcast, listener, leaves):
            set_limit(program, resource.RLIMIT_NOFILE, STANDARD_STREAMS)
        leaves.send(signal.SIGINT)
        with client(tmp_path, broadcast, "--output", "null") as comes:
            comes.wait_for_log("first sound")
            assert leaves.wait() == 1
            assert leaves.stderr == "client.py: cannot write result.json: Too many open files\n"
            assert re.search(r"messages expected +\d+", leaves.stdout)
            for program in (broadcast, listener):
                set_limit(program, resource.RLIMIT_NOFILE, None)
            broadcast.send(signal.SIGINT)
            everything_was_heard(broadcast, listener, comes)
        assert broadcast.result["accepted"] == 3


# The sound device.


def test_a_loudspeaker_is_heard_on_the_timeline_whatever_happened_to_it(tmp_path: Path) -> None:
    for attempt in range(pulse.MOST_ATTEMPTS):
        folder = tmp_path / str(attempt)
        folder.mkdir()
        heard = what_comes_and_goes(folder)
        if heard.is_in_time or not heard.was_busy:
            break
    assert heard.is_in_time, heard
    longest = max(heard.before.hearing.faults, key=lambda fault: fault.missing_s)
    in_time_again_at = heard.before.heard_at(longest.at_s + longest.missing_s)
    heard_again_at = heard.after.heard_at(heard.after.hearing.missing_at_start_s)
    recoveries_s = (in_time_again_at - heard.goes_on_at, heard_again_at - heard.device_back_at)
    tell("a listener with a loudspeaker stands still", recoveries_s[:1])
    tell("the sound server is killed and started again", recoveries_s[1:])
    assert max(recoveries_s) < MOST_S
    assert heard.complaints.splitlines() == [
        "client.py: the sound device is gone (Connection refused):"
        " the stream goes on, and is heard again when the device is back",
        "client.py: the sound device is back",
    ]
    assert balances(heard.result)
    assert 1 < heard.result["unheard_s"] < heard.result["played_s"]


def what_comes_and_goes(folder: Path) -> Heard:
    """The client stands still, then it is out of descriptors, then its device goes and comes."""
    song = reference_pcm(SAMPLE)
    back = "the sound device is back"
    with (
        pulse.server(folder) as sound,
        server(folder, SAMPLE) as broadcast,
        client(folder, broadcast, environment=sound.environment) as listener,
    ):
        listener.wait_for_log("received AUDIO 40,")
        was_busy = sound.underruns > 0
        listener.send(signal.SIGSTOP)
        wait_for_more(broadcast, 16)
        goes_on_at = time.monotonic()
        listener.send(signal.SIGCONT)
        listener.wait_for_log(back)
        set_limit(listener, resource.RLIMIT_NOFILE, STANDARD_STREAMS)
        wait_for_more(broadcast, 20)
        set_limit(listener, resource.RLIMIT_NOFILE, None)
        before = Ear(sound.die(), song)
        listener.wait_until(lambda: listener.stderr or None, "the sound device is gone")
        wait_for_more(broadcast, 24)
        device_back_at = time.monotonic()
        sound.start()
        listener.wait_until(lambda: listener.log.count(back) == 2 or None, back)
        wait_for_more(broadcast, 26)
        after = Ear(sound.recording(), song)
        was_busy = was_busy or sound.underruns > 0
        listener.send(signal.SIGINT)
        assert listener.wait() == 0
        return Heard(
            before, after, goes_on_at, device_back_at, was_busy, listener.stderr, listener.result
        )


def wait_for_more(broadcast: Server, count: int) -> None:
    """Wait until `count` more messages have been sent than now, however long the last step took."""
    last = int(re.findall(r"sent AUDIO (\d+),", broadcast.log)[-1])
    broadcast.wait_for_log(f"sent AUDIO {last + count},")


class Heard(NamedTuple):
    """What was heard before the device went and after it came back; times of time.monotonic()."""

    before: Ear
    after: Ear
    goes_on_at: float
    device_back_at: float
    was_busy: bool
    complaints: str
    result: dict[str, Any]

    @property
    def is_in_time(self) -> bool:
        """Whether the song went on as the clock did, though it was not heard all the time."""
        song_s = self.after.song_s - self.before.song_s
        strays_s = abs(song_s - (self.after.now - self.before.now))
        return abs(self.before.behind_s) < ONE_START_S and strays_s < ONE_START_S + RECORDED_S


class Ear:
    """What is heard of a song in a recording that was made until now."""

    def __init__(self, recording: bytes, song: bytes) -> None:
        self.now = time.monotonic()
        self.hearing = ear.compare(recording, song)
        assert self.hearing.begins_s is not None, "nothing was heard"
        faults = self.hearing.faults
        self.behind_s = sum(fault.added_s - fault.missing_s for fault in faults)
        self.song_s = len(recording) / BYTES_PER_S - self.hearing.begins_s - self.behind_s
        """The second of the song that is heard at the end."""

    def __repr__(self) -> str:
        return f"at {self.song_s} s, {self.behind_s} s behind, {self.hearing.faults}"

    def heard_at(self, song_s: float) -> float:
        """When this second of the song was heard, if that was after the last fault."""
        return self.now - (self.song_s - song_s)


# Out of reach, and back.


def comes_back(out_of_reach: OutOfReach, away: Away) -> dict[str, Any]:
    """What the listener says in the end, which has heard again."""
    back_at = out_of_reach.back_at(away)
    again_s = heard_again_s(away.listener, back_at)
    tell(f"{away.what} for {back_at - away.since:.1f} s", [again_s])
    assert again_s < MOST_S
    away.broadcast.send(signal.SIGINT)
    end(away.broadcast, away.listener)
    result = away.listener.result
    assert balances(result)
    assert result["lost"] > 0
    assert result["failure"] is None
    assert len(away.broadcast.result["listeners"]) == 1 + result["reconnections"]
    return result


def test_a_listener_that_stood_still_for_three_seconds_is_heard_again(
    out_of_reach: OutOfReach,
) -> None:
    assert comes_back(out_of_reach, out_of_reach.stopped)["reconnections"] == 0


def test_a_network_cut_for_three_seconds_is_heard_again(out_of_reach: OutOfReach) -> None:
    assert comes_back(out_of_reach, out_of_reach.briefly)["reconnections"] == 0


def test_a_network_cut_for_half_a_minute_is_heard_again(out_of_reach: OutOfReach) -> None:
    assert comes_back(out_of_reach, out_of_reach.long)["reconnections"] == 1
