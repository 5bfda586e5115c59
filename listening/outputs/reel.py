"""A piece of tape: memory that a sound device reads while it is being written.

simpleaudio is given one long buffer and reads it as it plays. The buffer is virtual memory: a page
costs nothing until it is written, reads as silence until then, and goes back when it was heard.

On Linux the same memory is mapped twice, once to be written and once to be read by the device.
Which pages of the second mapping the kernel has had to fill in (/proc/self/pagemap) tells how far
the device has read, which simpleaudio does not tell. Elsewhere that stays unknown (None).
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
"""simpleaudio counts bytes in a C int: just under 2 GiB, and whole pages and frames."""
SMALLEST_BYTES = 2**20
LARGEST_KEPT_BYTES = 2**28
"""Where memory cannot be given back a reel is no longer: 25 minutes of 44.1 kHz stereo."""

PAGE_BYTES = mmap.PAGESIZE
PAGE_IS_THERE = 1 << 63
"""Bit 63 of a page's entry (Documentation/admin-guide/mm/pagemap.rst of the Linux kernel)."""
PAGEMAP_ENTRY_BYTES = 8
PAGES_AT_A_LOOK = 512

DISPOSE_BYTES = 2**20
"""Memory goes back in pieces of this size: one system call in 6 s of 44.1 kHz stereo."""


class Reel:
    """At least `wanted_bytes` of tape, or as much as can be had."""

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
        """Put audio at its place. Earlier than 0 or beyond the end there is no tape."""
        skipped = max(0, -begin_byte)
        begin = begin_byte + skipped
        end = min(begin_byte + len(pcm), self.size_bytes)
        if begin < end:
            self._written[begin:end] = pcm[skipped : skipped + end - begin]

    def read_bytes(self) -> int | None:
        """How far the device is known to have read, a little more or less. None: nobody knows."""
        return self._pagemap.filled_bytes(self.size_bytes) if self._pagemap else None

    def dispose(self, end_byte: int) -> None:
        """What lies before `end_byte` is not needed any more."""
        end = min(end_byte, self.size_bytes) // DISPOSE_BYTES * DISPOSE_BYTES
        if end > self._disposed_bytes:
            shared = self.readable is not self._written
            _give_back(self._written, self._disposed_bytes, end, shared=shared)
            self._disposed_bytes = end


def _map(size_bytes: int) -> tuple[mmap.mmap, mmap.mmap]:
    """Memory to write and to read: two views of the same if that can be watched, else one.

    Raises OSError when there is no room for it.
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
    # It is advice: a kernel that does not take it keeps the memory.
    with contextlib.suppress(OSError):
        if sys.platform == "linux":
            advice = mmap.MADV_REMOVE if shared else mmap.MADV_DONTNEED
            view.madvise(advice, begin, end - begin)
        elif sys.platform != "win32":
            view.madvise(mmap.MADV_FREE, begin, end - begin)


class _Pagemap:
    """Tells which pages of a view the kernel has filled in, because somebody read them."""

    PATH = "/proc/self/pagemap"

    def __init__(self, view: mmap.mmap) -> None:
        address = ctypes.addressof(ctypes.c_char.from_buffer(view))
        self._first_entry_byte = address // PAGE_BYTES * PAGEMAP_ENTRY_BYTES
        self._filled_pages = 0

    @classmethod
    def is_readable(cls) -> bool:
        """Some sandboxes have no pagemap."""
        return os.access(cls.PATH, os.R_OK)

    def filled_bytes(self, size_bytes: int) -> int:
        """The end of the last page that is there.

        With the page that is read the kernel fills in its neighbours, up to 64 KiB, as far as
        they have been written: so the end moves in steps.
        """
        # A program that is out of descriptors cannot look, and knows what it knew.
        with contextlib.suppress(OSError), FileIO(self.PATH) as pagemap:
            while self._look_on(pagemap, size_bytes // PAGE_BYTES):
                pass
        return self._filled_pages * PAGE_BYTES

    def _look_on(self, pagemap: FileIO, all_pages: int) -> bool:
        """Look at the pages that follow; whether all that was looked at may have been filled in."""
        pages = min(PAGES_AT_A_LOOK, all_pages - self._filled_pages)
        pagemap.seek(self._first_entry_byte + self._filled_pages * PAGEMAP_ENTRY_BYTES)
        entries = pagemap.read(pages * PAGEMAP_ENTRY_BYTES)
        there = [entry & PAGE_IS_THERE for (entry,) in struct.iter_unpack("=Q", entries)]
        filled = next((page for page in range(len(there), 0, -1) if there[page - 1]), 0)
        self._filled_pages += filled
        return filled == pages > 0
