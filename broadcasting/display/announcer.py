"""Announcement of the server on the local network, in a thread of its own."""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

from shell.network.udp import Bell, Waiter
from shell.process.threads import Worker
from wire.announcement import MOST_NAME_BYTES, Announcement

START_AFTER_S = 0.5
"""Delay of the announcement: importing zeroconf takes 0.1 s, in which a listener may come."""

log = logging.getLogger("server")


class Announcer:
    """Context manager: announces the server that listens on `sockets`."""

    def __init__(
        self,
        describe: Callable[[], Announcement],
        sockets: Sequence[socket.socket],
        join: Callable[[Worker], object] = Worker.join,
    ) -> None:
        """`describe` returns what to announce; it is called in the thread, now and then.

        `join` waits for the thread at the end, which may hang.
        """
        self._describe = describe
        self._join = join
        # Without the scope of a link-local address.
        self._bound = [sock.getsockname()[0].partition("%")[0] for sock in sockets]
        self._port = sockets[0].getsockname()[1]

    def __enter__(self) -> Self:
        self._stop = Bell()
        self._thread = Worker("announcer", self._run, over=lambda: None)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.ring()
        self._join(self._thread)
        self._stop.close()

    def _run(self) -> None:
        if Waiter([self._stop.readable]).wait(START_AFTER_S):
            return
        try:
            from shell.network.mdns import announce

            announce(self._describe, self._bound, self._port, self._stop)
        except Exception as error:
            # Clients that know the address can still connect.
            log.warning("not announced on the local network: %s", error, exc_info=True)


def usual_name(port: int) -> str:
    """Default name of the server on `port`.

    It contains the port, so that servers on one machine differ: they may not see each other's
    announcements, since an answer to one address and port reaches only one of them.
    """
    suffix = f" {port}"
    name = f"MP3 from {socket.gethostname().partition('.')[0]}"
    return name[: MOST_NAME_BYTES - len(suffix)] + suffix
