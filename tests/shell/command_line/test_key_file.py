"""The key file and the real programs: who may read it, who is let in, and what is never shown."""

from __future__ import annotations

import os
import re
import signal
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from message import CONNECT_BYTES, SEALED, Connect, Message, Reject, Type
from shell.command_line.key_file import KEY_BYTES, MAX_FILE_BYTES, KeyFileError, make_key, read_key
from tests.rig.luck import once
from tests.rig.programs import SAMPLE, WAIT_S, Argument, Finished, client, end, pcm_in, run, server
from tests.rig.zoo import reference_pcm

pytestmark = once

FAST = ("--speed", "20")
FAILED, WRONG_USAGE = 1, 2


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    path = tmp_path / "room.key"
    make_key(str(path))
    return path


def assert_one_line(finished: Finished, status: int, says: str) -> None:
    assert finished.status == status
    assert re.fullmatch(rf"(server|client)\.py: .*({says}).*\n", finished.stderr), finished
    assert finished.stdout == ""


# The file.


def test_a_key_that_was_made_is_read_and_is_another_each_time(tmp_path: Path) -> None:
    keys = set()
    for number in range(3):
        path = tmp_path / str(number)
        make_key(str(path))
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        secret, warning = read_key(str(path))
        assert len(secret) == KEY_BYTES
        assert warning is None
        keys.add(secret)
    assert len(keys) == 3


def test_a_key_file_is_for_its_owner_alone_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        make_key(str(tmp_path / "key"))
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "key").stat().st_mode) == 0o600


@pytest.mark.parametrize("what", ["a file", "a link to nowhere"])
def test_nothing_is_written_over_by_a_key(what: str, tmp_path: Path) -> None:
    path = tmp_path / "taken"
    if what == "a file":
        path.write_text("precious")
    else:
        path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(KeyFileError, match="exists already"):
        make_key(str(path))
    assert not (tmp_path / "elsewhere").exists()
    assert what != "a file" or path.read_text() == "precious"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n",
        b"0" * 63,
        b"0" * 65,
        b"g" * 64,
        b"0" * 32 + b" " + b"0" * 32,
        b"0" * 64 + b"\n" + b"0" * 64,
        b"0" * 64 + b" " * MAX_FILE_BYTES,
        bytes(32),
        bytes(range(190, 254)),
        "\u0660".encode() * 64,  # a digit, but no hexadecimal one
    ],
)
def test_what_is_no_key_is_refused_without_a_word_of_it(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_bytes(content)
    with pytest.raises(KeyFileError) as caught:
        read_key(str(path))
    assert str(caught.value) == f"{path} is no key file: make one with server.py --make-key PATH"
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_blank_space_and_capitals_do_not_matter(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_bytes(b" \r\n" + b"aB" * 32 + b"\r\n")
    assert read_key(str(path))[0] == b"\xab" * 32


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o610, 0o777])
def test_a_key_file_that_others_may_use_gets_a_warning(mode: int, key_file: Path) -> None:
    key_file.chmod(mode)
    secret, warning = read_key(str(key_file))
    assert warning is not None
    assert f"chmod 600 {key_file}" in warning
    assert secret.hex() not in warning


def test_a_key_may_come_through_a_pipe(tmp_path: Path) -> None:
    read_end, write_end = os.pipe()
    os.write(write_end, b"12" * KEY_BYTES + b"\n")
    os.close(write_end)
    try:
        assert read_key(f"/dev/fd/{read_end}") == (b"\x12" * KEY_BYTES, None)
    finally:
        os.close(read_end)


# The programs.


def test_the_key_is_made_by_the_program_once(tmp_path: Path) -> None:
    path = tmp_path / "room.key"
    made = run(tmp_path, "server.py", "--make-key", path)
    assert (made.status, made.stdout) == (
        0,
        f"{path}: a new key, for --key-file of both programs\n",
    )
    content = path.read_text()
    again = run(tmp_path, "server.py", "--make-key", path)
    assert_one_line(again, WRONG_USAGE, "exists already")
    assert path.read_text() == content
    assert content.strip() not in made.stdout + made.stderr + again.stderr
    nowhere = run(tmp_path, "server.py", "--make-key", tmp_path / "no" / "key")
    assert_one_line(nowhere, WRONG_USAGE, "cannot write .*: No such file or directory")


