"""Passwords and keys in the address of a layer, which nothing that is shown or kept may pass on.

A newer QGIS calls a layer that has no name by its whole source, so names may hold them as well.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

HIDDEN = "***"
_WORDS = (
    r"pass(?:word|wd|phrase)?|pwd|token|tk|secret|credential|signature|sig|connect_?id|app_?code|"
    r"(?:api|access|auth|subscription)?_?key"
)
_CODED = r"%(?:25)*"  # what a percent sign becomes where an address is a part of others
_PATTERNS = (
    # name=value as in PG:... and in the query of an address
    re.compile(rf"""(?i)((?:^|[\s?&;,'"_-])(?:{_WORDS})\s*=\s*)('[^']*'|"[^"]*"|[^\s&;,'"]+)"""),
    # the same inside of another address
    re.compile(
        rf"""(?ix)((?:^|[\s?&;,'"_-]|{_CODED}(?:3F|26|3B|5F|2D))(?:{_WORDS})%(?P<level>(?:25)*)3D)
        ((?:(?!%(?P=level)26)[^\s&;,'"])+)"""
    ),
    # what stands behind the name of a user, before the host of an address
    re.compile(r"(?i)(\b[a-z][a-z0-9+.-]*://[^\s:/@]*:)([^\s/?#]+)(?=@)"),
    re.compile(
        rf"""(?ix)(\b[a-z][a-z0-9+.-]*{_CODED}3A{_CODED}2F{_CODED}2F(?:(?!{_CODED})[^\s:/@&])*{_CODED}3A)
        ((?:(?!{_CODED}2F)[^\s/?\#&])+)(?={_CODED}40)"""
    ),
)
# Headers that QGIS sends along, and the name of a user: neither belongs into a description.
_PERSONAL = re.compile(r"(?i)((?:^|[&\s])(?:http-header:(?!referer)[^=&]*|username|user)=)[^&]*")
_PATH = re.compile(r"(?i)(\b[a-z][a-z0-9+.-]*://[^\s/?&#]+/)([^\s?&#]+)")
_WORD = re.compile(rf"(?i)(?:.*[_-])?(?:{_WORDS})")
_UUID = re.compile(r"(?i)[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_MIXED = re.compile(r"(?i)(?=(?:[a-z]*\d){3})(?=\d*[a-z]+\d+[a-z]+\d)[a-z0-9]{20,}")


def without_secrets(text: str) -> str:
    """The text with HIDDEN in place of passwords and keys."""
    for pattern in _PATTERNS:
        text = pattern.sub(lambda found: found.group(1) + HIDDEN, text)
    return text


def redacted(value: Any) -> Any:
    """Nested values as JSON has them, all texts without secrets."""
    if isinstance(value, Mapping):
        return {key: redacted(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [redacted(part) for part in value]
    return without_secrets(value) if isinstance(value, str) else value


def plain_address(source: str) -> str:
    """QGIS's source of a layer, readable and without passwords, keys, headers and user names.

    What stands percent-encoded inside of it, such as a key in the address of a service, is decoded
    first. A key may be left in the path of an address, where it tells layers apart.
    """
    hidden = without_secrets(source)
    for _ in range(2):
        hidden = without_secrets(unquote(hidden))
    return _PERSONAL.sub(lambda found: found.group(1) + HIDDEN, hidden)


def address_of(source: str) -> str:
    """As ``plain_address``, without what looks like a key in the path of an address either."""
    return _PATH.sub(
        lambda found: found.group(1) + _without_keys(found.group(2)), plain_address(source)
    )


def shown_name(name: str, source: str = "") -> str:
    """The name of a layer; one that is an address, or none, gives way to the service's host."""
    if name and "://" not in unquote(unquote(name)):
        return without_secrets(name)
    address = address_of(name or source)
    found = re.search(r"(?i)([a-z]+://)(?:[^/&?@]*@)?([^/&?]+)", address)
    return "".join(found.groups()) if found else address


def _without_keys(path: str) -> str:
    """The path of an address, HIDDEN in place of parts that look random or stand behind a word."""
    parts = path.split("/")
    shown = []
    for before, part in zip(["", *parts], parts):
        secret = _WORD.fullmatch(before) or _UUID.fullmatch(part) or _MIXED.fullmatch(part)
        shown.append(HIDDEN if secret else part)
    return "/".join(shown)
