"""The client's numbers as words: the table at the end, or now. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from listening.statistics import Statistics
from shell.text import milliseconds, percentages, sealing_rows

if TYPE_CHECKING:
    from listening.simulated_network import SimulatedNetwork
    from wire.simulated_link import SimulatedLink

Row = tuple[str, str, str]


def summary(count: Statistics) -> list[Row]:
    """The table of the whole transmission. Only rows that can be other than zero have a share."""
    messages = (count.intact, count.retransmitted, count.rebuilt, count.lost)
    audio = (count.intact_s, count.repaired_s, count.concealed_s)
    shares = _shares(messages)
    heard = _shares(audio)
    return [
        ("messages expected", str(count.expected), ""),
        ("  intact", str(count.intact), shares[0]),
        ("  retransmitted", str(count.retransmitted), shares[1]),
        ("  rebuilt", str(count.rebuilt), shares[2]),
        ("  lost", str(count.lost), shares[3]),
        ("datagrams of audio", str(count.received), f"{count.received_bytes:,} bytes of MP3"),
        ("  duplicates", str(count.duplicates), ""),
        ("  late", str(count.late), "after their moment had passed"),
        ("  out of order", str(count.out_of_order), "not a loss"),
        ("datagrams of parity", str(count.parity_received), _refused(count)),
        ("asked for", str(count.requested), _requests(count)),
        ("audio played", f"{count.played_s:.2f} s", ""),
        ("  intact", f"{count.intact_s:.2f} s", heard[0]),
        ("  repaired", f"{count.repaired_s:.2f} s", heard[1]),
        ("  concealed", f"{count.concealed_s:.2f} s", heard[2]),
        *_unheard_row(count),
        *_paused_row(count),
        ("first sound", milliseconds(_ms(count.first_sound_s)), _first_sound(count)),
        *_delay_row(count),
        ("underruns", str(count.underruns), "nothing had come that could be played"),
        ("reconnections", str(count.reconnections), ""),
        ("jitter", milliseconds(_ms(count.jitter_s)), "RFC 3550"),
        ("round trip", milliseconds(_ms(count.rtt_s)), ""),
        ("malformed", str(count.malformed), f"datagrams, and {count.ignored} that were not for us"),
        *sealing_rows(count.forged, count.replayed),
    ]


def _first_sound(count: Statistics) -> str:
    """From when it is counted; nothing if there was none."""
    return "after the start of the program" if count.first_sound_s is not None else ""


def _refused(count: Statistics) -> str:
    """What of the parity was no good."""
    return f"{count.parity_refused} of no use" if count.parity_refused else ""


def _unheard_row(count: Statistics) -> list[Row]:
    """What of it nobody heard; nothing if all went well."""
    if not count.unheard_s:
        return []
    return [("  unheard", f"{count.unheard_s:.2f} s", "of these, for want of a sound device")]


def _paused_row(count: Statistics) -> list[Row]:
    """How long the listener heard nothing by his own choice; nothing if he did not pause."""
    if not count.paused_s:
        return []
    return [("  paused", f"{count.paused_s:.2f} s", "of these: silence, as you had paused")]


def _delay_row(count: Statistics) -> list[Row]:
    """How it followed the path; nothing if it was fixed."""
    if count.delay_s is None:
        return []
    went = f"auto: from {count.delay_lowest_s:.2f} to {count.delay_highest_s:.2f} s"
    return [("play-out delay", f"{count.delay_s:.2f} s", went)]


def _requests(count: Statistics) -> str:
    """What it took to ask."""
    if not count.requests:
        return ""
    return f"in {count.requests} requests; {count.needless} needlessly"


def simulation_rows(simulated: SimulatedNetwork | None) -> list[Row]:
    """What of it was the simulation's doing; nothing without one."""
    if simulated is None:
        return []
    conditions = simulated.conditions
    return [
        ("simulated network", "", f"{conditions.as_text()}; seed {conditions.seed}"),
        _link_row("  dropped, to us", simulated.to_us),
        _link_row("  dropped, from us", simulated.from_us),
    ]


def _link_row(name: str, link: SimulatedLink) -> Row:
    total = link.total()
    audio = link.counts().get("AUDIO")
    of_audio = "" if audio is None else f" ({audio.dropped} of {audio.came} of audio)"
    remark = f"of {total.came} datagrams{of_audio}; {total.duplicated} doubled"
    return (name, str(total.dropped), remark)


def _shares(counts: tuple[float, ...]) -> list[str]:
    shares = percentages(counts)
    return [""] * len(counts) if shares is None else [f"{share:6.2f} %" for share in shares]


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else seconds * 1e3
