"""The client's session, alone: every state and event, and every pause, in virtual time."""

from __future__ import annotations

import dataclasses
import itertools
import statistics
from collections.abc import Callable
from random import Random
from typing import Any

import pytest

from listening.session.connecting import (
    FIRST_PAUSE_S,
    HINT_PATIENCE_S,
    LONGEST_PAUSE_S,
    PAUSE_GROWTH,
    PAUSE_JITTER,
    PROOF_PAUSE_S,
    REFUSALS,
)
from listening.session.report_timing import MOST_REPORT_S, PROBE_S, REPORT_EARLY_S, REPORT_S
from listening.session.session import (
    GOODBYE_PAUSE_S,
    GOODBYES,
    TRANSITIONS,
    Event,
    Session,
    State,
)
from message import (
    CONNECT_BYTES,
    Accept,
    Challenge,
    Connect,
    Control,
    End,
    Goodbye,
    Message,
    MessageError,
    Reject,
    Report,
    Request,
    Status,
    Time,
    TrackChange,
    Type,
)
from wire.address import Address

NONCE = "0123456789abcdef"
ID = "fedcba9876543210"
STREAM = 0xABCDEF
SERVER: Address = ("192.0.2.1", 4501)
OTHER: Address = ("2001:db8::1", 4501, 0, 0)
STRANGER: Address = ("192.0.2.66", 4501)
TIMEOUT_S = 5.0
GIVE_UP_S = 10.0
PATIENCE_S = 30.0
NOTHING: dict[str, Any] = {"expected": 0, "received": 0, "intact": 0}


class Client:
    """A session, and what it sent."""

    def __init__(self, *addresses: Address, seed: int = 1) -> None:
        self.now = 1000.0
        self.began = self.now
        self.sent: list[tuple[float, Message, int, Address]] = []
        self.session = Session(
            addresses or (SERVER,),
            nonce=NONCE,
            timeout_s=GIVE_UP_S,
            patience_s=PATIENCE_S,
            random=Random(seed),
            now=self.now,
        )

    def state(self) -> State:
        return self.session.state

    def take(
        self, content: Control, *, stream: int = STREAM, address: Address = SERVER
    ) -> Control | Time | None:
        """A control message comes from `address`."""
        taken = self.session.receive(content.to_message(stream=stream), address, self.now)
        if isinstance(taken, End):
            self.session.ended(self.now)
        self._collect()
        return taken

    def wait(self, seconds: float) -> None:
        """Let time pass, from one thing that is due to the next."""
        end = self.now + seconds
        while (due := self.session.next_due()) is not None and due <= end:
            self.now = max(self.now, due)
            self.session.on_due(self.now)
            if self.session.report_is_due(self.now):
                self.session.report(Report(session=ID, clock_us=0, **NOTHING), self.now)
            self._collect()
            assert self.session.next_due() != due
        self.now = end

    def leave(self) -> None:
        self.session.leave(Goodbye(session=ID, clock_us=0, **NOTHING), self.now)
        self._collect()

    def mark(self) -> int:
        """What its CONNECTs carry for a server of another version."""
        (mark,) = {one.media_time_us for _, one, _, _ in self.sent if one.type == Type.CONNECT}
        return mark

    def times(self, kind: type[Control]) -> list[float]:
        """When messages of this kind were sent, since the beginning."""
        return [at - self.began for at, message, _, _ in self.sent if message.type == kind.TYPE]

    def _collect(self) -> None:
        for datagram, address in self.session.datagrams_to_send():
            self.sent.append((self.now, Message.unpack(datagram), len(datagram), address))


def accept(nonce: str = NONCE, timeout_s: float = TIMEOUT_S) -> Accept:
    return Accept(
        nonce=nonce,
        session=ID,
        first_sequence=0,
        first_time_us=0,
        live_time_us=0,
        burst_s=1.0,
        timeout_s=timeout_s,
        speed=1.0,
        title="Test",
        artist=None,
        duration_s=None,
        frame_rate_hz=44_100,
        channels=2,
        bit_rate_bps=None,
    )


