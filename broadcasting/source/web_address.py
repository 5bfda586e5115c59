"""An http(s) address as people type it -> what is asked for, and what may be shown. Pure.

The user and password in it go into a header (RFC 7617). They, the query and the fragment may be
secrets: they are never shown.
"""

from __future__ import annotations

import base64
import ipaddress
import re
from typing import NamedTuple
from urllib.parse import quote_from_bytes, unquote_to_bytes

_PARTS = re.compile(
    r"(?P<scheme>https?)://(?:(?P<sign_in>[^/?#]*)@)?(?P<host>\[[^]/?#@]*\]|[^:/?#@]*)"
    r"(?::(?P<port>[0-9]{0,5}))?(?P<path>/[^?#]*)?(?:\?(?P<query>[^#]*))?(?:#.*)?",
    re.IGNORECASE | re.DOTALL,
)
_SLASH_IN_PASSWORD = re.compile(
    r"(?P<scheme>https?://)(?P<sign_in>[^:/?#@]*:[^@]*)@(?P<rest>.*)", re.IGNORECASE | re.DOTALL
)
_NAME_AND_DIGITS = re.compile(r"[^]:@]*:[0-9]*")
_UNENCODED_PERCENT = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_SAFE = "%/:@!$&'()*+,;=~[]|"


class WebAddress(NamedTuple):
    """One address."""

    url: str
    """ASCII, without the user and password."""
    origin: str
    """Scheme, host and port: the part of `url` before the path."""
    shown: str
    """As it was typed, without what may be a secret."""
    headers: dict[str, str]
    """`Authorization`, if there is a user."""


def web_address(text: str) -> WebAddress:
    """The parts of `text`; raises ValueError, whose text does not hold the address."""
    matched = _PARTS.fullmatch(_with_password_encoded(text.strip()))
    if matched is None:
        raise ValueError("is not an address that can be read")
    if not matched["host"]:
        raise ValueError("cannot be reached: no host")
    port = f":{int(matched['port'])}" if matched["port"] else ""
    path = matched["path"] or "/"
    origin = f"{matched['scheme'].lower()}://{_ascii_host(matched['host'])}{port}"
    query = "" if matched["query"] is None else "?" + _quoted(matched["query"], "?")
    headers = {} if matched["sign_in"] is None else _sign_in(matched["sign_in"])
    return WebAddress(origin + _quoted(path) + query, origin, shown(text), headers)


def shown(text: str) -> str:
    """The address without what may be a secret, also where it cannot be read."""
    text = re.split(r"[?#]", _with_password_encoded(text.strip()), maxsplit=1)[0]
    scheme, _, rest = text.partition("://")
    authority, slash, path = rest.partition("/")
    if "@" in path and _NAME_AND_DIGITS.fullmatch(authority):
        # As like a host and a port as a user and the beginning of a password.
        return f"{scheme}://{path.rpartition('@')[2]}"
    return f"{scheme}://{authority.rpartition('@')[2]}{slash}{path}"


def _with_password_encoded(text: str) -> str:
    """`text`, where a password may have had `/`, `?` or `#` in it."""
    plain = _PARTS.fullmatch(text)
    found = _SLASH_IN_PASSWORD.fullmatch(text)
    # An @ may also stand in a path: a host and a port come before that one.
    if found is None or (plain is not None and plain["host"]):
        return text
    encoded = re.sub(r"[/?#]", lambda one: f"%{ord(one[0]):02X}", found["sign_in"])
    return f"{found['scheme']}{encoded}@{found['rest']}"


def _ascii_host(host: str) -> str:
    try:
        if host.startswith("["):
            ipaddress.IPv6Address(host[1:-1].partition("%")[0])
            return host
        return host.encode("ascii" if host.isascii() else "idna").decode()
    except ValueError:
        raise ValueError("is not an address that can be read") from None


def _quoted(text: str, also_safe: str = "") -> str:
    """`text` percent-encoded where it must be; what is encoded already stays."""
    data = _UNENCODED_PERCENT.sub(b"%25", text.encode(errors="surrogateescape"))
    return quote_from_bytes(data, _SAFE + also_safe)


def _sign_in(text: str) -> dict[str, str]:
    user, _, password = text.encode(errors="surrogateescape").partition(b":")
    both = unquote_to_bytes(user) + b":" + unquote_to_bytes(password)
    return {"Authorization": "Basic " + base64.b64encode(both).decode()}
