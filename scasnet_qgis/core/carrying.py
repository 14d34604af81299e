"""Reads the windows of tiles so that rows which two rows of tiles share are read once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from scasnet_qgis.core.windows import Window

if TYPE_CHECKING:
    from numpy.typing import NDArray

_ROOM = 16  # rows; what overlaps may differ by one


class Source(Protocol):
    """Where pixels come from; used from one thread only.

    ``block_rows`` is how many rows are stored, and so decompressed, together.
    """

    block_rows: int

    def read(self, window: Window) -> tuple[NDArray[np.generic], NDArray[np.bool_] | None]:
        """Raw values [bands, rows, cols] and which pixels hold data (None: all)."""


@dataclass(frozen=True)
class Part:
    """Rows of a window: raw values [bands, rows, cols], and where they hold data (None: all)."""

    window: Window
    raw: NDArray[np.generic]
    valid: NDArray[np.bool_] | None

    def rows(self, start: int, end: int) -> Part:
        """The rows from ``start`` to ``end`` (exclusive), counted in the raster."""
        first, last = start - self.window.row, end - self.window.row
        window = Window(start, self.window.col, end - start, self.window.cols)
        valid = None if self.valid is None else self.valid[first:last]
        return Part(window, self.raw[:, first:last], valid)


class CarryingReader:
    """Reads whole rows of blocks, and keeps what the next row of tiles begins with.

    GDAL's cache would have to hold a row of tiles over the width of a panel to spare the second
    reading; what is kept here is the rows that overlap and the rest of their blocks.
    """

    def __init__(self, source: Source, raster: Window) -> None:
        self._source, self._raster = source, raster
        self._kept: dict[int, Part] = {}  # by column of tiles

    def read(self, column: int, window: Window, following: int | None) -> list[Part]:
        """The parts of ``window`` from top to bottom, for the tile in a ``column`` of tiles.

        ``following`` is the first row that the tile below will ask for, None where there is none.
        """
        kept = self._kept.pop(column, None)
        if kept is not None and not _begins(kept.window, window):
            kept = None
        parts = []
        start = window.row
        if kept is not None:
            parts.append(kept.rows(start, kept.window.row_end))
            start = kept.window.row_end
        end = self._whole_blocks(window.row_end) if following is not None else window.row_end
        if start < end:
            piece = Window(start, window.col, end - start, window.cols)
            parts.append(Part(piece, *self._source.read(piece)))
        if following is not None:
            shared = window.row_end - following
            self._keep(column, parts, following, end, shared + self._source.block_rows)
        return [_cut(part, window) for part in parts if part.window.row < window.row_end]

    def forget(self, column: int) -> None:
        """Free what is kept for a ``column`` of tiles, whose tile is left out."""
        self._kept.pop(column, None)

    def _whole_blocks(self, row: int) -> int:
        """The end of the blocks that hold the row before ``row``."""
        rows = self._source.block_rows
        return min(-(-row // rows) * rows, self._raster.row_end)

    def _keep(self, column: int, parts: list[Part], start: int, end: int, most: int) -> None:
        below = [
            part.rows(max(start, part.window.row), part.window.row_end)
            for part in parts
            if part.window.row_end > start
        ]
        if below and below[0].window.row == start < end:
            self._kept[column] = _joined(below, most)


def _begins(kept: Window, window: Window) -> bool:
    """Whether ``kept`` holds the first rows of ``window``, and nothing of other columns."""
    same = (kept.col, kept.cols) == (window.col, window.cols)
    return same and kept.row <= window.row < kept.row_end


def _cut(part: Part, window: Window) -> Part:
    if part.window.row_end <= window.row_end:
        return part
    return part.rows(part.window.row, window.row_end)


def _joined(parts: list[Part], most: int) -> Part:
    """The parts as one, in memory of its own, so that the larger arrays can be freed.

    There is room for ``most`` rows. How many are left of a block changes from one row of tiles to
    the next, but pieces of one size fit where others were, and leave no gaps between them.
    """
    first, last = parts[0].window, parts[-1].window
    window = Window(first.row, first.col, last.row_end - first.row, first.cols)
    room = max(-(-most // _ROOM) * _ROOM, window.rows)
    values = parts[0].raw
    raw = np.empty((len(values), room, window.cols), dtype=values.dtype)[:, : window.rows]
    for part in parts:
        at = part.window.row - window.row
        raw[:, at : at + part.window.rows] = part.raw
    if all(part.valid is None for part in parts):
        return Part(window, raw, None)
    valid = [
        np.ones(part.raw.shape[1:], dtype=np.bool_) if part.valid is None else part.valid
        for part in parts
    ]
    return Part(window, raw, np.concatenate(valid))