def status(client: Client, rtt_s: float = 0.0) -> Status:
    """The answer to a REPORT of `rtt_s` ago."""
    return Status(
        clock_us=round((client.now - rtt_s) * 1e6),
        server_clock_us=0,
        listeners=1,
        report_s=1.0,
        position_s=0.0,
        track=1,
        title="Test",
        artist=None,
    )


def connecting() -> Client:
    client = Client()
    client.wait(0)
    return client


def listening() -> Client:
    client = connecting()
    client.take(accept())
    return client


def ending() -> Client:
    client = listening()
    client.take(End(last_sequence=9, reason="finished"))
    return client


def leaving() -> Client:
    client = listening()
    client.leave()
    return client


def closed() -> Client:
    client = connecting()
    client.leave()
    return client


IN_STATE: dict[State, Callable[[], Client]] = {
    State.CONNECTING: connecting,
    State.LISTENING: listening,
    State.ENDING: ending,
    State.LEAVING: leaving,
    State.CLOSED: closed,
}

# What the outside can do to a session at one instant; time does the rest.
DOING: dict[Event, Callable[[Client], object]] = {
    Event.ACCEPTED: lambda client: client.take(accept()),
    Event.REFUSED: lambda client: client.take(Reject(reason="full", echo=NONCE)),
    Event.UNKNOWN: lambda client: client.take(Reject(reason="session", echo=ID)),
    Event.ENDED: lambda client: client.take(End(last_sequence=9, reason="finished")),
    Event.LEAVE: lambda client: client.leave(),
    Event.FAREWELL: lambda client: client.take(Goodbye(session=ID, clock_us=0, **NOTHING)),
}


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("event", DOING)
def test_an_event_moves_as_the_table_says_and_else_changes_nothing(
    state: State, event: Event
) -> None:
    client = IN_STATE[state]()
    assert client.state() is state
    sent, due = len(client.sent), client.session.next_due()
    DOING[event](client)
    wanted = TRANSITIONS.get((state, event))
    assert client.state() is (wanted or state)
    if wanted is None:
        assert (len(client.sent), client.session.next_due()) == (sent, due)
        assert client.session.failure is None


@pytest.mark.parametrize("state", State)
def test_only_a_session_that_listens_notices_silence(state: State) -> None:
    client = IN_STATE[state]()
    client.session.on_due(client.now + TIMEOUT_S)
    assert client.state() is TRANSITIONS.get((state, Event.SILENCE), state)


@pytest.mark.parametrize("state", [state for state in State if state is not State.CONNECTING])
def test_a_challenge_means_something_only_while_connecting(state: State) -> None:
    client = IN_STATE[state]()
    sent = len(client.sent)
    client.take(Challenge(nonce=NONCE, cookie="cookie"))
    assert (client.state(), len(client.sent)) == (state, sent)


def test_the_table_leads_from_every_state_to_the_closed_one_and_never_out_of_it() -> None:
    assert not any(state is State.CLOSED for state, _ in TRANSITIONS)
    reach = {State.CLOSED}
    for _ in State:
        reach |= {state for (state, _), to in TRANSITIONS.items() if to in reach}
    assert reach == set(State)


# Connecting.


def test_the_handshake_proves_the_address_and_then_listens() -> None:
    client = connecting()
    client.take(Challenge(nonce=NONCE, cookie="cookie"))
    taken = client.take(accept())
    assert taken == client.session.accept == accept()
    assert (client.session.stream, client.session.server) == (STREAM, SERVER)
    connects = [Connect.from_message(message) for _, message, _, _ in client.sent]
    assert connects == [Connect(nonce=NONCE), Connect(nonce=NONCE, cookie="cookie")]
    assert {size for _, _, size, _ in client.sent} == {CONNECT_BYTES}
    assert [message.sequence for _, message, _, _ in client.sent] == [0, 1]


