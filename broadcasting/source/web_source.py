"""An http(s) address as a source: a file far away, or the stream of a radio station.

urllib3 connects, checks certificates and follows redirects. An address that is a playlist stands
for the first of its entries that can be played. A user and password in the address, and its query,
are sent and never told to anybody.
"""

from __future__ import annotations

import contextlib
import logging
import re
import socket
import threading
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit
from urllib.request import getproxies, proxy_bypass

import urllib3
from urllib3 import exceptions

from broadcasting.source.icy import STALL_S, Body, text_of
from broadcasting.source.live_source import PROBE_S, LiveSource, open_stream
from broadcasting.source.playlist import IS_HLS, PLAYLISTS, decoded, entries
from broadcasting.source.skimming import Skimmed
from broadcasting.source.web_address import WebAddress, shown, web_address

if TYPE_CHECKING:
    from av.container import InputContainer

MOST_REDIRECTS = 10
"""Redirects followed from one address: longer chains are circles."""

MOST_NESTED = 3
"""Depth of playlists within playlists."""

MOST_TRIED = 5
"""Addresses tried after one another, playlists included: each may take `PROBE_S`."""

MOST_LIST_BYTES = 1 << 16
"""Bytes of a playlist on the web: a station lists a few of its servers."""

LEAST_ALIKE_BYTES = 1024
"""Bytes that two connections must begin with alike before it is taken for a file."""

_LIST_TYPES = re.compile(r"(audio|application)/(x-)?(mpegurl|scpls|pls\+xml|vnd\.apple\.mpegurl)")
_UNREACHABLE = (
    exceptions.NewConnectionError, exceptions.SSLError, exceptions.ProxyError,
)  # fmt: skip
_HEADERS = {"User-Agent": "mp3-broadcast", "Icy-MetaData": "1", "Accept": "*/*"}
_RETRIES = urllib3.Retry(
    None, connect=0, read=0, other=0, redirect=MOST_REDIRECTS, respect_retry_after_header=False
)

# It would log addresses with their queries.
logging.getLogger("urllib3").setLevel(logging.CRITICAL)


class WebSource(LiveSource):
    """One address, which may be opened again and again."""

    def __init__(self, name: str) -> None:
        self._typed = name
        self.name = self.title = shown(name)
        self.returns = True
        """Whether it is live: a file would begin at its start again."""
        self._interrupted = False
        self._late = False
        self._sockets: list[socket.socket] = []
        self._body: Body | None = None
        self._skimmed: Skimmed | None = None
        self._container: InputContainer | None = None
        self._broken = b""
        """How that began which broke off last."""

    def open(self) -> InputContainer:
        """What comes from the address from now on; raises OSError."""
        self._interrupted = False
        try:
            to_try = deque([(0, web_address(self._typed))])
        except ValueError as error:
            raise OSError(0, str(error)) from None
        first_fault: OSError | None = None
        for _ in range(MOST_TRIED):
            if not to_try or self._interrupted:
                break
            depth, address = to_try.popleft()
            try:
                listed = self._try(address, may_list=depth < MOST_NESTED)
            except OSError as error:
                # Others may take its place.
                first_fault = first_fault or error
                continue
            if self._container is not None:
                return self._container
            to_try.extendleft((depth + 1, one) for one in reversed(listed))
        raise first_fault or OSError(0, "is a playlist without an address")

    @property
    def fault(self) -> OSError | None:
        """Why the connection has ended; None while it goes on."""
        return None if self._body is None else self._body.fault

    def close(self) -> None:
        """Close the connection."""
        if self._container is not None:
            self._container.close()
            self._container = None
            assert self._body is not None, "it is what the container reads"
            broke = self._body.fault is not None and self.returns and not self._interrupted
            self._broken = self._body.beginning if broke and not self._body.is_station else b""
        if self._body is not None:
            self._body.close()
            self._body = None
        self._sockets.clear()

    def interrupt(self) -> None:
        """Cut the connection, which ends any wait on it. Any thread may call."""
        self._interrupted = True
        self._cut()

    def title_at(self, position_bytes: int | None) -> str | None:
        """Title that the station gives there; None if it gives none."""
        if self._body is None:
            return None
        if position_bytes is not None and self._skimmed is not None:
            position_bytes += self._skimmed.passed_bytes
        title = self._body.title_at(position_bytes)
        return self.title if title == "" else title

    def _try(self, address: WebAddress, *, may_list: bool) -> list[WebAddress]:
        """Open `address`; what it lists, if it is a playlist instead. Raises OSError."""
        self._late = False
        watch = threading.Timer(PROBE_S, self._give_up)
        watch.name = "probe"
        watch.start()
        try:
            response = self._connect(address)
            if may_list and _is_playlist(response, address):
                return _listed(response, address)
            self._body = Body(response)
            self.returns = self._body.is_endless
            self._skimmed = Skimmed(self._body)
            self._container = open_stream(self._skimmed)
            self._refuse_what_was_heard()
            return []
        except Exception as error:  # noqa: BLE001 - FFmpeg, urllib3 and sockets have many
            fault = TimeoutError() if self._late else self.fault
            self.close()
            # urllib3's own error holds the query.
            raise OSError(0, _reason(fault or error)) from None
        finally:
            watch.cancel()
            watch.join()

    def _refuse_what_was_heard(self) -> None:
        """Raise OSError if it begins as it did before it broke off: a file without a length."""
        assert self._body is not None, "it is open"
        broken, self._broken = self._broken, b""
        length = min(len(broken), len(self._body.beginning))
        if length >= LEAST_ALIKE_BYTES and broken[:length] == self._body.beginning[:length]:
            self.returns = False
            raise ConnectionError(0, "would begin at its start again, and is left out from here")

    def _give_up(self) -> None:
        self._late = True
        self._cut()

    def _cut(self) -> None:
        for sock in list(self._sockets):
            # The plain socket beneath TLS, whose own state is not for two threads.
            with contextlib.suppress(OSError):
                socket.socket.shutdown(sock, socket.SHUT_RDWR)

    def _connect(self, address: WebAddress) -> urllib3.BaseHTTPResponse:
        """The answer to a GET; raises OSError or urllib3's HTTPError."""
        manager = _manager(address.origin)
        manager.pool_classes_by_scheme = {
            "http": _telling(urllib3.HTTPConnectionPool, self._connected),
            "https": _telling(urllib3.HTTPSConnectionPool, self._connected),
        }
        # Where a redirect leads to another host, urllib3 leaves the user and password out.
        response = manager.request(
            "GET",
            address.url,
            headers={**_HEADERS, **address.headers},
            timeout=STALL_S,
            retries=_RETRIES,
            preload_content=False,
        )
        if not 200 <= response.status < 300:
            response.close()
            raise ConnectionError(0, f"the server answers {response.status} {response.reason}")
        return response

    def _connected(self, sock: socket.socket) -> None:
        self._sockets.append(sock)
        if self._interrupted or self._late:
            self._cut()


