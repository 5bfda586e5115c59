"""The measurement of loss measures: what it says is so, and what is not so it says."""

from __future__ import annotations

import dataclasses
import sys

import pytest

from bench.loss import as_the_speaker, sweep, virtual
from bench.loss.case import Case, Method, Outcome, Run
from bench.loss.show import line
from bench.processes import ROOT
from listening.arguments import parse
from listening.outputs import make_output
from listening.outputs.speaker import Speaker
from listening.outputs.wav_file import WavFile
from simulation.link_conditions import LinkConditions
from tests.rig.luck import once

pytestmark = once

METHOD = Method("none", withheld=("REQUEST",))


def run(**conditions: float) -> Run:
    return virtual.run(Case(METHOD, LinkConditions(delay_s=0.01, **conditions)), seed=1)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def lossy() -> Run:
    return run(loss=0.1)


def test_the_programme_is_a_minute_long() -> None:
    assert virtual.programme().seconds == pytest.approx(60, abs=0.01)


def test_without_a_loss_every_sample_is_heard() -> None:
    perfect = run()
    assert perfect.faults() == []
    assert perfect.exact
    assert perfect.heard_share == 1
    assert 1 < perfect.sent_ratio < 1.05


def test_audio_is_due_as_early_as_the_default_output_wants_it() -> None:
    assert isinstance(make_output(parse(["192.0.2.1", "4501"]).output), Speaker)
    buffer_s = Speaker.lead_s + 0.1
    far = Case(sweep.METHODS[sweep.REQUEST], LinkConditions(loss=0.05, delay_s=0.1), buffer_s)
    repaired = virtual.run(far, seed=1).result["retransmitted"]
    assert repaired == 0, "a round trip takes twice the time that is left"


def test_the_programs_write_a_file_as_early_as_the_default_output_plays(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(WavFile, "lead_s", WavFile.lead_s)
    monkeypatch.setattr(WavFile, "waits", WavFile.waits)
    monkeypatch.setattr("sys.argv", ["as_the_speaker.py", "client.py", "192.0.2.1", "4501"])
    run: list[tuple[str, list[str]]] = []
    monkeypatch.setattr("runpy.run_path", lambda path, run_name: run.append((path, [*sys.argv])))
    as_the_speaker.main()
    assert (WavFile.lead_s, WavFile.waits) == (Speaker.lead_s, Speaker.waits)
    assert run == [(str(ROOT / "client.py"), ["client.py", "192.0.2.1", "4501"])]


def test_with_losses_and_no_repair_they_are_heard_and_everything_balances(lossy: Run) -> None:
    assert lossy.faults() == []
    assert not lossy.exact
    assert lossy.result["lost"] == lossy.to_client["AUDIO"].dropped > 0
    assert lossy.result["retransmitted"] == 0
    assert lossy.repeats == lossy.request_share == 0


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("intact", "expected = intact + retransmitted + rebuilt + lost"),
        ("duplicates", "received = intact + retransmitted + duplicates + late"),
        ("concealed_s", "played = intact + repaired + concealed"),
        ("expected", "expected is the whole programme"),
        ("played_s", "played is the whole programme"),
        ("received", "received is what the network delivered"),
        ("lost", "what is missing is what the network lost"),
    ],
)
def test_a_number_that_is_wrong_is_found(name: str, fault: str, lossy: Run) -> None:
    wrong = {**lossy.result, name: lossy.result[name] + 1}
    assert fault in dataclasses.replace(lossy, result=wrong).faults()


def test_what_is_exact_has_nothing_concealed(lossy: Run) -> None:
    assert dataclasses.replace(lossy, exact=True).faults() == [
        "what is exact has nothing concealed"
    ]


def test_what_is_not_exact_has_something_missing() -> None:
    perfect = run()
    assert dataclasses.replace(perfect, exact=False).faults() == [
        "what is not has something missing"
    ]


def test_a_row_tells_of_its_faults_and_misses_the_goal(lossy: Run) -> None:
    wrong = dataclasses.replace(lossy, exact=True)
    outcome = Outcome(Case(METHOD, LinkConditions(loss=0.1)), [lossy, wrong])
    assert outcome.exact == 1
    assert "balance what is exact has nothing concealed" in line(outcome)
    balance = next(sweep.goals([outcome]))
    assert balance.reached is False


def test_the_sweep_has_every_loss_on_every_path_for_every_method() -> None:
    columns = len(sweep.RANDOM_LOSSES) + len(sweep.BURSTS)
    rows = len(sweep.METHODS) * (len(sweep.PATHS) * columns + 1)
    assert len(sweep.virtual_cases(quick=False)) == rows