def test_pauses_grow_up_to_a_limit_and_each_is_jittered() -> None:
    client = Client()
    client.wait(GIVE_UP_S)
    times = client.times(Connect)
    assert times[0] == 0
    pauses = [b - a for a, b in itertools.pairwise(times)]
    wanted = FIRST_PAUSE_S
    for pause in pauses:
        assert pause == pytest.approx(wanted, rel=PAUSE_JITTER)
        assert pause != pytest.approx(wanted, rel=1e-6)
        wanted = min(LONGEST_PAUSE_S, wanted * PAUSE_GROWTH)
    assert wanted == LONGEST_PAUSE_S


def test_a_thousand_clients_do_not_call_at_the_same_instant() -> None:
    seconds = []
    for seed in range(1000):
        client = Client(seed=seed)
        client.wait(0.5)
        seconds.append(client.times(Connect)[1])
    assert len(set(seconds)) == 1000
    assert max(seconds) - min(seconds) > 1.8 * PAUSE_JITTER * FIRST_PAUSE_S


def test_addresses_take_turns_until_one_answers() -> None:
    client = Client(OTHER, SERVER)
    client.wait(2)
    called = [address for _, _, _, address in client.sent]
    assert called == list(itertools.islice(itertools.cycle([OTHER, SERVER]), len(called)))
    assert len(called) > 3
    client.take(Challenge(nonce=NONCE, cookie="cookie"), address=SERVER)
    assert client.sent[-1][3] == SERVER
    assert client.sent[-1][0] == client.now


@pytest.mark.parametrize("cookie", ["", "same", "{}"])
def test_a_server_that_never_takes_its_cookie_is_called_no_faster(cookie: str) -> None:
    alone, client = Client(), connecting()
    alone.wait(5)
    for number in range(50):
        client.take(Challenge(nonce=NONCE, cookie=cookie.format(number)))
        client.wait(0.1)
    assert len(client.sent) <= len(alone.sent) + 2


def test_a_cookie_that_was_not_taken_gives_way_to_a_fresh_one() -> None:
    client = connecting()
    client.take(Challenge(nonce=NONCE, cookie="old"))
    client.take(Challenge(nonce=NONCE, cookie="fresh"))
    client.wait(1)
    assert Connect.from_message(client.sent[-1][1]).cookie == "fresh"


@pytest.mark.parametrize(
    "answer",
    [
        accept(nonce="another"),
        accept(nonce=""),
        Challenge(nonce="another", cookie="cookie"),
        *(Reject(reason=reason, echo="another") for reason in [*REFUSALS, "session", "odd"]),
        *(Reject(reason=reason) for reason in [*REFUSALS, "session"]),
    ],
)
def test_an_answer_to_somebody_else_is_ignored(answer: Control) -> None:
    client = connecting()
    assert client.take(answer) is None
    assert client.state() is State.CONNECTING
    assert len(client.sent) == 1


@pytest.mark.parametrize("reason", [*REFUSALS, "odd"])
def test_a_refusal_closes_the_session_with_a_text_for_the_user(reason: str) -> None:
    client = connecting()
    client.take(Reject(reason=reason, echo=NONCE))
    assert client.state() is State.CLOSED
    assert client.session.failure is not None
    assert client.session.failure == REFUSALS.get(reason, "the server refused: odd")
    assert client.session.next_due() is None


def test_a_refusal_of_the_version_counts_only_while_connecting() -> None:
    for client in (listening(), ending(), leaving()):
        state = client.state()
        client.session.refused_version(client.mark(), client.now)
        assert (client.state(), client.session.failure) == (state, None)
    client = connecting()
    client.session.refused_version(client.mark(), client.now)
    assert client.state() is State.CONNECTING
    client.wait(HINT_PATIENCE_S)
    assert client.state() is State.CLOSED
    assert client.session.failure == REFUSALS["version"]


