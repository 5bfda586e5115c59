"""The play-out delay that follows the path: alone, on the jitter buffer, and between both cores."""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable, Iterator
from itertools import pairwise
from random import Random

import pytest
from pydub import AudioSegment

from broadcasting.settings import Settings
from listening.arguments import parse
from listening.arrival.audio_message import AudioMessage
from listening.arrival.jitter_buffer import JitterBuffer
from listening.arrival.playable import Gap, InsertedSilence, Ready
from listening.arrival.playout_delay import (
    ENOUGH,
    FLOOR_S,
    MOST_ROUND_TRIPS,
    MOST_S,
    STRETCH,
    TOLERANCE_S,
    USUAL_S,
    WINDOW,
    PlayoutDelay,
)
from listening.arrival.reception_window import ReceptionWindow
from listening.arrival.statistics import Statistics
from listening.display.final_json import as_json
from listening.display.live_view import LiveView
from listening.display.table import summary
from listening.listen import ListenSnapshot
from listening.outputs.fader import Loudness
from listening.outputs.null import Null
from listening.playback import Playback
from listening.sound.pcm import PcmFormat
from listening.sound.stretch import MOST_STRETCH, RateCorrection
from message import Message, Type
from simulation.link_conditions import LinkConditions
from tests.rig.luck import once, seeds
from tests.rig.network import Link, Listener, Network, balanced, random_loss, segments
from wire.round_trip import RoundTrip

pytestmark = once

MESSAGE_S = 3 * 1152 / 44_100
LOW = Settings(burst_s=0.1)
"""The server runs so little ahead that the delay is low at once."""


def round_trip(seconds: float = 0.1) -> RoundTrip:
    """A path on which answers take just so long."""
    made = RoundTrip()
    for _ in range(100):
        made.measure(seconds)
    return made


class Path:
    """Messages of a tenth of a second, each later by as much as is said."""

    def __init__(self, lead_s: float = 0.0, block_s: float = 0.0) -> None:
        self.delay = PlayoutDelay(round_trip(), lead_s=lead_s, block_s=block_s)
        self._tenths = 0

    def come(self, *late_s: float, times: int = 1) -> None:
        for late in late_s * times:
            self.delay.arrived(self._tenths * 100_000, 50.0 + self._tenths / 10 + late)
            self._tenths += 1

    @property
    def wanted_s(self) -> float:
        wanted_s = self.delay.wanted_s()
        assert wanted_s is not None
        return wanted_s

    def stretch_s(self, excess_s: float) -> float:
        """Stretch of a second of audio whose offset exceeds the wanted one by `excess_s`."""
        return self.delay.stretch_s(50.0 + self.wanted_s + excess_s, 1.0)


# What is wanted.


def test_nothing_is_wanted_and_nothing_changed_before_anything_came() -> None:
    one = Path(lead_s=0.3)
    assert one.delay.wanted_s() is None
    assert one.delay.delay_s(7.0) is None
    assert one.delay.silence_s(7.0) == one.delay.stretch_s(7.0, 1.0) == 0
    assert one.delay.start_s == 0.3 + FLOOR_S


