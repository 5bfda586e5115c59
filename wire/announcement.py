"""What a server says of itself on the local network, and how a listener reads it (RFC 6763).

An instance of a service has a name for people, and a TXT record of short texts. The name of the
service is of the form that RFC 6335, section 5.1, asks for: at most 15 letters, digits and hyphens.
What is read was written by anybody: it is cut to what a line on a terminal can hold.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from message import VERSION, cut_text

SERVICE = "_mp3cast._udp.local."

MOST_NAME_BYTES = 60
"""Of a name in UTF-8: RFC 6763, section 4.1.1, allows 63, and a second server of this name becomes
NAME-2."""


class Announcement(NamedTuple):
    """What is said."""

    name: str
    title: str = ""
    """Of the track that plays."""
    needs_key: bool = False
    version: str = str(VERSION)
    """Of the wire."""

    def texts(self) -> dict[str, str]:
        """The TXT record; `txtvers` is the version of these texts (RFC 6763, section 6.7)."""
        return {
            "txtvers": "1",
            "version": self.version,
            "title": cut_text(self.title),
            "key": "1" if self.needs_key else "0",
        }

    @classmethod
    def read(cls, name: str, texts: Mapping[str, str | None]) -> Announcement:
        """What `name` says; what it does not say is as if nothing were unusual."""
        return cls(
            cut_text(name),
            cut_text(texts.get("title") or ""),
            texts.get("key") == "1",
            cut_text(texts.get("version") or str(VERSION)),
        )

    def remark(self) -> str:
        """What a person should know besides the name: the title, and what may stand in the way."""
        parts = [self.title]
        if self.needs_key:
            parts.append("needs a key")
        if self.version != str(VERSION):
            parts.append(f"speaks version {self.version} of the protocol, not {VERSION}")
        return ", ".join(filter(None, parts))


def why_no_name(name: str) -> str | None:
    """Why a server cannot be called so; None if it can."""
    if not 0 < len(name.encode("utf-8", "replace")) <= MOST_NAME_BYTES:
        return f"a name has 1 to {MOST_NAME_BYTES} bytes"
    if "." in name or not name.isprintable():
        return "a name has no dots and no control characters"
    return None