@pytest.mark.parametrize("change", [None, 0, 1, 1 << 63])
def test_a_refusal_of_the_version_without_the_mark_of_the_connect_shortens_nothing(
    change: int | None,
) -> None:
    client = connecting()
    mark = None if change is None else client.mark() ^ change if change else 0
    client.session.refused_version(mark, client.now)
    client.wait(GIVE_UP_S - 0.01)
    assert client.state() is State.CONNECTING
    client.wait(1)
    assert client.state() is State.CLOSED
    assert client.session.failure != REFUSALS["version"]


def test_the_mark_is_another_one_for_each_run_and_the_same_within_one() -> None:
    marks = set()
    for nonce in ("a" * 16, "a" * 15 + "b"):
        session = Session([SERVER], nonce=nonce, timeout_s=9.0, random=Random(1), now=0.0)
        for now in (0.0, 1.0, 2.0):
            session.on_due(now)
        sent = [Message.unpack(data) for data, _ in session.datagrams_to_send()]
        assert len(sent) == 3
        marks |= {message.media_time_us for message in sent}
    assert len(marks) == 2
    assert min(marks) > 1 << 32


def test_a_true_answer_counts_more_than_a_refusal_of_the_version() -> None:
    client = connecting()
    client.session.refused_version(client.mark(), client.now)
    client.take(accept())
    client.wait(HINT_PATIENCE_S)
    assert client.state() is State.LISTENING


def test_no_answer_is_given_up_in_time_with_a_text_that_helps() -> None:
    client = Client(OTHER, SERVER)
    client.wait(GIVE_UP_S - 0.01)
    assert client.state() is State.CONNECTING
    client.wait(0.01)
    assert client.state() is State.CLOSED
    assert client.session.failure == (
        "no answer from [2001:db8::1]:4501 in 10 s:"
        " check address and port, and that the server is running"
    )


def test_only_the_servers_addresses_are_known_and_then_only_the_one_that_answered() -> None:
    client = Client(OTHER, SERVER)
    assert [client.session.knows(one) for one in (OTHER, SERVER, STRANGER)] == [True, True, False]
    client.take(accept(), address=SERVER)
    assert [client.session.knows(one) for one in (OTHER, SERVER, STRANGER)] == [False, True, False]
    client.wait(TIMEOUT_S)
    assert client.state() is State.CONNECTING
    assert [client.session.knows(one) for one in (OTHER, SERVER, STRANGER)] == [True, True, False]


def test_malformed_content_is_refused_and_changes_nothing() -> None:
    for kind in (Type.CHALLENGE, Type.ACCEPT, Type.REJECT, Type.STATUS, Type.END, Type.GOODBYE):
        client = listening()
        with pytest.raises(MessageError):
            client.session.receive(Message(0, kind, b"{", STREAM), SERVER, client.now)
        assert client.state() is State.LISTENING


# Listening.


def test_a_report_goes_at_once_and_then_every_second_until_leaving() -> None:
    client = listening()
    for _ in range(8):
        client.wait(0.5)
        client.session.heard(client.now)
    assert client.times(Report) == pytest.approx([0, 1, 2, 3, 4])
    client.leave()
    client.wait(3)
    assert len(client.times(Report)) == 5


def test_a_report_that_is_not_answered_is_sent_again_soon() -> None:
    client = listening()
    client.wait(0.1)
    client.take(status(client))
    client.wait(1.5)
    assert client.times(Report) == pytest.approx([0, 1, 1.25, 1.5])
    client.take(status(client))
    client.wait(1.2)
    assert client.times(Report)[4:] == pytest.approx([2.5, 2.75])


def test_a_status_does_not_put_off_the_report_that_confirms_the_end() -> None:
    client = listening()
    client.wait(0.5)
    client.session.ended(client.now)
    client.take(status(client))
    client.wait(0)
    assert client.times(Report) == pytest.approx([0, 0.5])


