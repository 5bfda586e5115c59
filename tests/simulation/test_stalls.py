"""A file on a disk that hangs: what its listeners hear, and what they are told."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import pytest

from broadcasting.settings import Fec, Settings
from broadcasting.source.segments import Segment
from broadcasting.stream.stream import LOOKAHEAD_S
from listening.arrival.jitter_buffer import RESTART_S
from listening.arrival.playable import Ready
from tests.rig.network import TRACK, Listener, Network, NotYet, balanced, segments

COUNT, HANGS_AT = 400, 150

FILE = [
    dataclasses.replace(one, data=one.data[:100] + bytes([number % 256]) + one.data[101:])
    for number, one in enumerate(segments(COUNT))
]
FILE_S = sum(one.duration_us for one in FILE) / 1e6


class Disk:
    """A programme that cannot be read for `hangs_s` when a part of it has been read."""

    def __init__(self, settings: Settings, hangs_s: float) -> None:
        self.hung_at: float | None = None
        self._hangs_s = hangs_s
        self.network = Network(settings, self._read())

    def _read(self) -> Iterator[Segment | NotYet]:
        for number, segment in enumerate(FILE):
            if number == HANGS_AT:
                self.hung_at = self.network.now
                while self.network.now < self.hung_at + self._hangs_s:
                    yield NotYet()
            yield segment


def sounds(listener: Listener) -> list[bytes]:
    """The file as it was played, without silence."""
    played = [item.message.data for item in listener.played if isinstance(item, Ready)]
    return [data for data in played if len(data) == len(FILE[0].data)]


@pytest.mark.parametrize("buffer_s", [1.0, 0.2, None])
def test_of_a_disk_that_hangs_listeners_lose_nothing(buffer_s: float | None) -> None:
    hangs_s = 40.0
    settings = Settings(duration_s=FILE_S, fec=Fec(10, 2) if buffer_s == 1.0 else None)
    disk = Disk(settings, hangs_s)
    listener = disk.network.join(buffer_s=buffer_s)
    disk.network.run(hangs_s + 2 * FILE_S, until=lambda: listener.ended)
    told = disk.network.server
    assert told is not None
    assert disk.hung_at is not None
    end = told.snapshot(disk.network.now)
    assert sounds(listener) == [one.data for one in FILE]
    assert (listener.core.statistics.lost, listener.core.statistics.late) == (0, 0)
    assert balanced(listener)
    # One stall, as long as it was when what had been read before was spent; none of it is late.
    assert end.statistics.source_stalls == 1
    assert hangs_s - LOOKAHEAD_S - 2 < end.statistics.silence_s < hangs_s
    assert end.lateness_max_ms is not None
    assert end.lateness_max_ms < 1
    assert end.duration_s == pytest.approx(FILE_S + end.statistics.silence_s)
    assert end.title == TRACK.title


def test_a_disk_that_hangs_for_as_long_as_was_read_ahead_is_not_heard() -> None:
    disk = Disk(Settings(), LOOKAHEAD_S / 2 - 0.1)
    listener = disk.network.join()
    disk.network.run(3 * FILE_S, until=lambda: listener.ended)
    assert disk.hung_at is not None
    played = [item.message.data for item in listener.played if isinstance(item, Ready)]
    assert played == [one.data for one in FILE]
    assert (listener.core.statistics.lost, listener.core.statistics.concealed_s) == (0, 0)


def test_who_comes_while_the_disk_hangs_hears_what_follows() -> None:
    disk = Disk(Settings(), 30.0)
    first = disk.network.join()
    disk.network.run(25)
    second = disk.network.join()
    disk.network.run(3 * FILE_S, until=lambda: second.ended)
    rest = sounds(second)
    assert rest
    assert rest == sounds(first)[-len(rest) :]
    assert (first.core.statistics.lost, second.core.statistics.lost) == (0, 0)


@pytest.mark.parametrize("asleep_s", [20.0, 300.0])
def test_a_server_that_stood_still_goes_on_with_its_file_and_makes_nobody_swallow_what_was_missed(
    asleep_s: float,
) -> None:
    network = Network(Settings(timeout_s=1e6), iter(FILE))
    listener = network.join(timeout_s=1e6)
    network.run(10)
    server, network.server = network.server, None
    network.run(asleep_s)
    network.server = server
    before = network.sent["server"]
    network.run(1)
    assert network.sent["server"] - before < 200
    woke_at = network.now
    network.run(3 * FILE_S, until=lambda: listener.ended)
    assert listener.played_at[-1] < woke_at + FILE_S
    # What lay ready is sent too late, and what comes until the listener knows how it is.
    heard = sounds(listener)
    assert COUNT - len(heard) < (LOOKAHEAD_S + RESTART_S + 1) / FILE_S * COUNT
    assert heard[-1] == FILE[-1].data
    assert balanced(listener)
    assert server is not None
    assert server.snapshot(network.now).statistics.source_stalls == 0
