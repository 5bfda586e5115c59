"""Reports and rows of the real programs, over a network that loses, and the pages in a browser."""

from __future__ import annotations

import csv
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from reporting.page import ListenerCharts, ReportContent
from reporting.page import page as make_page
from reporting.timeline import Figures, Row
from tests.rig.chromium import Page, browser
from tests.rig.luck import once
from tests.rig.programs import SAMPLE, Argument, Program, client, end, run, server

pytestmark = once

LOSSY = "loss=20%,burst=8,delay=60ms,jitter=20ms,seed=3"

HOSTILE = '<script>document.title="taken"</script>&\x1b[31m 日本語 ' + "長い" * 5_000

PNG = b"\x89PNG\r\n\x1a\n"


class Run(NamedTuple):
    """What a server and a listener with a bad network have left."""

    heard: dict[str, Any]
    sent: dict[str, Any]
    listener: Path
    server: Path


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("report")
    report = ["--report", "r.html", "--csv", "r.csv"]
    with (
        server(folder, SAMPLE, "--speed", 8, "--wait-for", 2, *report) as broadcast,
        client(folder, broadcast, "--output", "null", "--simulate", LOSSY, *report) as listener,
        client(folder, broadcast, "--output", "null") as other,
    ):
        end(listener, other, broadcast)
        return Run(listener.result, broadcast.result, listener.folder, broadcast.folder)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with browser(tmp_path_factory.mktemp("browser")) as page:
        yield page


