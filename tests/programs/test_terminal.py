"""The two programs on a real (pseudo) terminal: what is seen, which keys do what, and afterwards
the terminal is as it was."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from bench.listeners import Listeners
from tests.rig.luck import once
from tests.rig.programs import ROOT, Server, balances, client, end, server
from tests.rig.terminals import (
    CONTROL_SEQUENCE,
    HIDE_CURSOR,
    IN_BACKGROUND,
    IN_SHELL,
    SHOW_CURSOR,
    TO_ITS_SCREEN,
    Terminal,
    port_of,
    terminal,
    watch,
)
from tests.rig.zoo import encode, frames_in

pytestmark = once

CTRL_C, CTRL_Z, CTRL_BACKSLASH = b"\x03", b"\x1a", b"\x1c"
UP, DOWN = b"\x1b[A", b"\x1b[B"
CLEAR = "\x1b[J"

LONG_TITLE = (
    "In Every Room \x1b[31mof the House, and in the Garden as Well as on the Street Before It"
)
JAPANESE_TITLE = "すべての部屋で、家の中でも庭でも、そして表の通りでも聞こえる音楽の放送番組"

PLAIN_CLIENT = re.compile(
    r"state=playing position_s=[\d.]+ duration_s=(?:-|[\d.]+) buffer_s=[\d.]+ expected=\d+"
    r" intact=\d+ retransmitted=\d+ rebuilt=\d+ lost=0 concealed_s=[\d.]+ paused_s=0\.00"
    r" underruns=\d+ device_underruns=\d+ jitter_ms=(?:-|[\d.]+) rtt_ms=(?:-|[\d.]+)"
    r" title=In Every .*"
)
PLAIN_SERVER = re.compile(
    r"state=broadcasting position_s=[\d.]+ duration_s=[\d.]+ listeners=\d+ lost=0 repaired=\d+"
    r" jitter_ms=(?:-|[\d.]+) lateness_p99_ms=(?:-|[\d.]+) title=In Every .*"
)


def sample(path: Path, title: str, duration_s: float = 30.0) -> Path:
    encode(
        path,
        sample_rate_hz=8000,
        channels=1,
        kbps=8,
        duration_s=duration_s,
        tags={"title": title},
    )
    return path


@pytest.fixture(scope="module")
def song(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Half a minute, under a name that is longer than the line."""
    return sample(tmp_path_factory.mktemp("song") / "song.mp3", LONG_TITLE)


