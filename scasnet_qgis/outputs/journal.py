"""The journal of finished chunks, from which an interrupted run is resumed.

A list of lines, each with a checksum: first what the run is, then one for each finished chunk. A
line that is torn, and all that follow it, count for nothing.
"""

from __future__ import annotations

import json
import os
import shutil
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from scasnet_qgis.tiling.windows import Window

FORMAT = 1  # of lines and chunks; work in another one is begun anew
NAME = "journal.jsonl"


@dataclass(frozen=True)
class ChunkRecord:
    """A file with a finished row of tiles of a panel (see ``outputs/chunks.py``).

    ``size`` and ``checksum`` (CRC-32) are those of the file. Its blocks lie side by side in the
    ``rows`` from ``row`` on; ``edges`` are the columns where each of them begins, and where the
    last one ends. ``refined`` is how many of their pixels each refinement of blocks changed.
    ``seconds`` is what all the work took up to here.
    """

    name: str
    size: int
    checksum: int
    row: int
    rows: int
    edges: tuple[int, ...]
    refined: tuple[int, ...]
    seconds: float

    @property
    def panel(self) -> tuple[int, int]:
        """The first column and the number of columns of all blocks."""
        return self.edges[0], self.edges[-1] - self.edges[0]

    @property
    def windows(self) -> Iterator[Window]:
        """The windows of the blocks, from left to right."""
        for left, right in zip(self.edges, self.edges[1:]):
            yield Window(self.row, left, self.rows, right - left)

    @property
    def pixels(self) -> int:
        return self.rows * self.panel[1]

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> ChunkRecord:
        """From a line of the journal; raises KeyError, TypeError or ValueError."""
        first, *others = map(int, values["edges"])
        return cls(
            Path(str(values["name"])).name,
            int(values["size"]),
            int(values["checksum"]),
            int(values["row"]),
            int(values["rows"]),
            (first, *others),
            tuple(map(int, values["refined"])),
            float(values["seconds"]),
        )


class Journal:
    """The journal in a folder, as it is found there.

    ``header`` is what the run said about itself, None where there is no journal that can be used;
    ``chunks`` are those that are listed, whether or not their files are whole.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.header: dict[str, Any] | None = None
        self.chunks: list[ChunkRecord] = []
        self._edges: dict[tuple[int, ...], tuple[int, ...]] = {}
        self._is_clean = False
        with suppress(OSError):  # no journal, or none that can be read
            self._read((folder / NAME).read_bytes())

    def _read(self, content: bytes) -> None:
        lines = _intact_lines(content)
        header = next(lines, None)
        if header is None or header.get("format") != FORMAT:
            return
        self.header = header
        with suppress(KeyError, TypeError, ValueError):
            for values in lines:
                self._append(ChunkRecord.of(values))

    @property
    def seconds(self) -> float:
        """How long the work took that is listed."""
        return self.chunks[-1].seconds if self.chunks else 0.0

    @property
    def pixels(self) -> int:
        """Pixels of the map that are listed."""
        return sum(chunk.pixels for chunk in self.chunks)

    def begin(self, header: Mapping[str, Any]) -> None:
        """Forget everything and start a journal of another run; raises OSError."""
        self.chunks = []
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(exist_ok=True)
        self.header = {**header, "format": FORMAT}
        self._write_all()

    def keep_chunks(self, count: int) -> None:
        """Forget all chunks but the first ones, and whatever else lies there; raises OSError."""
        if self._is_clean and count == len(self.chunks):
            return
        self.chunks = self.chunks[:count]
        self._write_all()
        wanted = {NAME, *(chunk.name for chunk in self.chunks)}
        for file in list(self.folder.iterdir()):
            if file.is_dir():
                shutil.rmtree(file)
            elif file.name not in wanted:
                file.unlink()

    def add(self, chunk: ChunkRecord) -> None:
        """List a chunk whose file is whole; raises OSError.

        The line need not be on the disk at once: what a loss of power takes is computed again.
        """
        with (self.folder / NAME).open("ab") as file:
            file.write(_line(asdict(chunk)))
        self._append(chunk)

    def _append(self, chunk: ChunkRecord) -> None:
        """All chunks of a panel have the same edges, of which one copy is enough."""
        edges = self._edges.setdefault(chunk.edges, chunk.edges)
        self.chunks.append(replace(chunk, edges=edges))

    def _write_all(self) -> None:
        lines: Sequence[Mapping[str, Any]] = [self.header or {}, *map(asdict, self.chunks)]
        _write_atomic(self.folder / NAME, b"".join(map(_line, lines)))
        self._is_clean = True


def same(first: object, second: object) -> bool:
    """Whether two values are the same once they have been in a journal."""
    return _canonical_json(first) == _canonical_json(second)


def _write_atomic(path: Path, content: bytes) -> None:
    """Write a file that has its name only when its content is on the disk; raises OSError."""
    unfinished = path.with_name(f"{path.name}.unfinished")
    with unfinished.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)


def _canonical_json(values: object) -> bytes:
    return json.dumps(values, sort_keys=True, separators=(",", ":")).encode()


def _line(values: Mapping[str, Any]) -> bytes:
    text = _canonical_json(values)
    return b"%08x %s\n" % (zlib.crc32(text), text)


def _intact_lines(content: bytes) -> Iterator[dict[str, Any]]:
    """The lines up to the first that is not as it was written."""
    for line in content.split(b"\n")[:-1]:  # what follows the last end of a line is torn
        checksum, _, text = line.partition(b" ")
        if checksum != b"%08x" % zlib.crc32(text):
            return
        try:
            values = json.loads(text)
        except ValueError:
            return
        if not isinstance(values, dict):
            return
        yield values
