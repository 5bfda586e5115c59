"""One row in virtual time: real MP3, both cores, the simulated link both ways, the real decoder.

The PCM that the loudspeaker would get is compared with the decode of the file itself. The timeline
is that of the loudspeaker, which wants audio early and cannot wait. A minute takes a third of a
second.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
from collections.abc import Callable
from typing import TYPE_CHECKING

from bench.loss.case import Case, Method, Programme, Run
from bench.workshop import SAMPLE
from broadcasting.sending.fanout import IP_AND_UDP_BYTES
from broadcasting.settings import Settings
from broadcasting.source.segments import Segment, read_segments
from listening.arrival.playable import EndOfStream
from listening.display.final_json import as_json
from listening.outputs.null import Null
from listening.outputs.speaker import Speaker
from listening.playback import Playback
from listening.simulated_network import type_of
from message import HEADER_BYTES
from simulation.link_conditions import LinkConditions
from tests.rig.network import Listener, Network
from tests.rig.zoo import reference_pcm
from wire.address import Address

if TYPE_CHECKING:
    from pydub import AudioSegment

MTU = 1400

ROUNDS = 2
"""Rounds of the sample, which is half a minute long."""

PATIENCE_S = 60.0
"""Time-out of a run: it leaves time to connect, which is not measured."""


class Digest(Null):
    """Output that keeps only a digest of the PCM."""

    def __init__(self) -> None:
        self.hash = hashlib.sha256()

    def write(self, audio: AudioSegment) -> None:
        """Add the samples to the digest."""
        self.hash.update(audio.raw_data)


@functools.cache
def segments(rounds: int = ROUNDS) -> tuple[Segment, ...]:
    """The programme as the server reads it."""
    return tuple(read_segments([SAMPLE] * rounds, MTU - IP_AND_UDP_BYTES - HEADER_BYTES))


@functools.cache
def programme(rounds: int = ROUNDS) -> Programme:
    """Length and size of the programme."""
    all_ = segments(rounds)
    return Programme(
        seconds=sum(segment.duration_us for segment in all_) / 1e6,
        audio_bytes=sum(len(segment.data) for segment in all_),
        messages=len(all_),
    )


@functools.cache
def reference(rounds: int = ROUNDS) -> bytes:
    """Digest of the programme's decode without loss."""
    return hashlib.sha256(reference_pcm(SAMPLE) * rounds).digest()


def run(case: Case, seed: int) -> Run:
    """Run the cores over this network."""
    conditions = dataclasses.replace(case.conditions, seed=seed)
    settings = Settings(burst_s=case.buffer_s, **case.method.settings)
    network = _Network(settings, conditions, case.method)
    listener = network.join(
        buffer_s=case.buffer_s,
        timeout_s=PATIENCE_S,
        lead_s=Speaker.lead_s,
        waits=Speaker.waits,
    )
    network.run(programme().seconds + PATIENCE_S, until=_over(listener))
    # Before the client leaves: datagrams after that are not counted.
    to_client, to_server = (network.links[side].counts() for side in ("server", "client"))
    output = Digest()
    playback = Playback(output, 0.0)
    playback.play(listener.played)
    playback.finish()
    core = listener.core
    core.account_audio(*playback.audio_s)
    core.leave(network.now)
    result = as_json(core.snapshot(network.now), core.accept, core.failure)
    exact = output.hash.digest() == reference()
    return Run(result, to_client, to_server, exact, programme())


class _Network(Network):
    """Network of both cores, which may withhold types of message that a method does not use."""

    def __init__(self, settings: Settings, conditions: LinkConditions, method: Method) -> None:
        super().__init__(settings, iter(segments()), conditions)
        self._withheld = method.withheld

    def send(self, side: str, data: bytes, address: Address) -> None:
        """Send one datagram, unless its type is withheld."""
        if side == "server" or type_of(data) not in self._withheld:
            super().send(side, data, address)


def _over(listener: Listener) -> Callable[[], bool]:
    """Whether the end has been played; looks only at what is new."""
    seen = 0

    def over() -> bool:
        nonlocal seen
        new, seen = listener.played[seen:], len(listener.played)
        return any(isinstance(item, EndOfStream) for item in new)

    return over
