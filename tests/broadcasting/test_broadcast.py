"""The server core alone: datagrams made by hand, and what comes back."""

from __future__ import annotations

import dataclasses
import itertools
import json
from collections.abc import Iterator
from typing import TypeVar

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from broadcasting.audience.figures import ListenerFigures
from broadcasting.audience.registry import MISSED_REPORTS
from broadcasting.audience.sessions import MOST_REPORT_S, PUNCTUAL_LISTENERS, REPORT_SPACING_S
from broadcasting.broadcast import DRAIN_S, END_REPEAT_MOST_S, END_REPEAT_S, Broadcast, Step
from broadcasting.sending.turns import Turn
from broadcasting.settings import Settings
from broadcasting.source.segments import Segment
from broadcasting.stream.history import Packet
from broadcasting.stream.parity_control import AUTO
from broadcasting.stream.stream import OPENING_S
from broadcasting.stream.timeline import HEAD_START_S
from message import (
    CONNECT_BYTES,
    HEADER_BYTES,
    MAGIC,
    VERSION,
    Accept,
    Challenge,
    Connect,
    Control,
    End,
    Goodbye,
    Message,
    Reject,
    Report,
    Request,
    Status,
    Type,
)
from tests.rig.network import TRACK, client_address, segments
from wire.address import Address

STREAM = 0xABCDEF
HERE, THERE, ELSEWHERE = (client_address(number) for number in range(3))
TIMEOUT_S = 5.0

AnyControl = TypeVar("AnyControl", bound=Control)


class Server:
    """A server core, its programme and its clock."""

    def __init__(
        self,
        settings: Settings | None = None,
        programme: Iterator[Segment] | None = None,
        stream: int = STREAM,
    ) -> None:
        self.now = 1000.0
        self.broadcast: list[Packet] = []
        self.origins: list[Packet] = []
        self.told: list[tuple[float, Message, Address]] = []
        self.programme = segments(10_000) if programme is None else programme
        tokens = itertools.count(1)
        self.core = Broadcast(
            settings or Settings(timeout_s=TIMEOUT_S),
            stream_id=stream,
            secret=b"secret",
            token=lambda: f"{next(tokens):032x}",
        )
        self.step()

    def say(self, said: Control | Message | bytes, address: Address = HERE) -> list[Message]:
        """A datagram comes from `address`; what is answered to there.

        Nothing goes elsewhere, but for the question whether a listener is still where it was.
        """
        before = set(self.addresses())
        answers = self.answers(said, address)
        elsewhere = [(message.type, to) for message, to in answers if to != address]
        assert all(kind == Type.CHALLENGE and to in before for kind, to in elsewhere)
        return [message for message, to in answers if to == address]

    def answers(
        self, said: Control | Message | bytes, address: Address
    ) -> list[tuple[Message, Address]]:
        """A datagram comes from `address`; what is sent because of it, and to whom."""
        received = self.core.receive_datagram(datagram(said), address, self.now)
        return [(Message.unpack(d), to) for d, to in received.answers] if received else []

    def addresses(self) -> tuple[Address, ...]:
        return self.core.registry.addresses

    def figures(self) -> list[ListenerFigures]:
        """The figures of everyone that was or is registered."""
        present, has_more = self.core.figures.present(iter(self.addresses()), self.now)
        assert not has_more
        return [*self.core.figures.departed, *present]

    def connect(self, address: Address = HERE, nonce: str = "nonce") -> list[Message]:
        """A client proves its address; what is answered to its second CONNECT."""
        challenge = only(Challenge, self.say(Connect(nonce=nonce), address))
        answers = self.say(Connect(nonce=nonce, cookie=challenge.cookie), address)
        return [message for message in answers if message.type != Type.TIMELINE]

    def join(self, address: Address = HERE, nonce: str = "nonce") -> Accept:
        """A client is registered."""
        return Accept.from_message(self.connect(address, nonce)[0])

    def wait(self, seconds: float) -> None:
        """Let time pass as the owner does; the core may not ask for more than it needs."""
        end, asked, before = self.now + seconds, 0, (0, 0)
        while not (step := self.step()).finished and step.due is not None and step.due <= end:
            done = (len(self.told), self.core.registry.changes)
            asked = asked + 1 if step.due <= self.now and done == before else 0
            assert asked < 4, "it asks to be called, and nothing comes of it"
            self.now, before = max(self.now, step.due), done
        self.now = end

    def step(self) -> Step:
        """Let the core do what is due now, and read all that it wants."""
        while True:
            step = self.core.step(self.now)
            if step.turn is not None:
                for one in step.turn.messages:
                    (self.origins if one.kind == Type.TIMELINE else self.broadcast).append(one)
                for run in step.turn.runs():
                    self.core.account(run, self.now, len(self.addresses()), ())
            for data, address in step.answers:
                self.told.append((self.now, Message.unpack(data), address))
            if not step.wants_segment:
                return step
            segment = next(self.programme, None)
            if segment is None:
                self.core.end_of_source()
            else:
                self.core.add_segment(segment)

    @property
    def finished(self) -> bool:
        """Whether the server may leave."""
        return self.step().finished

    def wait_and_report(self, seconds: float, session: str, address: Address = HERE) -> None:
        """Let time pass while a listener reports every second."""
        for _ in range(round(seconds)):
            self.wait(1)
            self.say(report(session), address)


