"""What cannot work is one line on standard error that says so, with the exit status of its kind."""

from __future__ import annotations

import os
import re
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from client import main as client_main
from server import main as server_main
from shell.process.stopping import run_program
from tests.rig.programs import Finished, client, command, run, server
from tests.rig.zoo import zoo_file

FAILED, WRONG_USAGE = 1, 2

# What is typed, and what the answer must say. {names} are those of `places`.
SERVER = {
    "": "FILE and PORT are missing, as in server.py song.mp3 4501",
    "{song}": "PORT is missing behind .*/mono.mp3, as in",
    "{song} {song}": "PORT is missing behind .*/mono.mp3, as in",
    "4501": "FILE is missing, as in server.py song.mp3 4501",
    "4501 {song}": "PORT comes last: server.py .*/mono.mp3 4501",
    "{song} --port 4501": "PORT is no option",
    "{song} 0 --lop": "unknown option --lop: did you mean --loop\\?",
    "{song} 0 -loop": "unknown option -loop: did you mean --loop\\?",
    "{song} 0 --status-": "unknown option --status-: did you mean --status\\?",
    "missing.mp3 0": "missing.mp3: no such file",
    "{hollow} 0": "is a folder without audio files",
    "{list} 0": "is a playlist without an entry",
    "ftp://127.0.0.1/x 0": "no such file",
    "http://127.0.0.1:9/x 0": "cannot be reached: connection refused",
    "{empty} 0": "is empty",
    "{text} 0": "is not an audio file that can be read",
    "{subtitles} 0": "has no audio",
    "{song} 127.0.0.1:4501": r"PORT stands alone; for one address: --host 127.0.0.1 … 4501",
    "{song} music": "'music' is not a port number",
    "{song} 65536": "'65536' is not a port number from 0 to 65535",
    "{song} -1": "'-1' is not a port number|required: PORT",
    "{song} 4501.5": "not a port number",
    "{song} 0 --host no.such.host.invalid": "unknown host 'no.such.host.invalid'",
    "{song} 0 --interval often": "--interval: 'often' is not seconds",
    "{song} 0 --interval 0": "--interval",
    "{song} 0 --interval nan": "--interval",
    "{song} 0 --max-clients 0": "--max-clients",
    "{song} 0 --max-clients many": "--max-clients",
    "{song} 0 --max-clients-per-address 0": "--max-clients-per-address",
    "{song} 0 --wait-for -1": "--wait-for",
    "{song} 0 --wait-for 3 --max-clients 2": "--wait-for 3 can never be reached",
    "{song} 0 --burst -0.1": "--burst",
    "{song} 0 --mtu 20": "--mtu",
    "{song} 0 --timeout 0": "--timeout",
    "{song} 0 --speed 0": "--speed",
    "{song} 0 --speed inf": "--speed",
    "{song} 0 --fec 20": "--fec: '20' is not K\\+M, such as 20\\+4, nor auto",
    "{song} 0 --fec x+y": "--fec: 'x\\+y' is not K\\+M",
    "{song} 0 --fec 20+4+1": "--fec: '20\\+4\\+1' is not K\\+M",
    "{song} 0 --fec 0+3": "--fec: '0\\+3' is not K\\+M with K and M from 1",
    "{song} 0 --fec 20+0": "--fec: '20\\+0' is not K\\+M with K and M from 1",
    "{song} 0 --fec 300+1": "--fec: '300\\+1' is not .* at most 256 together",
    "{song} 0 --fec 200+57": "--fec: '200\\+57' is not .* at most 256 together",
    "{song} 0 --fec -1+2": "--fec: ",
    "{song} 0 --fec ²+4": "--fec: '²\\+4' is not K\\+M",
    "{song} 0 --status here": "--status: 'here' is not a port number",
    "{song} 0 --status 8080:127.0.0.1": "--status: '127.0.0.1' is not a port number",
    "{song} 0 --status ::1:8080": r"--status: '::1:8080': write an IPv6 address as \[::1\]:8080",
    "{song} 0 --status ::1": r"--status: '::1': write an IPv6 address as \[::1\]:PORT",
    "{song} 0 --status 65536": "--status: '65536' is not a port number from 0 to 65535",
    "{song} 0 --status no.such.host.invalid:0": "unknown host .*: check --status",
    "{song} 0 --name {song}": "--name: .*/mono.mp3': a name has no dots",
    "{song} 0 --status-host radio.example": "--status-host is a name for the pages of --status",
    "{song} 0 --status 0 --status-host a/b": "--status-host: 'a/b' is not a DNS name",
    "{song} 0 --name \x07": "--name: .*: a name has no dots and no control characters",
    f"{{song}} 0 --name {'a' * 61}": "--name: .a*.: a name has 1 to 60 bytes, not all",
    "{song} 0 --name=\u3000": "--name: .*: a name has 1 to 60 bytes, not all of them spaces",
    "{song} 0 --json {folder}/no/such.json": "cannot write .*: No such file or directory",
    "{song} 0 --json {folder}": "cannot write .*: Is a directory",
    "{song} 0 -v -q": "not allowed with",
    "{song} 0 --louder": "unknown option --louder",
    "no\x1bsuch\x07file 0": r"no\?such\?file: no such file",
    "{song} 0 --\x1bloud": r"unknown option --\?loud",
}

