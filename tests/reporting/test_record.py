"""The CSV goes to its reader row by row, and to a slow one later."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from reporting import record as reporting_record
from reporting.record import Record
from reporting.timeline import Figures


@pytest.fixture
def reader(tmp_path: Path) -> int:
    """The reading end of the pipe that the CSV is."""
    os.mkfifo(tmp_path / "pipe")
    return os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)


def test_rows_wait_for_a_reader_that_is_slow(reader: int, tmp_path: Path) -> None:
    record = Record(None, str(tmp_path / "pipe"), server=False, begun_at=0.0)
    for second in range(5000):
        record.tell(float(second), Figures())
    os.set_blocking(reader, True)
    with os.fdopen(reader, "rb") as file, ThreadPoolExecutor() as pool:
        read = pool.submit(file.read)
        record.close()
        rows = read.result().split(b"\r\n")
    assert record.failure is None
    assert [row.partition(b",")[0] for row in rows[1:-1]] == [
        b"%d" % second for second in range(5000)
    ]


def test_a_reader_that_takes_nothing_is_told_and_holds_up_nobody(
    reader: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reporting_record, "MOST_WAITING_BYTES", 1000)
    path = tmp_path / "pipe"
    record = Record(None, str(path), server=False, begun_at=0.0)
    for second in range(5000):
        record.tell(float(second), Figures())
    os.close(reader)
    assert record.failure == f"cannot write {path}: nobody reads it"