def datagram(said: Control | Message | bytes) -> bytes:
    if isinstance(said, bytes):
        return said
    if isinstance(said, Control):
        said = said.to_message(stream=STREAM)
    return said.pack(CONNECT_BYTES if said.type == Type.CONNECT else 0)


def only(kind: type[AnyControl], messages: list[Message]) -> AnyControl:
    """The content of the one message that came."""
    assert [message.type for message in messages] == [kind.TYPE]
    return kind.from_message(messages[0])


def report(session: str, *, ended: bool = False) -> Report:
    return Report(session=session, clock_us=123, expected=0, received=0, intact=0, ended=ended)


def goodbye(session: str, lost: int = 0) -> Goodbye:
    return Goodbye(session=session, clock_us=123, expected=lost, received=0, intact=0, lost=lost)


# No amplification, no state.

LONGEST = "x" * 32


def contents() -> Iterator[bytes]:
    """Data of every kind of message, as short and as long as it may be, and at fault."""
    for token in ("", "x", LONGEST):
        for fields in (
            {"nonce": token},
            {"nonce": token, "cookie": token},
            {"session": token, "clock_us": 0},
            {"session": token, "clock_us": 2**53 - 1, "ended": True},
        ):
            yield json.dumps(fields, separators=(",", ":")).encode()
        yield report(token).to_message().data
    yield from (b"", b"{}", b"[]", b"\xff\xfe", b'{"nonce":', b'{"nonce":"\\ud800"}', b"[" * 1100)


def shapes() -> Iterator[bytes]:
    """Datagrams of every type, with all sorts of data, padded or not, and cut short."""
    for kind, data, stream in itertools.product(range(14), contents(), (STREAM, 0)):
        message = Message(2**64 - 1, kind, data, stream)
        for size in (0, CONNECT_BYTES, 65_507):
            yield message.pack(size)
    for content in (Connect(nonce="n"), goodbye(LONGEST), report(LONGEST)):
        whole = content.to_message(stream=STREAM).pack()
        yield from (whole[:size] for size in range(len(whole)))
        for version, size in itertools.product((0, VERSION + 1, 255), (4, 40, CONNECT_BYTES)):
            yield (MAGIC + bytes([version]) + whole[3:]).ljust(size, b"\0")[:size]


def test_an_address_without_a_cookie_gets_no_more_than_it_sent_and_makes_no_state() -> None:
    server = Server()
    server.join(THERE)
    server.wait(3)
    stolen = Connect(
        nonce="nonce", cookie=server.core._sessions._handshake.cookies.make(THERE, server.now)
    )
    before = server.addresses()
    answered: set[int] = set()
    for data in [*shapes(), datagram(stolen)]:
        answers = server.say(data)
        answered.update(message.type for message in answers)
        assert len(answers) <= 1
        assert sum(len(message.pack()) for message in answers) <= len(data)
        assert server.addresses() == before
    assert answered == {Type.CHALLENGE, Type.REJECT, Type.GOODBYE}
    assert not server.core.figures.departed


def test_an_answer_of_a_server_is_not_answered_by_itself_or_another_server() -> None:
    one, other = Server(), Server(stream=STREAM + 1)
    for data in shapes():
        for answer in one.say(data):
            assert one.say(answer.pack()) == other.say(answer.pack()) == []


# Registering.


def test_a_cookie_registers_the_address_that_it_was_made_for() -> None:
    server = Server()
    challenge = only(Challenge, server.say(Connect(nonce="mine")))
    assert challenge.nonce == "mine"
    assert server.addresses() == ()
    (message,) = server.say(Connect(nonce="mine", cookie=challenge.cookie))
    accept = Accept.from_message(message)
    assert (accept.nonce, accept.title, message.stream) == ("mine", TRACK.title, STREAM)
    assert server.addresses() == (HERE,)
    again = server.say(Connect(nonce="mine", cookie=challenge.cookie), THERE)
    assert only(Challenge, again).cookie != challenge.cookie


def test_a_full_server_refuses_politely_until_a_slot_is_free() -> None:
    server = Server(Settings(max_clients=2))
    session = server.join(HERE).session
    server.join(THERE)
    reject = only(Reject, server.connect(ELSEWHERE, "mine"))
    assert (reject.reason, reject.echo) == ("full", "mine")
    assert server.addresses() == (HERE, THERE)
    server.say(goodbye(session))
    server.join(ELSEWHERE, "mine")
    assert server.addresses() == (THERE, ELSEWHERE)
    assert server.core.statistics.rejected == {"full": 1}
    assert server.core.statistics.listeners_peak == 2


