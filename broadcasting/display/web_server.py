"""Small read-only web server: HTTP/1.1 (RFC 9110, RFC 9112; parsed by h11), in one thread.

One request for each connection. Connections, bytes, time and requests per second are bounded,
because the same process has audio to send on time.

The host that is asked for must be an address or a name of this machine: else a foreign name that
resolves to this machine would let the pages behind that name read ours (DNS rebinding).
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import re
import socket
import sys
from collections.abc import Callable, Collection
from email.utils import formatdate
from http import HTTPStatus
from types import TracebackType
from typing import Any, Self

import h11

from broadcasting.display.web.pages import Page
from shell.network.udp import AddressError, UnknownHost, why_not_bound
from shell.process.threads import Worker

MOST_CONNECTIONS = 16
MOST_REQUEST_BYTES = 8192
_ABSOLUTE = re.compile(rb"https?://([^/?#]*)([^#]*)", re.IGNORECASE | re.DOTALL)
"""Request target in absolute form (RFC 9112 section 3.2.2)."""

PATIENCE_S = 5.0
"""Longest exchange: a local one takes milliseconds, one over a bad network a second."""

PACE_S = 0.02
"""Pause between connections: at 0.9 ms for each, the server takes at most 5 % of a core."""

RETRY_S = 1.0
"""Pause after a connection that could not be accepted: too many files are open."""

READ_BYTES = 4096
MOST_LEFTOVERS = 16
"""Reads of data after the request: unread, it would make the system drop the answer."""

HEADERS = (
    ("Cache-Control", "no-store"),
    (
        "Content-Security-Policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self';"
        " img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Referrer-Policy", "no-referrer"),
    ("X-Content-Type-Options", "nosniff"),
    ("Connection", "close"),
)
"""Headers of every answer: a browser may load nothing but the page and its parts."""


log = logging.getLogger("server")


def _plain(status: int, text: str = "") -> Page:
    """One line of text, by default the phrase of `status`."""
    body = f"{text or HTTPStatus(status).phrase}\n".encode()
    return Page(status, "text/plain; charset=utf-8", body)


class WebServer:
    """Context manager: answers on `listening` in a thread, and closes it at the end."""

    def __init__(
        self,
        listening: socket.socket,
        page_at: Callable[[str], Page | None],
        *,
        names: Collection[str] = (),
        patience_s: float = PATIENCE_S,
        join: Callable[[Worker], object] = Worker.join,
    ) -> None:
        """`page_at` returns the page of a path, None if there is none; called in the thread.

        `names` are further names of this machine. `join` waits for the thread at the end, which may
        hang.
        """
        self._listening = listening
        self._page_at = page_at
        self._patience_s = patience_s
        self._join = join
        self._names = own_names().union(names)
        self._loop = asyncio.new_event_loop()
        self._loop.set_exception_handler(_log_fault)
        self._stopping = asyncio.Event()

    def __enter__(self) -> Self:
        self._thread = Worker("web", self._run, over=lambda: None)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._loop.call_soon_threadsafe(self._stopping.set)
        self._join(self._thread)
        if not self._thread.is_alive():
            self._loop.close()
        self._listening.close()

    # The thread.

    def _run(self) -> None:
        try:
            self._loop.run_until_complete(self._serve())
        except Exception:
            # The audio goes on without the pages.
            log.exception("the web server failed")

    async def _serve(self) -> None:
        accepting = asyncio.ensure_future(self._accept())
        stopping = asyncio.ensure_future(self._stopping.wait())
        await asyncio.wait([accepting, stopping], return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        accepting.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await accepting

    async def _accept(self) -> None:
        free = asyncio.Semaphore(MOST_CONNECTIONS)
        async with asyncio.TaskGroup() as exchanges:
            while True:
                await free.acquire()
                try:
                    connection, _ = await self._loop.sock_accept(self._listening)
                except OSError as error:
                    log.warning("no connection taken: %s", error)
                    free.release()
                    await asyncio.sleep(RETRY_S)
                    continue
                exchange = exchanges.create_task(self._exchange(connection))
                exchange.add_done_callback(lambda _: free.release())
                await asyncio.sleep(PACE_S)

    async def _exchange(self, connection: socket.socket) -> None:
        with connection:
            try:
                connection.setblocking(False)
                async with asyncio.timeout(self._patience_s):
                    await self._converse(connection)
            except (OSError, TimeoutError):
                pass  # the client is gone, or too slow
            except Exception:
                log.exception("a fault of the web server")

    async def _converse(self, connection: socket.socket) -> None:
        http = h11.Connection(h11.SERVER, max_incomplete_event_size=MOST_REQUEST_BYTES)
        if (answer := await self._answer(http, connection)) is None:
            return
        await self._loop.sock_sendall(connection, answer)
        connection.shutdown(socket.SHUT_WR)
        for _ in range(MOST_LEFTOVERS):
            if not await self._loop.sock_recv(connection, READ_BYTES):
                break

    async def _answer(self, http: h11.Connection, connection: socket.socket) -> bytes | None:
        """Bytes to send back; None if no request came."""
        try:
            while (event := http.next_event()) is h11.NEED_DATA:
                http.receive_data(await self._loop.sock_recv(connection, READ_BYTES))
        except h11.RemoteProtocolError as error:
            return _packed(http, _plain(error.error_status_hint))
        if not isinstance(event, h11.Request):
            return None
        return _packed(http, self._page(event), head=event.method == b"HEAD")

    def _page(self, request: h11.Request) -> Page:
        hosts = [value for name, value in request.headers if name == b"host"]
        target = request.target
        if (absolute := _ABSOLUTE.fullmatch(target)) is not None:
            # What a proxy is asked: its host counts, and not that of the header.
            hosts, target = [absolute[1]], absolute[2]
        if hosts and not is_own(hosts[0].decode("latin-1"), self._names):
            return _plain(
                421,
                "Give the address of this machine instead, or allow the name with --status-host.",
            )
        if request.method not in (b"GET", b"HEAD"):
            return _plain(405)
        path = target.partition(b"?")[0].decode("latin-1") or "/"
        try:
            return self._page_at(path) or _plain(404)
        except Exception:
            log.exception("no page for %s", path)
            return _plain(500)


def open_web_socket(host: str, port: int, option: str) -> socket.socket:
    """A socket that listens where the user said with `option`; raises AddressError."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (socket.gaierror, UnicodeError):
        raise UnknownHost(f"unknown host {host!r}: check {option}") from None
    family, _, _, _, address = found[0]
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setblocking(False)
        if sys.platform != "win32":
            # Connections of an earlier run may linger. (On Windows the option would take the port
            # from the program that has it.)
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(MOST_CONNECTIONS)
    except OSError as error:
        listening.close()
        reason = why_not_bound(address, error, option)  # type: ignore[arg-type]
        raise AddressError(f"{option}: {reason}") from None
    return listening


