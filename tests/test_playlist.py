"""What was typed -> what is played: folders, playlists, and what is wrong with them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from broadcasting.playlist import MOST_NESTED, entries, find


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
    names_found, faults = find(map(str, names))
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
    assert entries(M3U.lstrip("\ufeff"), is_pls=False) == ["a.mp3", "sub dir/b.mp3", "/abs/c.mp3"]
    assert entries(PLS, is_pls=True) == ["a.mp3", "b.mp3", "c=d.mp3"]


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
