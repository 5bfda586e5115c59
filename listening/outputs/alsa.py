"""What simpleaudio does not do for its user on Linux: ask first, and be quiet.

simpleaudio opens ALSA's device `default`, waiting as long as another program holds it, and when
there is none the library writes half a page to standard error. Elsewhere there is no ALSA, and
both functions do nothing.
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
    """Keep ALSA's messages off standard error, in this process, from now on."""
    library = _library()
    if library is not None:
        # The handler may be called from simpleaudio's own thread at any time, also while Python
        # shuts down, so it must not be a Python function. getpid() takes no arguments, has no
        # effect and, in every calling convention of Linux, may be called with some.
        handler = ctypes.cast(ctypes.CDLL(None).getpid, ctypes.c_void_p)
        library.snd_lib_error_set_handler(handler)


def why_not() -> str | None:
    """Why the default device cannot be opened now; None if it can, or if only trying will tell."""
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