def test_where_listeners_are_many_a_report_is_not_sent_again() -> None:
    client = listening()
    client.wait(0.1)
    client.take(dataclasses.replace(status(client), report_s=8.0))
    for _ in range(20):
        client.session.heard(client.now)
        client.wait(1)
    assert all(b - a >= 4 for a, b in itertools.pairwise(client.times(Report)[1:]))


def test_a_request_goes_to_the_server_with_the_session() -> None:
    client = listening()
    client.session.request("17-19,25", client.now)
    client.wait(0)
    ((message, address),) = [(m, to) for _, m, _, to in client.sent if m.type == Type.REQUEST]
    sent = Request.from_message(message)
    assert (sent.session, sent.missing, address) == (ID, "17-19,25", SERVER)


def test_a_request_in_a_silence_takes_a_report_along_and_seldom() -> None:
    client = listening()
    client.take(dataclasses.replace(status(client), report_s=60.0))
    client.wait(PROBE_S / 2)
    client.sent.clear()
    for _ in range(21):
        client.session.request("17", client.now)
        client.wait(PROBE_S / 10)
    reported = client.times(Report)
    assert reported == pytest.approx([PROBE_S, 2 * PROBE_S], abs=PROBE_S / 4)


@pytest.mark.parametrize("state", State)
def test_a_session_that_goes_on_proves_its_address_when_asked_and_else_changes_nothing(
    state: State,
) -> None:
    client = IN_STATE[state]()
    client.sent.clear()
    client.take(Challenge(nonce=ID, cookie="cookie"))
    assert client.state() is state
    proof = Connect(nonce=NONCE, cookie="cookie", session=ID)
    wanted = [] if state in (State.CONNECTING, State.CLOSED) else [(proof, CONNECT_BYTES, SERVER)]
    sent = [(Connect.from_message(m), size, to) for _, m, size, to in client.sent]
    assert sent == wanted


def test_to_be_asked_for_proof_is_not_to_be_served() -> None:
    client = listening()
    for _ in range(10):
        client.wait(TIMEOUT_S / 10 - 0.01)
        client.take(Challenge(nonce=ID, cookie="cookie"))
    client.wait(0.2)
    assert client.state() is State.CONNECTING


def test_a_short_time_out_brings_several_reports_within_it() -> None:
    client = connecting()
    client.take(accept(timeout_s=0.5))
    client.wait(0.49)
    assert len(client.times(Report)) >= 4


def test_the_end_is_confirmed_at_once_and_reports_go_on() -> None:
    client = listening()
    client.wait(0.5)
    end = End(last_sequence=9, reason="finished")
    assert client.take(end) == end
    client.wait(20)
    assert client.state() is State.ENDING
    assert client.times(Report)[:4] == pytest.approx([0, 0.5, 1.5, 2.5])
    client.take(end)


def test_silence_for_as_long_as_the_server_allows_leads_to_connecting_anew() -> None:
    client = Client()
    client.wait(5)
    client.take(accept())
    client.wait(0.3)
    client.session.heard(client.now)
    client.sent.clear()
    client.wait(TIMEOUT_S - REPORT_S / 2)
    assert client.state() is State.LISTENING
    client.wait(REPORT_S)
    assert client.state() is State.CONNECTING
    first, second, *_ = client.times(Connect)
    assert first == pytest.approx(5 + 0.3 + TIMEOUT_S)
    assert second - first == pytest.approx(FIRST_PAUSE_S, rel=PAUSE_JITTER)
    assert Connect.from_message(client.sent[-1][1]) == Connect(nonce=NONCE, session=ID)


