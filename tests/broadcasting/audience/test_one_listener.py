"""Everything that is kept of a listener: it moves with it, and goes when it leaves."""

from __future__ import annotations

import gc
import types

import pytest

from broadcasting.audience.listener import Listener
from broadcasting.audience.migration import QUIET_S
from broadcasting.settings import Settings
from broadcasting.stream.parity_control import AUTO
from message import Challenge, Connect, Report, Type
from tests.broadcasting.test_broadcast import HERE, Server, goodbye, missing, report
from tests.rig.network import Network, client_address, segments
from wire.address import Address
from wire.seal import KEY_BYTES, Key

NEW = client_address(7_777)
SLOW = Settings(fec=AUTO, burst_rate_bytes_per_s=20_000.0, timeout_s=5.0)
"""A burst takes most of a second."""


def kept(root: object, address: Address) -> list[object]:
    """What can be reached from `root` and is of the listener at `address`."""
    seen: set[int] = set()
    found: list[object] = []
    to_see = [root]
    while to_see:
        one = to_see.pop()
        if id(one) in seen or isinstance(one, (type, types.ModuleType, types.FunctionType)):
            continue
        seen.add(id(one))
        if one == address or (isinstance(one, Listener) and one.address == address):
            found.append(one)
        to_see += gc.get_referents(one)
    return found


def kept_by(server: Server | Network, address: Address) -> list[object]:
    """`kept` of a whole server, but for the final figures."""
    core = server.core if isinstance(server, Server) else server.server
    assert core is not None
    departed = [*core.figures.departed]
    core.figures.departed.clear()
    found = kept(core, address)
    core.figures.departed.extend(departed)
    return found


def lossy(session: str) -> Report:
    return Report(session=session, clock_us=0, expected=100, received=80, intact=80, lost=20)


def busy_server() -> tuple[Server, str]:
    """A server of which HERE has all that a listener can have; its session."""
    server = Server(SLOW)
    server.join(client_address(1), "other")
    server.wait(3)
    session = server.join(HERE).session
    server.say(lossy(session))
    server.say(missing(session, "3"))
    listener = server.core.registry.at(HERE)
    assert listener is not None
    assert None not in (listener.account, listener.loss, listener.burst, listener.report)
    return server, session


def leave(server: Server, session: str, how: str) -> None:
    if how == "goodbye":
        server.say(goodbye(session))
    elif how == "replaced":
        server.connect(HERE, "another")
        server.say(goodbye("none"))
        other = server.core.registry.at(HERE)
        assert other is not None
        server.say(goodbye(other.session))
    else:
        server.wait(SLOW.timeout_s + 1)


@pytest.mark.parametrize("how", ["goodbye", "silent", "replaced"])
def test_a_listener_that_leaves_is_forgotten_everywhere(how: str) -> None:
    server, session = busy_server()
    assert kept_by(server, HERE)
    leave(server, session, how)
    # Bursts queued before its own are sent first; the fan-out is told with the next AUDIO.
    server.wait(1)
    assert server.core.registry.at(HERE) is None
    assert kept_by(server, HERE) == []
    assert server.core.figures.departed[0].how == how


def test_with_a_key_only_its_salt_is_remembered() -> None:
    network = Network(Settings(), segments(1000), key=Key(bytes(KEY_BYTES)))
    listener = network.join()
    network.join()
    network.run(3)
    assert kept_by(network, listener.address)
    listener.core.leave(network.now)
    network.run(1)
    assert kept_by(network, listener.address) == []


def move(server: Server, session: str) -> None:
    """HERE goes on from NEW."""
    server.wait(QUIET_S)
    ((message, to), _) = server.answers(report(session), NEW)
    assert (message.type, to) == (Type.CHALLENGE, NEW)
    cookie = Challenge.from_message(message).cookie
    server.answers(Connect(nonce="nonce", cookie=cookie, session=session), NEW)
    assert server.core.registry.at(NEW) is not None


def test_a_listener_that_moves_leaves_nothing_behind() -> None:
    server, session = busy_server()
    move(server, session)
    (listener,) = (one for one in server.core.registry if one.address == NEW)
    listener.came_from = None
    server.wait(1)
    assert kept_by(server, HERE) == []


def test_a_listener_that_moves_keeps_what_it_was_repeated() -> None:
    server, session = busy_server()
    server.wait(1)
    before = server.core.registry.at(HERE)
    assert before is not None
    assert before.account is not None
    before.account.allowance_bytes = 0
    account = before.account
    move(server, session)
    after = server.core.registry.at(NEW)
    assert after is not None
    assert after.account is account
    # It gains what was broadcast since, and nothing beyond that.
    server.say(missing(session, "0-40"), NEW)
    repeated = server.core.statistics.repeated
    assert repeated < 20
    assert server.core.statistics.repeats_refused > 0


def test_the_loss_of_a_listener_that_moves_still_counts() -> None:
    server = Server(Settings(fec=AUTO, timeout_s=60.0))
    session = server.join(HERE).session
    for second in range(1, 40):
        server.wait(1)
        figures = Report(
            session=session, clock_us=0, expected=13 * second, received=0, intact=0, lost=second
        )
        server.say(figures)
    accept = server.join(client_address(5), "later")
    assert accept.parity == 4
    move(server, session)
    # It has reported nothing since, and nobody else has lost anything.
    server.wait(30)
    assert server.join(client_address(6), "latest").parity == 4


def test_the_loss_of_a_listener_that_left_does_not_count() -> None:
    server = Server(Settings(fec=AUTO, timeout_s=600.0))
    session, other = server.join(HERE).session, server.join(client_address(5), "other").session
    for second in range(1, 40):
        server.wait(1)
        for one, lost, at in ((session, second, HERE), (other, 0, client_address(5))):
            expected = 13 * second
            server.say(
                Report(session=one, clock_us=0, expected=expected, received=0, intact=0, lost=lost),
                at,
            )
    assert server.join(client_address(6), "later").parity == 4
    server.say(goodbye(session))
    server.wait(200)
    assert server.join(client_address(7), "latest").parity == 0


def test_the_burst_of_a_listener_that_moves_follows_it() -> None:
    server, session = busy_server()
    listener = server.core.registry.at(HERE)
    assert listener is not None
    server.told.clear()
    move(server, session)
    sent_here = len(server.told)
    assert listener.burst
    server.wait(1)
    to = {to for _, message, to in server.told[sent_here:] if message.type == Type.AUDIO}
    assert to == {NEW}
