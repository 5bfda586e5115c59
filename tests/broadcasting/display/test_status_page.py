"""The status page in a real browser: what people read, on any screen, and when the server ends."""

from __future__ import annotations

import signal
from pathlib import Path

from tests.broadcasting.display.test_status_program import status_port
from tests.rig import chromium
from tests.rig.chromium import Page
from tests.rig.luck import once
from tests.rig.programs import client, end, server
from tests.rig.zoo import encode

pytestmark = once

TITLE = "<b>Bold</b> & \N{RIGHT-TO-LEFT OVERRIDE}部屋 " + "no end " * 8


def wide(page: Page) -> bool:
    """Whether something sticks out of the window."""
    return bool(page.evaluate("document.documentElement.scrollWidth > innerWidth"))


def brightness(page: Page) -> int:
    """Brightness of the paper, 0 to 765."""
    colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
    return sum(int(part) for part in colour.removeprefix("rgb(").rstrip(")").split(","))


def test_people_see_what_goes_on_and_when_it_is_over(tmp_path: Path) -> None:
    song = tmp_path / "song.mp3"
    encode(song, sample_rate_hz=8000, channels=1, kbps=8, duration_s=120, tags={"title": TITLE})
    with chromium.browser(tmp_path) as page, server(tmp_path, song, "--status", 0) as broadcast:
        address = f"http://127.0.0.1:{status_port(broadcast)}/"
        page.look_like(width=1100)
        page.open(address)
        page.wait_until("document.body.innerText.includes('Waiting for listeners')")
        assert "Nobody listens yet." in page.text()
        with client(tmp_path, broadcast, "--output", "null") as listener:
            page.wait_until("document.querySelectorAll('tbody tr').length === 1")
            page.wait_until("/^127.0.0.1:\\d+\\s+0:0\\d\\s+0\\s/m.test(document.body.innerText)")
            text = page.text()
            assert text.startswith("On air\n\n<b>Bold</b> & 部屋 no end no end")
            assert "of 2:00" in text
            assert "1 of 64" in text
            assert page.evaluate("document.title").startswith("<b>Bold</b>")
            before = page.evaluate("document.getElementById('played').innerText")
            page.wait_until(f"document.getElementById('played').innerText !== {before!r}")
            assert not wide(page)
            light = brightness(page)
            for width, dark in ((360, False), (360, True)):
                page.look_like(width=width, dark=dark)
                assert not wide(page)
                assert (brightness(page) < light / 3) == dark
            assert page.evaluate("document.getElementById('gone').hidden")
            listener.send(signal.SIGINT)
            broadcast.send(signal.SIGINT)
            end(listener, broadcast)
        page.wait_until("document.getElementById('gone').innerText.includes('does not answer')")
        assert "What is shown is of " in page.text()
        assert page.complaints == []
        assert {one.rpartition("/")[0] + "/" for one in page.requested} - {"data:,/"} == {address}
