"""What may be broadcast beside files, with the real programs: pipes, the web, devices; words."""

from __future__ import annotations

import contextlib
import http.server
import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, ClassVar

import pytest

from broadcasting.source import icy, pipe, web_source
from broadcasting.source.pipe import standard_input
from broadcasting.source.probing import source_at
from broadcasting.source.programme import PAUSES_S, Programme
from broadcasting.source.tracks import SourceError
from tests.rig import pulse
from tests.rig.luck import once
from tests.rig.programs import Finished, client, end, pcm_in, run, server
from tests.rig.terminals import terminal, watch
from tests.rig.zoo import encode, frames_in, reference_pcm, zoo_file

pytestmark = once

CTRL_C = b"\x03"

FAST = ("--speed", "20")


def assert_one_line(finished: Finished, status: int, says: str) -> None:
    assert (finished.status, finished.stdout) == (status, "")
    assert re.fullmatch(rf"server\.py: .*({says}).*\n", finished.stderr), finished.stderr


# Standard input.


def test_what_is_piped_in_is_broadcast_whole(tmp_path: Path) -> None:
    path = zoo_file("cbr-128.mp3").path
    with (
        path.open("rb") as piped,
        server(tmp_path, "-", *FAST, stdin=piped.fileno()) as broadcast,
        client(tmp_path, broadcast, "--output", "heard.wav") as listener,
    ):
        end(listener, broadcast)
        # That the encoder's padding is at its end is told only by a file that can be sought in.
        heard = pcm_in(listener.folder / "heard.wav")
        assert heard.startswith(reference_pcm(path))
        assert len(heard) - len(reference_pcm(path)) < 4 * 1152
        assert broadcast.result["source_stalls"] == 0


def test_other_formats_are_piped_in_too(tmp_path: Path) -> None:
    with (
        zoo_file("flac.flac").path.open("rb") as piped,
        server(tmp_path, "-", *FAST, stdin=piped.fileno()) as broadcast,
        client(tmp_path, broadcast, "--output", "heard.wav") as listener,
    ):
        end(listener, broadcast)
        assert listener.result["title"] == "Gavotte"
        assert listener.result["played_s"] == pytest.approx(1.5, abs=1e-4)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "standard input: ended at once"),
        (b"y\n" * 300_000, "standard input: sends nothing that can be played"),
        (os.urandom(600_000), "standard input: (sends nothing|has no audio)"),
    ],
)
def test_a_pipe_that_holds_no_audio_is_told(content: bytes, says: str, tmp_path: Path) -> None:
    (tmp_path / "piped").write_bytes(content)
    with (tmp_path / "piped").open("rb") as piped:
        assert_one_line(run(tmp_path, "server.py", "-", 0, stdin=piped.fileno()), 2, says)


def test_a_pipe_that_says_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipe, "PROBE_S", 0.2)
    reading, writing = os.pipe()
    with os.fdopen(reading) as silent:
        monkeypatch.setattr("sys.stdin", silent)
        source = standard_input()
        with pytest.raises(OSError, match=r"within 0\.2 s"):
            source.open()
        source.close()
    os.close(writing)


def test_a_pipe_that_stalls_is_silence_and_then_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "song.mp3"
    encode(path, duration_s=10, container_options={"write_xing": "0"})
    frames = frames_in(path)
    reading, writing = os.pipe()
    with (
        _written(writing, frames[:100]) as pipe,
        server(tmp_path, "-", "--speed", 5, stdin=reading) as broadcast,
        client(tmp_path, broadcast, "--output", "heard.mp3") as listener,
    ):
        os.close(reading)
        broadcast.wait_for_log("the source stalls")
        pipe.write(b"".join(frames[100:]))
        pipe.close()
        end(listener, broadcast)
        heard = frames_in(listener.folder / "heard.mp3")
        assert [one for one in heard if len(one) > 200] == frames
        assert broadcast.result["source_stalls"] == 1
        silent = sum(one not in frames for one in heard)
        assert broadcast.result["silence_s"] == pytest.approx(silent * 1152 / 44100, abs=1e-3)
        assert silent > 0
        assert (listener.result["lost"], listener.result["concealed_s"]) == (0, 0)