@pytest.fixture(scope="module")
def broadcast(song: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A station that never ends, for clients that leave."""
    with server(tmp_path_factory.mktemp("station"), song, "--loop", "--wait-for", 0) as one:
        yield one


@contextmanager
def listening(folder: Path, broadcast: Server) -> Iterator[Terminal]:
    """A client on a terminal, which plays."""
    with terminal(folder, "client.py", "127.0.0.1", broadcast.port, "--output", "null") as one:
        watch(lambda: one.rows[0].startswith("playing"), one)
        yield one


def leave(one: Terminal, key: bytes = b"q", status: int = 0) -> None:
    """By a key: it ends well, and the terminal is as it was."""
    one.press(key)
    watch(one.has_ended, one)
    assert one.process.returncode == status, one.text[-500:]
    assert one.is_tidy(), one.text[-500:]
    assert "Traceback" not in one.text


def result(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / "result.json").read_text())
    return content


def find_chart(label: str, one: Terminal) -> re.Match[str] | None:
    """The row of this figure, if it has its chart of the last minute."""
    return re.search(rf"^{label} .*  [▁▂▃▄▅▆▇█]", one.screen, re.MULTILINE)


def test_both_show_a_screen_and_leave_a_tidy_one_when_ctrl_c_is_typed(
    song: Path, tmp_path: Path
) -> None:
    with terminal(tmp_path, "server.py", song, 0) as sends:
        port = port_of(sends)
        with terminal(tmp_path, "client.py", "127.0.0.1", port, "--output", "null") as hears:
            watch(lambda: re.search(r"\n127\.0\.0\.1:\d+ .* playing", sends.screen), sends, hears)
            watch(lambda: hears.rows[0].startswith("playing"), sends, hears)
            # The title came from a file: what a terminal would obey is not in it.
            assert sends.rows[0].startswith("broadcasting  In Every Room ")
            assert hears.rows[0].startswith("playing  In Every Room ")
            for one in (sends, hears):
                assert "\x1b[31m" not in one.text
                assert re.fullmatch(r"[━─]+  0:\d\d of 0:30, \d:\d\d left", one.rows[1])
            figures = rf"8 kbit/s · port {port} · 1 listener · 0 lost · 0 repaired · lateness .*"
            assert re.fullmatch(figures, sends.rows[2])
            head = "listener since loss repaired jitter RTT buffer state"
            assert sends.rows[4].split() == head.split()
            for label in ("buffer", "loss", "jitter", "volume"):
                watch(partial(find_chart, label, hears), hears)
            for one in (hears, sends):
                leave(one, CTRL_C)
    for one, figures in ((sends, "datagrams sent"), (hears, "messages expected")):
        assert one.text.index(TO_ITS_SCREEN) < one.text.index(HIDE_CURSOR)
        assert figures in one.text[one.text.rfind(SHOW_CURSOR) :]
        # Of the screen nothing is left: the terminal shows what it showed before.
        assert "━" not in one.screen


def test_each_key_does_what_the_last_line_says(broadcast: Server, tmp_path: Path) -> None:
    with listening(tmp_path, broadcast) as one:
        keys = next(row for row in one.rows if "quit" in row)
        assert keys == "space pause · ↑↓ volume · m mute · s statistics · q quit"
        one.press(b" ")
        watch(lambda: one.rows[0].startswith("paused"), one)
        watch(lambda: re.search("paused 0:0[1-9]", one.screen), one)
        one.press(b" ")
        watch(lambda: one.rows[0].startswith("playing"), one)
        one.press(UP + b"\x1bOA" + UP)
        watch(lambda: "volume     +6 dB" in one.screen, one)
        one.press(DOWN[:1])  # a slow line brings a key in pieces
        one.press(DOWN[1:] + 3 * DOWN)
        watch(lambda: "volume     -2 dB" in one.screen, one)
        one.press(b"M")
        watch(lambda: re.search(r"^volume .*muted$", one.screen, re.MULTILINE), one)
        one.press(b"m")
        watch(lambda: "muted" not in one.screen, one)
        one.press(b"s")
        watch(lambda: "messages expected" in one.screen and "round trip" in one.screen, one)
        assert one.rows[0].startswith("playing")
        one.press(b"s")
        watch(lambda: "messages expected" not in one.screen and "jitter" in one.screen, one)
        # Nothing of this is a key.
        one.press(b"\x1b[5~\x1b[1;5Hx\xe3\x81\x82\xff\n")
        leave(one)
    # A pause is neither lost nor concealed.
    told = result(tmp_path)
    assert balances(told)
    assert told["lost"] == told["late"] == told["underruns"] == 0
    assert 1 <= told["paused_s"] <= told["played_s"]
    assert "of these: silence, as you had paused" in one.text


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_leaves_the_terminal_as_it_was(
    number: signal.Signals, broadcast: Server, tmp_path: Path
) -> None:
    with listening(tmp_path, broadcast) as one:
        assert one.modes != one.modes_before
        one.process.send_signal(number)
        watch(one.has_ended, one)
        assert one.process.returncode == 0
        assert one.is_tidy()
        assert "messages expected" in one.text


def test_a_quit_signal_ends_it_and_leaves_the_terminal_as_it_was(
    broadcast: Server, tmp_path: Path
) -> None:
    with listening(tmp_path, broadcast) as one:
        leave(one, CTRL_BACKSLASH, -signal.SIGQUIT)


def test_while_it_is_stopped_others_have_the_terminal(broadcast: Server, tmp_path: Path) -> None:
    where = ("127.0.0.1", str(broadcast.port), "--output", "null")
    with terminal(tmp_path, "client.py", *where, shell=IN_SHELL) as one:
        watch(lambda: one.rows[0].startswith("playing"), one)
        one.press(CTRL_Z)
        watch(lambda: one.state == "T", one)
        assert one.is_tidy()
        before = len(one.text)
        one.press(b"q\n")
        watch(lambda: one.rows[0].startswith("playing"), one)
        assert TO_ITS_SCREEN in one.text[before:]
        assert one.modes != one.modes_before
        # Nobody asks it here, and the shell sets the terminal up for itself.
        os.kill(one.pid, signal.SIGSTOP)
        watch(lambda: one.state == "T", one)
        before = len(one.text)
        one.spoil()
        one.press(b"q\n")
        watch(lambda: TO_ITS_SCREEN in one.text[before:], one)
        one.press(b" ")
        watch(lambda: one.rows[0].startswith("paused"), one)
        leave(one)


def test_in_the_background_it_leaves_the_terminal_to_others(
    broadcast: Server, tmp_path: Path
) -> None:
    where = ("127.0.0.1", str(broadcast.port), "--output", "null")
    with terminal(tmp_path, "client.py", *where, shell=IN_BACKGROUND) as one:
        log = tmp_path / "logs" / "client.log"
        watch(lambda: log.exists() and "first sound" in log.read_text(), one)
        messages_log = tmp_path / "logs" / "client-messages.log"
        heard = messages_log.read_text().count("AUDIO")
        watch(lambda: messages_log.read_text().count("AUDIO") > heard, one)
        assert TO_ITS_SCREEN not in one.text
        assert one.modes == one.modes_before
        # What is typed is for the shell, which brings it to the foreground.
        one.press(b"q\n")
        watch(lambda: one.rows[0].startswith("playing"), one)
        leave(one)


def test_an_error_on_a_terminal_is_one_line_and_leaves_it_as_it_was(tmp_path: Path) -> None:
    with terminal(
        tmp_path, "client.py", "127.0.0.1", 9, "--output", "null", "--timeout", 0.6
    ) as one:
        watch(lambda: one.rows[0].startswith("looking for the server"), one)
        watch(one.has_ended, one)
        assert one.process.returncode == 1
        assert one.is_tidy()
        assert one.lines()[-2].startswith("client.py: no answer from 127.0.0.1:9")


def test_an_exception_leaves_the_terminal_as_it_was(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        "import sys\n"
        "from shell.terminal.live import Live\n"
        "from shell.process.stopping import Signals\n"
        "class View:\n"
        "    def lines(self, columns, rows):\n"
        "        if live.typed():\n"
        "            raise RuntimeError('nothing to be seen')\n"
        "        return ['seen'.ljust(columns)]\n"
        "with Signals() as signals, Live(sys.stdout, signals, quiet=False, report_every_s=1,"
        " refresh_s=0.05, wants_keys=True) as live:\n"
        "    while live.is_due():\n"
        "        live.show(View())\n"
        "        signals.wait(live.pause_s)\n"
    )
    with terminal(tmp_path, str(program), environment={"PYTHONPATH": str(ROOT)}) as one:
        watch(lambda: one.rows[0] == "seen", one)
        assert one.modes != one.modes_before
        one.press(b"x")
        watch(one.has_ended, one)
        assert "RuntimeError: nothing to be seen" in one.screen
        assert one.is_tidy()


ASCII = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
CAN_IMPORT_IN_ASCII = pytest.mark.skipif(
    not sys.prefix.isascii(), reason="CPython loads no extensions from a path that is not ASCII"
)


@pytest.mark.parametrize(
    ("environment", "more"),
    [
        pytest.param({"NO_COLOR": "1"}, (), id="NO_COLOR"),
        pytest.param({"TERM": "dumb"}, (), id="dumb"),
        pytest.param(ASCII, (), id="ascii", marks=CAN_IMPORT_IN_ASCII),
        pytest.param({}, ("-q",), id="quiet"),
    ],
)
def test_a_terminal_that_wants_no_screen_gets_plain_lines_and_still_has_keys(
    environment: dict[str, str], more: tuple[str, ...], broadcast: Server, tmp_path: Path
) -> None:
    port = str(broadcast.port)
    words = ("127.0.0.1", port, "--output", "null", "--report-every", "0.1", *more)
    with terminal(tmp_path, "client.py", *words, environment=environment) as one:
        watch(lambda: any(map(PLAIN_CLIENT.fullmatch, one.lines())), one)
        one.press(b" ")
        watch(lambda: "state=paused" in one.text, one)
        one.press(b"s")
        watch(lambda: "messages expected" in one.text, one)
        leave(one)
    assert "\x1b[" not in CONTROL_SEQUENCE.sub("", one.text)
    assert "\x1b[?" not in one.text
    assert max(map(len, (line for line in one.lines() if "state=" not in line))) <= 80


def test_without_a_terminal_there_are_plain_lines_as_often_as_asked(
    song: Path, tmp_path: Path
) -> None:
    often = ("--report-every", "0.2")
    with (
        server(tmp_path, song, "--speed", 20, *often) as broadcast,
        client(tmp_path, broadcast, "--output", "null", *often) as listener,
        client(tmp_path, broadcast, "--output", "null", "--report-every", 0) as silent,
    ):
        end(listener, silent, broadcast)
        for program, pattern in ((listener, PLAIN_CLIENT), (broadcast, PLAIN_SERVER)):
            assert "\x1b" not in program.stdout + program.stderr
            lines = program.stdout.splitlines()
            assert sum(1 for line in lines if pattern.fullmatch(line)) >= 5, program
        assert broadcast.stdout.startswith("listening on ")
        assert silent.stdout.startswith("In Every Room")


def test_with_mp3_on_standard_output_screen_and_keys_are_left_to_the_next_program(
    song: Path, tmp_path: Path
) -> None:
    with (
        (tmp_path / "heard.mp3").open("wb") as heard,
        server(tmp_path, song, "--speed", 30) as broadcast,
        terminal(
            tmp_path, "client.py", "127.0.0.1", broadcast.port, "--output", "-",
            "--report-every", "0.2", stdout=heard.fileno(),
        ) as one,
    ):  # fmt: skip
        one.press(b" mq")
        watch(one.has_ended, one)
        end(broadcast)
        assert one.process.returncode == 0
        assert one.modes == one.modes_before
        assert "\x1b[?" not in one.text
        assert any(map(PLAIN_CLIENT.fullmatch, one.lines()))
    assert "messages expected" in one.text
    assert (tmp_path / "heard.mp3").read_bytes() == b"".join(frames_in(song))


def test_a_partner_of_the_pipe_that_is_killed_leaves_the_terminal_as_it_was(
    broadcast: Server, tmp_path: Path
) -> None:
    partner = subprocess.Popen(["sleep", "60"], stdin=subprocess.PIPE)
    assert partner.stdin is not None
    with (
        partner,
        terminal(
            tmp_path, "client.py", "127.0.0.1", broadcast.port, "--output", "-",
            "--report-every", "0.1", stdout=partner.stdin.fileno(),
        ) as one,
    ):  # fmt: skip
        partner.stdin.close()
        watch(lambda: "state=playing" in one.text, one)
        partner.send_signal(signal.SIGKILL)
        watch(one.has_ended, one)
        assert one.process.returncode == 0
        assert one.is_tidy()
        assert "Traceback" not in one.text


@pytest.mark.parametrize("name", ["heard.wav", "heard.mp3"])
def test_keys_change_nothing_in_a_file(name: str, song: Path, tmp_path: Path) -> None:
    with server(tmp_path, song, "--speed", 30, "--wait-for", 2) as broadcast:
        heard = tmp_path / name
        reference = tmp_path / f"reference-{name}"
        with (
            terminal(tmp_path, "client.py", "127.0.0.1", broadcast.port, "--output", heard) as one,
            client(tmp_path, broadcast, "--output", reference) as other,
        ):
            watch(lambda: one.rows[0].startswith("playing"), one)
            one.press(b" mm " + DOWN + UP + b" ")
            assert "s statistics · q quit" in one.rows
            watch(one.has_ended, one)
            assert one.is_tidy()
            end(other, broadcast)
    assert heard.read_bytes() == reference.read_bytes()
    assert result(tmp_path)["paused_s"] == 0


def test_the_screen_follows_the_size_of_the_window(broadcast: Server, tmp_path: Path) -> None:
    with listening(tmp_path, broadcast) as one:
        for rows, columns in ((5, 20), (1, 1), (50, 200), (24, 80)):
            before = len(one.text)
            one.resize(rows, columns)
            watch(lambda: CLEAR in one.text[before:], one)  # noqa: B023 - called at once
            assert one.rows[0].startswith("playing  In Every Room"[: max(0, columns - 1)])
            assert len(one.screen.splitlines()) <= rows
        leave(one)


@pytest.mark.parametrize("size", [(24, 80), (5, 20)])
def test_a_japanese_title_fits_a_narrow_screen(size: tuple[int, int], tmp_path: Path) -> None:
    path = sample(tmp_path / "title.mp3", JAPANESE_TITLE * 50)
    with terminal(tmp_path, "server.py", path, 0, "--wait-for", 0, size=size) as sends:
        port = port_of(sends)
        arguments = ("127.0.0.1", port, "--output", "null")
        with terminal(tmp_path, "client.py", *arguments, size=size) as hears:
            for one, state in ((sends, "broadcasting"), (hears, "playing")):
                shown = re.compile(f"{state}  (.*?) ?…")
                watch(lambda: shown.fullmatch(one.rows[0]), sends, hears)  # noqa: B023
                found = shown.fullmatch(one.rows[0])
                assert found is not None
                assert len(found[1]) == (size[1] - len(f"{state}  …")) // 2
                assert JAPANESE_TITLE.startswith(found[1])
            leave(hears)
        leave(sends, CTRL_C)


def test_of_30_listeners_the_worst_are_on_a_screen_of_24_lines(tmp_path: Path) -> None:
    """Real listeners; one of them loses."""
    song = sample(tmp_path / "song.mp3", "For Thirty", 60)
    bad = "loss=40%,burst=30,seed=1"
    many = ("--wait-for", 31, "--max-clients-per-address", 31)
    with terminal(tmp_path, "server.py", song, 0, *many) as sends:
        port = int(port_of(sends))
        with (
            Listeners(port, 30),
            client(tmp_path, port, "--output", "null", "--buffer", 0, "--simulate", bad),
        ):
            watch(lambda: re.search(r"[1-9]\d* lost", sends.rows[2]), sends)
            # Of each there must be a REPORT that was read.
            row = re.compile(r"127\.0\.0\.1:\d+ +\S+ +[0-9.]+ ")
            watch(lambda: len([*filter(row.match, sends.rows[5:21])]) == 16, sends)
            watch(lambda: "and 15 more" in sends.screen, sends)
            table = sends.rows[5:]
            assert table[16] == "and 15 more"
            shares = [float(row.split()[2]) for row in table[:16]]
            assert shares[0] > 0
            assert shares == sorted(shares, reverse=True)
        # One of them left without a word: the second Ctrl-C does not wait for it.
        sends.press(CTRL_C)
        watch(lambda: sends.has_ended() or sends.rows[0].startswith("ending"), sends)
        leave(sends, CTRL_C)


def test_what_is_typed_at_the_server_does_not_spoil_its_screen(song: Path, tmp_path: Path) -> None:
    with terminal(tmp_path, "server.py", song, 0, "--wait-for", 0) as sends:
        port_of(sends)
        watch(lambda: sends.rows[0].startswith("broadcasting"), sends)
        answer = "'first' means nothing here: type next, list or quit"
        sends.press(b"first\n")
        watch(lambda: answer in sends.screen, sends)
        sends.press(b"second")
        watch(lambda: "second" in sends.screen, sends)
        before = sends.rows[1]
        watch(lambda: sends.rows[1] != before, sends)
        assert sends.rows[0].startswith("broadcasting")
        assert sends.rows[-2:] == [answer, "second"]
        leave(sends, CTRL_C)