@pytest.mark.parametrize("program", ["server.py", "client.py"])
def test_a_key_file_that_cannot_be_used_is_told(program: str, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.key"
    wrong.write_text("0123\n")
    first: list[Argument] = [SAMPLE, 0] if program == "server.py" else ["127.0.0.1", 4501]
    for path, says in (
        (wrong, f"{wrong} is no key file: make one with server.py --make-key PATH"),
        (tmp_path / "none", "cannot read the key file .*none: No such file or directory"),
        (tmp_path, "cannot read the key file .*: Is a directory"),
    ):
        finished = run(tmp_path, program, *first, "--key-file", path)
        assert_one_line(finished, WRONG_USAGE, says)


def test_with_the_key_every_sample_is_heard_also_where_parity_and_the_mtu_want_room(
    key_file: Path, tmp_path: Path
) -> None:
    wav = tmp_path / "heard.wav"
    options = ("--key-file", key_file)
    how = ("--fec", "10+2", "--interval", 0.5, "--mtu", 1360)
    with (
        server(tmp_path, SAMPLE, *FAST, *options, *how) as broadcast,
        client(tmp_path, broadcast, "--output", wav, *options) as listener,
    ):
        end(listener, broadcast)
        sizes = [int(size) for size in re.findall(r"sent AUDIO.*?(\d+) bytes", broadcast.log)]
        parity = [int(size) for size in re.findall(r"sent PARITY.*?(\d+) bytes", broadcast.log)]
        assert pcm_in(wav) == reference_pcm(SAMPLE)
        assert listener.result["lost"] == listener.result["forged"] == 0
        assert broadcast.result["forged"] == broadcast.result["replayed"] == 0
        assert 48 + max(sizes + parity) <= 1360
        assert listener.result["received_bytes"] == broadcast.result["audio_bytes"]
        assert broadcast.stderr == listener.stderr == ""


@pytest.mark.parametrize("which", ["no key", "another key"])
def test_who_has_not_the_key_is_told_and_leaves(which: str, key_file: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.key"
    make_key(str(other))
    options: list[Argument] = [] if which == "no key" else ["--key-file", other]
    with server(tmp_path, SAMPLE, "--wait-for", 0, "--key-file", key_file) as broadcast:
        refused = run(
            tmp_path, "client.py", "127.0.0.1", broadcast.port, "--output", "null", *options
        )
        assert_one_line(refused, FAILED, "the server has a key, and this client not the same")
        broadcast.send(signal.SIGTERM)
        end(broadcast)
        assert broadcast.result["rejected"]["key"] >= 1
        assert broadcast.result["accepted"] == 0


def test_a_client_with_a_key_is_told_that_the_server_has_none(
    key_file: Path, tmp_path: Path
) -> None:
    options = ("--key-file", key_file)
    with server(tmp_path, SAMPLE, "--wait-for", 0) as broadcast:
        refused = run(
            tmp_path, "client.py", "127.0.0.1", broadcast.port, "--output", "null", *options
        )
        assert_one_line(refused, FAILED, "the server has no key: start it with --key-file, too")
        broadcast.send(signal.SIGTERM)
        end(broadcast)
        assert broadcast.result["rejected"] == {"keyless": broadcast.result["rejected"]["keyless"]}


def test_both_warn_of_a_key_that_others_may_read_and_go_on(key_file: Path, tmp_path: Path) -> None:
    key_file.chmod(0o644)
    options = ("--key-file", key_file)
    with (
        server(tmp_path, SAMPLE, *FAST, *options) as broadcast,
        client(tmp_path, broadcast, "--output", "null", *options) as listener,
    ):
        end(listener, broadcast)
        for program in (broadcast, listener):
            (warning,) = program.stderr.splitlines()
            assert warning.endswith(f"chmod 600 {key_file} keeps them out")
        assert listener.result["intact"] == listener.result["expected"]


def test_the_key_is_nowhere_in_what_the_programs_say_or_log(key_file: Path, tmp_path: Path) -> None:
    options = ("--key-file", key_file, "-v")
    with (
        server(tmp_path, SAMPLE, *FAST, *options) as broadcast,
        client(tmp_path, broadcast, "--output", "null", *options) as listener,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger,
    ):
        stranger.settimeout(WAIT_S)
        stranger.connect(("127.0.0.1", broadcast.port))
        # What is wrong, each in its way.
        stranger.send(b"\xb5\x3a")
        stranger.send(Message(0, Type.REPORT | SEALED, bytes(40)).pack())
        stranger.send(Connect(nonce="stranger").to_message().pack(CONNECT_BYTES))
        answer = Message.unpack(stranger.recv(CONNECT_BYTES))
        assert Reject.from_message(answer) == Reject(reason="key", echo="stranger")
        end(listener, broadcast)
        secret = key_file.read_text().strip()
        for program in (broadcast, listener):
            said = program.stdout + program.stderr + program.log + str(program.result)
            assert f"sealed with the key in {key_file}" in said
            for form in (secret, secret.upper(), repr(bytes.fromhex(secret))[2:-1]):
                assert form not in said
        assert broadcast.result["forged"] == 2
        assert re.search(r"kept out +2 +not sealed with our key; 0 repl", broadcast.stdout)
        assert "kept out" not in listener.stdout


def test_a_fault_of_ours_leaves_a_traceback_without_the_key(key_file: Path, tmp_path: Path) -> None:
    # A fault in the middle of sealing, as the program would log it.
    code = (
        "import logging, sys\n"
        "from shell.command_line.key_file import read_key\n"
        "from wire.seal import Key\n"
        "from broadcasting.audience.seal import ServerSeal\n"
        "seal = ServerSeal(Key(read_key(sys.argv[1])[0]), bytes(16))\n"
        "print(seal.__dict__)\n"
        "try:\n"
        "    seal.pack_media(None)\n"
        "except Exception:\n"
        "    logging.exception('failed with %r', seal)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(key_file)],
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        check=True,
    )
    secret = key_file.read_text().strip()
    assert "Traceback" in done.stderr
    for form in (secret, repr(bytes.fromhex(secret))[2:-1]):
        assert form not in done.stdout + done.stderr


@pytest.mark.parametrize("program", ["server", "client"])
def test_who_has_no_key_does_not_wait_for_the_import(program: str) -> None:
    code = f"import sys, {program}; print('cryptography' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "False\n"
