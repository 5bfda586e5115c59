"""Equal datagrams to every listener, in as few system calls as the kernel allows.

Where Linux offers it, one sendmmsg(2) reaches 1,024 listeners, and datagrams that are due together
go out as one payload that the kernel cuts (UDP_SEGMENT, generic segmentation offload). Elsewhere a
loop of sendto does the same.

Whether the kernel may fragment is an option of the socket, not of a datagram. So listeners behind
a narrow path have senders of their own, and the option is changed around their turn.

Sockets must not block: a listener whose send would block misses that datagram, and the others
do not wait for it (one dead host on the LAN can hold a blocking sender for seconds). `send` may
be called from any thread; everything else belongs to the broadcaster thread.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import select
import socket
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple, Protocol

from broadcasting.sending import sendmmsg
from broadcasting.settings import Fragments
from wire.address import Address, local_of

IP_AND_UDP_BYTES = 40 + 8
"""IPv6 header (the longer one) and UDP header: bytes that an MTU counts beside the datagram."""

MAX_GSO_DATAGRAMS = 64
MAX_TRAIN_BYTES = 65_507
"""Limits of one send with UDP_SEGMENT: UDP_MAX_SEGMENTS of linux/udp.h, and of a UDP datagram."""

FEW_LISTENERS = 16
"""Up to this many are sent to one by one: sendmmsg takes 0.03 ms longer to begin after a sleep."""

MAX_PADDING = 1 / 64
"""Largest share of padding that makes datagrams one size. Frames of a constant bit rate differ by
one byte, those of a variable bit rate by half."""

# Other systems number these differently: they are for Linux only.
_IP_MTU_DISCOVER, _IPV6_MTU_DISCOVER, _IPV6_MTU = 10, 23, 24
_PMTUDISC_DONT, _PMTUDISC_WANT, _PMTUDISC_DO = 0, 1, 2
"""Values of linux/in.h: never set DF; fragment to the path's MTU where it is known; never fragment,
which also saves choosing an IP id."""

_SMALLEST_IPV6_MTU_BYTES = 1280
"""RFC 8200, section 5. Routers do not fragment IPv6: where they tell nothing, it is cut to this
before it leaves."""

_ETHERNET_BYTES = 1500
"""Largest MTU of a usual device. Linux cuts to `IPV6_MTU` only what it has to cut for the device as
well, so datagrams are padded to be longer than that."""

_V4, _V6 = socket.IPPROTO_IP, socket.IPPROTO_IPV6
_OPTIONS = {
    (2, Fragments.NEVER): ((_V4, _IP_MTU_DISCOVER, _PMTUDISC_DO),),
    (2, Fragments.WHERE_KNOWN): ((_V4, _IP_MTU_DISCOVER, _PMTUDISC_WANT),),
    (2, Fragments.ALWAYS): ((_V4, _IP_MTU_DISCOVER, _PMTUDISC_DONT),),
    (4, Fragments.NEVER): ((_V6, _IPV6_MTU_DISCOVER, _PMTUDISC_DO), (_V6, _IPV6_MTU, 0)),
    (4, Fragments.WHERE_KNOWN): ((_V6, _IPV6_MTU_DISCOVER, _PMTUDISC_WANT),),
    (4, Fragments.ALWAYS): (
        (_V6, _IPV6_MTU_DISCOVER, _PMTUDISC_WANT),
        (_V6, _IPV6_MTU, _SMALLEST_IPV6_MTU_BYTES),
    ),
}
"""Socket options by length of the address."""

Failed = list[tuple[Address, int]]
"""An address for each datagram that the system did not take, and the errno."""


class Train(NamedTuple):
    """Datagrams that follow one another, as one payload to be cut every `gso_size` bytes."""

    payload: bytes
    gso_size: int
    datagrams: int

    def cut(self) -> list[bytes]:
        """The datagrams, one by one."""
        step = self.gso_size
        return [self.payload[at : at + step] for at in range(0, len(self.payload), step)]


def trains(datagrams: Sequence[bytes]) -> Iterator[Train]:
    """`datagrams`, in order, in as few trains as padding and the kernel's limits allow."""
    together: list[bytes] = []
    for datagram in datagrams:
        if together and not _may_follow(together, datagram):
            yield _train(together)
            together = []
        together.append(datagram)
    if together:
        yield _train(together)


def _may_follow(together: Sequence[bytes], datagram: bytes) -> bool:
    sizes = [len(one) for one in (*together, datagram)]
    longest = max(sizes)
    fits = len(sizes) <= MAX_GSO_DATAGRAMS and longest * len(sizes) <= MAX_TRAIN_BYTES
    return fits and longest - min(sizes) <= longest * MAX_PADDING


def _train(together: Sequence[bytes]) -> Train:
    # A message's header gives the length of its data, so padding is not mistaken for data.
    longest = max(len(one) for one in together)
    payload = b"".join(one.ljust(longest, b"\0") for one in together)
    return Train(payload, longest, len(together))


