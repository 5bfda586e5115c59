"""Proof of address: whom a cookie is good for, and how long."""

from __future__ import annotations

import pytest

from broadcasting.audience.cookie import COOKIE_BYTES, SLOT_S, CookieJar
from message import CONNECT_BYTES, HEADER_BYTES, Challenge, Connect, Message
from wire.address import Address

HERE: Address = ("198.51.100.1", 10_000)
SLOT_BEGIN = 40 * SLOT_S

jar = CookieJar(b"secret")


@pytest.mark.parametrize("age_s", [0, 1, SLOT_S, 2 * SLOT_S - 0.001])
def test_a_cookie_is_good_until_the_end_of_the_next_slot(age_s: float) -> None:
    assert jar.accepts(jar.make(HERE, SLOT_BEGIN), HERE, SLOT_BEGIN + age_s)


@pytest.mark.parametrize("made_at", [SLOT_BEGIN, SLOT_BEGIN + SLOT_S / 2, SLOT_BEGIN - 0.001])
def test_a_cookie_is_good_for_one_slot_at_least_and_two_at_most(made_at: float) -> None:
    cookie = jar.make(HERE, made_at)
    assert jar.accepts(cookie, HERE, made_at + SLOT_S)
    assert not jar.accepts(cookie, HERE, made_at + 2 * SLOT_S)


def test_a_cookie_of_the_future_is_refused() -> None:
    assert not jar.accepts(jar.make(HERE, SLOT_BEGIN + SLOT_S), HERE, SLOT_BEGIN)


@pytest.mark.parametrize(
    "there",
    [
        ("198.51.100.2", 10_000),
        ("198.51.100.1", 10_001),
        ("198.51.100.1", 1000),
        ("198.51.100.11", 0),
        ("::ffff:198.51.100.1", 10_000, 0, 0),
    ],
)
def test_a_cookie_is_worth_nothing_at_another_address_or_port(there: Address) -> None:
    assert not jar.accepts(jar.make(HERE, SLOT_BEGIN), there, SLOT_BEGIN)


def test_a_link_local_address_counts_with_its_interface() -> None:
    one, other = ("fe80::1", 10_000, 0, 1), ("fe80::1", 10_000, 0, 2)
    assert jar.accepts(jar.make(one, SLOT_BEGIN), one, SLOT_BEGIN)
    assert not jar.accepts(jar.make(one, SLOT_BEGIN), other, SLOT_BEGIN)


def test_a_cookie_of_another_run_of_the_server_is_refused() -> None:
    other = CookieJar(b"another secret").make(HERE, SLOT_BEGIN)
    assert not jar.accepts(other, HERE, SLOT_BEGIN)


@pytest.mark.parametrize("garbage", ["", "0", "0" * 32, "é" * 16, "☎" * 32, "0" * 10_000, "\0"])
def test_garbage_is_refused(garbage: str) -> None:
    assert not jar.accepts(garbage, HERE, SLOT_BEGIN)


def test_every_change_of_one_character_is_noticed() -> None:
    cookie = jar.make(HERE, SLOT_BEGIN)
    for place, character in enumerate(cookie):
        changed = cookie[:place] + ("1" if character == "0" else "0") + cookie[place + 1 :]
        assert not jar.accepts(changed, HERE, SLOT_BEGIN)
    assert not jar.accepts(cookie[:-1], HERE, SLOT_BEGIN)
    assert not jar.accepts(cookie + "0", HERE, SLOT_BEGIN)


def test_a_cookie_travels_to_the_client_and_back_unchanged() -> None:
    cookie = jar.make(HERE, SLOT_BEGIN)
    assert len(cookie) == 2 * COOKIE_BYTES
    challenge = Challenge(nonce="n" * 32, cookie=cookie).to_message()
    assert HEADER_BYTES + len(challenge.data) < CONNECT_BYTES
    answer = Connect(nonce="n" * 32, cookie=Challenge.from_message(challenge).cookie)
    taken = Connect.from_message(Message.unpack(answer.to_message().pack(CONNECT_BYTES)))
    assert jar.accepts(taken.cookie, HERE, SLOT_BEGIN)