def _is_playlist(response: urllib3.BaseHTTPResponse, address: WebAddress) -> bool:
    """Whether it lists addresses: its type says so, or it says nothing else and its name does."""
    kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    if _LIST_TYPES.fullmatch(kind):
        return True
    is_media = kind.startswith(("audio/", "video/", "application/ogg"))
    path = urlsplit(_redirected(response, address.url)).path
    return not is_media and path.lower().endswith(PLAYLISTS)


def _listed(response: urllib3.BaseHTTPResponse, address: WebAddress) -> list[WebAddress]:
    """Addresses in a playlist; raises OSError. A list of others names nothing on this machine."""
    try:
        content = decoded(response.read(MOST_LIST_BYTES))
    finally:
        response.close()
    if b"#EXT-X-" in content:
        raise ConnectionError(0, IS_HLS)
    place = _redirected(response, address.url)
    found = []
    for entry in entries(content, is_pls=b"[playlist]" in content.lower()):
        with contextlib.suppress(ValueError):
            one = web_address(urljoin(place, text_of(entry.strip())))
            is_there = one.origin == address.origin
            found.append(one._replace(headers=one.headers or (address.headers if is_there else {})))
    return found


def _redirected(response: urllib3.BaseHTTPResponse, url: str) -> str:
    """Where the redirects from `url` led to."""
    for step in response.retries.history if response.retries is not None else ():
        url = urljoin(url, step.redirect_location or "")
    return url


def _manager(origin: str) -> urllib3.PoolManager:
    """Connects to `origin`, through the proxy that the environment names for it."""
    parts = urlsplit(origin)
    proxy = getproxies().get(parts.scheme)
    if proxy is None or proxy_bypass(parts.netloc):
        return urllib3.PoolManager()
    proxy = proxy if "://" in proxy else f"http://{proxy}"
    sign_in = urllib3.make_headers(proxy_basic_auth=urllib3.util.parse_url(proxy).auth)
    return urllib3.ProxyManager(proxy, proxy_headers=sign_in)


def _telling(pool: type[Any], connected: Callable[[socket.socket], None]) -> type[Any]:
    """`pool`, whose connections call `connected` with their socket."""

    class Connection(pool.ConnectionCls):  # type: ignore[misc, name-defined]
        def connect(self) -> None:
            super().connect()
            connected(self.sock)

    return type(pool.__name__, (pool,), {"ConnectionCls": Connection})


def _reason(error: Exception) -> str:
    """What is wrong with an address, for people."""
    if isinstance(error, exceptions.MaxRetryError) and error.reason is not None:
        error = error.reason
    match error:
        case exceptions.ResponseError():
            return "redirects without an end"
        case exceptions.NameResolutionError():
            return "unknown host: check the address"
        case exceptions.LocationValueError():
            return "is not an address that can be read"
        case _ if isinstance(error, _UNREACHABLE):
            inner = error.__cause__ or error.args[-1]
            return f"cannot be reached: {getattr(inner, 'strerror', None) or inner}".lower()
        case exceptions.ConnectTimeoutError():
            return f"does not answer within {STALL_S:g} s"
        case exceptions.ReadTimeoutError() | TimeoutError():
            return f"sends nothing that can be played within {PROBE_S:g} s"
        case ConnectionError(strerror=str(reason)):
            return reason
        case EOFError():
            return "ended before it sent anything that can be played"
    return "is not an audio stream that can be read"
