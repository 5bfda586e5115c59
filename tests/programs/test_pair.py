"""Server and client as the user starts them: two programs, real sockets, on this machine."""

from __future__ import annotations

import functools
import itertools
import json
import os
import re
import signal
import time
from array import array
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from audio.mpeg_audio import FrameHeader
from shell.process.log import ROTATE_BYTES
from tests.rig.luck import once
from tests.rig.programs import SAMPLE, Program, Server, balances, client, end, pcm_in, server
from tests.rig.zoo import MP3_NAMES, encode, frames_in, reference_pcm, zoo_file

FAST = ("--speed", "20")
"""A receiver may sleep for half a second before the smallest usual socket buffer is full."""
STOPS = (signal.SIGINT, signal.SIGTERM)

# FFmpeg itself refuses to decode these, or decodes half a frame at the end.
NO_REFERENCE = {"tails.mp3", "cut-in-frame.mp3", "garbage-between.mp3", "garbage-after.mp3"}

COUNTERS = {
    "expected", "intact", "retransmitted", "rebuilt", "lost", "received", "duplicates", "late",
    "out_of_order", "underruns", "played_s", "concealed_s", "jitter_ms", "rtt_ms",
}  # fmt: skip


def path_of(name: str) -> Path:
    return zoo_file(name).path


def frames_of(*names: str) -> bytes:
    return b"".join(frame for name in names for frame in zoo_file(name).frames)


@functools.cache
def pcm_of(name: str) -> bytes:
    """What the file itself decodes to; where FFmpeg cannot, what its frames alone decode to."""
    if name not in NO_REFERENCE:
        return reference_pcm(path_of(name))
    plain = path_of(name).with_name(f"plain-{name}")
    plain.write_bytes(frames_of(name))
    return reference_pcm(plain)


# What is heard.


def formats() -> list[Any]:
    """The names of the zoo's MP3 files, those of one rate and number of channels together."""

    def format_of(name: str) -> tuple[int, int]:
        header = FrameHeader.parse(zoo_file(name).frames[0])
        return header.sample_rate_hz, header.channels

    by_format = itertools.groupby(sorted(MP3_NAMES, key=format_of), key=format_of)
    return [
        pytest.param(list(names), id=f"{rate_hz} Hz, {channels} channels")
        for (rate_hz, channels), names in by_format
    ]


@once
@pytest.mark.parametrize("names", formats())
def test_wav_has_every_sample_and_mp3_every_byte_of_every_kind_of_mp3(
    names: list[str], tmp_path: Path
) -> None:
    wav, mp3 = tmp_path / "heard.wav", tmp_path / "heard.mp3"
    files = [path_of(name) for name in names]
    with (
        server(tmp_path, *files, *FAST, "--wait-for", 2) as broadcast,
        client(tmp_path, broadcast, "--output", wav) as hears,
        client(tmp_path, broadcast, "--output", mp3) as copies,
    ):
        end(hears, copies, broadcast)
        assert pcm_in(wav) == b"".join(pcm_of(name) for name in names)
        assert mp3.read_bytes() == frames_of(*names)
        for program in (hears, copies):
            assert balances(program.result)
            assert program.result["intact"] == program.result["expected"] > 0
        assert hears.result["concealed_s"] == 0


@once
def test_files_of_other_formats_follow_in_the_format_of_the_first(tmp_path: Path) -> None:
    wav = tmp_path / "heard.wav"
    names = ("mono.mp3", "flac.flac", "mpeg2-22-mono.mp3")
    with (
        server(tmp_path, *map(path_of, names), *FAST) as broadcast,
        client(tmp_path, broadcast, "--output", wav) as listener,
    ):
        end(listener, broadcast)
    heard = pcm_in(wav)
    assert heard.startswith(pcm_of("mono.mp3"))
    seconds = sum(
        len(pcm) / 2 / channels / rate_hz
        for pcm, rate_hz, channels in (
            (pcm_of("mono.mp3"), 44_100, 1),
            (reference_pcm(path_of("flac.flac")), 44_100, 2),
            (pcm_of("mpeg2-22-mono.mp3"), 22_050, 1),
        )
    )
    assert len(heard) / 2 / 44_100 == pytest.approx(seconds, abs=1 / 44_100)