def test_an_address_has_so_many_listeners_and_others_still_join() -> None:
    server = Server(Settings(max_clients_per_address=2))
    sessions = [server.join(address).session for address in (HERE, THERE)]
    reject = only(Reject, server.connect(ELSEWHERE, "mine"))
    assert (reject.reason, reject.echo) == ("address", "mine")
    assert server.core.statistics.rejected == {"address": 1}
    server.join(("198.51.100.2", HERE[1]))
    # Another run of one of them takes its own place.
    server.join(HERE, nonce="another")
    server.say(goodbye(sessions[1]), THERE)
    server.join(ELSEWHERE)
    assert len(server.addresses()) == 3


def test_a_full_server_still_answers_those_who_are_registered() -> None:
    server = Server(Settings(max_clients=1))
    assert server.join() == server.join()
    assert server.join(nonce="another") != server.join(nonce="third")


def test_a_server_that_closes_takes_nobody_new() -> None:
    server = Server()
    accept = server.join(HERE)
    server.core.stop(server.now)
    reject = only(Reject, server.connect(THERE, "mine"))
    assert (reject.reason, reject.echo) == ("closing", "mine")
    assert server.join(HERE) == accept


@pytest.mark.parametrize("version", [0, VERSION + 1, 255])
def test_another_version_is_told_so_if_it_wants_to_connect(version: int) -> None:
    server = Server()
    for kind in Type:
        data = bytearray(Message(0, kind).pack(CONNECT_BYTES))
        data[2] = version
        answers = server.say(bytes(data))
        if kind is Type.CONNECT:
            assert only(Reject, answers) == Reject(reason="version")
        else:
            assert answers == []
    count = server.core.statistics
    assert (count.malformed, count.rejected["version"]) == (len(Type) - 1, 1)
    assert count.control_received == 1


def test_connecting_again_gives_the_same_accept_and_no_second_burst() -> None:
    server = Server()
    server.join(THERE)
    server.wait(3)
    accept, *burst = server.connect()
    assert [message.type for message in burst] == [Type.AUDIO] * len(burst)
    assert len(burst) > 10
    server.wait(1)
    repeated = only(Accept, server.connect())
    assert repeated == Accept.from_message(accept)
    assert server.core.statistics.accepted == 2


def test_another_run_of_the_client_takes_the_place_of_the_first() -> None:
    server = Server(Settings(max_clients=1))
    first = server.join(nonce="first")
    server.wait(2)
    second, *burst = server.connect(nonce="second")
    assert Accept.from_message(second).session != first.session
    assert burst
    assert server.addresses() == (HERE,)
    assert [departed.how for departed in server.core.figures.departed] == ["replaced"]
    assert only(Reject, server.say(report(first.session))).reason == "session"


def test_listeners_behind_one_host_are_told_apart_by_their_ports() -> None:
    server = Server()
    first, second = server.join(HERE), server.join(THERE)
    assert HERE[0] == THERE[0]
    assert first.session != second.session
    assert server.say(report(first.session), THERE) == []
    server.say(goodbye(first.session), HERE)
    assert server.addresses() == (THERE,)
    assert only(Status, server.say(report(second.session), THERE)).listeners == 1


def test_the_longest_texts_and_numbers_fit_an_accept_and_a_status() -> None:
    track = dataclasses.replace(
        TRACK, title="𝄞" * 500, artist='"' * 500, bit_rate_bps=2**53 - 1, number=2**53 - 1
    )
    segment = dataclasses.replace(next(segments(1)), track=track)
    settings = Settings(burst_s=1 / 3, timeout_s=1e14 / 3, speed=1e14 / 3, duration_s=1e14 / 3)
    server = Server(settings, iter([segment]))
    accept = server.join(nonce=LONGEST)
    assert accept.title.startswith("𝄞𝄞")
    assert only(Status, server.say(report(accept.session))).title == accept.title


# The stream.


def test_the_burst_of_a_late_listener_and_the_stream_meet_without_gap_or_overlap() -> None:
    server = Server()
    server.join(THERE)
    server.wait(7)
    message, *burst = server.connect()
    accept = Accept.from_message(message)
    assert accept.first_sequence == burst[0].sequence
    assert accept.first_time_us == burst[0].media_time_us
    assert accept.live_time_us > burst[-1].media_time_us
    server.wait(1)
    following = [one for one in server.broadcast if one.sequence > burst[-1].sequence]
    heard = [message.sequence for message in burst] + [one.sequence for one in following]
    assert heard == list(range(heard[0], heard[0] + len(heard)))
    assert following[0].media_time_us == accept.live_time_us


def test_what_the_first_listener_is_sent_at_once_is_as_long_as_the_burst() -> None:
    server = Server(Settings(burst_s=1.5))
    accept = server.join()
    assert (accept.first_sequence, accept.first_time_us) == (0, 0)
    assert accept.live_time_us == 1_500_000
    server.wait(0)
    assert server.broadcast[-1].media_time_us <= accept.live_time_us


