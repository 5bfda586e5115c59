"""The key file: 64 hexadecimal digits on one line. I/O.

No error tells what is in it.
"""

from __future__ import annotations

import argparse
import os
import re
import secrets
import stat
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from shell.terminal.printing import print_line

KEY_BYTES = 32
"""Key size of ChaCha20-Poly1305 (RFC 8439)."""

MAX_FILE_BYTES = 200
"""Room for a key and some blank space; a longer file is no key file."""

_OTHERS = stat.S_IRWXG | stat.S_IRWXO


class KeyFileError(ValueError):
    """A key file that cannot be used, or made; the text is one line for the user."""


def read_key(path: str) -> tuple[bytes, str | None]:
    """The key in the file, and a warning if others can read it; raises KeyFileError."""
    try:
        with Path(path).open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            content = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise KeyFileError(f"cannot read the key file {path}: {error.strerror}") from None
    found = re.fullmatch(rb"\s*([0-9A-Fa-f]{%d})\s*" % (2 * KEY_BYTES), content)
    if found is None or len(content) > MAX_FILE_BYTES:
        raise KeyFileError(f"{path} is no key file: make one with server.py --make-key PATH")
    return bytes.fromhex(found[1].decode()), _warning(path, mode)


def make_key(path: str) -> None:
    """Write a new key to `path`, which must not exist yet; raises KeyFileError."""
    try:
        # Mode 600 from the first instant; O_EXCL: no file is overwritten.
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(f"{secrets.token_hex(KEY_BYTES)}\n")
    except FileExistsError:
        raise KeyFileError(f"{path} exists already: a key is not written over it") from None
    except OSError as error:
        raise KeyFileError(f"cannot write {path}: {error.strerror}") from None


class MakeKey(argparse.Action):
    """An option that makes a key file and exits, as --version does."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        """Make the file `values`, or exit with one line and status 2."""
        path = str(values)
        try:
            make_key(path)
        except KeyFileError as error:
            parser.error(str(error))
        print_line(f"{path}: a new key, for --key-file of both programs", sys.stdout)
        parser.exit(0)


def _warning(path: str, mode: int) -> str | None:
    # Windows has no such bits, and the mode of a pipe says nothing.
    if os.name == "nt" or not stat.S_ISREG(mode) or not mode & _OTHERS:
        return None
    return f"others than you may use {path}: chmod 600 {path} keeps them out"
