"""Names typed -> names to play, in order: files, those in folders, entries of playlists.

Only playlists are opened. What is neither a folder nor a playlist goes through as it is (`-`, an
address, a device, a file that may not exist): opening it will tell. What cannot be followed is one
fault each, and the rest is played.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from broadcasting.source.tracks import SourceError

PLAYLISTS = (".m3u", ".m3u8", ".pls")

AUDIO = (
    ".aac", ".aif", ".aiff", ".alac", ".amr", ".ape", ".au", ".caf", ".dsf", ".flac", ".m4a",
    ".m4b", ".mka", ".mp2", ".mp3", ".mpc", ".oga", ".ogg", ".opus", ".spx", ".tta", ".wav",
    ".webm", ".wma", ".wv",
)  # fmt: skip
"""Suffixes played in a folder. Pictures, texts and playlists in it are passed over in silence."""

MOST_NESTED = 8
"""Depth of playlists within playlists: deeper nesting is a mistake."""

MOST_ENTRIES = 100_000
"""Names to play, all together."""

MOST_BYTES = 16 << 20
"""Bytes of one playlist: 160 for each of `MOST_ENTRIES`."""

IS_HLS = "is an HLS playlist, whose parts are no files to be played alone"

_PLS_ENTRY = re.compile(rb"\s*file([0-9]{1,9})\s*=(.*)", re.IGNORECASE | re.DOTALL)
_ADDRESS = re.compile(r"(https?://|alsa:|pulse:).+", re.IGNORECASE | re.DOTALL)


class FoundInputs(NamedTuple):
    """Names to play, why others cannot be, and the playlists that were read."""

    names: list[str]
    faults: list[SourceError]
    playlists: list[str]


def is_address(name: str) -> bool:
    """Whether `name` is no file but standard input, an http(s) address or a capture device."""
    return name == "-" or _ADDRESS.fullmatch(name) is not None


def find(names: Iterable[str]) -> FoundInputs:
    """Everything that `names` stand for, in order."""
    found = FoundInputs([], [], [])
    for name in names:
        _follow(name, (), found)
    if _is_full(found):
        del found.names[MOST_ENTRIES:]
        reason = f"is where it ends: more than {MOST_ENTRIES:,} entries are left out"
        last = found.names[-1] if found.names else "this list"
        found.faults.append(SourceError(last, reason))
    told_once = {str(fault): fault for fault in found.faults}
    return found._replace(faults=list(told_once.values()))


def entries(content: bytes, *, is_pls: bool) -> list[bytes]:
    """Entries of a playlist, in its order, without comments and empty lines.

    Spaces stay: a name may begin with one. Names are bytes, of which a line knows the encoding
    less than the disk does.
    """
    # Not as text: its lines also end where some names go on (U+0085, U+2028).
    lines = content.splitlines()
    if not is_pls:
        return [line for line in lines if line.strip() and not line.lstrip().startswith(b"#")]
    matched = (_PLS_ENTRY.fullmatch(line) for line in lines)
    numbered = [(int(entry[1]), entry[2]) for entry in matched if entry and entry[2].strip()]
    return [name for _, name in sorted(numbered, key=lambda entry: entry[0])]


def decoded(content: bytes) -> bytes:
    """`content` of a playlist without the mark of its encoding; UTF-16 with a mark as UTF-8."""
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return content.decode("utf-16", "replace").encode(errors="replace")
    return content.removeprefix(b"\xef\xbb\xbf")


def _is_full(found: FoundInputs) -> bool:
    return max(len(found.names), len(found.faults)) > MOST_ENTRIES


def _follow(name: str, within: tuple[str, ...], found: FoundInputs) -> None:
    if _is_full(found):
        return
    try:
        if not within and name.lower().startswith("file:"):
            name = _name_of(os.fsencode(name), "")
        if is_address(name):
            found.names.append(name)
        elif os.path.isdir(name):  # noqa: PTH112 - raises nothing, whatever the name and the Python
            _follow_folder(name, found)
        elif Path(name).suffix.lower() in PLAYLISTS:
            _follow_playlist(name, within, found)
        else:
            found.names.append(name)
    except SourceError as fault:
        found.faults.append(fault)
    except OSError as error:
        found.faults.append(SourceError(name, (error.strerror or "cannot be read").lower()))
    except ValueError:  # a name with a NUL in it
        found.faults.append(SourceError(name, "no such file or directory"))


def _follow_folder(name: str, found: FoundInputs) -> None:
    faults = len(found.faults)
    files = list(_files_in(name, found))
    if not files and len(found.faults) == faults:
        found.faults.append(SourceError(name, "is a folder without audio files"))
    found.names.extend(files)


def _files_in(folder: str, found: FoundInputs) -> Iterator[str]:
    """The audio files in `folder` and in those within it, by name; hidden ones stay hidden.

    Links are followed, into each folder once: they may lead in circles.
    """
    entered = set()

    def fault(error: OSError) -> None:
        reason = (error.strerror or "cannot be read").lower()
        found.faults.append(SourceError(os.fspath(error.filename or folder), reason))

    for place, folders, files in os.walk(folder, onerror=fault, followlinks=True):
        if (identity := _identity(place)) in entered:
            folders.clear()
            continue
        entered.add(identity)
        folders[:] = sorted(one for one in folders if not one.startswith("."))
        for file in sorted(files):
            if not file.startswith(".") and Path(file).suffix.lower() in AUDIO:
                yield str(Path(place, file))


def _identity(folder: str) -> object:
    """What tells a folder from all others."""
    try:
        status = Path(folder).stat()
    except OSError:  # it is just gone
        return folder
    # Windows may not number folders.
    return (status.st_dev, status.st_ino) if status.st_ino else os.path.realpath(folder)


def _follow_playlist(name: str, within: tuple[str, ...], found: FoundInputs) -> None:
    place = os.path.realpath(name)
    if place in within:
        raise SourceError(name, "lists itself: left out here")
    if len(within) == MOST_NESTED:
        raise SourceError(name, f"is nested deeper than {MOST_NESTED} playlists: left out")
    listed = entries(_content_of(name), is_pls=name.lower().endswith(".pls"))
    found.playlists.append(name)
    if not listed:
        raise SourceError(name, "is a playlist without an entry")
    for entry in listed:
        _follow(_name_of(entry, name), (*within, place), found)


def _content_of(name: str) -> bytes:
    """The bytes of a playlist; raises SourceError, OSError and ValueError."""
    if Path(name).exists() and not Path(name).is_file():
        raise SourceError(name, "is not a file")
    with Path(name).open("rb") as file:
        content = file.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES or b"\0" in (content := decoded(content)):
        raise SourceError(name, "is not a playlist")
    if b"#EXT-X-" in content:
        raise SourceError(name, IS_HLS)
    return content


def _name_of(entry: bytes, playlist: str) -> str:
    """Name of `entry`, which is relative to the folder of its playlist."""
    # Playing files does not wait for this import.
    from broadcasting.source.spelling import place_of

    text = entry.strip().decode(errors="replace")
    # Only the user gives standard input, not a playlist: there, - is a name like any other.
    if is_address(text) and text != "-":
        return text
    place = place_of(entry, os.path.dirname(playlist))  # noqa: PTH120
    return place if place != "-" else "./-"