def test_the_stream_starts_when_as_many_wait_as_were_asked_for() -> None:
    server = Server(Settings(wait_for=2))
    session = server.join(HERE).session
    server.wait_and_report(60, session)
    assert not server.core.snapshot(server.now).started
    server.join(THERE)
    server.wait(0)
    assert server.core.snapshot(server.now).started
    assert server.broadcast[0].sequence == 0


def test_a_stream_that_waits_for_nobody_starts_at_once() -> None:
    server = Server(Settings(wait_for=0))
    server.wait(0)
    assert server.broadcast[0].sequence == 0
    server.wait(5)
    assert len(server.broadcast) > 70


def test_a_stream_that_has_started_goes_on_when_everybody_has_left() -> None:
    server = Server()
    session = server.join().session
    server.wait(2)
    server.say(goodbye(session))
    server.wait(3)
    # A second is sent ahead.
    assert server.broadcast[-1].end_time_us > 6e6


# Keeping in touch.


def test_a_report_is_answered_with_the_status() -> None:
    server = Server()
    session = server.join().session
    server.wait(3)
    (message,) = server.say(report(session))
    assert message.stream == STREAM
    assert Status.from_message(message) == Status(
        clock_us=123,
        server_clock_us=round(server.now * 1e6),
        listeners=1,
        report_s=1.0,
        position_s=3.0,
        track=1,
        title=TRACK.title,
        artist=None,
        origin_us=round((server.now - 3.0 + HEAD_START_S) * 1e6),
    )


def test_after_a_skip_who_was_there_and_who_comes_are_told_the_same_duration() -> None:
    track = dataclasses.replace(TRACK, duration_s=10.0)
    programme = (dataclasses.replace(one, track=track) for one in segments(200))
    server = Server(Settings(duration_s=25.0), programme)
    before = server.join()
    server.wait(1)
    server.core.skip()
    after = server.join(THERE)
    told = only(Status, server.say(report(before.session)))
    assert before.duration_s == 25.0
    assert after.duration_s == told.duration_s
    sent_s = 1 + 1 + OPENING_S
    assert after.duration_s == pytest.approx(15 + sent_s, abs=0.1), "what was sent, and the burst"


def test_every_answer_tells_what_is_so_now() -> None:
    server = Server(Settings(max_clients=300, max_clients_per_address=300))
    session = server.join().session
    first = only(Status, server.say(report(session)))
    server.wait(2)
    for number in range(200):
        server.join(("198.51.100.9", 10_000 + number))
    second = only(Status, server.say(report(session)))
    assert (first.listeners, first.report_s, first.position_s) == (1, 1.0, 0.0)
    assert (second.listeners, second.position_s) == (201, 2.0)
    assert second.report_s == pytest.approx(201 * REPORT_SPACING_S)
    assert second.server_clock_us - first.server_clock_us == 2_000_000


def test_a_report_is_understood_in_whatever_order_its_fields_are() -> None:
    server = Server()
    said = dataclasses.replace(report(server.join().session), lost=3).to_message(stream=STREAM)
    fields = json.loads(said.data)
    turned = json.dumps(dict(reversed(fields.items()))).encode()
    assert only(Status, server.say(said._replace(data=turned))).clock_us == fields["clock_us"]
    assert [one.report and one.report.lost for one in server.figures()] == [3]
    assert server.core.snapshot(server.now).lost == 3


FAULTS = [
    (b'"lost":3', b'"lost":-3'),
    (b'"lost":3', b'"lost":"3"'),
    (b'"lost":3', b'"lost":3.5'),
    (b'"lost":3', b'"lost":9007199254740992'),
    (b'"lost":3', b'"lost":3,"lost":3'),
    (b'"jitter_ms":1.5', b'"jitter_ms":NaN'),
    (b'"jitter_ms":1.5', b'"jitter_ms":1e999'),
    (b'"jitter_ms":1.5', b'"jitter_ms":999999999999999.99999'),
    (b'"intact":0', b'"intact":00'),
    (b'"received":0,', b""),
    (b"}", b""),
    (b"}", b"} and more"),
    (b"}", b",}"),
]
"""A text of a REPORT, and what makes a fault of it: all of them begin well."""


@pytest.mark.parametrize("state", ["listening", "closing", "parity follows the loss"])
@pytest.mark.parametrize("fault", FAULTS)
def test_a_report_at_fault_is_counted_and_keeps_neither_place_nor_answer(
    fault: tuple[bytes, bytes], state: str
) -> None:
    fec = AUTO if state == "parity follows the loss" else None
    server = Server(Settings(timeout_s=TIMEOUT_S, fec=fec))
    session = server.join().session
    good = dataclasses.replace(report(session), lost=3, jitter_ms=1.5).to_message(stream=STREAM)
    if state == "closing":
        server.core.stop(server.now)
    assert only(Status, server.say(good)).listeners == 1
    bad = good._replace(data=good.data.replace(*fault), sequence=1 << 63)
    assert bad.data != good.data
    for _ in range(int(TIMEOUT_S)):
        server.wait(0.9)
        assert server.say(bad) == []
    count = server.core.statistics
    assert count.malformed == int(TIMEOUT_S)
    assert [one.report for one in server.figures()] == [Report.from_message(good)]
    # A good one of an earlier number still counts, and is the only one that keeps the place.
    better = dataclasses.replace(report(session), lost=4).to_message(1, stream=STREAM)
    assert only(Status, server.say(better)).listeners == 1
    assert [one.report for one in server.figures()] == [Report.from_message(better)]
    for _ in range(int(TIMEOUT_S) + 1):
        server.wait(0.9)
        server.say(bad)
    assert server.addresses() == ()


