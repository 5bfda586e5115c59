"""Lines of a terminal: bars, curves, and what is cut where there is no room."""

from __future__ import annotations

import subprocess
import sys

import wcwidth

from shell.terminal import paint
from shell.terminal.paint import ALARM, bar, gauge, joined, painted, sparkline
from tests.rig.programs import ROOT


def test_bars_gauges_and_lines_stay_within_their_bounds() -> None:
    assert bar(0.5, 4) == ("━━", "──")
    assert bar(7.0, 2) == ("━━", "")
    assert bar(-1.0, 2) == ("", "──")
    assert gauge(0.5, 4) == "██  "
    assert gauge(1 / 32, 4) == "▏   "
    assert gauge(2.0, 4) == "████"
    assert gauge(-1.0, 4) == "    "
    assert sparkline([0.0, None, 0.5, 1.0, 9.0], 1.0) == "▁ ▅██"
    assert painted([("日本語", "")], 5) == "日本…"
    assert painted([("日本語", "")], 4) == "日 …"
    assert painted([("ab", ALARM), ("cd", "")], 3) == f"{ALARM}ab\x1b[0m…"


def test_what_has_no_room_beside_the_others_is_left_out_whole() -> None:
    assert joined(["1 lost", "23 repaired"], 20) == "1 lost · 23 repaired"
    assert joined(["1 lost", "23 repaired"], 19) == "1 lost"
    assert joined(["10 lost"], 3) == "10 lost"


def test_what_is_counted_without_the_tables_of_width_takes_as_many_cells_as_they_say() -> None:
    plain = [sign for sign in map(chr, range(0x3000)) if paint._ONE_CELL_EACH.fullmatch(sign)]
    assert len(plain) > 700
    assert [sign for sign in plain if wcwidth.wcwidth(sign) != 1] == []


def test_a_european_title_on_our_screen_needs_no_tables_of_width() -> None:
    says = (
        "import sys; from shell.terminal.paint import painted;"
        "painted([('Ça ira – ▏█━ · Čeština', '')] * 9, 40); assert 'wcwidth' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", says], cwd=ROOT, check=True)