class Outcome(NamedTuple):
    """Result of a broadcast."""

    listeners: int
    """Listeners that it was sent to."""
    missed: Sequence[Address]
    """An address for each datagram that the system did not take."""
    too_long: Sequence[Address]
    """Listeners whose path is narrower than these datagrams: they went in fragments."""


class Sender(Protocol):
    """Sends to the listeners of one socket."""

    def __len__(self) -> int: ...

    def join(self, address: Address) -> None:
        """Send to `address`, too."""

    def leave(self, address: Address) -> None:
        """Send to `address` no more."""

    def send(self, train: Train, slots: range, give_up_at: float) -> Failed:
        """Send to those in `slots`; those that it was not taken for."""


class Loop:
    """One sendto for each listener and datagram. Any system."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._addresses: dict[Address, None] = {}

    def __len__(self) -> int:
        return len(self._addresses)

    def join(self, address: Address) -> None:
        """Send to `address`, too."""
        self._addresses[address] = None

    def leave(self, address: Address) -> None:
        """Send to `address` no more."""
        del self._addresses[address]

    def send(self, train: Train, slots: range, give_up_at: float) -> Failed:
        """Send to those in `slots`; those that it was not taken for."""
        addresses = list(itertools.islice(self._addresses, slots.start, slots.stop))
        return _missed(self._sock, train, addresses, give_up_at)


class Batch(sendmmsg.BatchSender):
    """One sendmmsg for each 1,024 listeners. 64-bit Linux."""

    def __init__(self, sock: socket.socket) -> None:
        super().__init__(sock)
        self._has_gso = sendmmsg.gso_available(sock)

    def send(self, train: Train, slots: range, give_up_at: float) -> Failed:
        """Send to those in `slots`; those that it was not taken for."""
        if train.datagrams == 1 and len(slots) <= FEW_LISTENERS:
            addresses = self.addresses[slots.start : slots.stop]
            return _missed(self._sock, train, addresses, give_up_at)
        if train.datagrams == 1:
            return self.send_payload(train.payload, 0, slots, give_up_at)
        if not self._has_gso:
            failed = [self.send_payload(one, 0, slots, give_up_at) for one in train.cut()]
            return list(itertools.chain(*failed))
        # Some devices cannot cut, and some paths have a smaller MTU: these get them one by one.
        refused = self.send_payload(train.payload, train.gso_size, slots, give_up_at)
        return _missed(self._sock, train, [address for address, _ in refused], give_up_at)


class Fanout:
    """Every listener, by the socket of its address family and by what may be fragmented."""

    def __init__(self, sockets: Sequence[socket.socket], mtu_bytes: int) -> None:
        """Datagrams longer than `mtu_bytes`, with their headers, may be fragmented for all."""
        self._mtu_bytes = mtu_bytes
        self._sockets = {4 if s.family == socket.AF_INET6 else 2: s for s in sockets}
        self._senders = {
            (length, Fragments.NEVER): make_sender(sock) for length, sock in self._sockets.items()
        }
        """By length of the address; those that may fragment come when they are needed."""
        self._fragments: dict[Address, Fragments] = {}
        """Listeners whose datagrams may be fragmented."""
        self._begins: dict[tuple[tuple[int, Fragments], int], int] = {}
        """Where a pass over a part of the listeners begins; by sender and part."""
        self._fragmenting = threading.Lock()
        """Held while a socket may fragment. What another thread sends meanwhile lacks DF."""
        for length in self._sockets:
            self._set(length, Fragments.NEVER)

    def __len__(self) -> int:
        return sum(len(sender) for sender in self._senders.values())

    def send(self, datagram: bytes, address: Address) -> bool:
        """Send one datagram; False if the kernel did not take it. Any thread."""
        length, how = len(address), self._fragments.get(address)
        sock = self._sockets[length]
        if how is None:
            fault = _send(sock, datagram, address, 0.0)
            if fault != errno.EMSGSIZE:
                return not fault
            how = Fragments.WHERE_KNOWN
        with self._may(length, how):
            return not _send(sock, _to_be_cut(datagram, length, how), address, 0.0)

    def join(self, address: Address) -> None:
        """Broadcast to `address`, too, from the address of this machine that it wrote to."""
        self._senders[len(address), Fragments.NEVER].join(_told_if_needed(address))

    def leave(self, address: Address) -> None:
        """Broadcast to `address` no more."""
        how = self._fragments.pop(address, Fragments.NEVER)
        self._senders[len(address), how].leave(address)

    def fragment(self, address: Address, how: Fragments) -> None:
        """Let the kernel fragment what goes to the listener `address`; between two passes."""
        self.leave(address)
        self._fragments[address] = how
        key = len(address), how
        if key not in self._senders:
            self._senders[key] = make_sender(self._sockets[len(address)])
        self._senders[key].join(_told_if_needed(address))

    def broadcast(
        self, datagrams: Sequence[bytes], give_up_at: float, part: int = 0, parts: int = 1
    ) -> Outcome:
        """Send `datagrams` to everyone, or to one of `parts` equal parts of the listeners.

        A socket whose buffer is full is waited for until `give_up_at` (monotonic).
        """
        slots = {
            key: range(count * part // parts, count * (part + 1) // parts)
            for key, sender in self._senders.items()
            if (count := len(sender))
        }
        missed: list[Address] = []
        too_long: dict[Address, None] = {}
        for train in trains(datagrams):
            is_long = train.gso_size + IP_AND_UDP_BYTES > self._mtu_bytes
            for key, some in slots.items():
                length, how = key
                if how or is_long:
                    with self._may(length, how or Fragments.WHERE_KNOWN):
                        sent = _train_to_be_cut(train, length, how)
                        failed = self._send(key, part, sent, some, give_up_at)
                else:
                    failed = self._send(key, part, train, some, give_up_at)
                    if failed:
                        failed, narrow = self._send_fragmented(length, train, failed, give_up_at)
                        too_long.update(dict.fromkeys(narrow))
                missed += [address for address, _ in failed]
        return Outcome(sum(map(len, slots.values())), missed, list(too_long))

    def _send(
        self,
        key: tuple[int, Fragments],
        part: int,
        train: Train,
        slots: range,
        give_up_at: float,
    ) -> Failed:
        """Send to those in `slots`, first to those that the last pass missed."""
        if not slots:
            return []
        sender, begin = self._senders[key], self._begins.get((key, part), 0) % len(slots)
        failed = sender.send(train, slots[begin:], give_up_at)
        if begin:
            failed += sender.send(train, slots[:begin], give_up_at)
        if failed:
            # A full buffer does not take what comes last.
            missed = {address for address, fault in failed if fault != errno.EMSGSIZE}
            self._begins[key, part] = (begin - len(missed)) % len(slots)
        return failed

    def _send_fragmented(
        self, length: int, train: Train, failed: Failed, give_up_at: float
    ) -> tuple[Failed, list[Address]]:
        """Send again what was too long for its path; what failed, and whose path it is."""
        narrow = list(dict.fromkeys(one for one, fault in failed if fault == errno.EMSGSIZE))
        if not narrow:
            return failed, []
        others = [(address, fault) for address, fault in failed if fault != errno.EMSGSIZE]
        with self._may(length, Fragments.WHERE_KNOWN):
            again = _missed(self._sockets[length], train, narrow, give_up_at)
        return others + again, narrow

    @contextlib.contextmanager
    def _may(self, length: int, how: Fragments) -> Iterator[None]:
        """Let the kernel fragment, within the block; never anything else."""
        with self._fragmenting:
            self._set(length, how)
            try:
                yield
            finally:
                self._set(length, Fragments.NEVER)

    def _set(self, length: int, how: Fragments) -> None:
        if sys.platform == "linux":
            for option in _OPTIONS[length, how]:
                with contextlib.suppress(OSError):
                    self._sockets[length].setsockopt(*option)


def _to_be_cut(datagram: bytes, length: int, how: Fragments) -> bytes:
    """`datagram`, padded where that lets the kernel fragment it, for addresses of this `length`."""
    must = how is Fragments.ALWAYS and length == 4
    fits = len(datagram) + IP_AND_UDP_BYTES <= _SMALLEST_IPV6_MTU_BYTES
    return datagram.ljust(_ETHERNET_BYTES, b"\0") if must and not fits else datagram


def _train_to_be_cut(train: Train, length: int, how: Fragments) -> Train:
    if how is not Fragments.ALWAYS or length != 4:
        return train
    return _train([_to_be_cut(one, length, how) for one in train.cut()])


def _told_if_needed(address: Address) -> Address:
    """`address`, plain if the kernel sends to it from the same one of our addresses by itself.

    To tell the kernel costs 3 % of a send, to ask it 0.01 ms for each listener that joins.
    """
    local = local_of(address)
    if local is None:
        return address
    family = socket.AF_INET6 if len(address) == 4 else socket.AF_INET
    with contextlib.suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
        probe.connect(address)
        usual = socket.inet_pton(family, probe.getsockname()[0].partition("%")[0])
        if usual in local[2]:
            return address[:4] if len(address) == 4 else address[:2]
    return address


def make_sender(sock: socket.socket) -> Sender:
    """The fastest sender of this system."""
    return Batch(sock) if sendmmsg.is_available() else Loop(sock)


def _missed(
    sock: socket.socket, train: Train, addresses: Iterable[Address], give_up_at: float
) -> Failed:
    """Send one by one; those that it was not taken for."""
    return [
        (address, fault)
        for datagram in train.cut()
        for address in addresses
        if (fault := _send(sock, datagram, address, give_up_at))
    ]


def _send(sock: socket.socket, datagram: bytes, address: Address, give_up_at: float) -> int:
    """Send one datagram, waiting for room until `give_up_at`; its errno, 0 if it was taken."""
    while True:
        try:
            if (local := local_of(address)) is None:
                sock.sendto(datagram, address)
            else:
                sock.sendmsg([datagram], [local], 0, address)
        except BlockingIOError:
            left_s = give_up_at - time.monotonic()
            if left_s <= 0 or not select.select([], [sock], [], left_s)[1]:
                return errno.EAGAIN
        except OSError as error:
            # No route, too long for the path, or a full device queue: this one is missed.
            return error.errno or errno.EIO
        else:
            return 0
