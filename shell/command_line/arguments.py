"""Command-line values with their units; a wrong one ends in one line and exit status 2."""

from __future__ import annotations

import argparse
import dataclasses
import difflib
import itertools
import re
import sys
from collections.abc import Sequence
from typing import Any, NoReturn, TypeVar

from shell.command_line.result import WRONG_USAGE
from shell.command_line.typed import seconds
from shell.terminal.printing import for_ever, print_text
from shell.terminal.text import one_line, program_name

VERSION = "1.0.0"

STANDARD_ERROR = "-"
"""Stands for standard error in place of the path of a log."""

Group = argparse._ArgumentGroup
"""Options under one heading. argparse gives them no public name."""

Options = TypeVar("Options")


@dataclasses.dataclass(frozen=True, kw_only=True)
class TellingOptions:
    """What both programs show and write."""

    report_every_s: float
    json: str | None
    report: str | None
    csv: str | None
    log_file: str
    message_log: bool
    verbose: bool
    quiet: bool

    @property
    def logs_to_terminal(self) -> bool:
        """Whether the lines of the log appear on the terminal, among what is shown there."""
        return self.log_file == STANDARD_ERROR and sys.stderr.isatty()


def default_log(program: str) -> str:
    """Path of the log of `program` if nothing else is asked for."""
    return f"logs/{program}.log"


class Parser(argparse.ArgumentParser):
    """An ArgumentParser whose errors are one line that points to --help."""

    def __init__(self, *, prog: str, epilog: str, **others: Any) -> None:
        """Parser of the script `prog`, which calls itself by the name it was started by."""
        name = program_name(prog)
        super().__init__(prog=name, epilog=epilog.replace(prog, name), allow_abbrev=False, **others)
        # What looks like a number is no option: -6dB, -0,5.
        self._negative_number_matcher = re.compile(r"-[0-9.,]")

    def typed(self, arguments: Sequence[str] | None) -> list[str]:
        """`arguments`, or those of the process; leaves at an option that does not exist."""
        words = list(sys.argv[1:] if arguments is None else arguments)
        for word in itertools.takewhile(lambda word: word != "--", words):
            option = word.partition("=")[0]
            if option == "--port" and "--port" not in self._option_string_actions:
                self.error("PORT is no option: it stands behind all others, without --port")
            if not self._is_option(option):
                near = self._nearest(option)
                hint = f": did you mean {near}?" if near else ""
                self.error(f"unknown option {option}{hint}")
        return words

    def _is_option(self, word: str) -> bool:
        """Whether it is one of ours, or no option at all; letters may stand together as in -vq."""
        if not re.match("--?[^-0-9.,]", word) or " " in word:
            return True
        known = self._option_string_actions
        letters = [f"-{letter}" for letter in word[1:]]
        return word in known or (word[1] != "-" and all(letter in known for letter in letters))

    def _nearest(self, word: str) -> str | None:
        names = [name for name in self._option_string_actions if name.startswith("--")]
        found = difflib.get_close_matches("--" + word.strip("-"), names, 1)
        return found[0] if found else None

    def _print_message(self, message: str, file: object = None) -> None:
        # argparse says nothing of an error, and Python much.
        to_output = file is sys.stdout
        print_text(message, sys.stdout if to_output else sys.stderr, for_ever)

    def error(self, message: str) -> NoReturn:
        """Print `message` and leave."""
        self.exit(WRONG_USAGE, f"{self.prog}: {one_line(message)} (see {self.prog} --help)\n")


def filled(kind: type[Options], parsed: object, **others: Any) -> Options:
    """The dataclass `kind`: `others`, and its further fields from attributes of `parsed`."""
    names = {field.name for field in dataclasses.fields(kind)} - others.keys()  # type: ignore[arg-type]
    return kind(**{name: getattr(parsed, name) for name in names}, **others)


def add_key_file(group: Group) -> None:
    """The key that both programs must share."""
    group.add_argument(
        "--key-file",
        metavar="PATH",
        help="seal everything with the key in PATH: without the same key nobody can listen"
        " (default: everybody who can reach the port can listen)",
    )


def add_telling(group: Group, program: str) -> None:
    """TellingOptions; `program` is the name of its log."""
    add = group.add_argument
    add(
        "--report-every",
        dest="report_every_s",
        type=seconds(0, 86_400),
        default=5.0,
        metavar="SECONDS",
        help="where there is no live view, print a line so often; 0 prints none"
        " (default: %(default)s)",
    )
    add("--json", metavar="PATH", help="write the final statistics as JSON (- is standard output)")
    add(
        "--report",
        metavar="FILE",
        help="write a report with charts at the end: FILE.html, a page that needs no network, or"
        " FILE.png, the main chart alone",
    )
    add("--csv", metavar="FILE", help="write figures over time, one row a second, as CSV")
    add(
        "--log-file",
        metavar="PATH",
        default=default_log(program),
        help="where to log what happens; each message is logged beside it, in a file whose name"
        " ends in -messages; - is standard error (default: %(default)s)",
    )
    add(
        "--no-message-log",
        dest="message_log",
        action="store_false",
        help="do not log each message that is sent or received",
    )
    loudness = group.add_mutually_exclusive_group()
    loudness.add_argument(
        "-v", "--verbose", action="store_true", help="log how every decision was made, too"
    )
    loudness.add_argument(
        "-q",
        "--quiet",
        action="store_true",
        help="no live view: plain lines, as --report-every says, and the final statistics",
    )


def add_version(parser: argparse.ArgumentParser) -> None:
    """The version of both programs."""
    parser.add_argument(
        "--version",
        action="version",
        version=f"%(prog)s {VERSION}",
        help="show the version, and leave",
    )