def own_names() -> frozenset[str]:
    """Names of this machine."""
    name = socket.gethostname().lower()
    short = name.partition(".")[0]
    return frozenset((name, short, f"{short}.local", "localhost"))


def is_own(host: str, names: Collection[str]) -> bool:
    """Whether the value of a Host header is an IP address or one of `names`."""
    matched = re.fullmatch(r"(?:\[(?P<v6>[^]]*)\]|(?P<name>[^:]*))(?::\d*)?", host.lower())
    if matched is None:
        return False
    name = matched["v6"] or matched["name"]
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return not matched["v6"] and name.rstrip(".") in names
    return True


def _log_fault(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    log.warning("in the web server: %s", context.get("exception") or context["message"])


def _packed(http: h11.Connection, page: Page, *, head: bool = False) -> bytes:
    headers = [
        *HEADERS,
        ("Date", formatdate(usegmt=True)),
        ("Content-Type", page.content_type),
        ("Content-Length", str(len(page.body))),
    ]
    if page.status == HTTPStatus.METHOD_NOT_ALLOWED:
        headers.append(("Allow", "GET, HEAD"))
    reason = HTTPStatus(page.status).phrase
    packed = http.send(h11.Response(status_code=page.status, headers=headers, reason=reason))
    assert packed is not None, "a response is bytes"
    return packed if head else packed + page.body
