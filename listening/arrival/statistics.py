"""What happened, as numbers that balance. Each number is defined where it stands.

    expected = intact + retransmitted + rebuilt + lost + awaited      (messages)
    received = intact + retransmitted + duplicates + late             (datagrams of audio)

`awaited` is missing while its deadline has not come; when the stream has ended it is 0.
The counters are added to where things happen; reading them changes nothing.
"""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(slots=True)
class Statistics:
    """Counters of one run of the client, over every stream that it heard."""

    expected: int = 0
    """Messages from the first that was meant for us to the last that is known to exist."""
    intact: int = 0
    """Came as first sent, in time."""
    retransmitted: int = 0
    """Came in time because it was asked for."""
    rebuilt: int = 0
    """Computed from parity, in time."""
    lost: int = 0
    """Not there at its deadline, or when the listener stopped."""
    late: int = 0
    """Datagrams that came after their deadline: their message is lost already."""
    duplicates: int = 0
    """Datagrams that came again."""
    out_of_order: int = 0
    """Came after a higher sequence; not a loss."""
    received: int = 0
    """Datagrams of audio, whatever became of them."""
    received_bytes: int = 0
    """Bytes of MP3 in them."""
    parity_received: int = 0
    """Datagrams of parity, for this stream."""
    parity_refused: int = 0
    """Those among them that contradict what has come, or belong to nothing at hand."""
    overflows: int = 0
    """Dropped on arrival, because the buffer was full or its place could not be; not received."""
    malformed: int = 0
    """Datagrams that are no message of this protocol, or hold no whole MP3 frames."""
    forged: int = 0
    """Datagrams that are not sealed with our key, if there is one."""
    replayed: int = 0
    """Sealed control messages that came again, or too late to tell."""
    ignored: int = 0
    """Datagrams of another sender, another stream, or of a type that a client does not take."""
    underruns: int = 0
    """Times that the timeline ran dry: nothing had come that could be played."""
    reconnections: int = 0
    """Times that the server was lost and found again."""
    intact_s: float = 0.0
    """Audio played as sent, in seconds."""
    repaired_s: float = 0.0
    """Audio played that was retransmitted or rebuilt, in seconds."""
    concealed_s: float = 0.0
    """Audio that was missing or damaged, replaced by echo, silence and fades, in seconds."""
    unheard_s: float = 0.0
    """Audio among what was played for which there was no sound device, in seconds."""
    paused_s: float = 0.0
    """Seconds of those three, intact, repaired and concealed, that were silence because the
    listener had paused: the programme went on."""
    requests: int = 0
    """REQUESTs that were sent; many messages share one."""
    requested: int = 0
    """Messages that were asked for, once or more often."""
    needless: int = 0
    """Messages among them that came as first sent after all."""
    first_sound_s: float | None = None
    """From the start of the program to the first sample handed to the output."""
    rtt_s: float | None = None
    """Round trip, smoothed as in RFC 6298 section 2."""
    jitter_s: float | None = None
    """Interarrival jitter of RFC 3550 section 6.4.1, of messages sent when they were due."""
    delay_s: float | None = None
    """Play-out delay that follows the path: from when audio can come at the earliest until it
    sounds. None if it was fixed, or is not known yet; so are the next three."""
    delay_wanted_s: float | None = None
    """What it was to become."""
    delay_lowest_s: float | None = None
    delay_highest_s: float | None = None
    _transit_s: float | None = None

    @property
    def awaited(self) -> int:
        """Missing, and its deadline has not come."""
        return self.expected - self.intact - self.retransmitted - self.rebuilt - self.lost

    @property
    def played_s(self) -> float:
        """Audio time that was handed to the output, in seconds."""
        return self.intact_s + self.repaired_s + self.concealed_s

    def measure_jitter(self, media_time_us: int, speed: float, now: float) -> None:
        """One message arrived at `now` that was due at its media time (RFC 3550 A.8)."""
        transit_s = now - media_time_us / 1e6 / speed
        if self._transit_s is not None:
            difference_s = abs(transit_s - self._transit_s)
            jitter_s = self.jitter_s or 0.0
            self.jitter_s = jitter_s + (difference_s - jitter_s) / 16
        self._transit_s = transit_s

    def measure_delay(self, delay_s: float | None, wanted_s: float | None) -> None:
        """The play-out delay is this, and should be that; nothing changes if that is unknown."""
        if delay_s is None:
            return
        self.delay_s, self.delay_wanted_s = delay_s, wanted_s
        lowest_s, highest_s = self.delay_lowest_s, self.delay_highest_s
        self.delay_lowest_s = delay_s if lowest_s is None else min(lowest_s, delay_s)
        self.delay_highest_s = delay_s if highest_s is None else max(highest_s, delay_s)

    def restart_jitter(self) -> None:
        """Another stream begins: its media time has another origin."""
        self._transit_s = None

    def copy(self) -> Statistics:
        """A copy that stays as it is."""
        return dataclasses.replace(self)
