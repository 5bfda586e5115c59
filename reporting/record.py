"""`--report` and `--csv`: checked at the start, told once a second, written at the end.

Main thread only. Each row goes to the CSV at once. The report is written to a temporary file, which
replaces the target when it is complete: a reader finds the old report or the whole new one.
"""

from __future__ import annotations

import contextlib
import importlib.util
import logging
import os
import stat
import time
from collections.abc import Sequence
from io import FileIO
from pathlib import Path

from reporting import table
from reporting.page import ReportContent, page
from reporting.timeline import Figures, Row, Timeline
from shell.terminal.printing import MayWait, at_once, briefly, write_some
from shell.terminal.text import clock

EVERY_S = 1.0

MOST_WAITING_BYTES = 1 << 20
"""Rows kept for the reader of a pipe: some hours. One that takes nothing for longer is given up."""

NOBODY_READS = "nobody reads it"

HTML = (".html", ".htm")
PNG = ".png"

log = logging.getLogger("shell")


class RecordError(ValueError):
    """A file cannot be written; the text is one line for the user, with what to do."""


class Record:
    """Figures over time, and the files they go to."""

    def __init__(
        self, report: str | None, csv: str | None, *, server: bool, begun_at: float
    ) -> None:
        """Paths of both files, None for none; `server`: a column of listeners.

        Raises RecordError if a file cannot be written.
        """
        self._report = None if report is None else Path(report)
        self._timeline = Timeline()
        self._server = server
        self._begun_at = begun_at
        self._due_at = begun_at + EVERY_S
        self._csv: FileIO | None = None
        self._waiting = b""
        self._csv_path = csv
        self.failure: str | None = None
        """Error that ended the CSV, in one line; None if there was none."""
        if self._report is not None:
            _check_report(self._report)
        if csv is not None:
            self._open_csv(csv)

    @property
    def rows(self) -> Sequence[Row]:
        """Rows told so far."""
        return self._timeline.rows

    def pause_s(self, longest_s: float) -> float:
        """Time until `tell` is due, at most `longest_s`."""
        return min(longest_s, max(0.0, self._due_at - time.monotonic()))

    def is_due(self) -> bool:
        """Whether it is time to call `tell`."""
        return time.monotonic() >= self._due_at

    def now_s(self) -> float:
        """Seconds since the record began."""
        return time.monotonic() - self._begun_at

    def tell(self, now_s: float, total: Figures) -> None:
        """Record the totals of `now_s`."""
        row = self._timeline.tell(now_s, total)
        if self._csv is not None:
            try:
                self._write_csv(table.line(row, server=self._server), at_once)
            except OSError as error:
                self._fail(error)
        # Whole seconds since the start; missed seconds are not made up for.
        self._due_at = self._begun_at + EVERY_S * (now_s // EVERY_S + 1)

    def finish(self, content: ReportContent) -> str | None:
        """Write the report and close the CSV; return what went wrong, in one line, or None."""
        self.close()
        try:
            self._write(content)
        except RecordError as error:
            return str(error)
        return self.failure

    def close(self) -> None:
        """Close the CSV."""
        if self._csv is not None:
            try:
                self._write_csv("", briefly)
                if self._waiting:
                    raise TimeoutError(0, NOBODY_READS)
                csv, self._csv = self._csv, None
                csv.close()
            except OSError as error:
                self._fail(error)

    def _write_csv(self, text: str, may_wait: MayWait) -> None:
        """Write what waits, and `text`, as far as the reader of a pipe takes it; raises OSError."""
        assert self._csv is not None, "there is a CSV"
        data = self._waiting + text.replace("\n", "\r\n").encode("ascii")
        self._waiting = data[write_some(self._csv.fileno(), data, may_wait) :]
        if len(self._waiting) > MOST_WAITING_BYTES:
            raise TimeoutError(0, NOBODY_READS)

    def _write(self, content: ReportContent) -> None:
        """Write the report; raises RecordError."""
        if self._report is None:
            return
        # A link stays, and the file it points to is replaced.
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
            # Unbuffered: others can read each row at once.
            self._csv = FileIO(csv, "w")
            self._write_csv(table.head(server=self._server), briefly)
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
    """Sentence on the end of the run: date and time of this machine, and how long it took."""
    return f"Ended {time.strftime('%Y-%m-%d %H:%M:%S %z')}, after {clock(lasted_s)}."


def _check_report(path: Path) -> None:
    kind = path.suffix.lower()
    if kind not in (*HTML, PNG):
        raise RecordError(f"--report {path}: choose a name that ends in .html or .png")
    if kind == PNG and importlib.util.find_spec("matplotlib") is None:
        raise RecordError(
            f"--report {path} needs matplotlib: pip install matplotlib, or choose .html"
        )
    target = path.resolve()
    if target.exists() and not target.is_file():
        what = "it is a folder" if target.is_dir() else "it is not a file"
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
