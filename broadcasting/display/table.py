"""Table of the server at its end, and a line for each listener. Pure."""

from __future__ import annotations

from broadcasting.audience.figures import ListenerFigures
from broadcasting.broadcast import BroadcastSnapshot
from broadcasting.statistics import ServerStatistics
from shell.terminal.text import Fact, clock, milliseconds_text, sealing_facts
from wire.address import address_text


def summary(end: BroadcastSnapshot) -> list[Fact]:
    """Table of the whole run."""
    count = end.statistics
    refused = ", ".join(f"{n} {reason}" for reason, n in sorted(count.rejected.items()))
    return [
        ("played", clock(end.position_s), _duration_text(end)),
        ("messages", str(count.messages), f"{count.audio_bytes:,} bytes of MP3"),
        ("datagrams sent", str(count.datagrams), "audio, to all listeners together"),
        ("not sent", str(count.unsent), "the system would not take them"),
        *_narrow_facts(count),
        ("parity sent", str(count.parity_datagrams), _parity_text(count)),
        ("repeated", str(count.repeated), _repeats_text(count)),
        ("listeners", str(count.accepted), f"at most {count.listeners_peak} at one time"),
        ("refused", str(count.rejected.total()), refused),
        ("silent", str(count.expired), "lost their slot"),
        ("malformed", str(count.malformed), f"datagrams, and {count.ignored} of no use here"),
        ("passed over", str(count.passed_over), _passed_over_text(count)),
        *sealing_facts(count.forged, count.replayed),
        ("skipped files", str(count.skipped_files), ""),
        *_stall_facts(count),
        ("lateness of sends", milliseconds_text(end.lateness_p50_ms), _lateness_text(end)),
    ]


def _duration_text(end: BroadcastSnapshot) -> str:
    return "" if end.duration_s is None else f"of {clock(end.duration_s)}"


def _lateness_text(end: BroadcastSnapshot) -> str:
    if end.lateness_max_ms is None:
        return ""
    return (
        f"median; 99 % within {milliseconds_text(end.lateness_p99_ms)},"
        f" worst {milliseconds_text(end.lateness_max_ms)}"
    )


def _stall_facts(count: ServerStatistics) -> list[Fact]:
    if not count.source_stalls:
        return []
    rest = f"{count.silence_s:.1f} s of silence in its place"
    return [("source stalled", str(count.source_stalls), rest)]


def _narrow_facts(count: ServerStatistics) -> list[Fact]:
    if not count.narrow_paths:
        return []
    return [("narrow paths", str(count.narrow_paths), "fragmented for them; --mtu 1280 would fit")]


def _parity_text(count: ServerStatistics) -> str:
    if not count.parity_messages:
        return ""
    share = count.parity_bytes / max(1, count.audio_bytes)
    rest = f"{count.parity_bytes:,} bytes, {100 * share:.0f} % of the MP3"
    return rest + (f"; {count.parity_unsent} not sent" if count.parity_unsent else "")


def _repeats_text(count: ServerStatistics) -> str:
    if not count.requests + count.requests_refused:
        return ""
    rest = f"for {count.requests} requests"
    if count.repeats_refused:
        rest += f"; {count.repeats_refused} beyond the budget"
    if count.requests_refused:
        rest += f"; {count.requests_refused} requests refused"
    return rest


def _passed_over_text(count: ServerStatistics) -> str:
    if not count.passed_over + count.lines_left_out:
        return ""
    return f"too many at once; {count.lines_left_out} lines left out of the log"


def listener_text(one: ListenerFigures) -> str:
    """Line with the last report of one listener."""
    who = f"{address_text(one.address)} ({one.how}, {clock(one.left_at - one.joined_at)})"
    report = one.report
    if report is None:
        return f"{who}: no report"
    return (
        f"{who}: expected {report.expected}, intact {report.intact},"
        f" retransmitted {report.retransmitted}, rebuilt {report.rebuilt}, lost {report.lost},"
        f" late {report.late}, duplicates {report.duplicates},"
        f" out of order {report.out_of_order}, underruns {report.underruns},"
        f" device underruns {report.device_underruns}, jumps {report.jumps},"
        f" played {report.played_s:.2f} s, concealed {report.concealed_s:.2f} s,"
        f" jitter {milliseconds_text(report.jitter_ms)}, RTT {milliseconds_text(report.rtt_ms)},"
        f" clock ± {milliseconds_text(report.clock_path_ms)}"
    )