@pytest.mark.parametrize("count", [60, PUNCTUAL_LISTENERS])
def test_a_silent_one_of_a_hundred_loses_its_slot_in_time(count: int) -> None:
    settings = Settings(max_clients=count, max_clients_per_address=count, timeout_s=TIMEOUT_S)
    server = Server(settings)
    for number in range(count):
        address = ("198.51.100.9", 10_000 + number)
        session = server.join(address).session
    asked_s = only(Status, server.say(report(session), address)).report_s
    assert 1.0 < asked_s <= TIMEOUT_S / MISSED_REPORTS
    # So many at once leave a few at a time.
    server.wait(TIMEOUT_S + 0.05)
    assert server.addresses() == ()


def test_a_listener_may_be_silent_for_longer_when_it_was_asked_to_report_seldom() -> None:
    server = Server(Settings(max_clients=1000, max_clients_per_address=1000))
    sessions = {}
    for number in range(1000):
        address = ("198.51.100.9", 10_000 + number)
        sessions[address] = server.join(address).session
    asked_s = only(Status, server.say(report(sessions[address]), address)).report_s
    assert asked_s == min(MOST_REPORT_S, 1000 * REPORT_SPACING_S)
    server.wait((MISSED_REPORTS - 0.5) * asked_s)
    assert len(server.addresses()) == 1000
    server.wait(asked_s)
    assert server.addresses() == ()


@pytest.mark.parametrize("address", [HERE, THERE])
def test_a_report_of_no_session_here_is_refused_and_keeps_nobody(address: Address) -> None:
    server = Server()
    server.join(HERE)
    server.wait(TIMEOUT_S - 1)
    answer = only(Reject, server.say(report(LONGEST), address))
    assert answer == Reject(reason="session", echo=LONGEST)
    server.wait(1)
    assert server.addresses() == ()


@pytest.mark.parametrize("address", [HERE, THERE])
def test_a_goodbye_of_no_session_here_frees_no_slot_but_is_answered(address: Address) -> None:
    server = Server()
    server.join(HERE)
    said = goodbye(LONGEST)
    assert only(Goodbye, server.say(said, address)) == said
    assert server.addresses() == (HERE,)


def test_goodbye_frees_the_slot_at_once_and_is_answered_however_often_it_comes() -> None:
    server = Server()
    said = goodbye(server.join().session, lost=7)
    for _ in range(3):
        (answer,) = server.say(said)
        assert Goodbye.from_message(answer) == said
        assert server.addresses() == ()
    (departed,) = server.core.figures.departed
    assert (departed.address, departed.how, departed.report) == (HERE, "goodbye", said)
    assert server.core.snapshot(server.now).lost == 7


def test_a_goodbye_to_another_run_of_the_server_is_not_answered() -> None:
    server = Server()
    said = goodbye(server.join().session).to_message(stream=STREAM + 1)
    assert server.say(said) == []


def test_a_silent_listener_loses_its_slot_after_the_time_out_and_not_before() -> None:
    server = Server()
    server.join()
    server.wait(TIMEOUT_S - 0.001)
    assert server.addresses() == (HERE,)
    server.wait(0.001)
    assert server.addresses() == ()
    assert server.core.statistics.expired == 1
    assert [departed.how for departed in server.core.figures.departed] == ["silent"]


@pytest.mark.parametrize("word", ["report", "connect"])
def test_a_word_from_time_to_time_keeps_the_slot(word: str) -> None:
    server = Server()
    session = server.join().session
    for _ in range(20):
        server.wait(TIMEOUT_S - 0.1)
        if word == "report":
            server.say(report(session))
        else:
            server.connect()
    assert server.addresses() == (HERE,)
    assert server.core.statistics.expired == 0


def test_a_connect_without_its_cookie_keeps_no_slot() -> None:
    server = Server()
    server.join()
    server.wait(TIMEOUT_S - 0.1)
    server.say(Connect(nonce="nonce"))
    server.wait(0.1)
    assert server.addresses() == ()


# Repair.


def missing(session: str, text: str) -> Request:
    return Request(session=session, missing=text)


def repeated(messages: list[Message]) -> list[int]:
    """The sequences of the REPEATs, which is all that came."""
    assert {message.type for message in messages} <= {Type.REPEAT}
    return [message.sequence for message in messages]


