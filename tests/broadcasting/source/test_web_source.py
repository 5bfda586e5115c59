"""Addresses as they are typed, what stations send, and what nobody but the station may see."""

from __future__ import annotations

import base64
import contextlib
import http.server
import itertools
import signal
import threading
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from broadcasting.source.icy import text_of, title_in
from broadcasting.source.probing import look_at
from broadcasting.source.programme import Programme
from broadcasting.source.segments import read_segments
from broadcasting.source.tracks import SourceError
from broadcasting.source.web_address import shown, web_address
from broadcasting.source.web_source import MOST_NESTED, MOST_TRIED, WebSource
from tests.rig.programs import client, server
from tests.rig.zoo import encode

SECRETS = "alice", "s3cret", "t0ken"


class _Answers(http.server.BaseHTTPRequestHandler):
    """Answers a path as the test says."""

    protocol_version = "HTTP/1.1"
    server: _Site

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        self.close_connection = True
        self.server.asked.append((self.path, self.headers.get("Authorization")))
        answer = self.server.answers.get(self.path.partition("?")[0])
        with contextlib.suppress(ConnectionError):
            if answer is None:
                self.send_error(404)
            else:
                answer(self)

    def head(self, **headers: str) -> None:
        self.send_response(200)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()


Answer = Callable[[_Answers], object]


class _Site(http.server.ThreadingHTTPServer):
    daemon_threads = False  # so that its end waits for theirs

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answers)
        self.answers: dict[str, Answer] = {}
        self.asked: list[tuple[str, str | None]] = []
        self.origin = f"http://127.0.0.1:{self.server_address[1]}"


@pytest.fixture
def site() -> Iterator[_Site]:
    with _Site() as site:
        thread = threading.Thread(target=site.serve_forever, args=(0.01,))
        thread.start()
        yield site
        site.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def song(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """1.2 s, without tags."""
    path = tmp_path_factory.mktemp("web") / "song.mp3"
    encode(path, duration_s=1.2, container_options={"write_xing": "0", "id3v2_version": "0"})
    return path.read_bytes()


def gives(content: bytes, kind: str = "audio/mpeg") -> Answer:
    def answer(to: _Answers) -> None:
        to.head(Content_Type=kind, Content_Length=str(len(content)))
        to.wfile.write(content)

    return answer


def lists(content: str, kind: str = "text/plain") -> Answer:
    return gives(content.encode(), kind)


def opens(address: str) -> WebSource:
    source = WebSource(address)
    source.open()
    source.close()
    return source


# What is typed.


def test_the_user_and_the_password_are_sent_as_basic_authorization(
    site: _Site, song: bytes
) -> None:
    site.answers["/x.mp3"] = gives(song)
    opens(site.origin.replace("//", "//al%40ice:p%C3%A4ss%3Aword@") + "/x.mp3")
    expected = base64.b64encode("al@ice:päss:word".encode()).decode()
    assert site.asked == [("/x.mp3", f"Basic {expected}")]


@pytest.mark.parametrize(
    ("typed", "asked"),
    [
        ("/My Song.mp3", "/My%20Song.mp3"),
        ("/Ünï.mp3", "/%C3%9Cn%C3%AF.mp3"),
        ("/My%20Song.mp3", "/My%20Song.mp3"),
        ("/100% real.mp3", "/100%25%20real.mp3"),
        ("/a.mp3?q=ä b&c=d/e", "/a.mp3?q=%C3%A4%20b&c=d/e"),
        ("/a.mp3#t=9", "/a.mp3"),
        ("", "/"),
    ],
)
def test_what_a_url_cannot_hold_is_encoded_and_the_rest_stays(
    typed: str, asked: str, site: _Site, song: bytes
) -> None:
    site.answers[asked.partition("?")[0]] = gives(song)
    opens(site.origin + typed)
    assert site.asked == [(asked, None)]


@pytest.mark.parametrize(
    ("typed", "origin"),
    [
        ("http://müller.example/x", "http://xn--mller-kva.example"),
        ("HTTP://Radio.example:8000", "http://Radio.example:8000"),
        ("https://[::1]:8443/x", "https://[::1]:8443"),
        ("http://u@h:pw@radio.example/x", "http://radio.example"),
        ("http://u:p/w?#@radio.example:80/x", "http://radio.example:80"),
        ("http://radio.example/@home", "http://radio.example"),
    ],
)
def test_the_host_is_found_in_what_is_typed(typed: str, origin: str) -> None:
    assert web_address(typed).origin == origin


@pytest.mark.parametrize(
    "typed",
    ["http://[::1/x", "http://[kitchen]/x", "http://a:b:c/x", "http://" + "ü" * 99 + ".x/"],
)
def test_what_is_no_address_is_told(typed: str) -> None:
    with pytest.raises(OSError, match="is not an address that can be read"):
        WebSource(typed).open()


# What nobody else may see.


@pytest.mark.parametrize(
    "typed",
    [
        "http://alice:s3cret@radio.example/x?key=t0ken#t0ken",
        "http://alice:s3/cret@radio.example/x?key=t0ken",
        "http://alice:s3cret@/x?key=t0ken",
        "http://alice:s3cret@[::1/x?t0ken",
        "http://alice:s3cret@radio.example?t0ken",
        "http://alice:s3cret@radio.example:x/",
    ],
)
def test_an_address_is_shown_without_its_user_password_and_query(typed: str) -> None:
    assert not [word for word in (*SECRETS, "s3", "cret") if word in shown(typed)]
    (fault,) = look_at([typed.replace("radio.example", "127.0.0.1:1")]).faults
    assert not [word for word in SECRETS if word in str(fault)]


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ("http://alice:12/s3cret@radio.example/x", "http://radio.example/x"),
        ("http://alice:12/34/s3@cret@radio.example", "http://radio.example"),
        ("http://radio.example/alice@home.mp3", "http://radio.example/alice@home.mp3"),
        ("http://[::1]:80/alice@home.mp3", "http://[::1]:80/alice@home.mp3"),
    ],
)
def test_what_may_be_a_port_or_the_beginning_of_a_password_is_not_shown(
    typed: str, told: str
) -> None:
    assert shown(typed) == told


