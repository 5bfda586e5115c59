"""The one socket of all listeners of a crowd, emptied and counted by `crowd.c`.

It is bound to every address; IP_PKTINFO says for which address a datagram is, and from which one to
send.
"""

from __future__ import annotations

import ctypes
import socket
import struct
from array import array

from bench.processes import HOST
from shell.network.udp import SOL_UDP, UDP_GRO

FIRST_LISTENER = 0x7F01_0001
"""First address, 127.1.0.1, as a number."""

LATE_BINS, LATE_BIN_MS = 8192, 0.5
"""Bins of lateness, 0.5 ms each, as in crowd.c."""

RECEIVE_BUFFER_BYTES = 256 << 20
"""Receive buffer: half a second of ten thousand listeners at 2,304 bytes a datagram."""

ROOM_FOR_CONTROL = 1024
SO_RCVBUFFORCE, SO_TIMESTAMPNS, SO_RXQ_OVFL = 33, 35, 40
"""Socket option, from asm-generic/socket.h."""
IP_PKTINFO = 8
"""Socket option, from linux/in.h."""
_PKTINFO = struct.Struct("=I4s4x")


def address_of(listener: int) -> str:
    """Address of listener `number`, counted from 0."""
    return socket.inet_ntoa((FIRST_LISTENER + listener).to_bytes(4))


class _State(ctypes.Structure):
    """`struct crowd` of crowd.c."""

    _fields_ = (
        ("first_address", ctypes.c_uint32),
        ("listeners", ctypes.c_uint32),
        ("until", ctypes.c_uint64),
        ("next_sequence", ctypes.c_uint64),
        ("datagrams", ctypes.c_uint64),
        ("dropped", ctypes.c_uint64),
        ("others", ctypes.c_uint64),
        ("least_us", ctypes.c_int64),
        ("live_time_us", ctypes.c_uint64),
        ("want_status", ctypes.c_uint32),
        ("anything", ctypes.c_uint32),
        ("every", ctypes.c_uint32),
        ("unused", ctypes.c_uint32),
        ("received", ctypes.c_void_p),
        ("apart", ctypes.c_void_p),
        ("late", ctypes.c_void_p),
    )


class _Control(ctypes.Structure):
    """`struct control` of crowd.c."""

    _fields_ = (
        ("listener", ctypes.c_uint32),
        ("bytes", ctypes.c_uint32),
        ("data", ctypes.c_char * 1536),
    )


class CrowdSocket:
    """Socket of all listeners."""

    def __init__(self, library: str, listeners: int, *, anything: bool, every: bool) -> None:
        self.received = array("Q", bytes(8 * listeners))
        self.apart = array("Q", bytes(8 * listeners))
        """Messages since `state.until` was set: they belong to the next count."""
        self.late = array("Q", bytes(8 * LATE_BINS))
        self.state = _State(
            first_address=FIRST_LISTENER,
            listeners=listeners,
            anything=anything,
            every=every,
            received=self.received.buffer_info()[0],
            apart=self.apart.buffer_info()[0],
            late=self.late.buffer_info()[0],
        )
        self._drain = ctypes.CDLL(library).drain
        self._controls = (_Control * ROOM_FOR_CONTROL)()
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, RECEIVE_BUFFER_BYTES)
        except PermissionError:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
        self._socket.setsockopt(socket.IPPROTO_IP, IP_PKTINFO, 1)
        self._socket.setsockopt(socket.SOL_SOCKET, SO_RXQ_OVFL, 1)
        if every:
            self._socket.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        if not anything:
            self._socket.setsockopt(SOL_UDP, UDP_GRO, 1)
        self._socket.bind(("0.0.0.0", 0))  # noqa: S104 - all of 127.0.0.0/8 are listeners
        self.port: int = self._socket.getsockname()[1]
        self._sources = [
            [(socket.IPPROTO_IP, IP_PKTINFO, _PKTINFO.pack(0, number.to_bytes(4)))]
            for number in range(FIRST_LISTENER, FIRST_LISTENER + listeners)
        ]

    def send(self, listener: int, datagram: bytes, port: int) -> None:
        """Send from the address of `listener` to `port` of this machine."""
        self._socket.sendmsg([datagram], self._sources[listener], 0, (HOST, port))

    def receive(self) -> list[tuple[int, bytes]]:
        """Count all AUDIO received; return the other messages, each with its listener."""
        taken = self._drain(
            self._socket.fileno(), ctypes.byref(self.state), self._controls, ROOM_FOR_CONTROL
        )
        return [
            (
                one.listener,
                ctypes.string_at(ctypes.addressof(one) + _Control.data.offset, one.bytes),
            )
            for one in self._controls[:taken]
        ]