def test_a_request_is_answered_with_the_audio_as_it_was_sent_in_another_type() -> None:
    server = Server()
    session = server.join().session
    server.wait(3)
    answers = server.say(missing(session, "3-4,20"))
    assert repeated(answers) == [3, 4, 20]
    for answer in answers:
        sent = Message.unpack(server.broadcast[answer.sequence].datagram)
        assert answer == sent._replace(type=Type.REPEAT)
    count = server.core.statistics
    assert (count.requests, count.repeated) == (1, 3)
    assert count.repeated_bytes == sum(len(answer.data) for answer in answers)
    assert count.messages == len(server.broadcast)


def test_only_who_asks_is_repeated_anything() -> None:
    server = Server()
    session = server.join(HERE).session
    server.join(THERE)
    server.wait(2)
    # `say` asserts that every answer goes to the one who asked.
    assert repeated(server.say(missing(session, "3"), HERE)) == [3]


@pytest.mark.parametrize("address", [THERE, ELSEWHERE])
def test_a_request_without_the_session_of_its_address_is_not_answered(address: Address) -> None:
    server = Server()
    session = server.join(HERE).session
    server.join(THERE)
    server.wait(2)
    for said in (session, "", LONGEST):
        assert server.say(missing(said, "3"), address) == []
    assert server.say(missing("", "3"), HERE) == []
    count = server.core.statistics
    assert (count.requests, count.requests_refused, count.repeated) == (0, 4, 0)


def test_others_cannot_use_up_what_a_listener_may_ask() -> None:
    server = Server()
    session = server.join().session
    server.wait(2)
    for _ in range(5000):
        server.say(missing("", "0-9999999999999999"))
    assert repeated(server.say(missing(session, "3"))) == [3]


def test_the_round_trip_that_was_reported_counts() -> None:
    server = Server()
    session = server.join().session
    server.wait(2)
    server.say(dataclasses.replace(report(session), rtt_ms=200.0))
    assert repeated(server.say(missing(session, "3"))) == [3]
    server.wait(0.19)
    assert repeated(server.say(missing(session, "3"))) == []
    server.wait(0.02)
    assert repeated(server.say(missing(session, "3"))) == [3]


def test_a_request_keeps_the_slot() -> None:
    server = Server()
    session = server.join().session
    for _ in range(5):
        server.wait(TIMEOUT_S - 0.5)
        server.say(missing(session, "9999999"))
    assert server.addresses() == (HERE,)


@pytest.mark.parametrize("text", ["5-3", "3,3", "3-7,5", "", "3,", "-3", "3 4", "x", "9" * 17])
def test_ranges_that_are_none_are_counted_and_not_answered(text: str) -> None:
    server = Server()
    session = server.join().session
    server.wait(2)
    data = json.dumps({"session": session, "missing": text}).encode()
    assert server.say(Message(0, Type.REQUEST, data, STREAM)) == []
    assert (server.core.statistics.malformed, server.core.statistics.repeated) == (1, 0)


def test_a_request_at_fault_brings_no_challenge_from_elsewhere() -> None:
    server = Server()
    session = server.join().session
    server.wait(2)
    data = json.dumps({"session": session, "missing": "3,3"}).encode().ljust(1000)
    assert server.say(Message(0, Type.REQUEST, data, STREAM), THERE) == []
    count = server.core.statistics
    assert (count.malformed, count.requests_refused) == (1, 0)


def test_the_whole_history_a_thousand_times_a_second_gets_no_more_than_its_share() -> None:
    server = Server()
    session = server.join(HERE).session
    there = server.join(THERE).session
    server.wait(4)
    server.say(report(there), THERE)
    repeated_bytes = 0
    for _ in range(3000):
        server.now += 0.001
        answers = server.say(missing(session, "0-9007199254740991"))
        repeated_bytes += sum(len(answer.data) for answer in answers)
        server.wait(0)
    sent = len(server.broadcast)
    assert 50 * 1251 < repeated_bytes <= sent * 1251
    count = server.core.statistics
    assert count.requests <= 3 * 100 + 25
    assert count.requests + count.requests_refused + count.passed_over == 3000
    assert count.repeats_spared + count.repeats_refused > 0
    # Nobody else has to wait for that.
    assert repeated(server.say(missing(there, f"{sent - 5}"), THERE)) == [sent - 5]


def test_repairs_and_bursts_share_one_rate() -> None:
    server = Server(Settings(burst_rate_bytes_per_s=100_000.0))
    session = server.join(HERE).session
    server.wait(4)
    sent = server.say(missing(session, "0-60"))
    assert sum(len(answer.pack()) for answer in sent) <= 100_000 * 0.02 + 1283
    assert server.core.statistics.repeats_refused > 50
    # The burst waits for the rate, too: only the ACCEPT goes at once.
    assert len(server.connect(THERE)) == 1


def test_the_tail_is_repeated_while_listeners_drain() -> None:
    server = Server(programme=segments(20))
    session = server.join().session
    server.wait(3)
    assert server.core.snapshot(server.now).closing
    assert repeated(server.say(missing(session, "18-25"))) == [18, 19]
    assert server.core.statistics.requests_unknown == 1


