"""The announcement of a server on the local network, and how a listener reads it (RFC 6763).

An instance of a service has a name for people, and a TXT record of short texts. The name of the
service has the form of RFC 6335, section 5.1: at most 15 letters, digits and hyphens. Anyone can
write an announcement, so texts are cut to what a line on a terminal can hold. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from message import VERSION, cut_text
from wire.text import harmless

SERVICE = "_mp3cast._udp.local."

MOST_NAME_BYTES = 60
"""Bytes of a name in UTF-8: RFC 6763, section 4.1.1, allows 63, and a second server of this name
becomes NAME-2."""


class Announcement(NamedTuple):
    """One announcement."""

    name: str
    title: str = ""
    """Title of the track that plays."""
    needs_key: bool = False
    version: str = str(VERSION)
    """Version of the protocol."""

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
        """The announcement of `name` with these texts; a missing text means the usual value."""
        return cls(
            cut_text(name),
            cut_text(texts.get("title") or ""),
            texts.get("key") == "1",
            cut_text(texts.get("version") or str(VERSION)),
        )

    def remark(self) -> str:
        """Text for people beside the name: the title, a key that is needed, another version."""
        parts = [self.title]
        if self.needs_key:
            parts.append("needs a key")
        if self.version != str(VERSION):
            parts.append(f"speaks version {self.version} of the protocol, not {VERSION}")
        return ", ".join(filter(None, parts))


def why_no_name(name: str) -> str | None:
    """Why a server cannot have this name; None if it can."""
    if not name.strip() or len(name.encode("utf-8", "replace")) > MOST_NAME_BYTES:
        return f"a name has 1 to {MOST_NAME_BYTES} bytes, not all of them spaces"
    if "." in name or harmless(name, "?") != name:
        return "a name has no dots and no control characters"
    return None
