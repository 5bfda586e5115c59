"""No file is written that is read, or written twice: told by the file, not by how it is spelled.

To be asked before anything is opened for writing. Devices and pipes may take several outputs.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from shell.command_line.arguments import TellingOptions
from shell.process.log import log_files

STANDARD_STREAMS = ("standard input", "standard output", "standard error")
_STREAM_FOLDERS = ("/dev/", "/proc/self/")


class NamedFile(NamedTuple):
    """A file, and what the user calls it."""

    called: str
    place: str | int
    """Path, or file descriptor of a standard stream."""
    may_share: bool = False
    """Whether other lines may stand among its own: a log, a standard stream."""


class SameFileError(ValueError):
    """An output is an input, or another output; the text is one line for the user."""


def check_separate(written: Iterable[NamedFile], read: Iterable[NamedFile]) -> None:
    """Raises SameFileError if a file is in `written` and in `read`, or twice in `written`.

    Standard output and standard error are always written.
    """
    outputs: dict[object, NamedFile] = {}
    for one in (*written, *map(standard_stream, (1, 2))):
        if (identity := _identity(one.place)) is not None:
            other = outputs.setdefault(identity, one)
            if other is not one and not (one.may_share and other.may_share):
                raise _same_file(one, other)
    for one in read:
        if (output := outputs.get(_identity(one.place))) is not None:
            raise _same_file(output, one)


def standard_stream(descriptor: int) -> NamedFile:
    """Standard input (0), output (1) or error (2)."""
    return NamedFile(STANDARD_STREAMS[descriptor], descriptor, may_share=True)


def output_file(option: str, path: str) -> NamedFile:
    """What `option` names; - is standard output."""
    if path == "-":
        return standard_stream(1)._replace(called=f"{option} -")
    return NamedFile(f"{option} {path}", path, path.startswith(_STREAM_FOLDERS))


def telling_files(program: str, telling: TellingOptions) -> Iterator[NamedFile]:
    """What is written as `telling` says; `program` is the name of the log."""
    options = {"--json": telling.json, "--report": telling.report, "--csv": telling.csv}
    for option, path in options.items():
        if path is not None:
            yield output_file(option, path)
    for log in log_files(program, telling):
        yield NamedFile(f"the log {log}", str(log), may_share=True)


def key_file(path: str | None) -> list[NamedFile]:
    """The key file, if there is one."""
    return [] if path is None else [NamedFile(f"--key-file {path}", path)]


def _identity(place: str | int) -> object:
    """Equal for two names of one file; None for what is no file, or cannot be looked at."""
    try:
        found = os.stat(place)  # noqa: PTH116 - it may be a file descriptor
    except FileNotFoundError:
        return _future_identity(str(place))
    except (OSError, ValueError):
        return None
    return (found.st_dev, found.st_ino) if stat.S_ISREG(found.st_mode) else None


def _future_identity(path: str) -> object:
    """Identity of a file that does not exist yet: its folder, and its name there."""
    place = Path(os.path.realpath(path))
    try:
        folder = place.parent.stat()
    except OSError:
        return os.path.normcase(place)
    return folder.st_dev, folder.st_ino, os.path.normcase(place.name)


def _same_file(output: NamedFile, other: NamedFile) -> SameFileError:
    return SameFileError(
        f"{output.called} is the same file as {other.called}: choose another name for one"
    )
