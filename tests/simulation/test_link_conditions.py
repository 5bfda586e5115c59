"""What may be typed for a simulated network, and what it then means."""

from __future__ import annotations

import pytest

from simulation.link_conditions import LinkConditions

EVERYTHING = "loss=10%,burst=5,delay=50ms,jitter=20ms,reorder=2%,duplicate=1%,seed=7"

# What is typed, and what the answer must say.
BAD = {
    "": "'' is none of loss=10%, burst=5, delay=50ms,",
    "loss": "'loss' is none of",
    "loss=10%,": "'' is none of",
    "lost=10%": "'lost=10%' is none of",
    "loss=10%;delay=50ms": "loss is a share from 0% to 100%, as in 10%, not '10%;delay=50ms'",
    "loss=": "loss is a share",
    "loss=0.1": "loss is a share",
    "loss=150%": "loss is a share from 0% to 100%, as in 10%, not '150%'",
    "loss=-1%": "loss is a share",
    "loss=nan%": "loss is a share",
    "loss=1e1%": "loss is a share",
    "loss=\u0661\u0660%": "loss is a share",
    "loss=10%%": "loss is a share",
    "loss=10%,loss=20%": "loss stands there twice",
    "delay=50": "delay is a time from 0ms to 10s, as in 50ms, not '50'",
    "delay=50us": "delay is a time",
    "delay=-5ms": "delay is a time",
    "delay=10.1s": "delay is a time",
    "delay=" + "9" * 400 + "s": "delay is a time",
    "jitter=20": "jitter is a time",
    "loss=10%,burst=0": "burst is a number of datagrams from 1 to 10000, as in 5, not '0'",
    "loss=10%,burst=0.5": "burst is a number",
    "loss=10%,burst=5ms": "burst is a number",
    "loss=10%,burst=inf": "burst is a number",
    "burst=5": "burst needs a loss",
    "loss=0%,burst=5": "burst needs a loss",
    "loss=100%,burst=5": "burst needs a loss above 0% and below 100%",
    "loss=75%,burst=2": "a loss of 75 % needs a burst of 3 or more",
    "reorder=2%": "reorder needs a delay",
    "reorder=2%,delay=0ms": "reorder needs a delay",
    "duplicate=101%": "duplicate is a share",
    "seed=-1": "seed is a whole number from 0 to 4294967295, as in 7, not '-1'",
    "seed=1.5": "seed is a whole number",
    "seed=4294967296": "seed is a whole number",
}


def test_every_word_means_what_it_says() -> None:
    assert LinkConditions.parse(EVERYTHING, seed=1) == LinkConditions(
        loss=0.1, burst=5, delay_s=0.05, jitter_s=0.02, reorder=0.02, duplicate=0.01, seed=7
    )


@pytest.mark.parametrize(
    "text", ["loss=10, delay=50 ms", " LOSS = 10 % , delay=0.05s\n", "loss=10%,delay=50ms"]
)
def test_spaces_capitals_and_a_missing_per_cent_are_understood(text: str) -> None:
    assert LinkConditions.parse(text, seed=1) == LinkConditions(loss=0.1, delay_s=0.05, seed=1)


@pytest.mark.parametrize("text", ["loss=0%", "loss=100%", "delay=10s", "loss=75%,burst=3"])
def test_the_limits_may_be_typed(text: str) -> None:
    LinkConditions.parse(text, seed=1)


def test_what_is_not_typed_is_perfect_and_the_seed_is_the_one_given() -> None:
    assert LinkConditions.parse("delay=0.25s", seed=12) == LinkConditions(delay_s=0.25, seed=12)


@pytest.mark.parametrize(
    "text",
    [EVERYTHING, "seed=0", "loss=0.125%,seed=3", "loss=12.5%,burst=2.5,delay=1.5ms,seed=1"],
)
def test_conditions_are_written_as_they_are_typed(text: str) -> None:
    conditions = LinkConditions.parse(text, seed=99)
    assert str(conditions) == text
    assert LinkConditions.parse(str(conditions), seed=98) == conditions


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        (
            EVERYTHING,
            "loss 10 % in bursts of 5, delay 50 ms ± 20 ms, 2 % overtaking, 1 % doubled",
        ),
        ("loss=10%", "loss 10 %"),
        ("delay=1s", "delay 1000 ms"),
        ("jitter=5ms", "delay 0 ms ± 5 ms"),
        ("seed=7", "perfect"),
    ],
)
def test_people_are_told_in_words(typed: str, told: str) -> None:
    assert LinkConditions.parse(typed, seed=1).as_text() == told


@pytest.mark.parametrize("text", BAD)
def test_what_makes_no_sense_is_told_in_one_line(text: str) -> None:
    with pytest.raises(ValueError, match=r"^[^\n]+$") as told:
        LinkConditions.parse(text, seed=1)
    assert BAD[text] in str(told.value)
