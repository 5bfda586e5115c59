"""The client's numbers as words: a live line, and the table at the end. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from listening.listen import ListenSnapshot
from listening.session import State
from listening.statistics import Statistics
from shell.text import clock, milliseconds, percentages, sealing_rows

if TYPE_CHECKING:
    from listening.simulated_network import SimulatedNetwork
    from wire.simulated_link import SimulatedLink

Row = tuple[str, str, str]


def live_text(now: ListenSnapshot, simulated: SimulatedNetwork | None = None) -> str:
    """One line: what sounds, how much lies ready, how it goes, and whose doing that is."""
    count = now.statistics
    if now.state is State.CONNECTING:
        gone = "the server is gone: looking for it"
        parts = [gone if count.received else "looking for the server"]
    elif not count.received:
        parts = [f"registered: waiting for the start of {now.title or 'the stream'}"]
    else:
        repaired = count.retransmitted + count.rebuilt
        parts = [
            f"{clock(now.position_s)} of {clock(now.duration_s)}",
            f"buffer {now.buffer_s:.1f} s",
            *([f"delay {count.delay_s:.2f} s (auto)"] if count.delay_s is not None else []),
            *([f"{repaired} repaired"] if repaired else []),
            f"{count.lost} lost",
            f"jitter {milliseconds(_ms(count.jitter_s))}",
        ]
    if simulated is not None:
        parts.append(f"simulated network: {simulated.conditions.as_text()}")
    if count.received and now.state is not State.CONNECTING:
        # The title may be longer than the terminal is wide.
        parts.append(now.title)
    return " · ".join(parts)


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
        ("first sound", milliseconds(_ms(count.first_sound_s)), "after the start of the program"),
        *_delay_row(count),
        ("underruns", str(count.underruns), "nothing had come that could be played"),
        ("reconnections", str(count.reconnections), ""),
        ("jitter", milliseconds(_ms(count.jitter_s)), "RFC 3550"),
        ("round trip", milliseconds(_ms(count.rtt_s)), ""),
        ("malformed", str(count.malformed), f"datagrams, and {count.ignored} that were not for us"),
        *sealing_rows(count.forged, count.replayed),
    ]


def _refused(count: Statistics) -> str:
    """What of the parity was no good."""
    return f"{count.parity_refused} of no use" if count.parity_refused else ""


def _unheard_row(count: Statistics) -> list[Row]:
    """What of it nobody heard; nothing if all went well."""
    if not count.unheard_s:
        return []
    return [("  unheard", f"{count.unheard_s:.2f} s", "of these, for want of a sound device")]


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
    return f"in {count.requests} requests; {count.needless} of them came after all"


def simulation_rows(simulated: SimulatedNetwork | None) -> list[Row]:
    """What of it was the simulation's doing; nothing without one."""
    if simulated is None:
        return []
    conditions = simulated.conditions
    return [
        ("simulated network", "", f"{conditions.as_text()}; seed {conditions.seed}"),
        _link_row("  dropped on the way to us", simulated.to_us),
        _link_row("  on the way to the server", simulated.from_us),
    ]


def _link_row(name: str, link: SimulatedLink) -> Row:
    total = link.total()
    audio = link.counts().get("AUDIO")
    of_audio = "" if audio is None else f" ({audio.dropped} of {audio.came} of audio)"
    remark = f"of {total.came} datagrams{of_audio}; {total.duplicated} doubled"
    return (name, str(total.dropped), remark)


def _shares(counts: tuple[float, ...]) -> list[str]:
    shares = percentages(counts)
    return [""] * len(counts) if shares is None else [f"{share:.2f} %" for share in shares]


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else seconds * 1e3
