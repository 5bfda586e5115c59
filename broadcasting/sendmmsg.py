"""One payload to very many addresses, in few calls of Linux's sendmmsg(2).

Every message header points at one shared payload descriptor, so that a new payload is two
stores and no header is touched again: a join or a leave writes one address. Listeners stand in
blocks of `BATCH` slots, one system call each, so that growing never moves what is there.

ctypes lets go of the interpreter's lock during a call. So nothing here may be edited while a
call runs: one thread calls all of it. It needs 64-bit Linux (`is_available`).
"""

from __future__ import annotations

import ctypes
import errno
import select
import socket
import struct
import sys
import time
from array import array
from collections.abc import Callable, Sequence

from wire.address import Address

BATCH = 1024
"""Messages in one call, the most that the kernel takes (UIO_MAXIOV). To take the interpreter's
lock back beside a busy thread costs a switch interval for each call, so they should be few."""

SOL_UDP = 17
UDP_SEGMENT = 103
"""linux/udp.h: cut one payload into datagrams of a size that a control message gives."""

# struct mmsghdr of 64-bit Linux, in words of 8 bytes. Lengths of 4 bytes have a word's place.
_NAME, _NAME_BYTES, _VECTOR, _VECTORS, _CONTROL, _CONTROL_BYTES, _FLAGS, _SENT = range(8)
_WORDS = 8
_HEADER_BYTES = 8 * _WORDS

_MSG_DONTWAIT = 0x40

# struct cmsghdr (length, level, type), then the size of a segment, padded to words.
_CMSG = struct.Struct("@QiiH6x")
_CMSG_LENGTH = 18

_NAME_SLOT_BYTES = 28
"""sizeof(struct sockaddr_in6), the longer one."""


def _find_sendmmsg() -> Callable[[int, int, int, int], int] | None:
    """The C library's function, or None where there is none."""
    if sys.platform != "linux" or sys.maxsize <= 1 << 32:
        return None
    function = getattr(ctypes.CDLL(None, use_errno=True), "sendmmsg", None)
    if function is not None:
        function.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int)
        function.restype = ctypes.c_int
    return function


_sendmmsg = _find_sendmmsg()


class _Vector(ctypes.Structure):
    """struct iovec."""

    _fields_ = (("base", ctypes.c_char_p), ("length", ctypes.c_size_t))


def is_available() -> bool:
    """Whether this is a system whose structures are the ones above."""
    return _sendmmsg is not None


def segments_available(sock: socket.socket) -> bool:
    """Whether the kernel cuts payloads (Linux 4.18 and later)."""
    try:
        sock.getsockopt(SOL_UDP, UDP_SEGMENT)
    except OSError:
        return False
    return True


