"""A path that carries less than `--mtu`: its listeners hear, and both sides say what would fit."""

from __future__ import annotations

import signal
from contextlib import ExitStack
from pathlib import Path

from tests.rig.luck import once
from tests.rig.narrow import HOSTS, narrow_path
from tests.rig.programs import SAMPLE, client, end, server

pytestmark = once


def test_listeners_behind_a_router_that_tells_its_mtu_lose_nothing(tmp_path: Path) -> None:
    with ExitStack() as running:
        path = running.enter_context(narrow_path(tells=True))
        fast = ("--speed", 20, "--wait-for", 2)
        broadcast = running.enter_context(server(tmp_path, SAMPLE, *fast, within=path.server))
        listeners = [
            running.enter_context(
                client(tmp_path, broadcast, "--output", "null", host=host, within=path.client)
            )
            for host in HOSTS
        ]
        end(*listeners, broadcast)
        assert [one.result["lost"] for one in listeners] == [0, 0]
        assert broadcast.result["narrow_paths"] == 2
        assert broadcast.log.count("a router says that it is narrower") == 2
        assert "--mtu 1280 would fit" in broadcast.log


def test_listeners_behind_a_router_that_says_nothing_hear_after_a_few_reports(
    tmp_path: Path,
) -> None:
    with ExitStack() as running:
        path = running.enter_context(narrow_path(tells=False))
        # A short time-out makes reports more frequent.
        often = ("--timeout", 1, "--wait-for", 2)
        broadcast = running.enter_context(server(tmp_path, SAMPLE, *often, within=path.server))
        listeners = [
            running.enter_context(
                client(tmp_path, broadcast, "--output", "null", host=host, within=path.client)
            )
            for host in HOSTS
        ]
        for one in listeners:
            one.wait_for_log(r"--mtu 1280 would fit")
            one.wait_for_log(r"received AUDIO \d+, \d+ bytes")
        broadcast.send(signal.SIGINT)
        end(*listeners, broadcast)
        assert broadcast.result["narrow_paths"] == 2
        assert broadcast.log.count("only short datagrams arrive") == 2
        for one in listeners:
            assert one.result["narrow_path"]
            assert one.result["intact"] > 0
            assert "--mtu 1280" in one.stderr
