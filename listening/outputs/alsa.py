"""ALSA on Linux: whether its device can be opened, and silence on standard error.

simpleaudio opens ALSA's device `default` and waits as long as another program holds it; without a
device the library writes half a page to standard error. Elsewhere both functions do nothing.
"""

from __future__ import annotations

import ctypes
import functools

LIBRARY = "libasound.so.2"
DEVICE = b"default"
PLAYBACK = 0
NONBLOCK = 1


@functools.cache
def _library() -> ctypes.CDLL | None:
    try:
        return ctypes.CDLL(LIBRARY)
    except OSError:
        return None


def be_quiet() -> None:
    """Keep ALSA's messages off standard error, for the life of this process."""
    library = _library()
    if library is not None:
        # simpleaudio's own thread may call the handler at any time, even while Python shuts down,
        # so it must not be a Python function. getpid() has no effect, and every calling convention
        # of Linux allows arguments that it does not take.
        handler = ctypes.cast(ctypes.CDLL(None).getpid, ctypes.c_void_p)
        library.snd_lib_error_set_handler(handler)


def why_not() -> str | None:
    """Why the default device cannot be opened now; None: it can, or only simpleaudio can tell."""
    library = _library()
    if library is None:
        return None
    device = ctypes.c_void_p()
    result = library.snd_pcm_open(ctypes.byref(device), DEVICE, PLAYBACK, NONBLOCK)
    if result >= 0:
        library.snd_pcm_close(device)
        return None
    library.snd_strerror.restype = ctypes.c_char_p
    return bytes(library.snd_strerror(result)).decode(errors="replace")