def test_nothing_is_repeated_that_is_not_sent_yet() -> None:
    server = Server()
    session = server.join().session
    server.wait(1)
    sent = len(server.broadcast)
    assert repeated(server.say(missing(session, f"{sent - 1}-{sent + 50}"))) == [sent - 1]


def test_at_any_speed_as_much_is_kept_as_a_listener_may_still_ask_for() -> None:
    server = Server(Settings(speed=50.0), segments(100_000))
    session = server.join().session
    server.wait(4)
    newest = server.broadcast[-1].sequence
    two_seconds_ago = newest - round(1.9 * 50 / 0.0784)
    assert repeated(server.say(missing(session, f"{two_seconds_ago}"))) == [two_seconds_ago]


# The end.


def test_the_end_is_repeated_to_everyone_until_they_confirm_it() -> None:
    server = Server(programme=segments(5))
    here, there = server.join(HERE).session, server.join(THERE).session
    server.wait(END_REPEAT_S * 4.5)
    assert len(server.broadcast) == 5
    end_us = server.broadcast[-1].end_time_us
    for _, message, _ in server.told:
        assert End.from_message(message) == End(last_sequence=4, reason="finished")
        assert (message.stream, message.media_time_us) == (STREAM, end_us)
    assert [address for _, _, address in server.told] == [HERE, THERE] * 3
    told_at = [at for at, _, _ in server.told[::2]]
    pauses = [later - earlier for earlier, later in itertools.pairwise(told_at)]
    assert pauses == pytest.approx([END_REPEAT_S, 2 * END_REPEAT_S])
    server.say(report(here, ended=True), HERE)
    server.told.clear()
    server.wait(END_REPEAT_MOST_S * 3)
    at = [at for at, _, _ in server.told]
    assert at[-1] - at[-2] == pytest.approx(END_REPEAT_MOST_S)
    assert {address for _, _, address in server.told} == {THERE}
    server.say(report(there, ended=True), THERE)
    server.told.clear()
    server.wait(END_REPEAT_MOST_S * 3)
    assert server.told == []
    assert not server.finished


def test_the_end_of_another_stream_confirms_nothing() -> None:
    server = Server(programme=segments(50))
    session = server.join().session
    server.say(report(session, ended=True))
    server.wait(4)
    assert [message.type for _, message, _ in server.told[:1]] == [Type.END]
    server.told.clear()
    server.wait(0.5)
    assert server.told


def test_the_server_leaves_when_the_last_listener_has_left() -> None:
    server = Server(programme=segments(5))
    here, there = server.join(HERE).session, server.join(THERE).session
    server.wait(1)
    server.say(goodbye(here), HERE)
    assert not server.finished
    server.say(goodbye(there), THERE)
    assert server.finished


def test_the_server_leaves_when_the_listeners_fell_silent() -> None:
    server = Server(programme=segments(5))
    server.join()
    server.wait(TIMEOUT_S)
    assert server.finished


def test_listeners_that_never_leave_are_not_waited_for_longer_than_the_drain() -> None:
    server = Server(Settings(burst_s=2.0), segments(5))
    session = server.join().session
    server.wait_and_report(int(DRAIN_S) + 1, session)
    assert not server.finished
    server.wait_and_report(1, session)
    assert server.finished
    assert server.addresses() == (HERE,)


def test_stopping_ends_the_stream_after_what_was_sent() -> None:
    server = Server()
    server.join()
    server.wait(2)
    sent = len(server.broadcast)
    server.core.stop(server.now)
    server.wait(0.1)
    assert len(server.broadcast) == sent
    (_, message, _), *_ = server.told
    assert End.from_message(message) == End(last_sequence=sent - 1, reason="stopped")
    server.core.stop(server.now)
    server.wait(0.1)
    assert len(server.told) == 2


def test_a_segment_that_was_being_read_when_the_server_was_stopped_is_not_sent() -> None:
    server = Server()
    server.join()
    server.wait(2)
    sent = len(server.broadcast)
    server.core.stop(server.now)
    server.core.add_segment(next(server.programme))
    server.wait(10)
    assert len(server.broadcast) == sent


def test_stopping_before_the_start_ends_a_stream_of_nothing() -> None:
    server = Server(Settings(wait_for=2))
    server.join()
    server.core.stop(server.now)
    server.wait(0)
    (_, message, _), *_ = server.told
    assert End.from_message(message) == End(last_sequence=None, reason="stopped")
    assert message.media_time_us == 0
    assert server.broadcast == []


@pytest.mark.parametrize("wait_for", [0, 1])
def test_a_source_without_any_sound_ends_at_once(wait_for: int) -> None:
    server = Server(Settings(wait_for=wait_for), iter(()))
    server.wait(0)
    assert server.finished
    assert server.core.snapshot(server.now).closing


