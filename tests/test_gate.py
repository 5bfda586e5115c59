"""What of a listener is looked at, whatever comes under its address."""

from __future__ import annotations

import dataclasses
import json

import pytest

from broadcasting.gate import LISTENER_AT_ONCE, LISTENER_MESSAGES
from message import Control, Message, Report, Request, Status, Type
from tests.test_broadcast import HERE, STREAM, THERE, Server, goodbye, missing, report

FORGED = "0" * 32


@pytest.mark.parametrize("content", [report(FORGED), missing(FORGED, "0-9"), goodbye(FORGED)])
def test_what_is_forged_under_its_address_does_not_use_up_what_a_listener_may_send(
    content: Control,
) -> None:
    server = Server()
    session = server.join(HERE).session
    server.wait(2)
    for _ in range(20_000):
        server.say(content, HERE)
    assert server.core.statistics.passed_over > 19_000
    (status,) = server.say(report(session), HERE)
    assert status.type == Type.STATUS
    assert [one.type for one in server.say(missing(session, "3"), HERE)] == [Type.REPEAT]
    assert server.addresses() == (HERE,)


def test_a_listener_that_repeats_itself_is_answered_at_its_pace_and_stays() -> None:
    server = Server()
    session = server.join(HERE).session
    server.join(THERE)
    answers = 0
    for _ in range(20_000):
        server.now += 0.0005
        answers += len(server.say(report(session), HERE))
    assert answers == pytest.approx(10 * LISTENER_MESSAGES + LISTENER_AT_ONCE, abs=2)
    assert HERE in server.addresses()
    assert server.core.statistics.passed_over == 20_000 - answers


def test_one_listener_uses_up_nothing_of_another() -> None:
    server = Server()
    here, there = server.join(HERE).session, server.join(THERE).session
    for _ in range(10_000):
        server.say(report(here), HERE)
    assert [one.type for one in server.say(report(there), THERE)] == [Type.STATUS]


@pytest.mark.parametrize("kind", [Report, Request])
def test_a_session_in_another_place_of_the_object_is_as_good(kind: type[Control]) -> None:
    server = Server()
    session = server.join(HERE).session
    server.wait(2)
    content = report(session) if kind is Report else missing(session, "3")
    said = content.to_message(stream=STREAM)
    turned = json.dumps(dict(reversed(json.loads(said.data).items()))).encode()
    (answer,) = server.say(said._replace(data=turned), HERE)
    assert answer.type == (Type.STATUS if kind is Report else Type.REPEAT)


def test_both_programs_write_the_session_where_it_proves_a_message() -> None:
    server = Server()
    session = server.join(HERE).session
    everything = dataclasses.replace(report(session), ended=True, lost=3, jitter_ms=1.0)
    for content in (report(session), everything, missing(session, "3"), goodbye(session)):
        data = content.to_message().data
        assert data.startswith(b'{"session":"%b"' % session.encode())


def test_a_session_that_only_begins_as_the_right_one_proves_nothing() -> None:
    server = Server()
    session = server.join(HERE).session
    for said in (session[:-1], session + "0", ""):
        answers = server.say(report(said), HERE)
        assert [one.type for one in answers] in ([Type.REJECT], [])
    assert Status.from_message(server.say(report(session), HERE)[0]).listeners == 1


def test_every_datagram_is_counted_as_one_thing() -> None:
    server = Server()
    session = server.join(HERE).session
    before = server.core.statistics.control_received
    said: list[bytes | Control] = [b"", b"stray", Message(0, Type.AUDIO, b"x").pack()]
    said += [report(session)] * 200
    said += [report("")] * 200
    for one in said:
        server.say(one, HERE)
    count = server.core.statistics
    read = count.malformed + count.ignored + count.passed_over + count.control_received
    assert read - before == len(said)
