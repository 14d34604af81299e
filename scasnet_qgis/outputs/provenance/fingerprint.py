"""Size, time and SHA-256 of input files; of large files a sample of their bytes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from osgeo import gdal

PART = 1024 * 1024  # bytes
PARTS = 64  # of that size are read of one file; smaller files are read to their end
MIN_PARTS = 2  # its start and its end, of each of many files
MAX_FILES = 100  # that are named and read; of a mosaic of more, the rest is only listed
# Statistics and overviews, which QGIS and GDAL write as they show a raster; its pixels stay.
_WRITTEN_BY_VIEWERS = (".aux.xml", ".ovr")

Check = Callable[[], None]


@dataclass(frozen=True)
class Fingerprint:
    """One file: bytes, time of its last change (nanoseconds since 1970) and SHA-256.

    ``parts`` of PART bytes, evenly spread from the first byte to the last, make the SHA-256; 0
    stands for the whole file. What is not known is None, and ``problem`` says why.
    """

    path: str
    size: int | None = None
    changed: int | None = None
    sha256: str | None = None
    parts: int = 0
    problem: str = ""

    @property
    def has_changed(self) -> bool:
        """Whether the file has another size or time now, or is gone."""
        return status_of(self.path)[:2] != (self.size, self.changed)

    def as_dict(self) -> dict[str, Any]:
        """For the description of a run; the time as UTC."""
        parts = f"{self.parts} parts of {PART} bytes, evenly spread"
        read = parts if self.parts else "the whole file"
        return {
            "path": self.path,
            "bytes": self.size,
            "modified": None if self.changed is None else utc(self.changed / 1e9),
            "sha256": self.sha256,
            "sha256_of": None if self.sha256 is None else read,
            **({"problem": self.problem} if self.problem else {}),
        }


@dataclass(frozen=True)
class Fingerprints:
    """The files of a raster or a layer; ``listing`` is the SHA-256 of all names, sizes and times.

    ``files`` are the first MAX_FILES of ``count``; ``size`` are the bytes of all.
    """

    files: tuple[Fingerprint, ...]
    count: int
    size: int
    listing: str

    def as_dict(self) -> dict[str, Any]:
        return {
            "files": [file.as_dict() for file in self.files],
            "file_count": self.count,
            "bytes": self.size,
            "listing_sha256": self.listing,
        }

    def changed(self) -> list[Fingerprint]:
        """The files, as they were, that are so no longer by their size and time."""
        return [file for file in self.files if file.size is not None and file.has_changed]


def fingerprints(paths: Sequence[str], check: Check) -> Fingerprints:
    """``check`` is called between parts and may raise Cancelled; nothing else is raised.

    What viewers write beside a raster is left out, as if it were not there.
    """
    names = [path for path in dict.fromkeys(paths) if not path.endswith(_WRITTEN_BY_VIEWERS)]
    parts = max(PARTS // max(min(len(names), MAX_FILES), 1), MIN_PARTS)
    files = tuple(fingerprint(path, check, parts) for path in names[:MAX_FILES])
    listing, total = hashlib.sha256(), 0
    for name in names:
        check()
        size, changed, _ = status_of(name)
        total += size or 0
        listing.update(f"{name}\0{size}\0{changed}\n".encode("utf-8", "surrogatepass"))
    return Fingerprints(files, len(names), total, listing.hexdigest())


def fingerprint(path: str, check: Check, parts: int = PARTS) -> Fingerprint:
    """``parts`` are read at most, 0 for the whole file; what is on no disk is not read."""
    size, changed, problem = status_of(path)
    if size is None or path.startswith("/vsi"):
        return Fingerprint(path, size, changed, problem=problem or "not on a disk, so not read")
    if parts and size <= parts * PART:
        parts = 0
    try:
        digest = _digest(Path(path), size, parts, check)
    except OSError as error:
        return Fingerprint(path, size, changed, problem=str(error))
    return Fingerprint(path, size, changed, digest, parts)


def _digest(path: Path, size: int, parts: int, check: Check) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        for start in _starts(size, parts):
            check()
            file.seek(start)
            digest.update(file.read(PART))
    return digest.hexdigest()


def _starts(size: int, parts: int) -> Iterator[int]:
    if not parts:
        yield from range(0, size, PART)
        return
    for index in range(parts):
        yield index * (size - PART) // (parts - 1)


def sha256_of(path: Path, check: Check) -> str:
    """Of a whole file; raises OSError."""
    return _digest(path, path.stat().st_size, 0, check)


def status_of(path: str) -> tuple[int | None, int | None, str]:
    """Bytes, time of the last change, and what is wrong where there is neither."""
    try:
        if path.startswith("/vsi"):
            found = gdal.VSIStatL(path)
            if found is None or found.IsDirectory():
                return None, None, "no file"
            return int(found.size), int(found.mtime) * 10**9, ""
        status = Path(path).stat()
        if not Path(path).is_file():
            return None, None, "no file"
    except (OSError, ValueError, RuntimeError) as error:
        return None, None, str(error)
    return status.st_size, status.st_mtime_ns, ""


def utc(seconds: float) -> str:
    """A time since 1970 as text, in UTC and to the second."""
    try:
        return datetime.fromtimestamp(seconds, timezone.utc).isoformat(timespec="seconds")
    except (OverflowError, OSError, ValueError):  # a file system that counts from elsewhere
        return ""
