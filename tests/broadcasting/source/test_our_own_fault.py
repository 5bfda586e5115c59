"""A fault of our own while the source is read: what was read is played, and the fault is told."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import server
from broadcasting.source.segments import Segment, read_segments
from tests.rig.zoo import zoo_file


def breaking(*args: object, **options: object) -> Iterator[Segment]:
    yield from itertools.islice(read_segments(*args, **options), 5)  # type: ignore[arg-type]
    raise AttributeError("ours")


@pytest.mark.parametrize("live", [False, True])
def test_a_fault_while_the_source_is_read_ends_with_status_1(
    live: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("broadcasting.assembly.read_segments", breaking)
    song = zoo_file("cbr-128.mp3").path
    with song.open() as piped:
        monkeypatch.setattr("sys.stdin", piped)
        options = ["--wait-for", "0", "--speed", "20", "--json", "end.json", "--no-announce"]
        status = server.main(["-" if live else str(song), "0", *options])
    said = capsys.readouterr()
    assert status == 1
    assert re.search(r"^server\.py: stopped by a fault, see the log: ours$", said.err, re.MULTILINE)
    assert "Traceback" not in said.err
    assert "AttributeError: ours" in Path("logs/server.log").read_text()
    assert json.loads(Path("end.json").read_text())["messages"] == 5
