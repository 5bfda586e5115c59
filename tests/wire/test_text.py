"""Titles in the languages of the world stay as they are; what would change the screen goes."""

from __future__ import annotations

import dataclasses

import pytest
from wcwidth import wcswidth

from broadcasting.settings import Settings
from message import MAX_TEXT, Status, cut_text
from shell.terminal.paint import PLAIN, painted
from shell.terminal.text import one_line
from tests.rig.network import TRACK, Network, segments
from tests.test_message import STATUS_FIELDS, make
from wire.announcement import Announcement, why_no_name

KEPT = [
    pytest.param("می\u200cخو\u0627\u0647م", id="Persian, with a non-joiner"),
    pytest.param("क\u094d\u200dष", id="Hindi, with a joiner"),
    pytest.param("👨\u200d👩\u200d👧 ❤\ufe0f 👍🏽", id="a family, a variant and a skin tone"),
    pytest.param("🏴\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f", id="a flag"),
    pytest.param("Donau\u00addampf\u00adschiff", id="soft hyphens"),
    pytest.param("ภาษา\u200bไทย", id="Thai, with a space of no width"),
    pytest.param("さくら\u3000さくら", id="an ideographic space"),
    pytest.param("Où vas-tu\u00a0?", id="a space that does not break"),
    pytest.param("שלום עולם", id="Hebrew"),
    pytest.param("\U0001fae9\U0001fac6", id="emoji younger than Python 3.11"),
]

DIRECTIONS = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
CONTROLS = "\0\a\b\t\n\r\x1b\x7f\x85\x9b\u2028\u2029\ud800\udcff"


@pytest.mark.parametrize("title", KEPT)
def test_a_title_reaches_the_listeners_screen_as_it_was_written(title: str) -> None:
    assert cut_text(title) == title
    sent = make(Status, {**STATUS_FIELDS, "title": title}).to_message()
    assert Status.from_message(sent).title == title
    assert one_line(title) == title
    assert painted([(title, PLAIN)], 40).rstrip() == title
    assert Announcement.read("Kitchen", {"title": title}).title == title
    assert why_no_name(title) is None


@pytest.mark.parametrize("character", DIRECTIONS + CONTROLS)
def test_what_turns_the_direction_of_text_or_controls_a_terminal_goes(character: str) -> None:
    assert cut_text(f"a{character}b") == "a b"
    assert one_line(f"a{character}b") == "a?b"
    assert why_no_name(f"a{character}b") is not None


def test_a_long_title_is_not_cut_behind_a_joiner() -> None:
    cut = cut_text("👨\u200d" * MAX_TEXT)
    assert cut.endswith("👨…")
    assert len(cut) <= MAX_TEXT
    assert wcswidth(cut) > 0


def test_a_listener_shows_nothing_else_of_a_server_that_sends_everything(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for module in ("broadcast", "audience.handshake", "audience.status_message", "stream.stream"):
        monkeypatch.setattr(f"broadcasting.{module}.cut_text", lambda text: text)
    track = dataclasses.replace(TRACK, title="می\u200cخ\u202e3pm", artist="a\u2028b\u200f")
    programme = [dataclasses.replace(one, track=track) for one in segments(20)]
    network = Network(Settings(), iter(programme))
    listener = network.join()
    network.run(5)
    heard = listener.core.snapshot(network.now)
    assert (heard.title, heard.artist) == ("می\u200cخ 3pm", "a b ")