def rows_of(folder: Path) -> list[dict[str, str]]:
    with (folder / "r.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def total(rows: list[dict[str, str]], name: str) -> float:
    return sum(float(row[name]) for row in rows)


def show(page: Page, file: Path, **look: Any) -> str:
    page.complaints.clear()
    page.requested.clear()
    page.look_like(**{"width": 1200, **look})
    page.open(file.resolve().as_uri())
    return page.text()


def test_the_rows_add_up_to_the_final_statistics(ran: Run) -> None:
    rows = rows_of(ran.listener)
    assert ran.heard["lost"] + ran.heard["retransmitted"] > 0, "the network lost nothing"
    for name in ("expected", "lost", "late", "underruns"):
        assert total(rows, name) == ran.heard[name], name
    assert total(rows, "repaired") == ran.heard["retransmitted"] + ran.heard["rebuilt"]
    assert total(rows, "concealed_s") == pytest.approx(ran.heard["concealed_s"], abs=1e-3)
    assert float(rows[-1]["jitter_ms"]) == ran.heard["jitter_ms"]


def test_there_is_a_row_for_each_second(ran: Run) -> None:
    seconds = [int(float(row["time_s"])) for row in rows_of(ran.listener)[:-1]]
    assert seconds == sorted(set(seconds))


def test_the_rows_of_the_server_add_up_to_what_its_listeners_said(ran: Run) -> None:
    rows = rows_of(ran.server)
    for name in ("expected", "lost", "late"):
        assert total(rows, name) == sum(one[name] for one in ran.sent["listeners"]), name
    assert max(int(row["listeners"]) for row in rows) == 2


def test_the_page_of_a_listener_says_what_the_json_says(ran: Run, page: Page) -> None:
    text = show(page, ran.listener / "r.html")
    assert re.search(rf"messages expected\s+{ran.heard['expected']}\b", text)
    assert re.search(rf"\blost\s+{ran.heard['lost']}\b", text)
    assert re.search(rf"retransmitted\s+{ran.heard['retransmitted']}\b", text)
    assert f"{ran.heard['played_s']:.2f} s" in text
    assert page.evaluate("document.querySelectorAll('svg.chart').length") == 5
    assert bool(page.evaluate("document.querySelectorAll('.gap').length")) == bool(
        ran.heard["concealed_s"]
    )


def test_the_page_of_the_server_has_a_row_of_charts_for_each_listener(ran: Run, page: Page) -> None:
    text = show(page, ran.server / "r.html")
    for one in ran.sent["listeners"]:
        assert one["address"] in text
        assert f"{one['lost']} of {one['expected']} lost" in text
    assert page.evaluate("document.querySelectorAll('.listener svg.chart').length") == 8


@pytest.mark.parametrize("who", ["listener", "server"])
@pytest.mark.parametrize(("width", "dark"), [(360, False), (360, True), (1200, True)])
def test_a_page_fits_asks_nobody_and_has_no_faults(
    ran: Run, page: Page, who: str, width: int, dark: bool
) -> None:
    file: Path = getattr(ran, who) / "r.html"
    show(page, file, width=width, dark=dark)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert [address for address in page.requested if not address.startswith("data:")] == [
        file.resolve().as_uri()
    ]
    assert not page.complaints
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (ground == "rgb(255, 255, 255)") != dark


def test_a_long_and_hostile_title_is_text_and_fits(tmp_path: Path, page: Page) -> None:
    file = tmp_path / "hostile.html"
    rows = [Row(0.0, 1.0, Figures(expected=13, lost=1))]
    facts = [("lost", "1", HOSTILE)]
    listeners = [ListenerCharts(HOSTILE, HOSTILE, rows)]
    content = ReportContent(HOSTILE, HOSTILE, HOSTILE, facts, rows, listeners, HOSTILE)
    file.write_text(make_page(content), encoding="utf-8")
    text = show(page, file, width=360)
    assert text.startswith('<script>document.title="taken"</script>&?[31m 日本語 長い')
    assert page.evaluate("document.title") != "taken"
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    assert not page.complaints


def test_a_number_is_told_where_the_pointer_is(ran: Run, page: Page) -> None:
    show(page, ran.listener / "r.html")
    page.evaluate(
        "(() => { const chart = document.querySelector('svg.buffer'),"
        " box = chart.getBoundingClientRect(); chart.dispatchEvent(new PointerEvent('pointermove',"
        " {clientX: box.left + box.width * 0.6, clientY: box.top + 20})) })()"
    )
    told = page.evaluate(
        "document.querySelector('svg.buffer').parentNode.querySelector('output').value"
    )
    assert re.fullmatch(r"\d+ s: [\d.]+ s|\d+ s: not known", told)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_listener_that_is_stopped_leaves_a_report(tmp_path: Path, number: signal.Signals) -> None:
    with (
        server(tmp_path, SAMPLE) as broadcast,
        client(
            tmp_path, broadcast, "--output", "null", "--report", "r.html", "--csv", "r.csv"
        ) as listener,
    ):
        listener.wait_for_log("first sound")
        listener.send(number)
        assert listener.wait() == 0
        content = (listener.folder / "r.html").read_text()
        assert content.endswith("</html>\n")
        assert len(rows_of(listener.folder)) >= 1
        assert not list(listener.folder.glob(".report-*"))


def test_a_server_that_is_stopped_leaves_a_report(tmp_path: Path) -> None:
    with server(tmp_path, SAMPLE, "--report", "r.html", "--csv", "r.csv") as broadcast:
        broadcast.send(signal.SIGINT)
        assert broadcast.wait() == 0
        content = (broadcast.folder / "r.html").read_text()
        assert "Nobody has listened." in content
        assert content.endswith("</html>\n")
        assert rows_of(broadcast.folder)


def test_a_report_tells_that_the_server_was_lost(tmp_path: Path) -> None:
    with (
        server(tmp_path, SAMPLE, "--timeout", 1) as broadcast,
        client(
            tmp_path, broadcast, "--output", "null", "--timeout", 0.5, "--report", "r.html"
        ) as listener,
    ):
        listener.wait_for_log("first sound")
        broadcast.process.kill()
        assert listener.wait() == 1
        content = (listener.folder / "r.html").read_text()
        assert 'class="failure"' in content


def test_a_picture_replaces_what_was_there(tmp_path: Path) -> None:
    target = tmp_path / "r.png"
    target.write_text("before")
    with (
        server(tmp_path, SAMPLE, "--speed", 100) as broadcast,
        client(tmp_path, broadcast, "--output", "null", "--report", target) as listener,
    ):
        end(listener, broadcast)
        assert listener.stderr == ""
    assert target.read_bytes().startswith(PNG)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--report", "no/such.html"], "cannot write no/such.html: No such file or directory"),
        (["--report", "."], "choose a name that ends in .html or .png"),
        (["--report", "r.pdf"], "choose a name that ends in .html or .png"),
        (["--report", "/dev/null/x.html"], "Not a directory"),
        (["--report", "r.html", "--csv", "./r.html"], "is the same file as --report r.html"),
        (["--csv", "no/such.csv"], "cannot write no/such.csv: No such file or directory"),
    ],
)
@pytest.mark.parametrize("script", ["client.py", "server.py"])
def test_a_path_that_cannot_be_written_is_found_out_at_the_start(
    tmp_path: Path, script: str, arguments: list[str], says: str
) -> None:
    where: list[Argument] = ["127.0.0.1", 9] if script == "client.py" else [SAMPLE, 0]
    finished = run(tmp_path, script, *where, *arguments)
    assert finished.status == 2
    assert says in finished.stderr
    assert finished.stderr.count("\n") == 1


def test_a_disk_that_is_full_already_is_found_out_at_the_start(tmp_path: Path) -> None:
    with Program(
        tmp_path, "client.py", ("127.0.0.1", 9, "--timeout", 0.5, "--csv", "/dev/full")
    ) as listener:
        assert listener.wait() == 2
        reason = "No space left on device; choose another place"
        assert listener.stderr == f"client.py: cannot write /dev/full: {reason}\n"


def test_what_draws_is_not_imported_unless_it_is_asked_for(tmp_path: Path) -> None:
    script = "import sys, client, server; print([m for m in sys.modules if 'report' in m])"
    told = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    ).stdout
    assert "reporting" not in told