def test_the_server_is_reached_by_ipv4_ipv6_and_name(tmp_path: Path) -> None:
    hosts = ("127.0.0.1", "::1", "localhost")
    with (
        ExitStack() as stack,
        server(tmp_path, path_of("mono.mp3"), *FAST, "--wait-for", 3) as broadcast,
    ):
        listeners = [
            stack.enter_context(client(tmp_path, broadcast, "--output", "heard.mp3", host=host))
            for host in hosts
        ]
        end(*listeners, broadcast)
        for listener in listeners:
            assert (listener.folder / "heard.mp3").read_bytes() == frames_of("mono.mp3")
        assert len(broadcast.result["listeners"]) == 3


def test_a_bad_file_among_good_ones_is_told_and_skipped(tmp_path: Path) -> None:
    bad = tmp_path / "bad.mp3"
    bad.write_bytes(b"not audio at all")
    files = (path_of("mono.mp3"), bad, path_of("mono.mp3"))
    with (
        server(tmp_path, *files, *FAST) as broadcast,
        client(tmp_path, broadcast, "--output", "heard.mp3") as listener,
    ):
        end(listener, broadcast)
        assert (listener.folder / "heard.mp3").read_bytes() == frames_of("mono.mp3") * 2
        assert broadcast.stderr == f"server.py: {bad}: is not an audio file that can be read\n"
        assert re.search(rf" - ERROR - skipped: {re.escape(str(bad))}: ", broadcast.log)
        assert broadcast.result["skipped_files"] == 1


