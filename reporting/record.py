"""`--report` and `--csv`: checked at the start, told once a second, written at the end.

The thread that shows the live line owns a Record. The rows go to the CSV as they come; the report
is written beside its place and moved there when it is whole, so whoever opens it finds all of it,
or what was there before.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import stat
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

from reporting import table
from reporting.page import Report, page
from reporting.timeline import Figures, Row, Timeline
from shell.text import clock
from wire.log import get_logger

EVERY_S = 1.0

HTML = (".html", ".htm")
PNG = ".png"

log = get_logger("shell")


class RecordError(ValueError):
    """One line for the user: what cannot be written, and what to do."""


class Record:
    """Figures over time, and where they go. Raises RecordError if that cannot be."""

    def __init__(
        self, report: str | None, csv: str | None, *, server: bool, begun_at: float
    ) -> None:
        self._report = None if report is None else Path(report)
        self._timeline = Timeline()
        self._server = server
        self._begun_at = begun_at
        self._due_at = begun_at + EVERY_S
        self._csv: TextIO | None = None
        self._csv_path = csv
        self.failure: str | None = None
        """Why the rows could not be written; None if they could."""
        if self._report is not None:
            _check_report(self._report)
            if csv is not None and self._report.resolve() == Path(csv).resolve():
                raise RecordError("--report and --csv name the same file: choose two")
        if csv is not None:
            self._open_csv(csv)

    @property
    def rows(self) -> Sequence[Row]:
        """Everything that was told."""
        return self._timeline.rows

    def pause_s(self, longest_s: float) -> float:
        """How long nothing has to be told, `longest_s` at most."""
        return min(longest_s, max(0.0, self._due_at - time.monotonic()))

    def is_due(self) -> bool:
        """Whether a second is over."""
        return time.monotonic() >= self._due_at

    def now_s(self) -> float:
        """Since the record began."""
        return time.monotonic() - self._begun_at

    def tell(self, now_s: float, total: Figures) -> None:
        """The totals of `now_s`."""
        row = self._timeline.tell(now_s, total)
        if self._csv is not None:
            try:
                self._csv.write(table.line(row, server=self._server))
            except OSError as error:
                self._fail(error)
        # Whole seconds since the start; what was missed is not made up for.
        self._due_at = self._begun_at + EVERY_S * (now_s // EVERY_S + 1)

    def finish(self, content: Report) -> str | None:
        """Write what there is to be written; what went wrong, in one line, or None."""
        self._close()
        try:
            self._write(content)
        except RecordError as error:
            return str(error)
        return self.failure

    def _close(self) -> None:
        csv, self._csv = self._csv, None
        if csv is not None:
            try:
                csv.close()
            except OSError as error:
                self._fail(error)

    def _write(self, content: Report) -> None:
        """The report in its place; raises RecordError."""
        if self._report is None:
            return
        # A link stays one, and what it points to is replaced.
        target = self._report.resolve()
        beside = _beside(target)
        try:
            with beside.open("xb") as file:
                if target.suffix.lower() == PNG:
                    from reporting.picture import picture

                    file.write(picture(content))
                else:
                    file.write(page(content).encode())
            with contextlib.suppress(FileNotFoundError):
                beside.chmod(stat.S_IMODE(target.stat().st_mode))
            beside.replace(target)
        except OSError as error:
            raise RecordError(f"cannot write {self._report}: {error.strerror}") from error
        finally:
            with contextlib.suppress(OSError):
                beside.unlink(missing_ok=True)

    def _open_csv(self, csv: str) -> None:
        try:
            # A line is there for others as soon as it is written.
            self._csv = Path(csv).open(  # noqa: SIM115 - open as long as the program runs
                "w", buffering=1, encoding="ascii", newline="\r\n"
            )
            self._csv.write(table.head(server=self._server))
        except OSError as error:
            self._let_go_of_csv()
            raise RecordError(
                f"cannot write {csv}: {error.strerror}; choose another place"
            ) from error

    def _fail(self, error: OSError) -> None:
        self.failure = f"cannot write {self._csv_path}: {error.strerror}"
        log.error("%s", self.failure)
        self._let_go_of_csv()

    def _let_go_of_csv(self) -> None:
        csv, self._csv = self._csv, None
        if csv is not None:
            with contextlib.suppress(OSError):
                csv.close()


def ended_now(lasted_s: float) -> str:
    """When it was, in words, in this machine's time."""
    return f"Ended {time.strftime('%Y-%m-%d %H:%M:%S %z')}, after {clock(lasted_s)}."


def _check_report(path: Path) -> None:
    kind = path.suffix.lower()
    if kind not in (*HTML, PNG):
        raise RecordError(f"--report {path}: choose a name that ends in .html or .png")
    if kind == PNG and importlib.util.find_spec("matplotlib") is None:
        raise RecordError(
            f"--report {path} needs matplotlib:"
            " pip install -r requirements-report.txt, or choose .html"
        )
    target = path.resolve()
    if target.exists() and not target.is_file():
        what = "it is a folder" if target.is_dir() else "it is no file"
        raise RecordError(f"cannot write {path}: {what}; name a file")
    if target.exists() and not os.access(target, os.W_OK):
        raise RecordError(f"cannot write {path}: permission denied; choose another place")
    beside = _beside(target)
    try:
        beside.open("xb").close()
        beside.unlink()
    except OSError as error:
        raise RecordError(f"cannot write {path}: {error.strerror}; choose another place") from error


def _beside(target: Path) -> Path:
    return target.with_name(f".report-{os.getpid()}.tmp")
