"""What the cost of repair is measured beside repairs nothing, and is whole otherwise."""

from __future__ import annotations

import contextlib
import inspect
from pathlib import Path

import pytest

from bench.repair_cost import BOTH
from bench.without_repair import NoConcealment, NoRepair, NoRetransmission
from broadcasting.audience.retransmission import Retransmission
from listening.arrival.repair import Repair
from listening.sound.splicer import Splicer
from tests.rig.luck import once
from tests.rig.programs import SAMPLE, Program, end, pcm_in, server
from tests.rig.zoo import reference_pcm

pytestmark = once

FAST = ("--speed", "20", "--burst", "0", "--wait-for", "2")
LOSSY = ("--simulate", "loss=20%,seed=3", "--output", "heard.wav", "--json", "result.json")


def public(kind: type) -> set[str]:
    return {name for name, _ in inspect.getmembers(kind) if not name.startswith("_")}


@pytest.mark.parametrize(
    ("whole", "stand_in"),
    [(Repair, NoRepair), (Splicer, NoConcealment), (Retransmission, NoRetransmission)],
)
def test_a_stand_in_has_all_that_others_call(whole: type, stand_in: type) -> None:
    assert public(stand_in) == public(whole)


def test_of_the_two_programs_one_asks_for_what_is_lost(tmp_path: Path) -> None:
    with server(tmp_path, SAMPLE, *FAST) as broadcast, contextlib.ExitStack() as stack:
        heard = {}
        for by, which in BOTH:
            command = (which, "client.py", "127.0.0.1", broadcast.port, *LOSSY)
            heard[which] = stack.enter_context(Program(tmp_path, by, command))
        end(broadcast, *heard.values())
    for program in heard.values():
        assert len(pcm_in(program.folder / "heard.wav")) == len(reference_pcm(SAMPLE))
    assert heard["whole"].result["requested"] > 0
    assert heard["without"].result["requested"] == 0
