"""A server is found by its name as people type it, and by no other."""

from __future__ import annotations

import io
from math import inf

import pytest

from listening.choosing import LOOK_S, MOST_LOOK_S, NothingFound, choose, list_servers
from shell.network import mdns
from shell.network.mdns import Found
from wire.announcement import Announcement

KITCHEN, CELLAR = (
    Found(Announcement(name), (f"192.0.2.{number}",), 4501)
    for number, name in enumerate(["Kitchen", "Straße 7"], 1)
)


@pytest.mark.parametrize("typed", ["Kitchen", "kitchen", " KITCHEN "])
def test_capitals_and_spaces_around_a_name_do_not_matter(typed: str) -> None:
    assert choose([KITCHEN, CELLAR], typed, io.StringIO(), asks=False) == KITCHEN


def test_letters_are_compared_as_unicode_folds_them() -> None:
    assert choose([KITCHEN, CELLAR], "STRASSE 7", io.StringIO(), asks=False) == CELLAR


def test_a_name_that_is_not_there_is_answered_with_those_that_are() -> None:
    with pytest.raises(NothingFound, match=r"'Attic' announces .* are Kitchen, Straße 7$"):
        choose([KITCHEN, CELLAR], "Attic", io.StringIO(), asks=False)


@pytest.mark.parametrize(
    ("timeout_s", "looks_s"),
    [(None, (LOOK_S, MOST_LOOK_S)), (30.0, (30.0, 30.0)), (0.5, (0.5, 0.5)), (inf, (LOOK_S, inf))],
)
def test_the_list_takes_as_long_as_was_asked_for(
    timeout_s: float | None,
    looks_s: tuple[float, float],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    looked: list[tuple[float, float]] = []

    def find(least_s: float, most_s: float) -> list[Found]:
        looked.append((least_s, most_s))
        return [KITCHEN, CELLAR]

    monkeypatch.setattr(mdns, "find", find)
    assert list_servers(timeout_s) == 0
    assert looked == [looks_s]
    assert capfd.readouterr().out == "192.0.2.1 4501  Kitchen\n192.0.2.2 4501  Straße 7\n"
