"""A pace, in virtual time."""

from __future__ import annotations

from broadcasting.token_bucket import TokenBucket


def test_it_is_full_at_first_and_never_holds_more_than_its_depth() -> None:
    bucket = TokenBucket(rate=10, depth=5)
    assert bucket.fill(100.0) == 5
    assert bucket.fill(200.0) == 5


def test_what_was_spent_comes_back_at_the_rate() -> None:
    bucket = TokenBucket(rate=10, depth=5)
    bucket.fill(100.0)
    bucket.spend(4)
    assert bucket.fill(100.25) == 3.5


def test_what_was_spent_beyond_what_there_was_is_made_up_for_first() -> None:
    bucket = TokenBucket(rate=10, depth=5)
    bucket.fill(100.0)
    bucket.spend(15)
    assert bucket.fill(101.0) == 0
    assert bucket.fill(101.125) == 1.25


def test_it_says_when_it_will_hold_so_many() -> None:
    bucket = TokenBucket(rate=8, depth=16)
    assert bucket.holds_at(5) < 0
    bucket.fill(100.0)
    bucket.spend(16)
    assert bucket.holds_at(4) == 100.5
    assert bucket.fill(100.5) == 4
