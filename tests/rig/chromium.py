"""A real browser: Chromium without a window, told what to do through a pipe (DevTools protocol).

    with chromium.browser(tmp_path) as page:
        page.open("http://127.0.0.1:8080/")
        page.wait_until("document.title === 'Song'")
        assert not page.complaints

Every wait ends when what it waits for is so, or fails with what the page is.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import select
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

WAIT_S = 25.0
POLL_S = 0.02

OPTIONS = [
    "--headless",
    "--no-sandbox",  # root, as in continuous integration, has none
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--hide-scrollbars",
    "--remote-debugging-pipe",
]


class Page:
    """The one page of a browser; made by `browser`."""

    def __init__(self, to_browser: int, from_browser: int) -> None:
        self.requested: list[str] = []
        """Every address that was asked for."""
        self.complaints: list[str] = []
        """Faults in scripts, and what the page's policy has forbidden."""
        self._to, self._from = to_browser, from_browser
        self._rest = b""
        self._asked = 0
        self._session: str | None = None
        target = self._tell("Target.createTarget", url="about:blank")["targetId"]
        answer = self._tell("Target.attachToTarget", targetId=target, flatten=True)
        self._session = answer["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self._tell(f"{domain}.enable")

    def look_like(self, *, width: int, height: int = 800, dark: bool = False) -> None:
        """The window's size, and which colours its user likes."""
        self._tell(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=height, deviceScaleFactor=1, mobile=False,
        )  # fmt: skip
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self._tell("Emulation.setEmulatedMedia", features=[scheme])

    def open(self, address: str) -> None:
        """Go there, and wait until all of it has come."""
        self._tell("Page.navigate", url=address)
        self.wait_until(f"location.href === {address!r} && document.readyState === 'complete'")

    def evaluate(self, script: str) -> Any:
        """What a JavaScript expression is."""
        answer = self._tell("Runtime.evaluate", expression=script, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def text(self) -> str:
        """What can be read on the page."""
        text = self.evaluate("document.body.innerText")
        assert isinstance(text, str)
        return text

    def wait_until(self, script: str) -> None:
        """Until a JavaScript expression is true."""
        deadline = time.monotonic() + WAIT_S
        while not self.evaluate(f"Boolean({script})"):
            assert time.monotonic() < deadline, (script, self.text(), self.complaints)
            time.sleep(POLL_S)

    def take_picture(self, path: Path) -> None:
        """A PNG of what is seen."""
        path.write_bytes(base64.b64decode(self._tell("Page.captureScreenshot")["data"]))

    def _tell(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Give a command; its result."""
        self._asked += 1
        message = {"id": self._asked, "method": method, "params": parameters}
        if self._session is not None:
            message["sessionId"] = self._session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        while (answer := self._hear()).get("id") != self._asked:
            self._take_note(answer)
        assert "error" not in answer, (method, answer)
        result = answer["result"]
        assert isinstance(result, dict)
        return result

    def _hear(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            assert select.select([self._from], [], [], WAIT_S)[0], "the browser says nothing"
            came = os.read(self._from, 1 << 16)
            assert came, "the browser has ended"
            self._rest += came
        message, _, self._rest = self._rest.partition(b"\0")
        content = json.loads(message)
        assert isinstance(content, dict)
        return content

    def _take_note(self, event: dict[str, Any]) -> None:
        content = event.get("params", {})
        match event.get("method"):
            case "Network.requestWillBeSent":
                self.requested.append(content["request"]["url"])
            case "Runtime.exceptionThrown":
                self.complaints.append(json.dumps(content["exceptionDetails"]))
            case "Log.entryAdded" if content["entry"]["source"] != "network":
                self.complaints.append(content["entry"]["text"])


@contextlib.contextmanager
def browser(folder: Path) -> Iterator[Page]:
    """A browser that keeps what it keeps in `folder`, and its one page."""
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        raise RuntimeError("chromium is not installed: apt install chromium")
    (theirs_in, to_browser), (from_browser, theirs_out) = os.pipe(), os.pipe()
    with (folder / "chromium.log").open("wb") as log:
        process = subprocess.Popen(
            # It reads from 3 and writes to 4.
            ["bash", "-c", f'exec "$@" 3<&{theirs_in} 4>&{theirs_out}', "bash", program, *OPTIONS,
             f"--user-data-dir={folder / 'profile'}"],
            pass_fds=(theirs_in, theirs_out), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            env={**os.environ, "HOME": str(folder)},
        )  # fmt: skip
    os.close(theirs_in)
    os.close(theirs_out)
    try:
        yield Page(to_browser, from_browser)
    finally:
        # It ends when nobody tells it anything any more.
        os.close(to_browser)
        try:
            process.wait(WAIT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        os.close(from_browser)
