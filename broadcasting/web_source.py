"""An http(s) address as a source: a file far away, or the stream of a radio station.

The standard library connects, checks certificates and follows redirects (ten at most). Stations
that speak the Icecast dialect put their titles between the audio, every so many bytes: they are
taken out here, and each is known with the place in the audio from which it holds.
"""

from __future__ import annotations

import contextlib
import http.client
import re
import socket
import threading
import urllib.error
import urllib.request
from collections import deque
from typing import TYPE_CHECKING, Any

from broadcasting.live_source import PROBE_S, open_stream

if TYPE_CHECKING:
    from av.container import InputContainer

STALL_S = 10.0
"""A connection on which nothing comes for so long is given up."""

MOST_TITLES = 64
"""Titles that are ahead of what is played, at most: a second of audio has one or none."""

_TITLE = re.compile(r"StreamTitle='(.*?)';", re.DOTALL)


class WebSource:
    """One address, which may be opened again and again."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.returns = True
        """Whether it is live: a file would begin at its start again."""
        self._interrupted = False
        self._late = False
        self._sockets: list[socket.socket] = []
        self._body: _Body | None = None
        self._container: InputContainer | None = None

    def open(self) -> InputContainer:
        """What comes from the address from now on."""
        self._interrupted = self._late = False
        watch = threading.Timer(PROBE_S, self._give_up)
        watch.name = "probe"
        watch.start()
        try:
            self._body = _Body(self._connect())
            self.returns = self._body.is_endless
            self._container = open_stream(self._body)
            return self._container
        except Exception as error:
            reason = self._reason(error)
            self.close()
            raise OSError(0, reason) from error
        finally:
            watch.cancel()
            watch.join()

    @property
    def fault(self) -> OSError | None:
        """Why the connection has ended."""
        return None if self._body is None else self._body.fault

    def close(self) -> None:
        """Let go of the connection."""
        if self._container is not None:
            self._container.close()
            self._container = None
        if self._body is not None:
            self._body.close()
            self._body = None
        self._sockets.clear()

    def interrupt(self) -> None:
        """Cut the connection, whatever is waited for on it."""
        self._interrupted = True
        for sock in list(self._sockets):
            # The plain socket beneath TLS: that has a state which is not for two threads.
            with contextlib.suppress(OSError):
                socket.socket.shutdown(sock, socket.SHUT_RDWR)

    def title_at(self, position_bytes: int | None) -> str | None:
        """What the station says it plays there."""
        return None if self._body is None else self._body.title_at(position_bytes)

    def _give_up(self) -> None:
        self._late = True
        self.interrupt()

    def _connect(self) -> http.client.HTTPResponse:
        opener = urllib.request.OpenerDirector()
        for handler in (
            urllib.request.ProxyHandler(),
            _Plain(self._connected),
            _Secure(self._connected),
            urllib.request.HTTPDefaultErrorHandler(),
            urllib.request.HTTPRedirectHandler(),
            urllib.request.HTTPErrorProcessor(),
            urllib.request.UnknownHandler(),
        ):
            opener.add_handler(handler)
        headers = {"User-Agent": "mp3-broadcast", "Icy-MetaData": "1", "Accept": "*/*"}
        request = urllib.request.Request(self.name, headers=headers)  # noqa: S310 - http(s) only
        response: http.client.HTTPResponse = opener.open(request, timeout=STALL_S)
        return response

    def _connected(self, sock: socket.socket) -> None:
        self._sockets.append(sock)
        if self._interrupted:
            self.interrupt()

    def _reason(self, error: Exception) -> str:
        """What is wrong with the address, for people."""
        if self._body is not None and self._body.fault is not None:
            error = self._body.fault
        if self._late or isinstance(error, TimeoutError):
            return f"sends nothing that can be played within {PROBE_S:g} s"
        if isinstance(error, urllib.error.HTTPError):
            if 300 <= error.code < 400:
                return "redirects without an end"
            return f"the server answers {error.code} {error.reason}"
        if isinstance(error, urllib.error.URLError):
            inner = error.reason
            if isinstance(inner, TimeoutError):
                return f"does not answer within {STALL_S:g} s"
            if isinstance(inner, socket.gaierror):
                return "unknown host: check the address"
            return f"cannot be reached: {getattr(inner, 'strerror', None) or inner}".lower()
        if isinstance(error, EOFError):
            return "ended before it sent anything that can be played"
        return "is not an audio stream that can be read"


class _Body:
    """The audio of a response, without what the station says between it."""

    def __init__(self, response: http.client.HTTPResponse) -> None:
        self._response = response
        interval = response.headers.get("icy-metaint", "")
        self.fault: OSError | None = None
        self._interval = int(interval) if interval.isdecimal() else 0
        self._until_words = self._interval
        self._position = 0
        # A station has no end of its own; anything else without a length ends where it ends.
        self._is_station = any(name.lower().startswith("icy-") for name in response.headers)
        station = _text(response.headers.get("icy-name", "").encode("latin-1", "replace"))
        self._titles: deque[tuple[int, str]] = deque(maxlen=MOST_TITLES)
        if station.strip():
            self._titles.append((0, station))

    @property
    def is_endless(self) -> bool:
        """Whether nobody has said how long it is."""
        return self._response.length is None

    def read(self, size: int) -> bytes:
        """Some bytes of audio, `size` at most; none at the end, and after a `fault`."""
        try:
            return self._audio(size)
        except OSError as error:
            self.fault = error
            return b""

    def _audio(self, size: int) -> bytes:
        if self._interval:
            if not self._until_words:
                self._hear()
                self._until_words = self._interval
            size = min(size, self._until_words)
        data = self._some(size)
        self._position += len(data)
        self._until_words -= len(data) if self._interval else 0
        return data

    def title_at(self, position_bytes: int | None) -> str | None:
        """The title that holds there; those before are forgotten."""
        if position_bytes is not None:
            while len(self._titles) > 1 and self._titles[1][0] <= position_bytes:
                self._titles.popleft()
        return self._titles[0][1] if self._titles else None

    def close(self) -> None:
        """Close the response."""
        self._response.close()

    def _some(self, size: int) -> bytes:
        try:
            data = self._response.read1(size)
        except TimeoutError:
            raise TimeoutError(0, f"nothing came for {STALL_S:g} s") from None
        except (http.client.HTTPException, ValueError, AttributeError):
            # The last two: the connection was cut while this waited.
            raise ConnectionError(0, "the connection broke") from None
        if not data and (self._response.length or self._is_station):
            raise ConnectionError(0, "the connection broke")
        return data

    def _hear(self) -> None:
        """Take what is said: a byte that tells how long it is, in steps of 16, and a text."""
        length = 16 * int.from_bytes(self._exactly(1))
        found = _TITLE.search(_text(self._exactly(length)))
        if found and found[1].strip():
            self._titles.append((self._position, found[1]))

    def _exactly(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            more = self._some(size - len(data))
            if not more:
                break
            data += more
        return data


def _text(data: bytes) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("cp1252", errors="replace")


class _Plain(urllib.request.HTTPHandler):
    """Tells of each connection that it makes."""

    def __init__(self, connected: Any) -> None:
        super().__init__()
        self._told = connected

    def http_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        """Make one."""
        return self.do_open(_telling(http.client.HTTPConnection, self._told), req)


class _Secure(urllib.request.HTTPSHandler):
    """The same with TLS."""

    def __init__(self, connected: Any) -> None:
        super().__init__()
        self._told = connected

    def https_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        """Make one."""
        return self.do_open(_telling(http.client.HTTPSConnection, self._told), req)


def _telling(base: type[Any], told: Any) -> Any:
    class Connection(base):  # type: ignore[misc]
        def connect(self) -> None:
            super().connect()
            told(self.sock)

    return Connection
