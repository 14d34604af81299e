"""What a map says about the run that made it: a JSON document, written once and read leniently.

Whoever reads one may have got it from a stranger: nothing fails on odd content, texts come back
without markup, and nothing in it is ever opened, run or used as a template.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from scasnet_qgis.core.redaction import redacted
from scasnet_qgis.core.untrusted import clean_text, number

FORMAT, FORMAT_VERSION = "scasnet-run", 1
# Appended to a map's name. With .json, QGIS would show the file as a layer beside the map.
ENDING = ".scasnet"
MAX_BYTES = 20_000_000  # of a document; 254 classes with their confusion take 1 MB
MAX_PARTS = 1000  # entries of a list that are looked at
_CHECKSUM = "checksum"
_LARGE = 1e18


class NoRecord(ValueError):  # noqa: N818 (it is told apart, not shown)
    """A text is no description of a run that this version can read."""


def plain(value: Any) -> Any:
    """What JSON can say: numpy's numbers become Python's, NaN and infinity become words."""
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
    """The document, with a checksum that tells a slip of an editor (but not a forger)."""
    known = {"format": FORMAT, "version": FORMAT_VERSION, **redacted(plain(content))}
    whole = {**known, _CHECKSUM: _checksum(known)}
    return json.dumps(whole, indent=1, allow_nan=False, ensure_ascii=False) + "\n"


def _checksum(content: Mapping[str, Any]) -> str:
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode("ascii")).hexdigest()


def from_text(text: str) -> Record:
    """Raises NoRecord for what is not a description of a run, or one of a newer format."""
    try:
        content = plain(json.loads(text))
    except (ValueError, RecursionError) as error:
        raise NoRecord(str(error)) from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise NoRecord("the format is not stated")
    version = number(content.get("version"), 1, _LARGE)
    if version is None or version > FORMAT_VERSION:
        raise NoRecord(f"format version {version}, known up to {FORMAT_VERSION}")
    return Record(content)


def record_file(raster: Path) -> Path:
    """Where the description of a raster lies."""
    return raster.with_name(raster.name + ENDING)


class Record:
    """A document or a part of it; whatever is missing or of another kind is empty."""

    def __init__(self, content: Any) -> None:
        self.content: Any = content

    def at(self, *keys: str) -> Any:
        """The value under nested keys as it stands there, None where there is none."""
        value = self.content
        for key in keys:
            value = value.get(key) if isinstance(value, dict) else None
        return value

    def text(self, *keys: str) -> str:
        """One line without markup, also of a number; "" where there is none."""
        value = self.at(*keys)
        shown = str(value).lower() if isinstance(value, bool) else value
        return clean_text(shown).replace("\n", " ")

    def number(self, *keys: str) -> float | None:
        """A finite number, None where there is none."""
        return number(self.at(*keys), -_LARGE, _LARGE)

    def count(self, *keys: str) -> int:
        """A whole number from 0, 0 where there is none."""
        return int(number(self.at(*keys), 0, _LARGE) or 0)

    def parts(self, *keys: str) -> list[Record]:
        """The entries of a list."""
        value = self.at(*keys)
        return [Record(item) for item in value[:MAX_PARTS]] if isinstance(value, list) else []

    def texts(self, *keys: str) -> list[str]:
        """The entries of a list as texts of one line, without empty ones."""
        return [text for part in self.parts(*keys) if (text := part.text())]

    @property
    def intact(self) -> bool:
        """Whether a whole document still has the checksum it was written with."""
        if not isinstance(self.content, dict):
            return False
        rest = {key: item for key, item in self.content.items() if key != _CHECKSUM}
        try:
            return bool(self.content.get(_CHECKSUM) == _checksum(rest))
        except (ValueError, RecursionError):
            return False