@pytest.mark.parametrize(
    "hear",
    [
        lambda client: client.session.heard(client.now),
        lambda client: client.take(status(client)),
    ],
    ids=["audio", "status"],
)
def test_what_is_heard_of_the_stream_is_no_silence(hear: Callable[[Client], object]) -> None:
    client = listening()
    for _ in range(20):
        client.wait(TIMEOUT_S - 0.5)
        hear(client)
    assert client.state() is State.LISTENING


def test_a_title_alone_is_no_sign_of_life_for_it_may_be_a_replay() -> None:
    client = listening()
    client.wait(TIMEOUT_S - 0.5)
    assert client.take(TrackChange(title="A title")) == TrackChange(title="A title")
    client.wait(0.5)
    assert client.state() is State.CONNECTING


@pytest.mark.parametrize(
    "content",
    [status(Client()), End(last_sequence=1, reason="finished"), TrackChange(title="A title")],
)
def test_what_is_of_another_stream_is_ignored(content: Control) -> None:
    client = listening()
    assert client.take(content, stream=STREAM + 1) is None
    client.wait(TIMEOUT_S)
    assert client.state() is State.CONNECTING
    assert client.session.status is None


def test_a_server_that_stays_away_is_given_up_later_and_with_another_text() -> None:
    client = listening()
    client.wait(TIMEOUT_S + PATIENCE_S - 0.01)
    assert client.state() is State.CONNECTING
    client.wait(0.01)
    assert client.state() is State.CLOSED
    assert client.session.failure == (
        "the server at 192.0.2.1:4501 was lost, and did not come back in 30 s"
    )


def test_an_unknown_session_connects_anew_at_once_and_without_the_old_cookie() -> None:
    client = connecting()
    client.take(Challenge(nonce=NONCE, cookie="old"))
    client.take(accept())
    client.wait(2)
    client.take(Reject(reason="session", echo=ID))
    assert client.state() is State.CONNECTING
    client.wait(0)
    assert client.times(Connect)[-1] == 2
    assert Connect.from_message(client.sent[-1][1]) == Connect(nonce=NONCE, session=ID)
    client.take(Challenge(nonce=NONCE, cookie="old"))
    assert Connect.from_message(client.sent[-1][1]).cookie == "old"
    client.take(accept(), stream=STREAM + 1)
    assert (client.state(), client.session.stream) == (State.LISTENING, STREAM + 1)


@pytest.mark.parametrize("echo", ["", NONCE, "another"])
def test_who_does_not_know_the_session_cannot_send_the_listener_away(echo: str) -> None:
    client = listening()
    client.take(Reject(reason="session", echo=echo))
    client.take(Goodbye(session=echo, clock_us=0, **NOTHING))
    assert client.state() is State.LISTENING
    client.leave()
    client.take(Goodbye(session=echo, clock_us=0, **NOTHING))
    assert client.state() is State.LEAVING


def test_the_round_trip_is_measured_and_nonsense_is_not() -> None:
    client = listening()
    measured_s = client.session.round_trip.smoothed_s
    for impossible_s in (-1.0, 61.0):
        client.take(status(client, impossible_s))
    assert client.session.round_trip.smoothed_s == measured_s == 0
    assert client.take(status(client, 0.125)) == client.session.status
    assert client.session.round_trip.smoothed_s == pytest.approx(0.125 / 8)


def test_the_handshake_is_the_first_measurement() -> None:
    client = connecting()
    client.wait(0.04)
    client.take(Challenge(nonce=NONCE, cookie="cookie"))
    assert client.session.round_trip.smoothed_s == pytest.approx(0.04)
    client.wait(0.12)
    client.take(accept())
    assert client.session.round_trip.smoothed_s == pytest.approx(0.04 + 0.08 / 8)


def test_a_handshake_after_a_silence_is_measured_from_its_own_start() -> None:
    client = Client()
    client.wait(0.1)
    client.take(Challenge(nonce=NONCE, cookie="cookie"))
    client.take(accept())
    client.wait(TIMEOUT_S + 0.05)
    assert client.state() is State.CONNECTING
    before_s = client.session.round_trip.smoothed_s
    assert before_s is not None
    client.take(Challenge(nonce=NONCE, cookie="another"))
    assert client.session.round_trip.smoothed_s == pytest.approx(before_s * 7 / 8 + 0.05 / 8)