def _written(descriptor: int, frames: list[bytes]) -> BinaryIO:
    """The writing end of a pipe that holds `frames`."""
    pipe = os.fdopen(descriptor, "wb", buffering=0)
    pipe.write(b"".join(frames))
    return pipe


# The web.


class _Station(http.server.BaseHTTPRequestHandler):
    content: bytes = b""
    titles: tuple[tuple[int, bytes], ...] = ()
    redirects: ClassVar[dict[str, str]] = {"/round": "/round", "/moved": "/song.mp3"}
    breaks = 0
    interval = 4000

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        with contextlib.suppress(ConnectionError):
            self._answer()

    def _answer(self) -> None:
        if self.path in self.redirects:
            self.send_response(302)
            self.send_header("Location", self.redirects[self.path])
            self.end_headers()
        elif self.path == "/silent":
            self.rfile.read()
        elif self.path == "/page":
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"<html>no music</html>" * 100)
        elif self.path == "/song.mp3":
            self.send_response(200)
            self.send_header("Content-Length", str(len(self.content)))
            self.end_headers()
            self.wfile.write(self.content)
        elif self.path == "/live":
            self._be_a_station()
        else:
            self.send_error(404)

    def _be_a_station(self) -> None:
        self.send_response(200)
        self.send_header("icy-name", "Radio Test")
        self.send_header("icy-metaint", str(self.interval))
        self.end_headers()
        for place in range(0, len(self.content), self.interval):
            self.wfile.write(self.content[place : place + self.interval])
            words = b"".join(b"StreamTitle='%s';" % t for at, t in self.titles if at == place)
            padded = words.ljust(-(-len(words) // 16) * 16, b"\0")
            self.wfile.write(bytes([len(padded) // 16]) + padded)


class _Site(http.server.ThreadingHTTPServer):
    daemon_threads = False  # so that its end waits for theirs


@pytest.fixture
def web() -> Iterator[tuple[str, type[_Station]]]:
    """A web server's address, and what it does."""

    class Station(_Station):
        pass

    with _Site(("127.0.0.1", 0), Station) as site:
        thread = threading.Thread(target=site.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{site.server_address[1]}", Station
        site.shutdown()
        thread.join()


def test_a_file_on_the_web_is_broadcast_as_it_is(
    web: tuple[str, type[_Station]], tmp_path: Path
) -> None:
    address, site = web
    site.content = zoo_file("tagged.mp3").path.read_bytes()
    with (
        server(tmp_path, f"{address}/song.mp3", *FAST) as broadcast,
        client(tmp_path, broadcast, "--output", "heard.wav") as listener,
    ):
        end(listener, broadcast)
        heard = pcm_in(listener.folder / "heard.wav")
        assert heard.startswith(reference_pcm(zoo_file("tagged.mp3").path))
        assert listener.result["title"] == "Wiegenlied"


def test_a_stations_titles_come_with_their_audio_and_nothing_else_of_it_does(
    web: tuple[str, type[_Station]], tmp_path: Path
) -> None:
    address, site = web
    path = tmp_path / "song.mp3"
    encode(path, duration_s=3, container_options={"write_xing": "0", "id3v2_version": "0"})
    site.content = path.read_bytes()
    site.titles = ((8000, "子守唄".encode()), (24_000, b"Two\x1b[31m" + b"o" * 300))
    with (
        server(tmp_path, f"{address}/live", "--speed", 5) as broadcast,
        client(tmp_path, broadcast, "--output", "heard.mp3") as listener,
    ):
        broadcast.wait_for_log("will be opened again")
        mp3, size = listener.folder / "heard.mp3", len(site.content)
        listener.wait_until(lambda: mp3.exists() and mp3.stat().st_size > size, "all of it")
        broadcast.send(signal.SIGINT)
        end(listener, broadcast)
        heard = mp3.read_bytes()
        tracks = listener.result["tracks"]
    # Where the connection ends nobody knows whether the last frame is whole.
    assert heard.startswith(b"".join(frames_in(path)[:-2]))
    assert [one["title"][:4] for one in tracks[:3]] == ["Radi", "子守唄", "Two "]
    assert len(tracks[2]["title"]) == 80
    # The title is told after 12,000 bytes: 0.75 s of 128 kbit/s, to a frame or two.
    assert tracks[1]["begins_s"] == pytest.approx(12_000 / 16_000, abs=0.06)
    assert "\x1b" not in broadcast.log + listener.log


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("round", "redirects without an end"),
        ("page", "is not an audio stream that can be read"),
        ("nothing", "the server answers 404"),
    ],
)
def test_an_address_without_audio_is_told(
    path: str, says: str, web: tuple[str, type[_Station]], tmp_path: Path
) -> None:
    assert_one_line(run(tmp_path, "server.py", f"{web[0]}/{path}", 0), 2, says)


def test_an_address_that_stalls_is_given_up(
    web: tuple[str, type[_Station]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web_source, "PROBE_S", 0.2)
    with pytest.raises(OSError, match=r"within 0\.2 s"):
        source_at(f"{web[0]}/silent").open()


@pytest.mark.parametrize(
    ("address", "says"),
    [
        ("http://127.0.0.1:1/", "cannot be reached: connection refused"),
        ("https://127.0.0.1:1/", "cannot be reached: connection refused"),
        ("http:///live", "cannot be reached: no host"),
        ("http://no.such.host.invalid/", "unknown host: check the address"),
    ],
)
def test_an_address_that_cannot_be_reached_is_told(address: str, says: str) -> None:
    with pytest.raises(OSError, match=says):
        source_at(address).open()


def test_a_redirect_is_followed(web: tuple[str, type[_Station]]) -> None:
    address, site = web
    site.content = zoo_file("mono.mp3").path.read_bytes()
    source = source_at(f"{address}/moved")
    source.open()
    assert not source.returns
    source.close()


def test_a_wait_for_an_answer_is_ended_from_another_thread(
    web: tuple[str, type[_Station]],
) -> None:
    source = source_at(f"{web[0]}/silent")
    interrupt = threading.Timer(0.2, source.interrupt)
    interrupt.start()
    began = time.monotonic()
    with pytest.raises(OSError, match="not an audio stream"):
        source.open()
    interrupt.join()
    assert time.monotonic() - began < icy.STALL_S / 2


def test_the_proxy_of_the_environment_is_asked(
    web: tuple[str, type[_Station]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", web[0])
    monkeypatch.delenv("no_proxy", raising=False)
    with pytest.raises(OSError, match="the server answers 404"):
        source_at("http://radio.example/live").open()


class _Breaking:
    """A live source as the programme sees it."""

    name = "http://radio.example/"
    returns = True

    def interrupt(self) -> None:
        pass


def test_a_live_source_that_breaks_is_opened_again_for_a_while(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("broadcasting.source.programme.PAUSES_S", (0,) * len(PAUSES_S))
    programme = Programme([_Breaking()])  # type: ignore[list-item]
    opened = 0
    for _ in programme:
        opened += 1
        early = opened in (1, 4)
        programme.broke(SourceError("x", "ends early" if early else "gone", ended_early=early))
    assert opened == 4 + len(PAUSES_S)
    # What could never be played is not waited for.
    never = Programme([_Breaking()])  # type: ignore[list-item]
    assert [never.broke(SourceError("x", "unknown host")) for _ in never] == [False]


def test_next_leaves_what_is_heard_and_not_what_is_opened_meanwhile() -> None:
    """The source is ahead of what is heard: it may have left a track when the user does."""
    programme = Programme(["first", "second", "third"])
    reading = iter(programme)
    assert next(reading) == "first"
    assert not programme.is_unwanted(1)
    assert next(reading) == "second"
    programme.skip(1)
    assert not programme.is_unwanted(None)
    # A source that gives nothing can be left: it would be the second track.
    programme.skip(2)
    assert programme.is_unwanted(None)
    assert next(reading) == "third"
    assert not programme.is_unwanted(2)


def test_each_round_is_shuffled_anew_and_has_everything_once() -> None:
    import random

    names = [str(number) for number in range(20)]
    programme = Programme(names, random.Random(1))
    rounds = [tuple(programme) for _ in range(5)]
    assert len(set(rounds)) == 5
    assert all(len(one) == 20 and set(one) == set(names) for one in rounds)


# A device.


def test_what_a_device_hears_is_broadcast(tmp_path: Path) -> None:
    tone = tmp_path / "tone.wav"
    encode(tone, codec="pcm_s16le", kbps=None, duration_s=3)
    (tmp_path / "sound").mkdir()
    with (
        pulse.server(tmp_path / "sound") as sound,
        server(tmp_path, "pulse:ear.monitor", environment=sound.environment) as broadcast,
        client(tmp_path, broadcast, "--output", "heard.wav") as listener,
    ):
        listener.wait_for_log("first sound")
        subprocess.run(["paplay", tone], env=sound.environment, check=True)
        broadcast.send(signal.SIGINT)
        end(listener, broadcast)
        assert listener.result["lost"] == 0
    heard = memoryview(pcm_in(listener.folder / "heard.wav")).cast("h")
    assert max(map(abs, heard)) > 5000


@pytest.mark.parametrize("device", ["pulse:no.such.device", "alsa:no-such-device"])
def test_a_device_that_is_not_there_is_told(device: str, tmp_path: Path) -> None:
    (tmp_path / "sound").mkdir()
    with pulse.server(tmp_path / "sound") as sound:
        finished = run(tmp_path, "server.py", device, 0, environment=sound.environment)
    assert_one_line(finished, 2, f"{device}: (cannot be recorded|needs arecord: install)")


# Playlists.


def test_of_a_playlist_what_can_be_played_is_and_the_rest_is_a_line_each(tmp_path: Path) -> None:
    good = zoo_file("mono.mp3").path
    playlist, empty = tmp_path / "list.m3u8", tmp_path / "empty.pls"
    playlist.write_text(f"#EXTM3U\nmissing.mp3\n{good}\nempty.pls\nlist.m3u8\n{good}\n")
    empty.write_text("[playlist]\n")
    with (
        server(tmp_path, playlist, *FAST) as broadcast,
        client(tmp_path, broadcast, "--output", "heard.wav") as listener,
    ):
        end(listener, broadcast)
        assert pcm_in(listener.folder / "heard.wav") == reference_pcm(good) * 2
        assert broadcast.stderr.splitlines() == [
            f"server.py: {empty}: is a playlist without an entry",
            f"server.py: {playlist}: lists itself: left out here",
            f"server.py: {tmp_path / 'missing.mp3'}: no such file",
        ]
        assert broadcast.result["skipped_files"] == 3


def test_a_playlist_of_nothing_that_can_be_played_is_refused(tmp_path: Path) -> None:
    (tmp_path / "list.m3u").write_text("missing.mp3\n")
    finished = run(tmp_path, "server.py", tmp_path / "list.m3u", 0)
    assert_one_line(finished, 2, "missing.mp3: no such file")


# Titles, and changes of format.

LONG, CONTROL, JAPANESE = "x" * 10_000, "Red\x1b[31m\x07Bell", "さくら さくら"


def test_titles_change_with_the_track_and_are_cut_and_cleaned(tmp_path: Path) -> None:
    formats = ((44_100, 2), (22_050, 1), (44_100, 2))
    files = [tmp_path / f"{number}.mp3" for number in range(3)]
    for path, title, (rate_hz, channels) in zip(
        files, (LONG, CONTROL, JAPANESE), formats, strict=True
    ):
        encode(path, sample_rate_hz=rate_hz, channels=channels, kbps=64, tags={"title": title})
    with (
        server(tmp_path, *files, *FAST) as broadcast,
        client(tmp_path, broadcast, "--output", "heard.wav") as listener,
    ):
        end(listener, broadcast)
        tracks = listener.result["tracks"]
        assert [one["begins_s"] for one in tracks] == pytest.approx([0, 1.5, 3.0], abs=1e-6)
        assert [one["title"] for one in tracks] == ["x" * 79 + "…", "Red [31m Bell", JAPANESE]
        assert listener.result["title"] == JAPANESE
        for program in (broadcast, listener):
            assert "\x1b" not in program.log + program.stdout
            assert re.search(rf"begins.*: {JAPANESE}", program.log)
        heard = pcm_in(listener.folder / "heard.wav")
    # From one format to the other and back, nothing is missing and nothing is added.
    size = 4 * 66_150
    assert len(heard) == 3 * size
    assert heard[:size] == reference_pcm(files[0])
    assert heard[2 * size :] == reference_pcm(files[2])


# Words.


def test_sigusr1_goes_to_the_next_track_at_once(tmp_path: Path) -> None:
    long, short = tmp_path / "long.mp3", zoo_file("mono.mp3").path
    encode(long, duration_s=30, channels=1, kbps=64)
    with (
        server(tmp_path, long, short, "--burst", 0.2) as broadcast,
        client(tmp_path, broadcast, "--output", "heard.wav") as listener,
    ):
        listener.wait_for_log("first sound")
        broadcast.send(signal.SIGUSR1)
        end(listener, broadcast)
        assert [one["title"] for one in listener.result["tracks"]] == ["long", "mono"]
        assert listener.result["lost"] == 0
        heard, second = pcm_in(listener.folder / "heard.wav"), reference_pcm(short)
    assert heard.endswith(second)
    first = heard[: -len(second)]
    assert first == reference_pcm(long)[: len(first)]
    assert 0 < len(first) < 10 * 44_100 * 2


def test_words_typed_at_the_server_are_done_and_leave_the_terminal_as_it_was(
    tmp_path: Path,
) -> None:
    files = [tmp_path / f"{name}.mp3" for name in ("first", "second")]
    for path in files:
        encode(path, duration_s=20)
    with terminal(tmp_path, "server.py", *files, 0, "--wait-for", 0) as one:
        watch(lambda: re.match(r"broadcasting +first", one.rows[0]), one)
        one.press(b"lisx")
        watch(lambda: one.rows[-1] == "lisx", one)
        one.press(b"\x7ft\r")
        watch(lambda: re.search(r"^> .*first\.mp3\n  .*second\.mp3$", one.screen, re.M), one)
        one.press(b"dance\r")
        watch(lambda: "'dance' means nothing here: type next, list or quit" in one.screen, one)
        watch(lambda: "first.mp3" not in one.screen, one)
        one.press(b"next\r")
        watch(lambda: re.match(r"broadcasting +second", one.rows[0]), one)
        one.press(b"quit\r")
        watch(one.has_ended, one)
        assert one.process.returncode == 0
        assert one.is_tidy()
        assert "Traceback" not in one.text


def test_ctrl_c_still_ends_a_server_that_has_a_prompt(tmp_path: Path) -> None:
    with terminal(tmp_path, "server.py", zoo_file("vbr.mp3").path, 0) as one:
        watch(lambda: "listening on" in one.text, one)
        one.press(CTRL_C)
        watch(one.has_ended, one)
        assert one.process.returncode == 0