CLIENT = {
    "127.0.0.1": "PORT is missing, as in client.py 127.0.0.1 4501",
    "4501": "HOST comes first, then PORT: client.py HOST 4501",
    "4501 127.0.0.1": "HOST comes first, then PORT: client.py 127.0.0.1 4501",
    ":4501": "HOST is missing, as in client.py 192.0.2.10 4501",
    "127.0.0.1:4501 4502": "two ports, 4501 and 4502",
    "::1:4501": r"write an IPv6 address with its port as \[::1\]:4501",
    "::1": "PORT is missing, as in client.py ::1 4501",
    "2001:db8::1": "PORT is missing, as in client.py 2001:db8::1 4501",
    "fe80::1:abcd": "PORT is missing, as in client.py fe80::1:abcd 4501",
    "[::1]4501": "no address",
    "127.0.0.1 4501 --list-output": "unknown option .*: did you mean --list-outputs\\?",
    "127.0.0.1 4501 --port 4501": "PORT is no option",
    "127.0.0.1 0": "'0' is not a port number from 1 to 65535",
    "127.0.0.1 65536": "'65536' is not a port number from 1 to 65535",
    "127.0.0.1 music": "'music' is not a port number",
    "no.such.host.invalid 4501": "unknown host 'no.such.host.invalid'",
    "127.0.0.1 4501 --name Kitchen": "--name is for a server that is looked for",
    "127.0.0.1 4501 --output loud": "cannot tell what to do with --output 'loud'",
    "127.0.0.1 4501 --output {folder}/no/heard.wav": "there is no folder",
    "127.0.0.1 4501 --output {folder}/no/heard.mp3": "there is no folder",
    "127.0.0.1 4501 --output - --json -": "cannot both have standard output",
    "127.0.0.1 4501 --json {folder}/no/such.json": "cannot write .*: No such file or directory",
    "127.0.0.1 4501 --buffer -1": "--buffer",
    "127.0.0.1 4501 --buffer long": "--buffer: 'long' is not seconds from 0 to 60, or auto",
    "127.0.0.1 4501 --buffer 1m": "--buffer: '1m' is not seconds",
    "127.0.0.1 4501 --volume loud": "--volume: 'loud' is not decibels",
    "127.0.0.1 4501 --volume nan": "--volume",
    "127.0.0.1 4501 --timeout -1": "--timeout",
    "127.0.0.1 4501 --timeout soon": "--timeout",
    "127.0.0.1 4501 --simulate": "--simulate: expected one argument",
    "127.0.0.1 4501 --simulate loss=150%": "--simulate: loss is a share .*, not '150%'",
    "127.0.0.1 4501 --simulate loss=0.1": "--simulate: loss is a share from 0% to 100%",
    "127.0.0.1 4501 --simulate loss=10%,burst=0": "--simulate: burst is a number .*, not '0'",
    "127.0.0.1 4501 --simulate delay=50": "--simulate: delay is a time .*, not '50'",
    "127.0.0.1 4501 --simulate rain=10%": "--simulate: 'rain=10%' is none of loss=10%,",
    "127.0.0.1 4501 --simulate reorder=2%": "--simulate: reorder needs a delay",
    "127.0.0.1 4501 4502": "unrecognized arguments: 4502",
}


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Files of every kind that cannot be used, and one that can."""
    folder = tmp_path_factory.mktemp("places")
    contents = {
        "empty": b"",
        "text": b"This is no music.\n",
        "subtitles": b"1\n00:00:00,000 --> 00:00:01,000\nLa la la\n",
    }
    paths = {"song": zoo_file("mono.mp3").path, "folder": folder, "hollow": folder / "hollow"}
    paths["hollow"].mkdir()
    paths["list"] = folder / "list.m3u"
    paths["list"].write_text("#EXTM3U\n")
    for name, content in contents.items():
        paths[name] = folder / f"{name}.{'srt' if name == 'subtitles' else 'mp3'}"
        paths[name].write_bytes(content)
    return paths


def assert_one_line(finished: Finished, status: int, says: str) -> None:
    """Exactly one line, on standard error, and nothing else."""
    assert (finished.status, finished.stdout) == (status, "")
    assert re.fullmatch(rf"(server|client)\.py: .*({says}).*\n", finished.stderr)


Answers = Callable[[str, str], Finished]


@pytest.fixture
def answer(
    places: dict[str, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> Iterator[Answers]:
    """What a line of the tables leads to; in this process, for there are very many."""
    monkeypatch.chdir(tmp_path)
    usual_s = sys.getswitchinterval()

    def answer(program: str, line: str) -> Finished:
        _, script, *words = command(program, tuple(word.format(**places) for word in line.split()))
        monkeypatch.setattr(sys, "argv", [script, *words])
        with pytest.raises(SystemExit) as end:
            run_program({"server.py": server_main, "client.py": client_main}[program])
        assert isinstance(end.value.code, int)
        return Finished(end.value.code, *capfd.readouterr())

    yield answer
    sys.setswitchinterval(usual_s)


@pytest.mark.parametrize("line", SERVER)
def test_server_refuses_what_it_cannot_use(line: str, answer: Answers) -> None:
    assert_one_line(answer("server.py", line), WRONG_USAGE, SERVER[line])


@pytest.mark.parametrize("line", CLIENT)
def test_client_refuses_what_it_cannot_use(line: str, answer: Answers) -> None:
    assert_one_line(answer("client.py", line), WRONG_USAGE, CLIENT[line])


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port that is in use by somebody who does not answer."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


def test_standard_input_that_ends_at_once_is_told(tmp_path: Path) -> None:
    finished = run(tmp_path, "server.py", "-", 0)
    assert_one_line(finished, WRONG_USAGE, "standard input: ended at once")


@pytest.mark.parametrize("host", [[], ["--host", "127.0.0.1"]])
def test_a_port_in_use_is_told(
    host: list[str], places: dict[str, Path], silent_port: int, tmp_path: Path
) -> None:
    finished = run(tmp_path, "server.py", places["song"], silent_port, *host)
    assert_one_line(finished, FAILED, f"port {silent_port} is in use")


def test_a_status_port_in_use_is_told(places: dict[str, Path], tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        finished = run(tmp_path, "server.py", places["song"], 0, "--status", port)
    assert_one_line(finished, FAILED, f"--status: port {port} is in use: .* choose another port")


def test_an_address_of_another_machine_is_told(places: dict[str, Path], tmp_path: Path) -> None:
    finished = run(tmp_path, "server.py", places["song"], 0, "--host", "192.0.2.1")
    assert_one_line(finished, FAILED, "192.0.2.1 is not an address of this machine")


def test_a_host_that_does_not_answer_is_told(silent_port: int, tmp_path: Path) -> None:
    finished = run(
        tmp_path, "client.py", "127.0.0.1", silent_port, "--timeout", 0.3, "--output", "null"
    )
    assert_one_line(finished, FAILED, rf"no answer from 127.0.0.1:{silent_port} in 0\.3 s")


def test_a_full_server_is_told(places: dict[str, Path], tmp_path: Path) -> None:
    with (
        server(tmp_path, places["song"], "--loop", "--max-clients", 1) as broadcast,
        client(tmp_path, broadcast, "--output", "null") as first,
    ):
        first.wait_for_log("received ACCEPT")
        refused = run(tmp_path, "client.py", "127.0.0.1", broadcast.port, "--output", "heard.wav")
        assert_one_line(refused, FAILED, "the server is full")


def test_an_address_with_too_many_listeners_is_told(
    places: dict[str, Path], tmp_path: Path
) -> None:
    with (
        server(tmp_path, places["song"], "--loop", "--max-clients-per-address", 1) as broadcast,
        client(tmp_path, broadcast, "--output", "null") as first,
    ):
        first.wait_for_log("received ACCEPT")
        refused = run(tmp_path, "client.py", "127.0.0.1", broadcast.port, "--output", "heard.wav")
        assert_one_line(refused, FAILED, "no more listeners .* larger --max-clients-per-address")
        broadcast.wait_for_log(r"refused \S+: address$")


def test_no_sound_device_is_told_with_what_to_do_instead(
    places: dict[str, Path], tmp_path: Path
) -> None:
    environment = dict(os.environ, ALSA_CONFIG_PATH=str(places["empty"]))
    with server(tmp_path, places["song"]) as broadcast:
        finished = run(tmp_path, "client.py", "127.0.0.1", broadcast.port, environment=environment)
        assert_one_line(finished, FAILED, "no sound device .* --output FILE.wav")