def test_a_server_that_is_stopped_before_anybody_came_leaves_at_once() -> None:
    server = Server()
    server.core.stop(server.now)
    assert server.finished


# What is counted.


def test_what_comes_is_counted_as_what_it_is() -> None:
    server = Server()
    session = server.join().session
    for data in (b"", b"stray", Message(0, Type.REPORT, b"{").pack(), datagram(report(""))[:-1]):
        assert server.say(data) == []
    taken = (Type.CONNECT, Type.REPORT, Type.GOODBYE, Type.REQUEST, Type.CLOCK)
    for kind in (0, 200, *Type):
        if kind not in taken:
            assert server.say(Message(0, kind)) == []
    server.say(report(session))
    count = server.core.statistics
    assert (count.malformed, count.ignored) == (4, 2 + len(Type) - len(taken))
    assert (count.control_received, count.unproved, count.accepted) == (3, 1, 1)


def test_what_the_owner_sent_is_counted_for_all_listeners() -> None:
    server = Server()
    server.join()
    server.core.step(server.now)
    began = server.now
    sent = [Packet(0, 0, 1, bytes(HEADER_BYTES + 1254))]
    first, last = (Turn(sent, part, 2, offset_s=0.25 * part) for part in (0, 1))
    server.core.account(first, began + 0.001, 10, [client_address(0)] * 3)
    server.core.account(last, began + 0.253, 10, [])
    count = server.core.statistics
    assert (count.datagrams, count.unsent, count.audio_bytes) == (17, 3, 1254)
    assert server.core.snapshot(server.now).lateness_max_ms == pytest.approx(3.0)


def test_a_snapshot_stays_as_it_is_and_reading_changes_nothing() -> None:
    server = Server(Settings(max_clients=1))
    server.join()
    server.wait(2)
    first = server.core.snapshot(server.now)
    assert server.core.snapshot(server.now) == first
    copy = dataclasses.replace(first, statistics=dataclasses.replace(first.statistics))
    server.connect(THERE)
    server.wait(1)
    assert first == copy
    assert first.statistics.rejected == {}


def test_final_figures_are_those_of_the_newest_listeners(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("broadcasting.audience.figures.MAX_DEPARTED", 3)
    server = Server()
    for number in range(6):
        server.join(nonce=f"run-{number}")
    assert len(server.core.figures.departed) == 3
    assert [one.how for one in server.figures()] == ["replaced"] * 3 + ["listening"]


# Whatever comes.

TOKENS = st.sampled_from(["", "nonce", "0" * 31 + "1", "0" * 31 + "2"])
SAID = st.one_of(
    st.binary(max_size=64),
    st.binary(max_size=64).map(lambda data: MAGIC + bytes([VERSION]) + data),
    st.builds(
        lambda kind, data, size: Message(0, kind, data, STREAM).pack(size),
        st.integers(0, 12),
        st.one_of(st.binary(max_size=40), st.sampled_from(list(contents()))),
        st.sampled_from([0, CONNECT_BYTES]),
    ),
    st.builds(report, TOKENS, ended=st.booleans()),
    st.builds(goodbye, TOKENS),
    st.builds(missing, TOKENS, st.sampled_from(["0", "0-9999999999999999", "3,5-7", "7-5"])),
)
DONE = st.one_of(SAID, st.sampled_from(["connect", "stop", "end of source"]))


@given(
    st.lists(st.tuples(st.floats(0, 8), st.integers(0, 3), DONE), max_size=40),
    st.builds(
        Settings,
        max_clients=st.integers(1, 3),
        wait_for=st.integers(0, 2),
        burst_s=st.sampled_from([0.0, 1.0]),
        interval_s=st.sampled_from([None, 0.3]),
        timeout_s=st.sampled_from([0.1, 5.0]),
    ),
)
@examples(deadline=None, derandomize=True, database=None, max_examples=150)
def test_whatever_comes_nothing_raises_the_registry_is_bounded_and_the_owner_never_spins(
    events: list[tuple[float, int, Control | bytes | str]], settings: Settings
) -> None:
    server = Server(settings, segments(200))
    proved: set[Address] = set()
    for pause_s, number, event in events:
        # `wait` fails if `due` asks for what does not help.
        server.wait(pause_s)
        address = client_address(number)
        if event == "connect":
            server.connect(address)
            proved.add(address)
        elif event == "stop":
            server.core.stop(server.now)
        elif event == "end of source":
            server.programme = iter(())
        else:
            assert not isinstance(event, str)
            sent = sum(len(message.pack()) for message in server.say(event, address))
            assert address in proved or sent <= len(datagram(event))
        addresses = server.addresses()
        assert len(set(addresses)) == len(addresses) <= settings.max_clients
        assert set(addresses) <= proved
        count = server.core.snapshot(server.now).statistics
        assert count.accepted == len(addresses) + len(server.core.figures.departed)
    assert [one.sequence for one in server.broadcast] == list(range(len(server.broadcast)))
    assert all(len(message.pack()) > HEADER_BYTES for _, message, _ in server.told)
