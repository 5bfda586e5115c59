"""A server is found by its name as people type it, and by no other."""

from __future__ import annotations

import io

import pytest

from listening.choosing import NothingFound, choose
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