class BatchSender:
    """The listeners of one socket, and the headers that reach them."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._vector = _Vector()
        self._control = ctypes.create_string_buffer(_CMSG.size)
        self._blocks: list[_Block] = []
        self._addresses: list[Address] = []
        self._slots: dict[Address, int] = {}
        self._in_segments = False

    def __len__(self) -> int:
        return len(self._addresses)

    @property
    def addresses(self) -> Sequence[Address]:
        """Everyone who is sent to."""
        return self._addresses

    def join(self, address: Address) -> None:
        """Send to `address`, too, from now on."""
        slot = len(self._addresses)
        if slot == len(self._blocks) * BATCH:
            block = _Block(ctypes.addressof(self._vector), ctypes.addressof(self._control))
            block.set_control_bytes(_CMSG.size if self._in_segments else 0)
            self._blocks.append(block)
        self._addresses.append(address)
        self._slots[address] = slot
        self._place(slot)

    def leave(self, address: Address) -> None:
        """Send to `address` no more. The last listener takes its slot."""
        slot = self._slots.pop(address)
        last = self._addresses.pop()
        if slot < len(self._addresses):
            self._addresses[slot] = last
            self._slots[last] = slot
            self._place(slot)
        if len(self._addresses) <= (len(self._blocks) - 2) * BATCH:
            self._blocks.pop()

    def send(
        self, payload: bytes, segment_bytes: int, slots: range, give_up_at: float
    ) -> list[Address]:
        """Send `payload` to `addresses[slots]`; those to whom it could not be sent.

        The kernel cuts it into datagrams of `segment_bytes`, unless that is 0. While its buffer
        is full it is waited for until `give_up_at` (monotonic); what is left then is not sent.
        """
        self._vector.base = payload
        self._vector.length = len(payload)
        self._set_segments(segment_bytes)
        failed: list[Address] = []
        first = slots.start
        while first < slots.stop:
            index, within = divmod(first, BATCH)
            end = min(BATCH, within + slots.stop - first)
            refused = self._send(self._blocks[index], within, end, give_up_at)
            failed += [self._addresses[index * BATCH + slot] for slot in refused]
            first += end - within
        return failed

    def _send(self, block: _Block, done: int, end: int, give_up_at: float) -> list[int]:
        """Send to the slots of `block` from `done` to `end`; those that failed."""
        assert _sendmmsg is not None
        failed: list[int] = []
        while done < end:
            sent = _sendmmsg(self._sock.fileno(), block.address_of(done), end - done, _MSG_DONTWAIT)
            if sent > 0:
                done += sent
                continue
            # The call stops at the first message that fails, and the next one says why.
            fault = ctypes.get_errno()
            if fault == errno.EAGAIN:
                if not self._wait_for_room(give_up_at):
                    return [*failed, *range(done, end)]
            elif fault != errno.EINTR:
                failed.append(done)
                done += 1
        return failed

    def _wait_for_room(self, give_up_at: float) -> bool:
        left_s = give_up_at - time.monotonic()
        return left_s > 0 and bool(select.select([], [self._sock], [], left_s)[1])

    def _set_segments(self, segment_bytes: int) -> None:
        if bool(segment_bytes) != self._in_segments:
            self._in_segments = bool(segment_bytes)
            for block in self._blocks:
                block.set_control_bytes(_CMSG.size if segment_bytes else 0)
        if segment_bytes:
            _CMSG.pack_into(self._control, 0, _CMSG_LENGTH, SOL_UDP, UDP_SEGMENT, segment_bytes)

    def _place(self, slot: int) -> None:
        index, within = divmod(slot, BATCH)
        self._blocks[index].place(within, _sockaddr(self._addresses[slot]))


class _Block:
    """The headers and addresses of `BATCH` listeners."""

    def __init__(self, vector: int, control: int) -> None:
        self._names = ctypes.create_string_buffer(BATCH * _NAME_SLOT_BYTES)
        self._first_name = ctypes.addressof(self._names)
        self._headers = array("Q", bytes(BATCH * _HEADER_BYTES))
        self._first_header = self._headers.buffer_info()[0]
        for slot in range(BATCH):
            at = slot * _WORDS
            self._headers[at + _NAME] = self._first_name + slot * _NAME_SLOT_BYTES
            self._headers[at + _VECTOR] = vector
            self._headers[at + _VECTORS] = 1
            self._headers[at + _CONTROL] = control

    def address_of(self, slot: int) -> int:
        """Where in memory the header of `slot` is."""
        return self._first_header + slot * _HEADER_BYTES

    def place(self, slot: int, name: bytes) -> None:
        """Let `slot` reach the socket address `name`."""
        ctypes.memmove(self._first_name + slot * _NAME_SLOT_BYTES, name, len(name))
        self._headers[slot * _WORDS + _NAME_BYTES] = len(name)

    def set_control_bytes(self, size: int) -> None:
        """Let every header have a control message of `size` bytes, or none."""
        sizes = memoryview(array("Q", (size,)) * BATCH)
        memoryview(self._headers)[_CONTROL_BYTES::_WORDS] = sizes


def _sockaddr(address: Address) -> bytes:
    """A sockaddr_in or sockaddr_in6: the family in the machine's byte order."""
    if len(address) == 4:
        host, port, flow, scope = address
        ip = socket.inet_pton(socket.AF_INET6, host.partition("%")[0])
        return (
            struct.pack("=H", socket.AF_INET6)
            + struct.pack("!HI16s", port, flow, ip)
            + struct.pack("=I", scope)
        )
    host, port = address
    ip = socket.inet_pton(socket.AF_INET, host)
    return struct.pack("=H", socket.AF_INET) + struct.pack("!H4s8x", port, ip)
