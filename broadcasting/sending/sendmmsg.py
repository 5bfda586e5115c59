"""One payload to very many addresses, in few calls of Linux's sendmmsg(2).

Every message header points at one shared payload descriptor, so a new payload is two stores and
touches no header: a join or a leave writes one address. Listeners are in blocks of `BATCH` slots,
one system call each, so that growing never moves a slot.

ctypes releases the GIL during a call, so nothing here may be changed while a call runs: one thread
calls all of it. Needs 64-bit Linux (`is_available`).
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
from collections.abc import Callable

from wire.address import Address, Local, local_of

BATCH = 1024
"""Messages in one call, the kernel's limit (UIO_MAXIOV). Each call may wait a switch interval for
the GIL beside a busy thread, so calls should be few."""

SOL_UDP = 17
UDP_SEGMENT = 103
"""Socket option and control message of linux/udp.h: cut a payload into datagrams of `gso_size`."""

# struct mmsghdr of 64-bit Linux, in words of 8 bytes. Lengths of 4 bytes have a word's place.
_NAME, _NAME_BYTES, _VECTOR, _VECTORS, _CONTROL, _CONTROL_BYTES, _FLAGS, _SENT = range(8)
_WORDS = 8
_HEADER_BYTES = 8 * _WORDS

_MSG_DONTWAIT = 0x40

_CMSG = struct.Struct("@Qii")
"""struct cmsghdr (length, level, type), before the content; the next begins at a whole word."""

_GSO = struct.Struct("@QiiH6x")
_GSO_LENGTH = 18
"""The control message of UDP_SEGMENT."""

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
    """Whether this system has sendmmsg and the structures above."""
    return _sendmmsg is not None


def gso_available(sock: socket.socket) -> bool:
    """Whether the kernel cuts payloads (Linux 4.18 and later)."""
    try:
        sock.getsockopt(SOL_UDP, UDP_SEGMENT)
    except OSError:
        return False
    return True


class BatchSender:
    """The listeners of one socket, and the message headers that reach them."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._vector = _Vector()
        self._controls: dict[Local | None, _Control] = {None: _Control(None)}
        """Control messages for each address of this machine that listeners spoke to."""
        self._blocks: list[_Block] = []
        self.addresses: list[Address] = []
        """Every listener, by slot."""
        self._slots: dict[Address, int] = {}
        self._cuts = False

    def __len__(self) -> int:
        return len(self.addresses)

    def join(self, address: Address) -> None:
        """Send to `address`, too."""
        slot = len(self.addresses)
        if slot == len(self._blocks) * BATCH:
            self._blocks.append(_Block(ctypes.addressof(self._vector)))
            self._blocks[-1].cut(self._cuts)
        local = local_of(address)
        if local not in self._controls:
            self._controls[local] = _Control(local)
        self._controls[local].listeners += 1
        self.addresses.append(address)
        self._slots[address] = slot
        self._place(slot)

    def leave(self, address: Address) -> None:
        """Send to `address` no more. The last listener takes its slot."""
        slot = self._slots.pop(address)
        local = local_of(self.addresses[slot])
        last = self.addresses.pop()
        if slot < len(self.addresses):
            self.addresses[slot] = last
            self._slots[last] = slot
            self._place(slot)
        if len(self.addresses) <= (len(self._blocks) - 2) * BATCH:
            self._blocks.pop()
        self._controls[local].listeners -= 1
        if local is not None and not self._controls[local].listeners:
            del self._controls[local]

    def send_payload(
        self, payload: bytes, gso_size: int, slots: range, give_up_at: float
    ) -> list[tuple[Address, int]]:
        """Send `payload` to the listeners in `slots`; to whom it could not be sent, with the errno.

        The kernel cuts it into datagrams of `gso_size` bytes, unless that is 0. A full socket
        buffer is waited for until `give_up_at` (monotonic); what is left then is not sent.
        """
        self._vector.base = payload
        self._vector.length = len(payload)
        self._set_gso_size(gso_size)
        failed: list[tuple[Address, int]] = []
        first = slots.start
        while first < slots.stop:
            index, within = divmod(first, BATCH)
            end = min(BATCH, within + slots.stop - first)
            refused = self._send(self._blocks[index], within, end, give_up_at)
            failed += [(self.addresses[index * BATCH + slot], fault) for slot, fault in refused]
            first += end - within
        return failed

    def _send(self, block: _Block, done: int, end: int, give_up_at: float) -> list[tuple[int, int]]:
        """Send to the slots of `block` from `done` to `end`; those that failed, with the errno."""
        assert _sendmmsg is not None
        failed: list[tuple[int, int]] = []
        while done < end:
            sent = _sendmmsg(self._sock.fileno(), block.address_of(done), end - done, _MSG_DONTWAIT)
            if sent > 0:
                done += sent
                continue
            # A call stops at the first message that fails, and the next call says why.
            fault = ctypes.get_errno()
            if fault == errno.EAGAIN:
                if not self._wait_for_room(give_up_at):
                    return [*failed, *((slot, fault) for slot in range(done, end))]
            elif fault != errno.EINTR:
                failed.append((done, fault))
                done += 1
        return failed

    def _wait_for_room(self, give_up_at: float) -> bool:
        left_s = give_up_at - time.monotonic()
        return left_s > 0 and bool(select.select([], [self._sock], [], left_s)[1])

    def _set_gso_size(self, gso_size: int) -> None:
        if bool(gso_size) != self._cuts:
            self._cuts = bool(gso_size)
            for block in self._blocks:
                block.cut(self._cuts)
        if gso_size:
            for control in self._controls.values():
                control.set_gso_size(gso_size)

    def _place(self, slot: int) -> None:
        index, within = divmod(slot, BATCH)
        address = self.addresses[slot]
        self._blocks[index].place(within, _sockaddr(address), self._controls[local_of(address)])


