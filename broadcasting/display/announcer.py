"""Announces a server on the local network, in a thread of its own, when there is time for that."""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

from shell.threads import Worker
from shell.udp import Bell, Waiter
from wire.announcement import MOST_NAME_BYTES, Announcement
from wire.log import get_logger

START_AFTER_S = 0.5
"""The first listener may be there at once, and does not wait for an import of 0.1 s."""

log = get_logger("server")


class Announcer:
    """Context manager: the server on `sockets` is announced as `describe` says."""

    def __init__(
        self, describe: Callable[[], Announcement], sockets: Sequence[socket.socket]
    ) -> None:
        """`describe` is called now and then, in the thread."""
        self._describe = describe
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
        self._thread.join()
        self._stop.close()

    def _run(self) -> None:
        if Waiter([self._stop.readable]).wait(START_AFTER_S):
            return
        try:
            from shell.mdns import announce

            announce(self._describe, self._bound, self._port, self._stop)
        except Exception as error:
            # Who knows the address can listen all the same.
            log.warning("not announced on the local network: %s", error, exc_info=True)


def usual_name(port: int) -> str:
    """What the server on `port` is called if nobody says.

    Of several on one machine each has a name of its own: that they notice one another's cannot be
    relied on, for an answer to one address and port reaches one of them alone.
    """
    of_port = f" {port}"
    name = f"MP3 from {socket.gethostname().partition('.')[0]}"
    return name[: MOST_NAME_BYTES - len(of_port)] + of_port
