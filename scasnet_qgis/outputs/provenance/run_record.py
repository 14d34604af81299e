"""The record of the run that made a map: a JSON document, written once and read leniently.

A record may come from a stranger: nothing fails on odd content, texts come back without markup,
and nothing in it is ever opened, run or used as a template.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from scasnet_qgis.common.redaction import redacted
from scasnet_qgis.common.untrusted import clean_text, number

FORMAT, FORMAT_VERSION = "scasnet-run", 1
# Appended to a map's name. With .json, QGIS would show the file as a layer beside the map.
RECORD_SUFFIX = ".scasnet"
MAX_BYTES = 20_000_000  # of a document; 254 classes with their confusion take 1 MB
MAX_LIST_ITEMS = 1000  # of a list; further ones are ignored
_CHECKSUM = "checksum"
_MAX_NUMBER = 1e18


class InvalidRecord(ValueError):  # noqa: N818 (it is told apart, not shown)
    """A text is no record of a run that this version can read."""


def plain(value: Any) -> Any:
    """A value for JSON: numpy's numbers become Python's, NaN and infinity become strings."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if hasattr(value, "item") and not isinstance(value, (str, bytes)):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value if value is None or isinstance(value, (bool, int, float, str)) else str(value)


def to_text(content: Mapping[str, Any]) -> str:
    """The document, with a checksum against accidental changes (not against forgery)."""
    document = {"format": FORMAT, "version": FORMAT_VERSION, **redacted(plain(content))}
    signed = {**document, _CHECKSUM: _checksum(document)}
    return json.dumps(signed, indent=1, allow_nan=False, ensure_ascii=False) + "\n"


def _checksum(content: Mapping[str, Any]) -> str:
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode("ascii")).hexdigest()


def from_text(text: str) -> Record:
    """Read a record; raises InvalidRecord where the text is none, or one of a newer format."""
    try:
        content = plain(json.loads(text))
    except (ValueError, RecursionError) as error:
        raise InvalidRecord(str(error)) from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise InvalidRecord("the format is not stated")
    version = number(content.get("version"), 1, _MAX_NUMBER)
    if version is None or version > FORMAT_VERSION:
        raise InvalidRecord(f"format version {version}, known up to {FORMAT_VERSION}")
    return Record(content)


def record_file(raster: Path) -> Path:
    """The path of a raster's record."""
    return raster.with_name(raster.name + RECORD_SUFFIX)


class Record:
    """A record or a part of one; what is missing or of another type reads as empty."""

    def __init__(self, content: Any) -> None:
        self.content: Any = content

    def at(self, *keys: str) -> Any:
        """The raw value under nested keys, None where there is none."""
        value = self.content
        for key in keys:
            value = value.get(key) if isinstance(value, dict) else None
        return value

    def text(self, *keys: str) -> str:
        """Text or number as one line without markup; "" where there is none."""
        value = self.at(*keys)
        shown = str(value).lower() if isinstance(value, bool) else value
        return clean_text(shown).replace("\n", " ")

    def number(self, *keys: str) -> float | None:
        """A finite number, None where there is none."""
        return number(self.at(*keys), -_MAX_NUMBER, _MAX_NUMBER)

    def count(self, *keys: str) -> int:
        """A whole number from 0, 0 where there is none."""
        return int(number(self.at(*keys), 0, _MAX_NUMBER) or 0)

    def parts(self, *keys: str) -> list[Record]:
        """The entries of a list."""
        value = self.at(*keys)
        return [Record(item) for item in value[:MAX_LIST_ITEMS]] if isinstance(value, list) else []

    def texts(self, *keys: str) -> list[str]:
        """The entries of a list as texts of one line, without empty ones."""
        return [text for part in self.parts(*keys) if (text := part.text())]

    @property
    def intact(self) -> bool:
        """Whether a whole record still has the checksum that it was written with."""
        if not isinstance(self.content, dict):
            return False
        unsigned = {key: item for key, item in self.content.items() if key != _CHECKSUM}
        try:
            return bool(self.content.get(_CHECKSUM) == _checksum(unsigned))
        except (ValueError, RecursionError):
            return False
