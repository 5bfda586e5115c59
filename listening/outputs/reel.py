"""A piece of tape: memory that a sound device reads while it is being written.

simpleaudio is given one long buffer and reads it as it plays. The buffer is virtual memory: a page
costs nothing and reads as silence until it is written, and is given back after it was heard.

simpleaudio does not tell how far the device has read. On Linux the kernel does: the same memory is
mapped twice, one mapping is written and the other read by the device, and /proc/self/pagemap lists
the pages of the second that were read. Elsewhere that stays unknown (None).
"""

from __future__ import annotations

import contextlib
import ctypes
import mmap
import os
import struct
import sys
from io import FileIO

LARGEST_BYTES = 2**31 - 2**16
"""simpleaudio counts bytes in a C int: just under 2 GiB, in whole pages and frames."""
SMALLEST_BYTES = 2**20
"""Shorter reels are not tried: without this much memory there is no playing."""
LARGEST_KEPT_BYTES = 2**28
"""Longest reel where memory cannot be given back: 25 minutes of 44.1 kHz stereo."""

PAGE_BYTES = mmap.PAGESIZE
PAGE_IS_THERE = 1 << 63
"""Bit 63 of a page's entry (Documentation/admin-guide/mm/pagemap.rst of the Linux kernel)."""
PAGEMAP_ENTRY_BYTES = 8
PAGES_AT_A_LOOK = 512
"""Entries read at a time: 2 MiB of tape."""

DISPOSE_BYTES = 2**20
"""Memory is given back in pieces of this size: one system call in 6 s of 44.1 kHz stereo."""


class Reel:
    """At least `wanted_bytes` of tape, or as much as there is memory for.

    Raises OSError when there is not even `SMALLEST_BYTES`.
    """

    def __init__(self, wanted_bytes: int = LARGEST_BYTES) -> None:
        size_bytes = min(wanted_bytes + -wanted_bytes % PAGE_BYTES, LARGEST_BYTES)
        if not _can_dispose():
            size_bytes = min(size_bytes, LARGEST_KEPT_BYTES)
        while True:
            try:
                self._written, self.readable = _map(size_bytes)
                break
            except OSError:
                if size_bytes <= SMALLEST_BYTES:
                    raise
                size_bytes = size_bytes // 2 + -(size_bytes // 2) % PAGE_BYTES
        self.size_bytes = size_bytes
        self._disposed_bytes = 0
        self._pagemap = _Pagemap(self.readable) if self.readable is not self._written else None

    def write(self, begin_byte: int, pcm: bytes) -> None:
        """Write audio to its place; what lies before 0 or beyond the end is dropped."""
        skipped = max(0, -begin_byte)
        begin = begin_byte + skipped
        end = min(begin_byte + len(pcm), self.size_bytes)
        if begin < end:
            self._written[begin:end] = pcm[skipped : skipped + end - begin]

    def read_bytes(self) -> int | None:
        """Bytes that the device has read, a little more or less; None: unknown."""
        return self._pagemap.filled_bytes(self.size_bytes) if self._pagemap else None

    def dispose(self, end_byte: int) -> None:
        """Give back the memory before `end_byte`."""
        end = min(end_byte, self.size_bytes) // DISPOSE_BYTES * DISPOSE_BYTES
        if end > self._disposed_bytes:
            shared = self.readable is not self._written
            _give_back(self._written, self._disposed_bytes, end, shared=shared)
            self._disposed_bytes = end


def _map(size_bytes: int) -> tuple[mmap.mmap, mmap.mmap]:
    """Two views of the same memory, to write and to read, or twice one if reads cannot be seen.

    Raises OSError when there is not enough memory.
    """
    if sys.platform == "linux" and _Pagemap.is_readable():
        descriptor = os.memfd_create("tape")
        try:
            os.ftruncate(descriptor, size_bytes)
            return mmap.mmap(descriptor, size_bytes), mmap.mmap(descriptor, size_bytes)
        finally:
            os.close(descriptor)
    if sys.platform == "win32":
        view = mmap.mmap(-1, size_bytes)
    else:  # private: shared memory would not go back with MADV_DONTNEED
        reserve_nothing = getattr(mmap, "MAP_NORESERVE", 0)
        view = mmap.mmap(
            -1, size_bytes, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | reserve_nothing
        )
    return view, view


def _can_dispose() -> bool:
    return sys.platform != "win32"


def _give_back(view: mmap.mmap, begin: int, end: int, *, shared: bool) -> None:
    # A kernel may ignore advice: it then keeps the memory.
    with contextlib.suppress(OSError):
        if sys.platform == "linux":
            advice = mmap.MADV_REMOVE if shared else mmap.MADV_DONTNEED
            view.madvise(advice, begin, end - begin)
        elif sys.platform != "win32":
            view.madvise(mmap.MADV_FREE, begin, end - begin)


class _Pagemap:
    """The pages of a view that the kernel has filled in, because the device read them."""

    PATH = "/proc/self/pagemap"

    def __init__(self, view: mmap.mmap) -> None:
        address = ctypes.addressof(ctypes.c_char.from_buffer(view))
        self._first_entry_byte = address // PAGE_BYTES * PAGEMAP_ENTRY_BYTES
        self._filled_pages = 0

    @classmethod
    def is_readable(cls) -> bool:
        """Whether there is a pagemap; some sandboxes have none."""
        return os.access(cls.PATH, os.R_OK)

    def filled_bytes(self, size_bytes: int) -> int:
        """End of the last page that is filled in, in bytes.

        It moves in steps: with each page the kernel fills in its neighbours, up to 64 KiB, as far
        as they have been written.
        """
        # Out of descriptors: keep what the last look showed.
        with contextlib.suppress(OSError), FileIO(self.PATH) as pagemap:
            while self._look_on(pagemap, size_bytes // PAGE_BYTES):
                pass
        return self._filled_pages * PAGE_BYTES

    def _look_on(self, pagemap: FileIO, all_pages: int) -> bool:
        """Look at the next pages; whether the last of them is filled in, so that more may be."""
        pages = min(PAGES_AT_A_LOOK, all_pages - self._filled_pages)
        pagemap.seek(self._first_entry_byte + self._filled_pages * PAGEMAP_ENTRY_BYTES)
        entries = pagemap.read(pages * PAGEMAP_ENTRY_BYTES)
        there = [entry & PAGE_IS_THERE for (entry,) in struct.iter_unpack("=Q", entries)]
        filled = next((page for page in range(len(there), 0, -1) if there[page - 1]), 0)
        self._filled_pages += filled
        return filled == pages > 0
