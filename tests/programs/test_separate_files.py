"""No file is written that is read, and none by two: whatever its name, and before it is touched."""

from __future__ import annotations

import shlex
import shutil
from pathlib import Path

import pytest

from client import main as client_main
from server import main as server_main
from tests.rig.programs import SAMPLE, run

SERVER = [
    "{song} 0 --csv {song}",
    "{song} 0 --csv {linked}",
    "{linked} 0 --json {song}",
    "{song} 0 --json {hard}",
    "{song} 0 --csv ./folder/../song.mp3",
    "{song} 0 --log-file {song}",
    "{song} 0 --log-file song.log --csv song-messages.log",
    "{old} 0 --log-file song.log",
    "{song} 0 --csv logs/server.log",
    "{song} 0 --report page.html --json page.html",
    "{song} 0 --json z --csv z",
    "{song} 0 --json new --csv {dangling}",
    "{song} 0 --key-file key --csv key",
    "{song} 0 --key-file key --json key",
    "{song} 0 --key-file key --log-file key",
    "folder 0 --csv folder/a.mp3",
    "list.m3u 0 --csv list.m3u",
    "list.m3u 0 --csv folder/a.mp3",
]

CLIENT = [
    "--output z.wav --json z.wav",
    "--output z.mp3 --csv ./z.mp3",
    "--output z.mp3 --log-file z.mp3",
    "--output z-messages.mp3 --log-file z.mp3",
    "--json z --csv z",
    "--report page.html --csv page.html",
    "--key-file key --csv key",
    "--key-file key.wav --output key.wav",
    "--json {hard} --csv {song}",
]


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Files under several names, in the working directory."""
    monkeypatch.chdir(tmp_path)
    names = {name: str(tmp_path / f"{name}.mp3") for name in ("song", "linked", "hard")}
    names |= {"dangling": "dangling", "old": "song.log.2"}
    (tmp_path / "folder").mkdir()
    for name in ("song.mp3", "folder/a.mp3", "song.log.2"):
        shutil.copy(SAMPLE, name)
    Path("linked.mp3").symlink_to("song.mp3")
    Path("dangling").symlink_to("new")
    Path("hard.mp3").hardlink_to("song.mp3")
    for name in ("key", "key.wav"):
        Path(name).write_text("0" * 64)
        Path(name).chmod(0o600)
    Path("list.m3u").write_text("folder/a.mp3\nsong.mp3\n")
    return names


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("typed", [*SERVER, *(f"127.0.0.1 9 {line}" for line in CLIENT)])
def test_a_file_that_is_needed_twice_is_refused_in_a_line_and_nothing_is_touched(
    typed: str, places: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = content(tmp_path)
    main = client_main if typed.startswith("127.0.0.1") else server_main
    assert main(shlex.split(typed.format(**places))) == 2
    said = capsys.readouterr()
    assert "is the same file as" in said.err
    assert said.err.count("\n") == 1
    assert said.out == ""
    assert content(tmp_path) == before


def test_what_the_shell_has_opened_is_a_file_like_any_other(tmp_path: Path) -> None:
    song = tmp_path / "song.mp3"
    shutil.copy(SAMPLE, song)
    with song.open("rb") as piped, (tmp_path / "said").open("ab") as said:
        sends = ("server.py", "-", 0, "--csv", song)
        finished = run(tmp_path, *sends, stdin=piped.fileno())
        assert "is the same file as standard input" in finished.stderr
        listens = ("client.py", "127.0.0.1", 9, "--output", "-", "--csv", said.name)
        finished = run(tmp_path, *listens, stdout=said.fileno())
        assert "--output - is the same file as --csv" in finished.stderr
    assert song.read_bytes() == SAMPLE.read_bytes()