def test_nothing_that_the_server_says_holds_a_secret_of_its_address(
    site: _Site, song: bytes, tmp_path: Path
) -> None:
    site.answers["/live"] = gives(song * 5)
    typed = site.origin.replace("//", "//alice:s3cret@") + "/live?key=t0ken"
    with (
        server(tmp_path, typed, "/missing.mp3", "--status", 0, "--loop", "-v") as broadcast,
        client(tmp_path, broadcast, "--output", "null") as listener,
    ):
        listener.wait_for_log("first sound")
        page = broadcast.wait_for_log(r"status page at (http://\S+)")[1]
        with urllib.request.urlopen(f"{page}status.json") as answer:  # noqa: S310 - it is ours
            said = answer.read().decode()
        broadcast.send(signal.SIGINT)
        assert broadcast.wait() == listener.wait() == 0
        said += broadcast.log + broadcast.stderr + broadcast.stdout + str(broadcast.result)
        said += listener.log + listener.stdout
    assert "/live" in said
    assert not [word for word in SECRETS if word in said]
    assert base64.b64encode(b"alice:s3cret").decode() not in said


# Stations that are lists.


@pytest.mark.parametrize(
    ("path", "kind", "content"),
    [
        ("/radio", "audio/x-mpegurl", "#EXTM3U\r\n#EXTINF:-1,Radio\r\n{}/live\r\n"),
        ("/radio", "audio/x-scpls; charset=utf-8", "[playlist]\nFile1={}/live\nTitle1=x\n"),
        ("/radio", "application/pls+xml", "[playlist]\nFile1={}/live\n"),
        ("/radio.m3u", "text/plain", "{}/live"),
        ("/radio.PLS", "application/octet-stream", "[Playlist]\nfile1={}/live\n"),
        ("/radio.m3u8", "audio/mpegurl", "live\n"),
        ("/radio.m3u", "", "/live\n"),
        ("/radio.m3u", "text/plain", "file:///etc/passwd\nalsa:default\n{}/gone\n{}/live\n"),
        ("/radio.m3u", "text/plain", "{}/text\n/inner.pls\n"),
    ],
)
def test_a_playlist_of_a_station_is_its_first_entry_that_works(
    path: str, kind: str, content: str, site: _Site, song: bytes
) -> None:
    site.answers[path] = lists(content.replace("{}", site.origin), kind)
    site.answers["/live"] = gives(song)
    site.answers["/text"] = lists("no music")
    site.answers["/inner.pls"] = lists("[playlist]\nFile1=live\n")
    source = opens(site.origin + path)
    assert site.asked[-1][0] == "/live"
    assert source.name == site.origin + path


def test_a_station_at_an_address_that_ends_as_a_playlist_is_a_station(
    site: _Site, song: bytes
) -> None:
    site.answers["/live.m3u"] = gives(song)
    opens(f"{site.origin}/live.m3u")
    assert len(site.asked) == 1


def test_the_password_goes_with_a_playlist_to_its_own_server_alone(
    site: _Site, song: bytes
) -> None:
    with _Site() as other:
        thread = threading.Thread(target=other.serve_forever, args=(0.01,))
        thread.start()
        site.answers["/radio.m3u"] = lists(f"{other.origin}/gone\n/live\n")
        site.answers["/live"] = gives(song)
        opens(site.origin.replace("//", "//alice:s3cret@") + "/radio.m3u")
        other.shutdown()
        thread.join()
    assert other.asked == [("/gone", None)]
    assert all(sent is not None for _, sent in site.asked)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("/circle.m3u\n", "is not an audio stream that can be read"),
        ("/gone\n" * 100, "the server answers 404"),
        ("", "is a playlist without an address"),
        ("#EXTM3U\n#EXT-X-TARGETDURATION:9\na.ts\n", "is an HLS playlist"),
    ],
)
def test_a_playlist_that_leads_nowhere_is_told_soon(content: str, says: str, site: _Site) -> None:
    site.answers["/circle.m3u"] = lists(content)
    with pytest.raises(OSError, match=says):
        WebSource(f"{site.origin}/circle.m3u").open()
    assert len(site.asked) <= max(MOST_TRIED, MOST_NESTED + 1)


