"""Table of the client's statistics, at the end or in between. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from listening.arrival.statistics import Statistics
from message import milliseconds
from shell.terminal.text import Fact, milliseconds_text, percentages, sealing_facts

if TYPE_CHECKING:
    from listening.simulated_network import SimulatedNetwork
    from simulation.simulated_link import SimulatedLink


def summary(count: Statistics) -> list[Fact]:
    """Table of the whole transmission."""
    shares = _shares(count.intact, count.retransmitted, count.rebuilt, count.lost)
    heard = _shares(count.intact_s, count.repaired_s, count.concealed_s)
    return [
        ("messages expected", str(count.expected), ""),
        ("  intact", str(count.intact), shares[0]),
        ("  retransmitted", str(count.retransmitted), shares[1]),
        ("  rebuilt", str(count.rebuilt), shares[2]),
        ("  lost", str(count.lost), shares[3]),
        ("datagrams of audio", str(count.received), f"{count.received_bytes:,} bytes of MP3"),
        ("  duplicates", str(count.duplicates), ""),
        ("  late", str(count.late), "after their deadline"),
        ("  out of order", str(count.out_of_order), "not a loss"),
        *_narrow_facts(count),
        ("datagrams of parity", str(count.parity_received), _refused(count)),
        ("asked for", str(count.requested), _requests(count)),
        ("audio played", f"{count.played_s:.2f} s", ""),
        ("  intact", f"{count.intact_s:.2f} s", heard[0]),
        ("  repaired", f"{count.repaired_s:.2f} s", heard[1]),
        ("  concealed", f"{count.concealed_s:.2f} s", heard[2]),
        *_unheard_facts(count),
        *_paused_facts(count),
        ("first sound", milliseconds_text(milliseconds(count.first_sound_s)), _first_sound(count)),
        *_delay_facts(count),
        ("underruns", str(count.underruns), "nothing had come that could be played"),
        ("device underruns", str(count.device_underruns), "the output had nothing to play"),
        ("reconnections", str(count.reconnections), ""),
        ("jitter", milliseconds_text(milliseconds(count.jitter_s)), "RFC 3550"),
        ("round trip", milliseconds_text(milliseconds(count.rtt_s)), ""),
        *_clock_facts(count),
        ("malformed", str(count.malformed), f"datagrams, and {count.ignored} that were not for us"),
        *sealing_facts(count.forged, count.replayed),
    ]


def _first_sound(count: Statistics) -> str:
    return "after the start of the program" if count.first_sound_s is not None else ""


def _refused(count: Statistics) -> str:
    return f"{count.parity_refused} of no use" if count.parity_refused else ""


def _narrow_facts(count: Statistics) -> list[Fact]:
    if not count.narrow_path:
        return []
    return [("narrow path", "perhaps", "answers came, audio did not: server.py --mtu 1280")]


def _unheard_facts(count: Statistics) -> list[Fact]:
    if not count.unheard_s:
        return []
    return [("  unheard", f"{count.unheard_s:.2f} s", "of these: the sound device was missing")]


def _paused_facts(count: Statistics) -> list[Fact]:
    if not count.paused_s:
        return []
    return [("  paused", f"{count.paused_s:.2f} s", "of these: silence, as you had paused")]


def _delay_facts(count: Statistics) -> list[Fact]:
    if count.delay_s is None:
        return []
    went = f"auto: from {count.delay_lowest_s:.2f} to {count.delay_highest_s:.2f} s"
    return [("play-out delay", f"{count.delay_s:.2f} s", went)]


def _clock_facts(count: Statistics) -> list[Fact]:
    if count.clock_spread_s is None:
        return []
    path, spread = (
        milliseconds_text(milliseconds(one)) for one in (count.clock_path_s, count.clock_spread_s)
    )
    remark = f"and {spread} by chance; {count.clock_drift_ppm:+.1f} ppm"
    jumps = [("  jumps", str(count.jumps), "of the sound, to follow it")] if count.jumps else []
    return [("server's clock", f"± {path}", remark), *jumps]


def _requests(count: Statistics) -> str:
    if not count.requests:
        return ""
    return f"in {count.requests} requests; {count.spurious} spurious"


def simulation_rows(simulated: SimulatedNetwork | None) -> list[Fact]:
    """Rows on the simulated network; empty without one."""
    if simulated is None:
        return []
    conditions = simulated.conditions
    return [
        ("simulated network", "", f"{conditions.as_text()}; seed {conditions.seed}"),
        _link_fact("  dropped, to us", simulated.to_us),
        _link_fact("  dropped, from us", simulated.from_us),
    ]


def _link_fact(name: str, link: SimulatedLink) -> Fact:
    total = link.total()
    audio = link.counts().get("AUDIO")
    of_audio = "" if audio is None else f" ({audio.dropped} of {audio.came} of audio)"
    remark = f"of {total.came} datagrams{of_audio}; {total.duplicated} doubled"
    return (name, str(total.dropped), remark)


def _shares(*counts: float) -> list[str]:
    shares = percentages(counts)
    return [""] * len(counts) if shares is None else [f"{share:6.2f} %" for share in shares]
