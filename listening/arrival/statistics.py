"""What happened, as numbers that balance. Each number is defined where it stands.

    expected = intact + retransmitted + rebuilt + lost + awaited      (messages)
    received = intact + retransmitted + duplicates + late             (datagrams of audio)

The reception window counts what is `awaited`: missing, and its deadline has not come. It is 0 when
the stream has ended. The counters are added to where things happen; reading them changes nothing.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from clock.estimate import Estimate
from message import milliseconds

_REPORTED = (
    *("expected", "received", "intact", "retransmitted", "rebuilt", "lost"),
    *("late", "duplicates", "out_of_order", "underruns", "device_underruns", "jumps"),
)
"""Counters that a REPORT repeats."""


@dataclasses.dataclass(slots=True)
class Statistics:
    """Counters of one run of the client, over every stream that it heard."""

    expected: int = 0
    """Messages from the first that was meant for us to the last that is known to exist."""
    intact: int = 0
    """Came as first sent, in time."""
    retransmitted: int = 0
    """Came as a retransmission, in time."""
    rebuilt: int = 0
    """Computed from parity, in time."""
    lost: int = 0
    """Not there at its deadline, or when the listener stopped."""
    late: int = 0
    """Datagrams that came after their deadline: their message is lost already."""
    duplicates: int = 0
    """Datagrams that came again."""
    out_of_order: int = 0
    """Came after a higher sequence; that is not a loss."""
    received: int = 0
    """Datagrams of audio, whatever became of them."""
    received_bytes: int = 0
    """Bytes of MP3 in these datagrams."""
    parity_received: int = 0
    """Datagrams of parity, for this stream."""
    parity_refused: int = 0
    """Datagrams of parity that contradict what has come, or belong to no block at hand."""
    overflows: int = 0
    """Datagrams dropped on arrival, because the buffer was full or the media time cannot be; they
    do not count as received."""
    malformed: int = 0
    """Datagrams that are no message of this protocol, or hold no whole MP3 frames."""
    forged: int = 0
    """Datagrams that are not sealed with our key, if there is one."""
    replayed: int = 0
    """Sealed control messages that came again, or so late that they may have."""
    ignored: int = 0
    """Datagrams of another sender or stream, of AUDIO before the first that was meant for us, or of
    a type that a client does not take."""
    narrow_path: bool = False
    """Whether the server's answers came and none of its audio, as on a path that carries only short
    packets."""
    underruns: int = 0
    """Times that the timeline ran dry: nothing had come that could be played."""
    device_underruns: int = 0
    """Times that the output needed audio that had not been written: nothing had come, or this
    computer was too busy."""
    jumps: int = 0
    """Times that the sound was moved at once, by silence or by leaving something out, to be in step
    again with the server's clock."""
    reconnections: int = 0
    """Times that the server was lost and found again."""
    intact_s: float = 0.0
    """Audio played as sent, in seconds."""
    repaired_s: float = 0.0
    """Audio played that was retransmitted or rebuilt, in seconds."""
    concealed_s: float = 0.0
    """Audio that was missing or damaged, replaced by echo, silence and fades, in seconds."""
    unheard_s: float = 0.0
    """Audio played while there was no sound device, in seconds."""
    paused_s: float = 0.0
    """Audio played (intact, repaired or concealed) as silence while the listener had paused, in
    seconds."""
    requests: int = 0
    """REQUESTs that were sent; one may ask for many messages."""
    requested: int = 0
    """Messages that were requested, once or more often."""
    spurious: int = 0
    """Requested messages whose original came after all."""
    first_sound_s: float | None = None
    """From the start of the program to the first sample handed to the output."""
    rtt_s: float | None = None
    """Round trip, smoothed as in RFC 6298 section 2."""
    jitter_s: float | None = None
    """Interarrival jitter of RFC 3550 section 6.4.1, of messages sent when they were due."""
    clock_spread_s: float | None = None
    """What the estimate of the server's clock may be off by; None while there is none, as in the
    next three."""
    clock_path_s: float | None = None
    """Half of the least round trip: so much a path that is slower in one direction may add."""
    clock_drift_ppm: float | None = None
    """How much faster the server's clock is."""
    behind_s: float | None = None
    """How much later than the server's clock says the sound is heard; 0 in step."""
    delay_s: float | None = None
    """Play-out delay that follows the path: from the earliest arrival of audio to its sound. None
    if it is fixed, or not known yet; as are the next three."""
    delay_wanted_s: float | None = None
    """The play-out delay that was aimed at."""
    delay_lowest_s: float | None = None
    delay_highest_s: float | None = None

    @property
    def played_s(self) -> float:
        """Audio time that was handed to the output, in seconds."""
        return self.intact_s + self.repaired_s + self.concealed_s

    def measure_delay(self, delay_s: float | None, wanted_s: float | None) -> None:
        """Note the play-out delay and the wanted one; nothing changes if they are unknown."""
        if delay_s is None:
            return
        self.delay_s, self.delay_wanted_s = delay_s, wanted_s
        lowest_s, highest_s = self.delay_lowest_s, self.delay_highest_s
        self.delay_lowest_s = delay_s if lowest_s is None else min(lowest_s, delay_s)
        self.delay_highest_s = delay_s if highest_s is None else max(highest_s, delay_s)

    def reported(self) -> dict[str, Any]:
        """The fields of a REPORT that repeat these figures."""
        return {
            **{name: getattr(self, name) for name in _REPORTED},
            "jitter_ms": milliseconds(self.jitter_s),
            "rtt_ms": milliseconds(self.rtt_s),
            "clock_spread_ms": milliseconds(self.clock_spread_s),
            "clock_path_ms": milliseconds(self.clock_path_s),
            "played_s": round(self.played_s, 3),
            "concealed_s": round(self.concealed_s, 3),
        }

    def measure_clock(self, estimate: Estimate | None) -> None:
        """Note what is known of the server's clock."""
        if estimate is not None:
            self.clock_spread_s, self.clock_path_s = estimate.spread_s, estimate.path_s
            self.clock_drift_ppm = estimate.drift * 1e6

    def copy(self) -> Statistics:
        """A copy that does not change any more."""
        return dataclasses.replace(self)