@once
def test_loop_goes_on_over_the_end(tmp_path: Path) -> None:
    mp3, once = tmp_path / "heard.mp3", frames_of("mono.mp3")
    with (
        server(tmp_path, path_of("mono.mp3"), *FAST, "--loop") as broadcast,
        client(tmp_path, broadcast, "--output", mp3) as listener,
    ):
        listener.wait_until(
            lambda: mp3.exists() and mp3.stat().st_size > 2.5 * len(once), "two rounds and a half"
        )
        broadcast.send(signal.SIGINT)
        end(listener, broadcast)
        heard = mp3.read_bytes()
        assert heard == (once * (len(heard) // len(once) + 1))[: len(heard)]
        assert broadcast.result["duration_s"] is None


def test_the_stream_waits_for_as_many_listeners_as_asked_and_all_have_the_start(
    tmp_path: Path,
) -> None:
    with (
        server(tmp_path, path_of("mono.mp3"), *FAST, "--wait-for", 2) as broadcast,
        client(tmp_path, broadcast, "--output", "heard.wav") as first,
    ):
        broadcast.wait_for_log("received REPORT")
        assert "sent AUDIO" not in broadcast.log
        with client(tmp_path, broadcast, "--output", "heard.wav") as second:
            end(first, second, broadcast)
            for listener in (first, second):
                assert pcm_in(listener.folder / "heard.wav") == pcm_of("mono.mp3")


@once
def test_an_interval_sends_together_what_falls_due_in_it(tmp_path: Path) -> None:
    with (
        server(
            tmp_path, path_of("cbr-128.mp3"), "--interval", 0.5, "--burst", 0, "--speed", 1
        ) as broadcast,
        client(tmp_path, broadcast, "--output", "heard.mp3", "--buffer", 1) as listener,
    ):
        end(listener, broadcast)
        assert (listener.folder / "heard.mp3").read_bytes() == frames_of("cbr-128.mp3")
        times = sent_at_s(broadcast)
    pauses = [after - before for before, after in itertools.pairwise(times)]
    assert sum(pause > 0.25 for pause in pauses) == 2
    assert len(pauses) == 19


def sent_at_s(broadcast: Server) -> list[float]:
    """When each AUDIO was sent, by the log, in seconds from the midnight before."""
    found = re.findall(r" (\d+):(\d+):(\d+),(\d+) - \d+ - INFO - sent AUDIO \d+,", broadcast.log)
    return [
        int(hours) * 3600 + int(minutes) * 60 + int(seconds) + int(thousandths) / 1000
        for hours, minutes, seconds, thousandths in found
    ]


@once
def test_who_joins_late_hears_at_once_and_everything_from_there_on(tmp_path: Path) -> None:
    # Nine seconds are kept ready: whoever waited for them to fill would wait as long.
    nine_seconds = ("--buffer", 9)
    with (
        server(tmp_path, SAMPLE, "--burst", 9) as broadcast,
        client(tmp_path, broadcast, "--output", "null") as first,
    ):
        broadcast.wait_for_log("sent AUDIO 125,")
        with (
            client(tmp_path, broadcast, "--output", "null", *nine_seconds) as hears,
            client(tmp_path, broadcast, "--output", "heard.mp3", *nine_seconds) as copies,
        ):
            late = (hears, copies)
            for listener in late:
                listener.wait_for_log("first sound")
            broadcast.send(signal.SIGINT)
            end(first, *late, broadcast)
        for listener in late:
            begin = int(listener.wait_for_log(r"from message (\d+) on")[1])
            # The last of the burst may come after what is sent to all meanwhile.
            last = max(map(int, re.findall(r"received AUDIO (\d+),", listener.log)))
            assert begin > 0
            assert listener.result["intact"] == listener.result["expected"] == last - begin + 1
            played_s = 3 * (last - begin + 1) * 1152 / 44_100
            assert listener.result["played_s"] == pytest.approx(played_s, abs=0.1)
        assert hears.result["first_sound_s"] < 8
        heard = (copies.folder / "heard.mp3").read_bytes()
        assert heard == b"".join(frames_in(SAMPLE)[3 * begin : 3 * last + 3])


@once
def test_volume_changes_every_sample_and_nothing_else(tmp_path: Path) -> None:
    with (
        server(tmp_path, path_of("mono.mp3"), *FAST) as broadcast,
        client(tmp_path, broadcast, "--output", "heard.wav", "--volume", -20) as listener,
    ):
        end(listener, broadcast)
        quiet = array("h", pcm_in(listener.folder / "heard.wav"))
    loud = array("h", pcm_of("mono.mp3"))
    assert len(quiet) == len(loud)
    assert all(abs(a - b / 10) <= 1 for a, b in zip(quiet, loud, strict=True))


# Where it goes.


def test_standard_output_has_the_frames_and_nothing_else(tmp_path: Path) -> None:
    with (
        server(tmp_path, path_of("vbr.mp3"), *FAST) as broadcast,
        client(tmp_path, broadcast, "--output", "-") as listener,
    ):
        end(listener, broadcast)
        assert listener.stdout_bytes == frames_of("vbr.mp3")
        assert "messages expected" in listener.stderr


def test_a_pipe_that_is_closed_ends_the_client_well(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    with server(tmp_path, path_of("mono.mp3"), *FAST, "--loop") as broadcast:
        with client(tmp_path, broadcast, "--output", "-", stdout=writing) as listener:
            os.close(writing)
            assert frames_of("mono.mp3").startswith(os.read(reading, 1000))
            os.close(reading)
            end(listener)
            assert "messages expected" in listener.stderr
            assert listener.result["failure"] is None
        broadcast.wait_for_log(r"left \(goodbye\)")
        broadcast.send(signal.SIGINT)
        end(broadcast)


def test_null_plays_everything_for_nobody(tmp_path: Path) -> None:
    with (
        server(tmp_path, path_of("cbr-128.mp3")) as broadcast,
        client(tmp_path, broadcast, "--output", "null") as listener,
    ):
        end(listener, broadcast)
        assert listener.result["played_s"] == pytest.approx(1.5, abs=1e-6)
        made = {path.name for path in listener.folder.iterdir()}
        assert made == {"logs", "result.json", "stdout", "stderr"}


# What is told.


def test_json_has_every_name_and_balances_on_both_sides(tmp_path: Path) -> None:
    with (
        server(tmp_path, path_of("tagged.mp3"), *FAST) as broadcast,
        client(tmp_path, broadcast, "--output", "heard.wav") as listener,
    ):
        end(listener, broadcast)
        heard, sent = listener.result, broadcast.result
    assert heard.keys() >= COUNTERS | {"title", "format", "first_sound_s", "intact_s", "repaired_s"}
    assert (heard["title"], heard["artist"]) == ("Wiegenlied", "J. Brahms")
    assert heard["format"] == {"frame_rate_hz": 44_100, "channels": 2, "bit_rate_bps": 128_000}
    assert heard["duration_s"] == heard["played_s"] == pytest.approx(1.5, abs=1e-6)
    assert 0 < heard["first_sound_s"] < 25
    assert balances(heard)
    (reported,) = sent["listeners"]
    assert reported.keys() >= COUNTERS | {"address", "how", "registered_s"}
    counts = COUNTERS - {"played_s", "rtt_ms"}  # rounded; may go on after the last report
    assert {name: reported[name] for name in counts} == {name: heard[name] for name in counts}
    assert reported["how"] == "goodbye"
    assert sent["title"] == "Wiegenlied"
    assert sent["messages"] == sent["datagrams"] == heard["expected"]
    assert sent["audio_bytes"] == heard["received_bytes"] == len(frames_of("tagged.mp3"))


def test_json_on_standard_output_leaves_it_to_json(tmp_path: Path) -> None:
    with (
        server(tmp_path, path_of("mono.mp3"), *FAST, "--json", "-") as broadcast,
        client(tmp_path, broadcast, "--output", "null", "--json", "-") as listener,
    ):
        end(listener, broadcast)
        for program, name in ((listener, "expected"), (broadcast, "messages")):
            assert json.loads(program.stdout)[name] > 0
            assert name in program.stderr


def test_json_that_cannot_be_written_at_the_end_is_told_in_one_line(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with (
        server(tmp_path, path_of("mono.mp3"), *FAST, "--json", "/dev/full") as broadcast,
        client(tmp_path, broadcast, "--output", "null", "--json", "-", stdout=writing) as listener,
    ):
        os.close(writing)
        assert (listener.wait(), broadcast.wait()) == (1, 1)
        assert broadcast.stderr == "server.py: cannot write /dev/full: No space left on device\n"
        assert listener.stderr.endswith("\nclient.py: cannot write -: Broken pipe\n")
        assert "Exception" not in listener.stderr


@pytest.mark.parametrize("stop", STOPS)
def test_a_signal_ends_client_and_server_with_their_statistics(
    stop: signal.Signals, tmp_path: Path
) -> None:
    with (
        server(tmp_path, SAMPLE, "--loop") as broadcast,
        client(tmp_path, broadcast, "--output", "null") as stopped,
        client(tmp_path, broadcast, "--output", "null") as stays,
    ):
        for listener in (stopped, stays):
            listener.wait_for_log("received AUDIO")
        stopped.send(stop)
        end(stopped)
        broadcast.wait_for_log(r"left \(goodbye\), 1 remain")
        broadcast.send(stop)
        end(stays, broadcast)
        assert "received END" in stays.log
        for listener in (stopped, stays):
            assert "messages expected" in listener.stdout
            assert balances(listener.result)
        assert "datagrams sent" in broadcast.stdout
        assert [one["how"] for one in broadcast.result["listeners"]] == ["goodbye"] * 2


@once
def test_who_loses_the_server_for_good_has_the_statistics_and_says_so(tmp_path: Path) -> None:
    with (
        server(tmp_path, SAMPLE, "--timeout", 0.4) as broadcast,
        client(tmp_path, broadcast, "--output", "null", "--timeout", 0.5) as listener,
    ):
        listener.wait_for_log("received AUDIO")
        broadcast.send(signal.SIGKILL)
        assert listener.wait() == 1
        assert re.fullmatch(r"client.py: the server at \S+ was lost, .*\n", listener.stderr)
        assert "messages expected" in listener.stdout
        assert balances(listener.result)
        assert listener.result["failure"] in listener.stderr


def test_a_signal_right_after_the_start_ends_both_well(tmp_path: Path) -> None:
    with server(tmp_path, SAMPLE) as broadcast:
        broadcast.send(signal.SIGINT)
        end(broadcast)
    with client(tmp_path, broadcast, "--output", "null", "--timeout", 20) as listener:
        listener.wait_for_log("sent CONNECT")
        listener.send(signal.SIGINT)
        end(listener)
        assert "messages expected" in listener.stdout


def test_a_signal_ends_a_client_whose_pipe_is_full(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    with (
        server(tmp_path, SAMPLE, *FAST, "--loop") as broadcast,
        client(tmp_path, broadcast, "--output", "-", stdout=writing) as listener,
    ):
        os.close(writing)
        listener.wait_for_log("received AUDIO 100,")  # a pipe holds about fifty
        listener.send(signal.SIGINT)
        end(listener)
        os.close(reading)
        assert balances(listener.result)


def test_a_screen_that_goes_away_stops_neither(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with (
        server(tmp_path, path_of("mono.mp3"), *FAST, stdout=writing) as broadcast,
        client(tmp_path, broadcast, "--output", "heard.mp3", stdout=writing) as listener,
    ):
        os.close(writing)
        end(listener, broadcast)
        assert (listener.folder / "heard.mp3").read_bytes() == frames_of("mono.mp3")
        assert listener.result["lost"] == 0
        assert broadcast.result["accepted"] == 1
        assert listener.stderr == broadcast.stderr == ""


@once
def test_many_signals_are_no_more_than_one(tmp_path: Path) -> None:
    with (
        server(tmp_path, SAMPLE) as broadcast,
        client(tmp_path, broadcast, "--output", "null") as listener,
    ):
        listener.wait_for_log("received AUDIO")
        for program in (listener, broadcast):
            while program.process.poll() is None:
                program.send(signal.SIGINT)
                time.sleep(0.002)
            end(program)
            assert program.result
        assert "messages expected" in listener.stdout
        assert "datagrams sent" in broadcast.stdout


@once
def test_quiet_shows_nothing_but_the_final_statistics(tmp_path: Path) -> None:
    with (
        server(tmp_path, path_of("mono.mp3"), *FAST, "-q") as broadcast,
        client(tmp_path, broadcast, "--output", "null", "-q") as listener,
    ):
        end(listener, broadcast)
        assert listener.stdout.startswith("mono\n")
        assert broadcast.stdout.startswith("Broadcast\n")
        assert listener.stderr == broadcast.stderr == ""


@once
def test_a_file_may_have_any_name_and_none_of_it_reaches_a_screen_or_a_log_raw(
    tmp_path: Path,
) -> None:
    name = os.fsdecode(b"caf\xe9 \x1b[31m\nat night")
    good, bad = tmp_path / f"{name}.mp3", tmp_path / f"{name}.txt"
    good.write_bytes(path_of("mono.mp3").read_bytes())
    bad.write_text("no music")
    with (
        server(tmp_path, good, bad, *FAST) as broadcast,
        client(tmp_path, broadcast, "--output", "null") as listener,
    ):
        end(listener, broadcast)
        assert listener.result["title"].startswith("caf")
        assert broadcast.result["title"].startswith("caf")
        assert re.fullmatch(r"server\.py: .*at night\.txt: .*\n", broadcast.stderr)
        assert re.search(r" - ERROR - skipped: .*at night\.txt: ", broadcast.log)
        assert listener.stderr == ""
        for program in (broadcast, listener):
            assert raw_characters(program) == []


def test_a_title_with_control_characters_reaches_no_screen_and_no_log_raw(tmp_path: Path) -> None:
    evil = tmp_path / "evil.mp3"
    encode(evil, tags={"title": "red \x1b[31malert\x07 \x9b2J", "artist": "a\x1bb"})
    with (
        server(tmp_path, evil, *FAST) as broadcast,
        client(tmp_path, broadcast, "--output", "null") as listener,
    ):
        end(listener, broadcast)
        assert "alert" in listener.stdout
        for program in (broadcast, listener):
            assert "alert" in program.result["title"]
            assert raw_characters(program) == []


def raw_characters(program: Program) -> list[str]:
    """What a terminal would obey, in what the program shows, logs and tells."""
    seen = program.stdout + program.stderr + program.log + program.result["title"]
    return re.findall(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\ud800-\udfff]", seen)


# The log.

LINE = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} - \d+ - (DEBUG|INFO|WARNING|ERROR) - .+")


def test_the_logs_tell_registration_refusal_each_message_and_the_final_figures(
    tmp_path: Path,
) -> None:
    with (
        server(tmp_path, SAMPLE, "--max-clients", 1) as broadcast,
        client(tmp_path, broadcast, "--output", "null") as listener,
    ):
        address = broadcast.wait_for_log(r" - INFO - registered (\S+), 1 of 1$")[1]
        with client(tmp_path, broadcast, "--output", "null") as refused:
            assert refused.wait() == 1
            assert " - ERROR - the server is full" in refused.log
        broadcast.send(signal.SIGTERM)
        end(listener, broadcast)
    for program in (broadcast, listener, refused):
        assert all(LINE.fullmatch(line) for line in program.log.splitlines())
    assert re.search(r" - WARNING - refused \S+: full$", broadcast.log, re.MULTILINE)
    assert messages(broadcast.log, "sent AUDIO") == messages(listener.log, "received AUDIO")
    count = len(messages(broadcast.log, "sent AUDIO"))
    assert count > 0
    for kind in ("CONNECT", "REPORT", "GOODBYE"):
        sent = messages(listener.log, f"sent {kind}")
        assert set(sent) >= set(messages(broadcast.log, f"received {kind}", address)) != set()
    for kind in ("CHALLENGE", "ACCEPT", "STATUS", "END", "GOODBYE"):
        sent = messages(broadcast.log, f"sent {kind}", address)
        assert set(sent) >= set(messages(listener.log, f"received {kind}")) != set()
    assert re.search(
        rf" - INFO - listener {re.escape(address)} \(goodbye, .*\): expected {count}, intact \d+,",
        broadcast.log,
    )
    for program in (broadcast, listener):
        assert " - INFO - final: " in program.log


@once
def test_what_happens_takes_few_lines_however_many_messages_there_are(tmp_path: Path) -> None:
    listeners = 4
    with ExitStack() as stack:
        broadcast = stack.enter_context(server(tmp_path, SAMPLE, "--wait-for", listeners))
        crowd = [
            stack.enter_context(client(tmp_path, broadcast, "--output", "null"))
            for _ in range(listeners)
        ]
        for one in crowd:
            one.wait_for_log("received AUDIO 60,")
        broadcast.send(signal.SIGINT)
        end(broadcast, *crowd)
    # The start, the end and the track; for each listener that it came, left, and how it fared.
    assert len(broadcast.events.splitlines()) <= 6 + 3 * listeners
    for one in crowd:
        assert len(one.events.splitlines()) <= 12
    for program in (broadcast, *crowd):
        assert not re.search(" - (sent|received) ", program.events)
        assert len(program.log) > 3 * len(program.events)


def test_messages_are_not_logged_and_standard_error_has_the_rest_if_that_is_wanted(
    tmp_path: Path,
) -> None:
    log = ("--no-message-log", "--log-file", "-")
    with (
        server(tmp_path, path_of("mono.mp3"), *FAST, *log) as broadcast,
        client(tmp_path, broadcast, "--output", "null", *log) as listener,
    ):
        end(listener, broadcast)
        for program in (broadcast, listener):
            assert all(LINE.fullmatch(line) for line in program.stderr.splitlines())
            assert " - INFO - final: " in program.stderr
            assert not (program.folder / "logs").exists()


def messages(log: str, kind: str, address: str = "") -> list[tuple[int, int]]:
    """Sequence and bytes of each message of this kind, to or from `address` if given."""
    found = re.findall(rf" - {kind} (\d+), (\d+) bytes(.*)", log)
    return [(int(number), int(size)) for number, size, rest in found if address in rest]


@once
def test_a_log_that_is_full_is_kept_aside(tmp_path: Path) -> None:
    logs = [tmp_path / "server.log", tmp_path / "client.log"]
    for log in logs:
        log.write_bytes(b"x" * (ROTATE_BYTES - 10))
    with (
        server(tmp_path, path_of("mono.mp3"), *FAST, "--log-file", logs[0]) as broadcast,
        client(tmp_path, broadcast, "--output", "null", "--log-file", logs[1]) as listener,
    ):
        end(listener, broadcast)
    for log in logs:
        assert log.with_name(f"{log.name}.1").stat().st_size <= ROTATE_BYTES
        assert "final:" in log.read_text()


def test_without_a_log_folder_both_warn_in_one_line_and_go_on(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.touch()
    log = ("--log-file", blocked / "logs" / "x.log")
    with (
        server(tmp_path, path_of("mono.mp3"), *FAST, *log) as broadcast,
        client(tmp_path, broadcast, "--output", "heard.mp3", *log) as listener,
    ):
        end(listener, broadcast)
        assert (listener.folder / "heard.mp3").read_bytes() == frames_of("mono.mp3")
        for program in (broadcast, listener):
            assert re.fullmatch(r"\w+\.py: no log: cannot write .*\n", program.stderr)
