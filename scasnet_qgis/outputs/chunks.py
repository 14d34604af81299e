"""Chunk files: finished blocks of the map, from which an interrupted run goes on.

A half-written GeoTIFF is worth nothing when its process is gone. So each finished row of tiles of a
panel also becomes a chunk, from which the very same blocks can be written to a new GeoTIFF.

A chunk is a sequence of frames: eight bytes that say how long it is, then its content. A block is
one frame, its labels (zlib); or, where scores are wanted, three: where it holds data (bits, zlib),
the highest bytes of all scores (zlib) and their other bytes, which zlib would not make smaller.
"""

from __future__ import annotations

import os
import struct
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from scasnet_qgis.outputs.journal import ChunkRecord, Journal
from scasnet_qgis.tiling.blending import FinishedBlock
from scasnet_qgis.tiling.windows import Window

if TYPE_CHECKING:
    from numpy.typing import NDArray

_ZLIB_LEVEL = 1  # higher ones cost more time than they save space
_FRAME_LENGTH = struct.Struct("<Q")
_READ_BYTES = 1024 * 1024  # bytes read at a time
_SCORE_DTYPE = np.dtype("<f4")


class DamagedChunkError(Exception):
    """A chunk is not what it was when it was listed."""


class ChunkWriter:
    """Writes a chunk block by block, so that only a block is in memory; raises OSError."""

    def __init__(self, path: Path) -> None:
        self._path, self._unfinished = path, path.with_name(f"{path.name}.unfinished")
        self._file: BinaryIO = self._unfinished.open("wb")
        self._size = self._checksum = 0
        self._refined: tuple[int, ...] = ()
        self._edges: list[int] = []

    def add(self, block: FinishedBlock, refined: tuple[int, ...]) -> None:
        """Of a block with scores only those are kept, its labels follow from them.

        ``refined`` is how many of its pixels each refinement of blocks changed.
        """
        for content in _frames(block):
            for part in (_FRAME_LENGTH.pack(len(content)), content):
                self._file.write(part)
                self._checksum = zlib.crc32(part, self._checksum)
                self._size += len(part)
        self._edges = [*(self._edges or [block.window.col]), block.window.col_end]
        self._refined = tuple(map(sum, zip(self._refined or (0,) * len(refined), refined)))

    def finish(self, row: Window, seconds: float) -> ChunkRecord:
        """Give the file its name when all of it is on the disk; ``row`` is that of the blocks."""
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        self._unfinished.replace(self._path)
        return ChunkRecord(
            self._path.name,
            self._size,
            self._checksum,
            row.row,
            row.rows,
            tuple(self._edges),
            self._refined,
            seconds,
        )

    def abandon(self) -> None:
        """Close the file, so that it can be removed; on a full disk not all of it gets there."""
        with suppress(OSError):
            self._file.close()


def _frames(block: FinishedBlock) -> Iterator[bytes]:
    if block.scores is None:
        labels = block.labels()
        yield (
            zlib.compress(labels.tobytes(), _ZLIB_LEVEL)
            if labels.any()
            else _empty_labels(labels.size)
        )
        return
    yield zlib.compress(np.packbits(block.valid).tobytes(), _ZLIB_LEVEL)
    scores = np.ascontiguousarray(block.scores, dtype=_SCORE_DTYPE)
    planes = scores.view(np.uint8).reshape(-1, _SCORE_DTYPE.itemsize)
    yield zlib.compress(planes[:, -1].tobytes(), _ZLIB_LEVEL)
    yield planes[:, :-1].tobytes()


@lru_cache(maxsize=8)
def _empty_labels(count: int) -> bytes:
    """So many labels without data, which large rasters consist of."""
    return zlib.compress(bytes(count), _ZLIB_LEVEL)


def is_intact(folder: Path, chunk: ChunkRecord) -> bool:
    """Whether a chunk's file is there as it was written."""
    try:
        with (folder / chunk.name).open("rb") as file:
            size = checksum = 0
            while data := file.read(_READ_BYTES):
                size += len(data)
                checksum = zlib.crc32(data, checksum)
    except OSError:
        return False
    return (size, checksum) == (chunk.size, chunk.checksum)


def read_blocks(folder: Path, chunk: ChunkRecord, classes: int) -> Iterator[FinishedBlock]:
    """The blocks of a chunk in their order; ``classes`` is 0 where they have labels only.

    Raises DamagedChunkError and OSError.
    """
    with (folder / chunk.name).open("rb") as file:
        for window in chunk.windows:
            if classes:
                yield _read_scores(file, window, chunk.panel, classes)
            else:
                shape = (window.rows, window.cols)
                labels = _decompressed(_read_frame(file), np.dtype(np.uint8), shape)
                yield FinishedBlock(window, None, labels != 0, chunk.panel, labels)


def _read_scores(
    file: BinaryIO, window: Window, panel: tuple[int, int], classes: int
) -> FinishedBlock:
    shape, pixels = (window.rows, window.cols), window.rows * window.cols
    bits = _decompressed(_read_frame(file), np.dtype(np.uint8), (-(-pixels // 8),))
    valid = np.unpackbits(bits, count=pixels).view(np.bool_).reshape(shape)
    planes = np.empty((classes * pixels, _SCORE_DTYPE.itemsize), dtype=np.uint8)
    planes[:, -1] = _decompressed(_read_frame(file), np.dtype(np.uint8), (classes * pixels,))
    planes[:, :-1] = _array(_read_frame(file), np.dtype(np.uint8), (classes * pixels, 3))
    scores = planes.view(_SCORE_DTYPE).reshape(classes, *shape)
    return FinishedBlock(window, scores, valid, panel)


def _read_frame(file: BinaryIO) -> bytes:
    header = file.read(_FRAME_LENGTH.size)
    length = _FRAME_LENGTH.unpack(header)[0] if len(header) == _FRAME_LENGTH.size else -1
    content = file.read(length) if 0 <= length <= os.fstat(file.fileno()).st_size else b""
    if len(content) != length:
        raise DamagedChunkError("it ends too early")
    return content


def _decompressed(content: bytes, dtype: np.dtype[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    try:
        return _array(zlib.decompress(content), dtype, shape)
    except zlib.error as error:
        raise DamagedChunkError(str(error)) from error


def _array(content: bytes, element_type: np.dtype[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    try:
        return np.frombuffer(content, dtype=element_type).reshape(shape)
    except ValueError as error:
        raise DamagedChunkError(str(error)) from error


class ChunkRecorder:
    """Turns finished blocks, as they come, into chunks that the journal lists.

    Before a chunk is begun and before it is listed ``check`` may raise what speaks against it.
    Methods raise OSError.
    """

    def __init__(self, journal: Journal, check: Callable[[], None]) -> None:
        self._journal, self._check = journal, check
        self._seconds_before, self._started = journal.seconds, time.monotonic()
        self._writer: ChunkWriter | None = None

    def add(self, block: FinishedBlock, refined: tuple[int, ...]) -> None:
        """As of ``ChunkWriter``; the last block of a row of tiles makes the chunk whole."""
        if self._writer is None:
            self._check()
            number = len(self._journal.chunks)
            self._writer = ChunkWriter(self._journal.folder / f"{number:06d}.chunk")
        self._writer.add(block, refined)
        row = block.row
        if block.window.col_end == row.col_end:
            self._check()
            seconds = self._seconds_before + time.monotonic() - self._started
            writer, self._writer = self._writer, None
            self._journal.add(writer.finish(row, seconds))

    def abandon(self) -> None:
        """Let go of a chunk that is not whole."""
        if self._writer is not None:
            self._writer.abandon()
            self._writer = None