def test_what_is_wanted_covers_all_but_the_latest_in_a_thousand() -> None:
    one = Path(lead_s=0.25, block_s=0.5)
    one.come(0.0, 0.2, times=WINDOW // 2 - 1)
    one.come(1.0, 1.0)
    assert one.wanted_s == pytest.approx(0.25 + 0.5 + FLOOR_S + 0.2)
    one.come(1.0)
    assert one.wanted_s == pytest.approx(0.25 + 0.5 + FLOOR_S + 1.0)


def test_the_window_is_bounded_and_forgets() -> None:
    one = Path()
    one.come(0.9, times=10)
    one.come(0.0, times=WINDOW - 3)
    assert one.wanted_s == pytest.approx(FLOOR_S + 0.9)
    one.come(0.0)
    assert one.wanted_s == pytest.approx(FLOOR_S)
    assert len(one.delay._latest) == len(one.delay._ordered) == WINDOW


def test_never_more_is_wanted_than_the_most() -> None:
    one = Path()
    one.come(0.0, 1e9)
    assert one.wanted_s == MOST_S


def test_what_is_sent_before_it_is_live_tells_nothing() -> None:
    one = Path()
    one.delay.live_from(1_000_000)
    one.come(5.0, times=10)
    assert one.delay.wanted_s() is None
    one.come(0.0)
    assert one.wanted_s == pytest.approx(FLOOR_S)


def test_what_is_missing_at_its_deadline_is_given_round_trips_but_not_for_ever() -> None:
    one = Path()
    one.come(0.0, times=20)
    timeout_s = round_trip().timeout_s
    offset_s = 50.0 + one.wanted_s
    for _ in range(50):
        before_s = offset_s
        one.delay.missed(offset_s)
        offset_s += one.delay.silence_s(offset_s)
        assert offset_s - before_s <= timeout_s + FLOOR_S + 1e-9
    assert offset_s - 50.0 == pytest.approx(FLOOR_S + MOST_ROUND_TRIPS * timeout_s)


def test_it_shrinks_only_where_much_is_gained_and_then_all_the_way() -> None:
    one = Path()
    one.come(0.0, times=ENOUGH - 1)
    assert one.stretch_s(1.0) == 0
    one.come(0.0)
    assert one.stretch_s(TOLERANCE_S * 0.9) == 0
    assert one.stretch_s(TOLERANCE_S * 1.1) == -STRETCH
    assert one.stretch_s(STRETCH * 1.5) == -STRETCH
    assert one.stretch_s(STRETCH / 2) == pytest.approx(-STRETCH / 2)
    assert one.stretch_s(-1e-9) == pytest.approx(1e-9)
    assert one.stretch_s(TOLERANCE_S * 0.9) == 0


def test_it_grows_as_much_as_is_wanted_and_no_faster_than_nobody_hears() -> None:
    one = Path()
    one.come(0.0)
    assert one.stretch_s(-1.0) == STRETCH
    assert one.stretch_s(-STRETCH / 2) == pytest.approx(STRETCH / 2)


# What is played.


def tone(seconds: float) -> AudioSegment:
    return AudioSegment(
        data=bytes(range(256)) * 2 * round(seconds * 44_100 / 128),
        sample_width=2,
        frame_rate=44_100,
        channels=2,
    )


def test_a_correction_is_made_in_whole_frames_to_the_last_and_no_faster_than_it_may() -> None:
    correction, piece = RateCorrection(), tone(0.1)
    count = piece.frame_count()
    assert correction.applied(piece) is piece
    for owed_s in (0.003, -0.003):
        correction.add(owed_s)
        paid = [correction.applied(piece).frame_count() - count for _ in range(10)]
        assert sum(paid) == pytest.approx(owed_s * 44_100, abs=1)
        assert max(map(abs, paid)) <= count * MOST_STRETCH
    correction.add(1.0)
    short = tone(0.003)
    assert correction.applied(short) is short


@pytest.mark.parametrize("sign", [1, -1])
def test_what_is_made_longer_or_shorter_has_no_step(sign: int) -> None:
    turn = 2 * math.pi * 440 / 44_100
    sine = array("h", (round(20_000 * math.sin(turn * i)) for i in range(44_100)))
    whole = AudioSegment(data=sine.tobytes(), sample_width=2, frame_rate=44_100, channels=1)
    correction = RateCorrection()
    played = array("h")
    for begin in range(0, 44_100, 3456):
        piece = whole.get_sample_slice(begin, begin + 3456)
        correction.add(sign * piece.frame_count() * STRETCH / 44_100)
        played.frombytes(correction.applied(piece).raw_data)
    assert len(played) == pytest.approx(44_100 * (1 + sign * STRETCH), abs=1)
    assert max(abs(b - a) for a, b in pairwise(played)) < 20_000 * turn * 1.1


class Collector(Null):
    """Counts frames of PCM."""

    def __init__(self) -> None:
        self.frames = 0

    def open(self, pcm: PcmFormat, duration_s: float | None) -> PcmFormat:
        return pcm

    def write(self, audio: AudioSegment) -> None:
        self.frames += int(audio.frame_count())


# On the jitter buffer.


class Buffer:
    """A strict jitter buffer that follows; each message is a sixty-fourth of a second."""

    STEP_US = 15_625

    def __init__(self) -> None:
        self.count = Statistics()
        delay = PlayoutDelay(round_trip(), lead_s=0.25)
        self.buffer = JitterBuffer(
            ReceptionWindow(0, 0, delay.start_s),
            self.count,
            buffer_s=delay.start_s,
            lead_s=0.25,
            delay=delay,
        )
        self.played: list[object] = []

    def run(self, messages: int, late_s: Callable[[int], float | None]) -> None:
        """Each comes so late, or not at all."""
        arrivals = sorted(
            (100 + sequence / 64 + late, sequence)
            for sequence in range(messages)
            if (late := late_s(sequence)) is not None
        )
        for now, sequence in arrivals:
            self.wait(now)
            message = Message(sequence, Type.AUDIO, b"data", 1, sequence * self.STEP_US)
            self.buffer.insert(AudioMessage(message, self.STEP_US), now)
            self.played += self.buffer.take(now)

    def wait(self, until: float) -> None:
        for _ in range(10_000):
            due = self.buffer.next_due()
            if due is None or due >= until:
                return
            self.played += self.buffer.take(max(due, 0.0))
        raise AssertionError("it asks for what does not help")

    @property
    def moved_s(self) -> float:
        """What the output was told."""
        told = [one.longer_s for one in self.played if isinstance(one, Ready)]
        return sum(told) + sum(
            one.length_s for one in self.played if isinstance(one, InsertedSilence)
        )


def test_the_timeline_moves_by_just_what_the_output_is_told() -> None:
    random = Random(3)

    def late_s(sequence: int) -> float | None:
        if sequence % 997 == 0 and sequence:
            return None
        return random.uniform(0, 0.3) if 2000 < sequence < 4000 else 0.0

    one = Buffer()
    one.run(64, lambda sequence: 0.0)
    began_s = one.buffer.needed_at(0) - one.moved_s
    one = Buffer()
    one.run(12_000, late_s)
    assert one.buffer.needed_at(0) - began_s == pytest.approx(one.moved_s)
    assert one.count.delay_highest_s is not None
    assert one.count.delay_highest_s > 0.5
    assert any(isinstance(item, Ready) and item.longer_s < 0 for item in one.played)
    assert any(isinstance(item, InsertedSilence) for item in one.played)


def test_a_pause_stands_in_a_gap_and_a_hole_is_waited_for_once() -> None:
    one = Buffer()
    one.run(2000, lambda sequence: None if 1000 <= sequence < 1003 else 0.0)
    kinds = [type(item) for item in one.played]
    assert kinds.count(InsertedSilence) == kinds.count(Gap) == 1
    assert kinds[kinds.index(InsertedSilence) - 1] is Gap
    assert one.count.lost == 3


# Between both cores.


def listening(
    link: Link | LinkConditions, messages: int, settings: Settings = LOW, **join: float | None
) -> tuple[Network, Listener]:
    network = Network(settings, segments(messages), link)
    return network, network.join(**{"buffer_s": None, **join})  # type: ignore[arg-type]


def at_each_second(network: Network, listener: Listener) -> Iterator[float]:
    """The delay, until the end has been heard; then the listener leaves."""
    while not listener.ended:
        network.run(1.0)
        delay_s = listener.core.statistics.delay_s
        if delay_s is not None:
            yield delay_s
    listener.core.leave(network.now)
    network.run(2)


def is_in_order(listener: Listener) -> bool:
    """Whether nothing was played twice, or skipped without being counted as lost."""
    played = listener.sequences
    count = listener.core.statistics
    once = all(a < b for a, b in pairwise(played))
    return once and len(played) + count.lost == count.expected and balanced(listener)


def jitter_while(when: Callable[[int], bool], most_s: float, seed: int = 1) -> Link:
    """What the server sends is held up by up to this."""
    random = Random(seed)

    def jitter(side: str, index: int) -> float:
        return random.uniform(0, most_s) if side == "server" and when(index) else 0.0

    return Link(jitter=jitter)


def test_without_jitter_the_delay_becomes_low_slowly_and_nothing_is_lost() -> None:
    network, listener = listening(Link(), 6000, Settings())
    delays = list(at_each_second(network, listener))
    count = listener.core.statistics
    assert delays[-1] == pytest.approx(FLOOR_S, abs=0.005)
    assert max(a - b for a, b in pairwise(delays)) <= 2 * STRETCH
    assert sorted(delays, reverse=True) == delays
    assert (count.lost, count.late, count.underruns, listener.gaps) == (0, 0, 0, 0)
    assert listener.sequences == list(range(6000))


def test_the_first_sound_does_not_wait_for_more_than_the_low_delay() -> None:
    heard = {}
    for buffer_s in (None, 1.0):
        network, listener = listening(Link(), 100, Settings(burst_s=0.0), buffer_s=buffer_s)
        network.run(20)
        first = next(i for i, one in enumerate(listener.played) if isinstance(one, Ready))
        heard[buffer_s] = listener.played_at[first]
    assert heard[1.0] - heard[None] == pytest.approx(1.0 - FLOOR_S, abs=MESSAGE_S)


def test_jitter_makes_it_grow_before_a_handful_is_late_and_its_end_makes_it_shrink_again() -> None:
    link = jitter_while(lambda index: 800 <= index < 1600, 0.3)
    network, listener = listening(link, 8000)
    delays = list(at_each_second(network, listener))
    count = listener.core.statistics
    assert delays[40] == pytest.approx(FLOOR_S, abs=0.01)
    assert 0.29 + FLOOR_S < max(delays) < 0.7
    assert count.lost + count.late <= 5
    assert listener.gaps <= 5
    assert delays[-1] == pytest.approx(FLOOR_S, abs=0.01)
    assert max(a - b for a, b in pairwise(delays)) <= 2 * STRETCH
    assert is_in_order(listener)


@pytest.mark.parametrize("seed", seeds(3))
def test_under_steady_jitter_it_stands_still(seed: int) -> None:
    link = LinkConditions(delay_s=0.1, jitter_s=0.08, seed=seed)
    network, listener = listening(link, 8000)
    delays = list(at_each_second(network, listener))[300:]
    assert max(delays) - min(delays) < 0.02
    longer = [one.longer_s for one in listener.played if isinstance(one, Ready)]
    assert all(seconds >= 0 for seconds in longer[4000:])
    assert is_in_order(listener)


def test_jitter_that_comes_and_goes_is_remembered() -> None:
    link = jitter_while(lambda index: index % 500 > 450, 0.3)
    network, listener = listening(link, 8000)
    delays = list(at_each_second(network, listener))[200:]
    assert max(delays) - min(delays) < 2 * TOLERANCE_S
    count = listener.core.statistics
    assert count.lost + count.late <= 5


@pytest.mark.parametrize("rtt_s", [0.002, 0.05])
def test_losses_make_it_grow_to_what_their_repair_needs(rtt_s: float) -> None:
    lose = random_loss(0.1, 5)
    link = Link(delay_s=rtt_s / 2, drop=lambda side, index: index > 1000 and lose(side, index))
    network, listener = listening(link, 6000)
    delays = list(at_each_second(network, listener))
    count = listener.core.statistics
    assert delays[60] == pytest.approx(FLOOR_S, abs=0.01)
    assert count.retransmitted > 400
    assert count.lost <= 5
    assert is_in_order(listener)


def test_a_path_that_becomes_longer_is_followed_with_one_gap() -> None:
    link = Link(jitter=lambda side, index: 0.5 if side == "server" and index > 500 else 0.0)
    network, listener = listening(link, 6000)
    delays = list(at_each_second(network, listener))
    count = listener.core.statistics
    assert (count.lost, listener.gaps) == (0, 1)
    assert delays[-1] == pytest.approx(FLOOR_S, abs=0.01)
    assert is_in_order(listener)


def test_a_block_of_parity_is_always_within_the_delay() -> None:
    from broadcasting.settings import Fec

    network, listener = listening(Link(), 3000, Settings(burst_s=0.1, fec=Fec(4, 1)))
    delays = list(at_each_second(network, listener))
    assert min(delays) >= 4 * 0.08 + FLOOR_S - 0.01
    assert listener.core.statistics.lost == 0


def test_the_output_gets_the_programme_and_just_what_was_added_to_it() -> None:
    link = jitter_while(lambda index: 800 <= index < 900, 0.3)
    network, listener = listening(link, 6000)
    list(at_each_second(network, listener))
    output = Collector()
    playback = Playback(output, 0.0)
    playback.play(listener.played)
    playback.finish()
    added_s = sum(one.longer_s for one in listener.played if isinstance(one, Ready))
    added_s += sum(one.length_s for one in listener.played if isinstance(one, InsertedSilence))
    assert added_s != 0
    frames = 6000 * 3 * 1152 + added_s * 44_100
    assert output.frames == pytest.approx(frames, abs=5)
    assert sum(playback.audio_s) == pytest.approx(6000 * MESSAGE_S, abs=1e-3)


def test_a_fixed_delay_and_an_output_that_waits_are_as_they_were() -> None:
    link = jitter_while(lambda index: index % 50 == 0, 2.0)
    for join in ({"buffer_s": 0.2}, {"waits": True}):
        network, listener = listening(link, 1000, **join)
        assert list(at_each_second(network, listener)) == []
        assert not any(isinstance(one, InsertedSilence) for one in listener.played)
        assert all(one.longer_s == 0 for one in listener.played if isinstance(one, Ready))
        assert "auto" not in screen(listener.core.snapshot(network.now))


def test_a_copy_and_a_file_wait_as_by_default() -> None:
    played = []
    for buffer_s in (None, USUAL_S):
        for speed, waits in ((1.0, True), (20.0, False)):
            lose = random_loss(0.2, 4)
            network = Network(Settings(speed=speed), segments(500), Link(drop=lose))
            listener = network.join(buffer_s=buffer_s, waits=waits)
            network.run(100, until=lambda: listener.ended)  # noqa: B023 - called at once
            played.append((listener.played, listener.played_at))
    assert played[:2] == played[2:]


# What is told.


def test_the_live_line_the_table_and_the_json_tell_it() -> None:
    network, listener = listening(Link(), 500)
    network.run(30)
    end = listener.core.snapshot(network.now)
    assert " · delay 0.10 s (auto)" in screen(end)
    assert ("play-out delay", "0.10 s", "auto: from 0.10 to 0.10 s") in summary(end.statistics)
    told = as_json(end, listener.core.accept, None)
    assert told["delay_wanted_s"] == told["delay_lowest_s"] == FLOOR_S
    assert told["delay_lowest_s"] <= told["delay_s"] <= told["delay_highest_s"]


def test_the_command_line_takes_auto() -> None:
    def buffer_of(*options: str) -> object:
        return parse(["host", "4501", *options]).buffer_s

    assert buffer_of("--buffer", "auto") is None
    assert buffer_of("--buffer", "0.25") == 0.25
    assert buffer_of() == USUAL_S


def screen(now: ListenSnapshot) -> str:
    """What is seen of it."""
    view = LiveView(buffer_s=1.0, is_heard=True, has_keys=False)
    view.tell(now, Loudness(), None, 0.0)
    return "\n".join(view.lines(80, 24))


def test_what_is_sent_after_an_outage_does_not_count_as_the_delay_of_the_path() -> None:
    cut = False
    settings = Settings(burst_rate_bytes_per_s=40_000.0)
    link = Link(drop=lambda side, index: cut)
    network, listener = listening(link, 1200, settings, timeout_s=60)
    network.run(5)
    cut = True
    network.run(20)
    cut = False
    delays = list(at_each_second(network, listener))
    count = listener.core.statistics
    assert count.reconnections == 1
    assert count.delay_wanted_s == pytest.approx(FLOOR_S, abs=0.01)
    assert sorted(delays, reverse=True) == delays
