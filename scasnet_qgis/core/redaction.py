"""Passwords and keys in the address of a raster, which a description must not pass on."""

from __future__ import annotations

import re

HIDDEN = "***"
_WORDS = r"pass(?:word|wd|phrase)?|pwd|token|secret|signature|sig|api_?key|access_?key|key"
_PATTERNS = (
    # name=value as in PG:... and in the query of an address
    re.compile(rf"""(?i)((?:^|[\s?&;,'"_-])(?:{_WORDS})\s*=\s*)('[^']*'|"[^"]*"|[^\s&;,'"]+)"""),
    # what stands behind the name of a user, before the host of an address
    re.compile(r"(?i)(\b[a-z][a-z0-9+.-]*://[^\s:/@]*:)([^\s/@]+)(?=@)"),
)


def without_secrets(text: str) -> str:
    """The text with HIDDEN in place of passwords and keys."""
    for pattern in _PATTERNS:
        text = pattern.sub(lambda found: found.group(1) + HIDDEN, text)
    return text
