"""The status of a server that really broadcasts, read while it does."""

from __future__ import annotations

import json
import signal
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from tests.rig.luck import once
from tests.rig.programs import SAMPLE, Server, balances, client, end, server

pytestmark = once


def get(host: str, port: int, path: str) -> bytes:
    connection = HTTPConnection(host, port, timeout=10)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        assert response.status == 200, response.read()
        return response.read()
    finally:
        connection.close()


def status_port(broadcast: Server) -> int:
    return int(broadcast.wait_for_log(r"status page at http://.*:(\d+)/")[1])


def status(host: str, port: int) -> dict[str, Any]:
    content = json.loads(get(host, port, "/status.json"))
    assert isinstance(content, dict)
    return content


def test_the_status_is_that_of_the_broadcast(tmp_path: Path) -> None:
    host = "::1"
    with server(tmp_path, SAMPLE, "--status", f"[{host}]:0", "--loop") as broadcast:
        port = status_port(broadcast)
        assert status(host, port)["state"] == "waiting"
        with client(tmp_path, broadcast, "--output", "null") as listener:

            def reports() -> dict[str, Any] | None:
                now = status(host, port)
                return now if now["listeners"] and now["listeners"][0].get("intact") else None

            now = broadcast.wait_until(reports, "a report of the listener")
            assert (now["state"], now["registered"], now["lost"]) == ("playing", 1, 0)
            families = text_string_to_metric_families(get(host, port, "/metrics").decode())
            found = {sample.name: sample.value for one in families for sample in one.samples}
            assert found["mp3cast_listeners"] == 1
            assert get(host, port, "/healthz") == b"playing\n"
            listener.send(signal.SIGINT)
            broadcast.send(signal.SIGINT)
            end(listener, broadcast)
    assert balances(listener.result)
    assert listener.result["lost"] == 0
