"""One row with the real programs in real time: the client simulates its network, and writes a WAV.

The file takes the audio as early as the loudspeaker would. All counts come from the client's JSON.
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
from simulation.simulated_link import LinkCounts

AS_THE_SPEAKER = ("bench/loss/as_the_speaker.py",)

PATIENCE_S = 60.0
"""Time-out of a run: it leaves time to connect, which is not measured."""


def run(workshop: Workshop, case: Case, seed: int) -> Run:
    """Run the programs over a simulated network."""
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
    """Run both programs; return the client's figures and whether its WAV is bit-exact."""
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
            by=AS_THE_SPEAKER,
        ) as client,
    ):
        result = client.result(programme().seconds + PATIENCE_S)
    return result, _digest(wav) == reference()


def _digest(path: Path) -> bytes:
    """Digest of the samples in a WAV file."""
    try:
        with wave.open(str(path)) as wav:
            return hashlib.sha256(wav.readframes(wav.getnframes())).digest()
    except FileNotFoundError:
        raise Failed("nothing was heard") from None


def _counted(link: dict[str, Any]) -> Counted:
    return {name: LinkCounts(**counts) for name, counts in link["types"].items()}
