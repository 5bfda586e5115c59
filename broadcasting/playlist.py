"""What was typed -> what is played, in order: files, those in folders, entries of playlists.

Names in, names out; nothing is opened but playlists. What is neither a folder nor a playlist goes
through as it is (`-`, an address, a device, a file that may not exist): whoever opens it will tell.
What cannot be followed is one fault each, and the rest is played.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from broadcasting.source import SourceError

PLAYLISTS = (".m3u", ".m3u8", ".pls")

AUDIO = (
    ".aac", ".aif", ".aiff", ".alac", ".amr", ".ape", ".au", ".caf", ".dsf", ".flac", ".m4a",
    ".m4b", ".mka", ".mp2", ".mp3", ".mpc", ".oga", ".ogg", ".opus", ".spx", ".tta", ".wav",
    ".webm", ".wma", ".wv",
)  # fmt: skip
"""What is played of a folder: pictures, texts and playlists in it are not told one by one."""

MOST_NESTED = 8
"""Playlists within playlists: nobody nests so deep on purpose."""

MOST_ENTRIES = 100_000
MOST_BYTES = 16 << 20
"""Of one playlist: 160 bytes for each of so many entries."""

_PLS_ENTRY = re.compile(r"\s*file([0-9]{1,9})\s*=\s*(.*?)\s*", re.IGNORECASE)
_ADDRESS = re.compile(r"(https?://|alsa:|pulse:).+", re.IGNORECASE | re.DOTALL)


class Found(NamedTuple):
    """What is to be played, and what of it cannot be found."""

    names: list[str]
    faults: list[SourceError]


def is_address(name: str) -> bool:
    """Whether `name` is no file: standard input, an http(s) address, a capture device."""
    return name == "-" or _ADDRESS.fullmatch(name) is not None


def find(names: Iterable[str]) -> Found:
    """All that `names` stand for, in order."""
    found = Found([], [])
    for name in names:
        _follow(name, (), found)
    if len(found.names) > MOST_ENTRIES:
        del found.names[MOST_ENTRIES:]
        reason = f"is where it ends: more than {MOST_ENTRIES:,} entries are left out"
        found.faults.append(SourceError(found.names[-1], reason))
    told_once = {str(fault): fault for fault in found.faults}
    return found._replace(faults=list(told_once.values()))


def entries(text: str, *, is_pls: bool) -> list[str]:
    """What a playlist lists, in its order; comments and empty lines are none of it."""
    if not is_pls:
        lines = (line.strip() for line in text.splitlines())
        return [line for line in lines if line and not line.startswith("#")]
    matched = (_PLS_ENTRY.fullmatch(line) for line in text.splitlines())
    numbered = [(int(entry[1]), entry[2]) for entry in matched if entry and entry[2]]
    return [name for _, name in sorted(numbered, key=lambda entry: entry[0])]


def _follow(name: str, within: tuple[str, ...], found: Found) -> None:
    if len(found.names) > MOST_ENTRIES:
        return
    if is_address(name):
        found.names.append(name)
    elif Path(name).is_dir():
        _follow_folder(name, found)
    elif Path(name).suffix.lower() in PLAYLISTS:
        _follow_playlist(name, within, found)
    else:
        found.names.append(name)


def _follow_folder(name: str, found: Found) -> None:
    files = list(_files_in(name, found))
    if not files:
        found.faults.append(SourceError(name, "is a folder without audio files"))
    found.names.extend(files)


def _files_in(folder: str, found: Found) -> Iterator[str]:
    """The audio files in `folder` and in those within it, by name; hidden ones stay hidden."""

    def fault(error: OSError) -> None:
        reason = (error.strerror or "cannot be read").lower()
        found.faults.append(SourceError(os.fspath(error.filename or folder), reason))

    for place, folders, files in os.walk(folder, onerror=fault):
        folders[:] = sorted(one for one in folders if not one.startswith("."))
        for file in sorted(files):
            if not file.startswith(".") and Path(file).suffix.lower() in AUDIO:
                yield str(Path(place, file))


def _follow_playlist(name: str, within: tuple[str, ...], found: Found) -> None:
    place = os.path.realpath(name)
    if place in within:
        found.faults.append(SourceError(name, "lists itself: left out here"))
        return
    if len(within) == MOST_NESTED:
        reason = f"is nested deeper than {MOST_NESTED} playlists: left out"
        found.faults.append(SourceError(name, reason))
        return
    try:
        listed = entries(_text_of(name), is_pls=name.lower().endswith(".pls"))
    except SourceError as error:
        found.faults.append(error)
        return
    if not listed:
        found.faults.append(SourceError(name, "is a playlist without an entry"))
    for entry in listed:
        _follow(_place_of(entry, name), (*within, place), found)


def _text_of(name: str) -> str:
    """The text of a playlist; raises SourceError."""
    try:
        if not Path(name).is_file() and Path(name).exists():
            raise SourceError(name, "is not a file")
        with Path(name).open("rb") as file:
            content = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise SourceError(name, (error.strerror or "cannot be read").lower()) from error
    except ValueError:
        raise SourceError(name, "no such file or directory") from None
    if len(content) > MOST_BYTES or b"\0" in content:
        raise SourceError(name, "is not a playlist")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("cp1252", errors="replace")  # what an old .m3u is written in
    if "#EXT-X-" in text:
        raise SourceError(name, "is an HLS playlist, whose parts are no files to be played alone")
    return text


def _place_of(entry: str, playlist: str) -> str:
    """What `entry` names, as seen from the folder of its playlist."""
    if entry.lower().startswith("file:"):
        from urllib.parse import unquote, urlsplit

        entry = unquote(urlsplit(entry).path)
    # Standard input is the user's to give, not a file's: there, - is a name like any other.
    if is_address(entry) and entry != "-":
        return entry
    folder = Path(playlist).parent
    place = folder / entry
    if "\\" in entry and not os.path.lexists(place):
        place = folder / entry.replace("\\", "/")
    return str(place) if str(place) != "-" else "./-"