def test_an_answer_that_may_be_to_one_of_two_connects_measures_nothing() -> None:
    client = connecting()
    client.wait(0.4)
    assert len(client.times(Connect)) == 2
    client.take(Challenge(nonce=NONCE, cookie="cookie"))
    client.wait(0.4)
    assert len(client.times(Connect)) == 4
    client.take(accept())
    assert client.session.round_trip.smoothed_s is None


def test_a_challenge_is_followed_by_no_longer_pauses_than_at_first() -> None:
    client = connecting()
    client.wait(5)
    client.take(Challenge(nonce=NONCE, cookie="cookie"))
    client.wait(2)
    pauses = [b - a for a, b in itertools.pairwise(client.times(Connect))][-3:]
    assert pauses[0] == pytest.approx(FIRST_PAUSE_S, rel=PAUSE_JITTER)


# Leaving.


def test_goodbye_is_repeated_and_then_given_up() -> None:
    client = listening()
    client.wait(0.5)
    client.leave()
    client.leave()
    client.wait(10)
    assert client.times(Goodbye) == pytest.approx(
        [0.5 + n * GOODBYE_PAUSE_S for n in range(GOODBYES)]
    )
    assert client.state() is State.CLOSED
    assert client.session.failure is None


def test_goodbye_ends_with_its_answer() -> None:
    client = ending()
    client.leave()
    client.wait(GOODBYE_PAUSE_S)
    client.take(Goodbye(session=ID, clock_us=0, **NOTHING))
    assert client.state() is State.CLOSED
    client.wait(10)
    assert len(client.times(Goodbye)) == 2


def test_who_is_not_registered_leaves_without_a_word() -> None:
    client = connecting()
    client.leave()
    assert client.state() is State.CLOSED
    assert client.session.failure is None
    assert client.times(Goodbye) == []


def test_reports_go_as_seldom_as_the_server_asks_and_not_all_at_one_time() -> None:
    client = listening()
    client.wait(0.1)
    client.take(dataclasses.replace(status(client), report_s=20.0))
    for _ in range(200):
        client.session.heard(client.now)
        client.wait(1)
    pauses = [b - a for a, b in itertools.pairwise(client.times(Report)[1:])]
    assert all(10.0 <= pause <= 20.0 for pause in pauses)
    assert max(pauses) - min(pauses) > 1.0


RTT_S, AUDIO_EVERY_S = 0.05, 0.078


def arrivals_s(seed: int, report_s: float, *, hears_audio: bool) -> list[float]:
    """When REPORTs of a listener come to a server that wants them so seldom, by its clock."""
    client = Client(seed=seed)
    ahead_s = 123.4 * seed
    client.wait(0)
    client.take(dataclasses.replace(accept(), timeout_s=1e6))
    for _ in range(round(12 * report_s / AUDIO_EVERY_S)):
        reports = len(client.times(Report))
        client.wait(AUDIO_EVERY_S)
        if hears_audio:
            client.session.heard(client.now)
            client.wait(0)
        if len(client.times(Report)) > reports:
            sent_at = client.began + client.times(Report)[-1]
            client.wait(max(0.0, sent_at + RTT_S - client.now))
            clock_us = round((sent_at + RTT_S / 2 + ahead_s) * 1e6)
            answer = dataclasses.replace(
                status(client, client.now - sent_at), report_s=report_s, server_clock_us=clock_us
            )
            client.take(answer)
    return [client.began + one + RTT_S / 2 + ahead_s for one in client.times(Report)]


