"""An entry of a playlist -> the file that is meant. I/O: looks which names exist.

Programs write names as they are, percent-encoded, as `file:` addresses that break the rules, with
backslashes, and in the encoding of their own machine. The first spelling that exists here is taken.
"""

from __future__ import annotations

import contextlib
import os
import re
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote_to_bytes

_IS_WINDOWS = os.name == "nt"
_DRIVE = re.compile(rb"/+(?=[A-Za-z]:)")


def place_of(entry: bytes, folder: str) -> str:
    """Path of `entry` in `folder`: the first spelling that exists, otherwise the likeliest."""
    for name in _spellings(entry):
        path = str(Path(folder, name))
        if os.path.lexists(path):
            return path
    likeliest, *_ = _file_paths(entry.strip()) if _is_file(entry) else [entry.strip()]
    return str(Path(folder, _text(_with_slashes(likeliest))))


def _spellings(entry: bytes) -> Iterator[str]:
    """Names that `entry` may mean, the most literal first."""
    for literal in dict.fromkeys((entry, entry.strip())):
        paths = [*_file_paths(literal)] if _is_file(literal) else []
        for path in (*paths, literal, unquote_to_bytes(literal)):
            for slashed in dict.fromkeys((path, _with_slashes(path))):
                yield from _encodings(slashed)


def _is_file(entry: bytes) -> bool:
    return entry.strip()[:5].lower() == b"file:"


def _file_paths(address: bytes) -> Iterator[bytes]:
    """Paths that a `file:` address may mean (RFC 8089), also where # and ? were left as they are,
    or a relative path was put behind `file://`."""
    rest = address[len(b"file:") :]
    paths = [rest]
    if rest.startswith(b"//"):
        host, slash, path = rest[2:].partition(b"/")
        absolute = slash + path
        paths = [absolute] if host in (b"", b"localhost") else [rest[2:], absolute]
    for path in paths:
        path = _DRIVE.sub(b"", path, count=1) if _IS_WINDOWS else path
        yield unquote_to_bytes(path)
        yield path
        yield unquote_to_bytes(re.split(b"[?#]", path, maxsplit=1)[0])


def _with_slashes(path: bytes) -> bytes:
    return path if _IS_WINDOWS else path.replace(b"\\", b"/")


def _encodings(path: bytes) -> Iterator[str]:
    """Names that the bytes of `path` may be: on disk, in a playlist, on another system."""
    if not _IS_WINDOWS:
        yield os.fsdecode(path)
    text = _text(path)
    yield text
    if not path.isascii():
        with contextlib.suppress(UnicodeEncodeError):
            yield os.fsdecode(text.encode("cp1252"))
        # macOS writes é as e and an accent, others as one letter.
        yield unicodedata.normalize("NFC", text)
        yield unicodedata.normalize("NFD", text)


def _text(path: bytes) -> str:
    try:
        return path.decode()
    except UnicodeDecodeError:
        return path.decode("cp1252", errors="replace")  # what an old .m3u is written in