class _Control:
    """Control messages: the address that datagrams leave from, and the size to cut them to."""

    def __init__(self, local: Local | None) -> None:
        source = b""
        if local is not None:
            level, kind, content = local
            source = _CMSG.pack(_CMSG.size + len(content), level, kind) + content
            source += bytes(-len(source) % 8)
        self.source_bytes = len(source)
        self.listeners = 0
        self._buffer = ctypes.create_string_buffer(source, len(source) + _GSO.size)
        self.address = ctypes.addressof(self._buffer)

    def set_gso_size(self, gso_size: int) -> None:
        """Cut the payload into datagrams of `gso_size` bytes, where slots `cut`."""
        _GSO.pack_into(self._buffer, self.source_bytes, _GSO_LENGTH, SOL_UDP, UDP_SEGMENT, gso_size)


class _Block:
    """The headers and addresses of `BATCH` listeners."""

    def __init__(self, vector: int) -> None:
        self._names = ctypes.create_string_buffer(BATCH * _NAME_SLOT_BYTES)
        self._first_name = ctypes.addressof(self._names)
        self._headers = array("Q", bytes(BATCH * _HEADER_BYTES))
        self._first_header = self._headers.buffer_info()[0]
        for slot in range(BATCH):
            at = slot * _WORDS
            self._headers[at + _NAME] = self._first_name + slot * _NAME_SLOT_BYTES
            self._headers[at + _VECTOR] = vector
            self._headers[at + _VECTORS] = 1
        self._cuts = False
        self._plain_sizes = array("Q", bytes(BATCH * 8))
        self._cutting_sizes = array("Q", bytes(BATCH * 8))

    def address_of(self, slot: int) -> int:
        """Memory address of the header of `slot`."""
        return self._first_header + slot * _HEADER_BYTES

    def place(self, slot: int, name: bytes, control: _Control) -> None:
        """Let `slot` reach the socket address `name`, a packed sockaddr, with `control`."""
        ctypes.memmove(self._first_name + slot * _NAME_SLOT_BYTES, name, len(name))
        at = slot * _WORDS
        self._headers[at + _NAME_BYTES] = len(name)
        self._headers[at + _CONTROL] = control.address
        self._plain_sizes[slot] = control.source_bytes
        self._cutting_sizes[slot] = control.source_bytes + _GSO.size
        sizes = self._cutting_sizes if self._cuts else self._plain_sizes
        self._headers[at + _CONTROL_BYTES] = sizes[slot]

    def cut(self, wanted: bool) -> None:
        """Whether payloads are cut, by UDP_SEGMENT."""
        self._cuts = wanted
        sizes = self._cutting_sizes if wanted else self._plain_sizes
        memoryview(self._headers)[_CONTROL_BYTES::_WORDS] = memoryview(sizes)


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