@pytest.mark.parametrize("hears_audio", [False, True])
@pytest.mark.parametrize("report_s", [2.0, 3.4, 20.0])
def test_where_listeners_are_many_their_reports_come_at_whole_seconds_of_the_server(
    report_s: float, hears_audio: bool
) -> None:
    early_s = REPORT_EARLY_S if hears_audio else 0.0
    everyones_pauses: list[float] = []
    for seed in range(5):
        arrived = arrivals_s(seed, report_s, hears_audio=hears_audio)[2:]
        assert all((at + early_s + 1e-4) % 1.0 <= early_s + 2e-4 for at in arrived), arrived
        pauses = [b - a for a, b in itertools.pairwise(arrived)]
        assert len(pauses) > 9
        assert all(report_s / 2 - 0.11 <= pause <= report_s + 0.11 for pause in pauses), pauses
        everyones_pauses += pauses
    # So many chances to be heard has who may be silent for two and a half times as long.
    assert statistics.fmean(everyones_pauses) == pytest.approx(0.75 * report_s, rel=0.12)


def test_where_no_whole_second_is_in_time_a_report_goes_by_itself() -> None:
    for report_s, seed in itertools.product((1.1, 1.5), range(10)):
        arrived = arrivals_s(seed, report_s, hears_audio=True)
        pauses = [b - a for a, b in itertools.pairwise(arrived)]
        assert all(report_s / 2 - 0.11 <= pause <= report_s + 0.11 for pause in pauses), pauses


def test_a_report_that_is_almost_due_goes_with_the_audio_that_comes() -> None:
    client = listening()
    client.wait(0)
    (first,) = client.times(Report)
    client.wait(REPORT_S - 1.5 * REPORT_EARLY_S)
    client.session.heard(client.now)
    client.wait(0)
    assert client.times(Report) == [first]
    client.wait(REPORT_EARLY_S)
    client.session.heard(client.now)
    client.wait(0)
    assert client.times(Report) == [first, pytest.approx(first + REPORT_S - REPORT_EARLY_S / 2)]


def test_no_time_out_of_a_server_makes_a_listener_send_without_end() -> None:
    """A server that takes everybody and then says nothing, with the shortest time-out there is."""
    client, answered = Client(), 0
    while client.now < client.began + 60:
        client.wait(0.01)
        for _, message, _, _ in client.sent[answered:]:
            answered += 1
            if message.type == Type.CONNECT:
                connect = Connect.from_message(message)
                challenge = Challenge(nonce=NONCE, cookie="a" * 32)
                client.take(accept(timeout_s=0.001) if connect.cookie else challenge)
    per_s = [
        sum(1 for at, *_ in client.sent if client.began + s <= at < client.began + s + 1)
        for s in range(60)
    ]
    assert max(per_s) < 60
    assert sum(per_s[30:]) / 30 < 2


@pytest.mark.parametrize("begin", [listening, ending])
def test_no_server_that_asks_for_proof_without_end_gets_it_without_end(
    begin: Callable[[], Client],
) -> None:
    client = begin()
    before = len(client.times(Connect))
    for _ in range(1000):
        client.take(Challenge(nonce=ID, cookie="cookie"))
        client.wait(0.001)
    proofs = len(client.times(Connect)) - before
    assert 2 <= proofs <= 1 / PROOF_PAUSE_S


def test_no_server_can_keep_a_listener_from_reporting() -> None:
    client = listening()
    client.wait(0.1)
    client.take(dataclasses.replace(status(client), report_s=1e9))
    before = len(client.times(Report))
    for _ in range(int(3 * MOST_REPORT_S)):
        client.session.heard(client.now)
        client.wait(1)
    assert len(client.times(Report)) - before >= 3


def test_a_stream_that_ended_while_the_server_was_out_of_reach_is_no_failure() -> None:
    client = listening()
    client.wait(TIMEOUT_S)
    assert client.state() is State.CONNECTING
    client.take(Reject(reason="closing", echo=NONCE))
    assert (client.state(), client.session.failure) == (State.CLOSED, None)
