"""What was typed -> what is played: folders, playlists, and what is wrong with them."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from broadcasting.source.playlist import MOST_NESTED, decoded, entries, find
from broadcasting.source.probing import look_at
from tests.rig.programs import SAMPLE


@pytest.fixture
def music(tmp_path: Path) -> Path:
    """A folder with folders, and with what is no music."""
    for name in ("b.mp3", "a.FLAC", "cover.jpg", ".hidden.mp3", "list.m3u"):
        (tmp_path / name).write_bytes(b"x")
    for folder in ("disc 2", "disc 1", ".git"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "1.ogg").write_bytes(b"x")
    return tmp_path


def found(*names: Path | str) -> tuple[list[str], list[str]]:
    names_found, faults, _ = find(map(str, names))
    return names_found, [str(fault) for fault in faults]


def test_a_folder_is_its_audio_files_by_name_and_those_of_its_folders(music: Path) -> None:
    files = ["a.FLAC", "b.mp3", "disc 1/1.ogg", "disc 2/1.ogg"]
    assert found(music) == ([str(music / name) for name in files], [])


def test_a_folder_without_audio_is_told(tmp_path: Path) -> None:
    assert found(tmp_path) == ([], [f"{tmp_path}: is a folder without audio files"])


def test_what_is_no_folder_and_no_playlist_goes_through_in_order(tmp_path: Path) -> None:
    names = ["-", "http://radio.example/live", "alsa:default", str(tmp_path / "missing.mp3")]
    assert found(*names) == (names, [])


M3U = "\ufeff#EXTM3U\r\n#EXTINF:12,Some – One\r\na.mp3\r\n\r\n  sub dir/b.mp3  \r\n/abs/c.mp3\r\n"
PLS = "[playlist]\nFile2=b.mp3\nTitle2=B\nfile1 = a.mp3\nFile10=c=d.mp3\nFile3=\nVersion=2\n"


def test_entries_of_both_kinds_are_read_in_order() -> None:
    listed = [b"a.mp3", b"  sub dir/b.mp3  ", b"/abs/c.mp3"]
    assert entries(decoded(M3U.encode()), is_pls=False) == listed
    assert entries(PLS.encode(), is_pls=True) == [b" a.mp3", b"b.mp3", b"c=d.mp3"]


def test_entries_are_seen_from_the_folder_of_the_playlist(tmp_path: Path) -> None:
    (tmp_path / "p.m3u8").write_text(M3U + "https://radio.example/x\n-\nfile:///a%20b.mp3\n")
    names = [tmp_path / "a.mp3", tmp_path / "sub dir/b.mp3", "/abs/c.mp3"]
    names += ["https://radio.example/x", tmp_path / "-", "/a b.mp3"]
    assert found(tmp_path / "p.m3u8") == ([str(name) for name in names], [])


def test_an_old_playlist_has_names_in_the_encoding_of_its_time(tmp_path: Path) -> None:
    (tmp_path / "p.m3u").write_bytes("Bourrée.mp3\nsub\\Café.mp3".encode("cp1252"))
    names, _ = found(tmp_path / "p.m3u")
    assert names == [str(tmp_path / "Bourrée.mp3"), str(tmp_path / "sub/Café.mp3")]


def test_playlists_may_list_playlists_and_folders(music: Path) -> None:
    (music / "outer.m3u").write_text("b.mp3\ninner.pls\n")
    (music / "inner.pls").write_text("[playlist]\nFile1=disc 1\nFile2=disc 2/1.ogg\n")
    names = ["b.mp3", "disc 1/1.ogg", "disc 2/1.ogg"]
    assert found(music / "outer.m3u") == ([str(music / name) for name in names], [])


def test_a_circle_is_told_once_and_the_rest_is_played(tmp_path: Path) -> None:
    (tmp_path / "one.m3u").write_text("a.mp3\ntwo.m3u\nb.mp3\n")
    (tmp_path / "two.m3u").write_text("c.mp3\none.m3u\n")
    names = [str(tmp_path / name) for name in ("a.mp3", "c.mp3", "b.mp3")]
    fault = f"{tmp_path / 'one.m3u'}: lists itself: left out here"
    assert found(tmp_path / "one.m3u") == (names, [fault])


def test_a_circle_that_is_entered_twice_is_told_once(tmp_path: Path) -> None:
    (tmp_path / "all.m3u").write_text("one.m3u\none.m3u\n")
    (tmp_path / "one.m3u").write_text("a.mp3\none.m3u\n")
    fault = f"{tmp_path / 'one.m3u'}: lists itself: left out here"
    assert found(tmp_path / "all.m3u") == ([str(tmp_path / "a.mp3")] * 2, [fault])


def test_the_same_playlist_twice_is_no_circle(tmp_path: Path) -> None:
    (tmp_path / "one.m3u").write_text("two.m3u\ntwo.m3u\n")
    (tmp_path / "two.m3u").write_text("c.mp3\n")
    assert found(tmp_path / "one.m3u") == ([str(tmp_path / "c.mp3")] * 2, [])


def test_nesting_has_a_bound(tmp_path: Path) -> None:
    for depth in range(MOST_NESTED + 3):
        (tmp_path / f"{depth}.m3u").write_text(f"{depth}.mp3\n{depth + 1}.m3u\n")
    names, faults = found(tmp_path / "0.m3u")
    assert len(names) == MOST_NESTED
    assert faults == [
        f"{tmp_path / f'{MOST_NESTED}.m3u'}:"
        f" is nested deeper than {MOST_NESTED} playlists: left out"
    ]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is a playlist without an entry"),
        (b"#EXTM3U\n# nothing\n\n", "is a playlist without an entry"),
        (b"a.mp3\n\0\0", "is not a playlist"),
        (b"#EXTM3U\n#EXT-X-TARGETDURATION:9\nhttp://x/a.ts\n", "is an HLS playlist, .*"),
        (None, "no such file or directory"),
    ],
)
def test_a_playlist_that_lists_nothing_is_told(
    content: bytes | None, reason: str, tmp_path: Path
) -> None:
    path = tmp_path / "p.m3u"
    if content is not None:
        path.write_bytes(content)
    names, faults = found(path)
    assert names == []
    (fault,) = faults
    assert re.fullmatch(rf".*/p\.m3u: {reason}", fault)


def made(folder: Path, *names: bytes) -> list[str]:
    """Files of these names, in the order in which they are listed."""
    paths = [folder / os.fsdecode(name) for name in names]
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    return list(map(str, paths))


@pytest.mark.parametrize(
    ("listed", "on_disk"),
    [
        pytest.param(b"My%20Song.mp3", b"My Song.mp3", id="percent-encoded, as VLC writes it"),
        pytest.param(b"%C3%9Cn%C3%AF.mp3", "Ünï.mp3".encode(), id="percent-encoded UTF-8"),
        pytest.param(b"100%25 real.mp3", b"100% real.mp3", id="a per cent sign, encoded"),
        pytest.param(b"100% real.mp3", b"100% real.mp3", id="a per cent sign as it is"),
        pytest.param(b"caf\xe9.mp3", b"caf\xe9.mp3", id="the bytes on disk, which are no UTF-8"),
        pytest.param(b"caf\xe9.mp3", "café.mp3".encode(), id="Latin-1 in the list, UTF-8 on disk"),
        pytest.param("café.mp3".encode(), b"caf\xe9.mp3", id="UTF-8 in the list, Latin-1 on disk"),
        pytest.param("e\u0301.mp3".encode(), "é.mp3".encode(), id="an accent of its own"),
        pytest.param("a\u2028b.mp3".encode(), "a\u2028b.mp3".encode(), id="a line separator"),
        pytest.param("a\x85b.mp3".encode(), "a\x85b.mp3".encode(), id="a next line"),
        pytest.param(b" first.mp3", b" first.mp3", id="a name that begins with a space"),
        pytest.param(b"  far.mp3 ", b"far.mp3", id="spaces around a name"),
        pytest.param(b"sub\\x.mp3", b"sub/x.mp3", id="backslashes"),
        pytest.param(b"file://{}/C#1.mp3", b"C#1.mp3", id="# in a file address"),
        pytest.param(b"file://{}/q?x.mp3", b"q?x.mp3", id="? in a file address"),
        pytest.param(b"file://{}/C%231.mp3", b"C#1.mp3", id="# encoded in a file address"),
        pytest.param(b"file://{}/A%41.mp3", b"A%41.mp3", id="nothing encoded in a file address"),
        pytest.param(b"file://{}/Track [1].mp3", b"Track [1].mp3", id="brackets"),
        pytest.param(b"file://{}/x.mp3#t=9", b"x.mp3", id="a fragment"),
        pytest.param(b"FILE://localhost{}/x%20y.mp3", b"x y.mp3", id="localhost"),
        pytest.param(b"file:{}/x.mp3", b"x.mp3", id="without slashes"),
        pytest.param(b"file://[Disc 1]/A.mp3", b"[Disc 1]/A.mp3", id="relative, with brackets"),
        pytest.param(b"file://Disc/A.mp3", b"Disc/A.mp3", id="relative"),
    ],
)
@pytest.mark.parametrize("kind", [".m3u", ".pls"])
def test_an_entry_is_the_file_that_the_program_meant(
    listed: bytes, on_disk: bytes, kind: str, tmp_path: Path
) -> None:
    names = made(tmp_path, on_disk, b"other.mp3")
    entry = listed.replace(b"{}", os.fsencode(tmp_path))
    lines = [b"#EXTM3U", entry, b"other.mp3"]
    if kind == ".pls":
        lines = [b"[playlist]", b"File1=" + entry, b"File2=other.mp3"]
    (tmp_path / f"p{kind}").write_bytes(b"\r\n".join(lines))
    assert found(tmp_path / f"p{kind}") == (names, [])


def test_a_file_really_called_percent_41_wins_over_a(tmp_path: Path) -> None:
    names = made(tmp_path, b"%41.mp3", b"A.mp3")
    (tmp_path / "p.m3u").write_text("%41.mp3\nA.mp3\n")
    assert found(tmp_path / "p.m3u") == (names, [])


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be", "utf-16-le", "utf-8-sig"])
def test_a_playlist_with_a_mark_is_read_in_its_encoding(encoding: str, tmp_path: Path) -> None:
    names = made(tmp_path, "Ünï\u2028.mp3".encode(), b"b.mp3")
    mark = {"utf-16-be": b"\xfe\xff", "utf-16-le": b"\xff\xfe"}.get(encoding, b"")
    (tmp_path / "p.m3u").write_bytes(
        mark + "#EXTM3U\r\nÜnï\u2028.mp3\r\nb.mp3\r\n".encode(encoding)
    )
    assert found(tmp_path / "p.m3u") == (names, [])


def test_a_file_address_that_is_typed_is_a_file(tmp_path: Path) -> None:
    names = made(tmp_path, b"x y#.mp3")
    assert found(f"file://{tmp_path}/x%20y%23.mp3") == (names, [])


UNUSABLE = [
    b"file://[Disc 1]/A.mp3", b"file://[::1/A.mp3", b"%00.mp3", b"%00.m3u", b"file:///%00", b"file:///%00.m3u",
    b"n" * 300 + b".mp3", b"n" * 300 + b".m3u", b"n" * 300, b"d/" * 3000 + b"x.m3u",
    b"\xff\xfe\x80",
]  # fmt: skip


def test_no_entry_ends_the_list_and_each_that_cannot_be_played_gets_its_line(
    tmp_path: Path,
) -> None:
    (name,) = made(tmp_path, b"A.mp3")
    shutil.copy(SAMPLE, name)
    lines = [line for entry in UNUSABLE for line in (entry, b"A.mp3")]
    (tmp_path / "p.m3u").write_bytes(b"A.mp3\n" + b"\n".join(lines))
    names, faults, _ = find([str(tmp_path / "p.m3u")])
    looked = look_at(names)
    assert looked.inputs == [name] * (len(UNUSABLE) + 1)
    assert len({str(fault) for fault in (*faults, *looked.faults)}) == len(UNUSABLE)


@contextlib.contextmanager
def as_nobody() -> Iterator[None]:
    """Without the rights of root, for whom no folder is locked."""
    if os.geteuid():
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_a_folder_that_may_not_be_entered_gets_a_line_and_the_rest_is_played() -> None:
    # Not in pytest's own folder, which nobody else may enter.
    with tempfile.TemporaryDirectory() as place:
        music = Path(place)
        music.chmod(0o755)
        (music / "locked").mkdir()
        names = made(music, b"a.mp3", b"z/b.mp3")
        (music / "locked" / "c.mp3").write_bytes(b"x")
        (music / "p.m3u").write_text("a.mp3\nlocked\nlocked/c.mp3\nlocked/p.m3u\nz\n")
        (music / "locked").chmod(0)
        fault = f"{music / 'locked'}: permission denied"
        with as_nobody():
            in_folder, in_list = found(music), found(music / "p.m3u")
        assert in_folder == (names, [fault])
        names.insert(1, str(music / "locked" / "c.mp3"))  # opening it will tell
        assert in_list == (names, [fault, f"{music / 'locked' / 'p.m3u'}: permission denied"])


def test_linked_folders_are_played_once_and_circles_are_left(tmp_path: Path) -> None:
    music, elsewhere = tmp_path / "music", tmp_path / "elsewhere"
    made(music, b"a.mp3", b"disc/b.mp3")
    made(elsewhere, b"c.mp3")
    (music / "linked").symlink_to(elsewhere)
    (music / "again").symlink_to(music)
    (elsewhere / "back").symlink_to(music)
    (music / "disc" / "up").symlink_to("..")
    names = [str(music / name) for name in ("a.mp3", "disc/b.mp3", "linked/c.mp3")]
    assert found(music) == (names, [])


def test_playlists_that_were_read_are_known(tmp_path: Path) -> None:
    (tmp_path / "one.m3u").write_text("two.pls\n")
    (tmp_path / "two.pls").write_text("File1=a.mp3\n")
    listed = find([str(tmp_path / "one.m3u")]).playlists
    assert listed == [str(tmp_path / "one.m3u"), str(tmp_path / "two.pls")]