# Titles.


@pytest.mark.parametrize(
    ("said", "title"),
    [
        (b"StreamTitle='One';StreamUrl='http://x/';\0\0", "One"),
        (b"StreamTitle='One'\0\0\0", "One"),
        (b"StreamTitle='One", "One"),
        (b"StreamTitle='It's one';", "It's one"),
        (b"StreamTitle='Who's that';'s friend';StreamUrl='';\0", "Who's that';'s friend"),
        (b"StreamTitle='a';b'; StreamUrl='x';", "a';b"),
        (b"StreamTitle='One;'", "One;"),
        (b"StreamUrl='x';StreamTitle='One';", "One"),
        (b"StreamTitle='';", ""),
        (b"StreamTitle='';StreamUrl='x';", ""),
        (b"StreamUrl='x';", None),
        (b"\0" * 16, None),
    ],
)
def test_a_title_is_all_that_stands_between_its_quotes(said: bytes, title: str | None) -> None:
    assert title_in(said) == title


def test_a_title_that_is_cut_off_within_a_letter_keeps_its_encoding() -> None:
    assert text_of("子守唄".encode()[:-1]) == "子守"
    assert text_of("Café".encode("latin-1")) == "Café"


def test_an_empty_title_takes_the_last_one_back(site: _Site, song: bytes) -> None:
    said = [b"", b"StreamTitle='One';", b"StreamTitle='';", b"StreamTitle='Two'", b""]

    def answer(to: _Answers) -> None:
        to.head(icy_name="Radio Test", icy_metaint="3200")
        for number, words in enumerate(said):
            padded = words.ljust(-(-len(words) // 16) * 16, b"\0")
            to.wfile.write(song[3200 * number : 3200 * (number + 1)])
            to.wfile.write(bytes([len(padded) // 16]) + padded)

    site.answers["/live"] = answer
    segments = read_segments([WebSource(f"{site.origin}/live")], 1400)
    titles = [title for title, _ in itertools.groupby(segments, lambda one: one.track.title)]
    assert titles == ["Radio Test", "One", "Radio Test", "Two"]


# What breaks off.


def heard_s(source: WebSource, faults: list[SourceError]) -> float:
    """Seconds of all that a programme of `source` gives."""
    programme = Programme([source])

    def skipped(fault: SourceError) -> None:
        faults.append(fault)
        programme.broke(fault)

    segments = read_segments(programme, 1400, on_skipped=skipped)
    return sum(segment.duration_us for segment in segments) / 1e6


@pytest.fixture
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("broadcasting.source.programme.PAUSES_S", (0,) * 6)


def breaks_within_a_chunk(content: bytes) -> Answer:
    def answer(to: _Answers) -> None:
        to.head(Transfer_Encoding="chunked")
        to.wfile.write(b"%x\r\n%s\r\n" % (len(content) // 2, content[: len(content) // 2]))
        to.wfile.write(b"%x\r\n%s" % (len(content), content[len(content) // 2 :]))

    return answer


def breaks_between_chunks(content: bytes) -> Answer:
    def answer(to: _Answers) -> None:
        to.head(Transfer_Encoding="chunked")
        to.wfile.write(b"%x\r\n%s\r\n" % (len(content), content))

    return answer


def breaks_before_its_length(content: bytes) -> Answer:
    def answer(to: _Answers) -> None:
        to.head(Content_Length=str(10 * len(content)))
        to.wfile.write(content)

    return answer


@pytest.mark.parametrize(
    "breaks", [breaks_within_a_chunk, breaks_between_chunks, breaks_before_its_length]
)
@pytest.mark.usefixtures("no_pauses")
def test_of_a_file_that_breaks_off_no_more_is_heard_than_came(
    breaks: Callable[[bytes], Answer], site: _Site, song: bytes
) -> None:
    site.answers["/x"] = breaks(song)
    faults: list[SourceError] = []
    source = WebSource(f"{site.origin}/x")
    assert heard_s(source, faults) == pytest.approx(1.2, abs=0.1)
    assert "ends early: the connection broke" in str(faults[0])
    assert len(site.asked) <= 2
    # In the next round it is heard again.
    assert heard_s(source, faults) == pytest.approx(1.2, abs=0.1)


@pytest.mark.usefixtures("no_pauses")
def test_a_live_stream_that_breaks_off_goes_on(site: _Site, song: bytes) -> None:
    parts = iter((song[:16_000], song[8_000:]))

    def answer(to: _Answers) -> None:
        part = next(parts, None)
        if part is None:
            to.send_error(503)
        else:
            breaks_within_a_chunk(part)(to)

    site.answers["/live"] = answer
    assert heard_s(WebSource(f"{site.origin}/live"), []) == pytest.approx(1.7, abs=0.2)
