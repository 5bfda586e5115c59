"""One row with the real programs in real time: the client simulates its network, and writes a WAV.

Its counts and the simulation's are those of its JSON.
"""

from __future__ import annotations

import dataclasses
import hashlib
import wave
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.loss.case import Case, Counted, Run
from bench.loss.virtual import ROUNDS, programme, reference
from bench.processes import HOST, Client, Failed, Server
from bench.workshop import SAMPLE, Workshop
from wire.simulated_link import LinkCounts

PATIENCE_S = 60.0
"""To find the server, which is not what is measured, and to come to the end."""


def run(workshop: Workshop, case: Case, seed: int) -> Run:
    """Listen to the programme over a simulated network."""
    conditions = dataclasses.replace(case.conditions, seed=seed)
    result, exact = listen(workshop, case, ["--simulate", str(conditions)])
    told = result["simulated"]
    return Run(result, _counted(told["to_client"]), _counted(told["to_server"]), exact, programme())


def listen(
    workshop: Workshop,
    case: Case,
    options: Sequence[str],
    *,
    host: str = HOST,
    server_within: Sequence[str] = (),
    client_within: Sequence[str] = (),
) -> tuple[dict[str, Any], bool]:
    """What the client says, and whether its WAV is bit-exact. The programs may be elsewhere."""
    wav = workshop.new_path("heard.wav")
    environment = workshop.environment
    files = [str(SAMPLE)] * ROUNDS
    with (
        Server(
            *files,
            "--burst",
            str(case.buffer_s),
            *case.method.server,
            folder=workshop.new_path("server"),
            environment=environment,
            host=host,
            within=server_within,
        ) as server,
        Client(
            server.port,
            "--output",
            str(wav),
            "--buffer",
            str(case.buffer_s),
            "--timeout",
            str(PATIENCE_S),
            *options,
            *case.method.client,
            folder=workshop.new_path("client"),
            environment=environment,
            host=host,
            within=client_within,
        ) as client,
    ):
        result = client.result(programme().seconds + PATIENCE_S)
    return result, _digest(wav) == reference()


def _digest(path: Path) -> bytes:
    """Of the samples in a WAV file."""
    try:
        with wave.open(str(path)) as wav:
            return hashlib.sha256(wav.readframes(wav.getnframes())).digest()
    except FileNotFoundError:
        raise Failed("nothing was heard") from None


def _counted(link: dict[str, Any]) -> Counted:
    return {name: LinkCounts(**counts) for name, counts in link["types"].items()}
