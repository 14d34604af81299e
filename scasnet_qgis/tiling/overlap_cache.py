"""Cache of the pixel rows that two rows of tiles share, so that each is read once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from scasnet_qgis.tiling.windows import Window

if TYPE_CHECKING:
    from numpy.typing import NDArray

_ROW_STEP = 16  # rows; buffers are multiples of it, as overlaps may differ by one


class Source(Protocol):
    """A raster to read pixels from; used from one thread only.

    ``block_rows`` is the height of its blocks, which are decompressed as a whole.
    """

    block_rows: int

    def read(self, window: Window) -> tuple[NDArray[np.generic], NDArray[np.bool_] | None]:
        """Raw values [bands, rows, cols] and which pixels hold data (None: all)."""


@dataclass(frozen=True)
class RowSlice:
    """Rows of a window: raw values [bands, rows, cols], and where they hold data (None: all)."""

    window: Window
    raw: NDArray[np.generic]
    valid: NDArray[np.bool_] | None

    def rows(self, start: int, end: int) -> RowSlice:
        """The rows from ``start`` to ``end`` (exclusive), counted from the raster's first row."""
        first, last = start - self.window.row, end - self.window.row
        window = Window(start, self.window.col, end - start, self.window.cols)
        valid = None if self.valid is None else self.valid[first:last]
        return RowSlice(window, self.raw[:, first:last], valid)


class OverlapCache:
    """Reads whole rows of blocks, and keeps those that the next row of tiles begins with.

    GDAL's block cache would have to hold a row of tiles over the width of a panel for the same;
    what is kept here is the rows that overlap and the rest of their blocks.
    """

    def __init__(self, source: Source, extent: Window) -> None:
        self._source, self._extent = source, extent
        self._kept: dict[int, RowSlice] = {}  # by the tile's column

    def read(self, tile_col: int, window: Window, next_row: int | None) -> list[RowSlice]:
        """The pixels of ``window`` from top to bottom, for a tile in column ``tile_col``.

        ``next_row`` is the first row that the tile below will read, None where there is none.
        """
        kept = self._kept.pop(tile_col, None)
        if kept is not None and not _covers_top(kept.window, window):
            kept = None
        slices = []
        start = window.row
        if kept is not None:
            slices.append(kept.rows(start, kept.window.row_end))
            start = kept.window.row_end
        end = self._block_end(window.row_end) if next_row is not None else window.row_end
        if start < end:
            piece = Window(start, window.col, end - start, window.cols)
            slices.append(RowSlice(piece, *self._source.read(piece)))
        if next_row is not None:
            shared = window.row_end - next_row
            self._keep(tile_col, slices, next_row, end, shared + self._source.block_rows)
        return [
            part.rows(part.window.row, min(part.window.row_end, window.row_end))
            for part in slices
            if part.window.row < window.row_end
        ]

    def forget(self, tile_col: int) -> None:
        """Free the rows kept for column ``tile_col``, whose next tile is not read."""
        self._kept.pop(tile_col, None)

    def _block_end(self, row: int) -> int:
        """``row`` rounded up to the end of its block."""
        rows = self._source.block_rows
        return min(-(-row // rows) * rows, self._extent.row_end)

    def _keep(
        self, tile_col: int, slices: list[RowSlice], start: int, end: int, max_rows: int
    ) -> None:
        below = [
            part.rows(max(start, part.window.row), part.window.row_end)
            for part in slices
            if part.window.row_end > start
        ]
        if below and below[0].window.row == start < end:
            self._kept[tile_col] = _concatenated(below, max_rows)


def _covers_top(kept: Window, window: Window) -> bool:
    """Whether ``kept`` has the first rows of ``window``, and nothing of other columns."""
    same = (kept.col, kept.cols) == (window.col, window.cols)
    return same and kept.row <= window.row < kept.row_end


def _concatenated(slices: list[RowSlice], max_rows: int) -> RowSlice:
    """The slices as one, in memory of its own, so that the larger arrays can be freed.

    The buffer holds ``max_rows`` rows. How many are left of a block changes from one row of tiles
    to the next, but buffers of one size fit where others were, and do not fragment the memory.
    """
    first, last = slices[0].window, slices[-1].window
    window = Window(first.row, first.col, last.row_end - first.row, first.cols)
    capacity = max(-(-max_rows // _ROW_STEP) * _ROW_STEP, window.rows)
    values = slices[0].raw
    raw = np.empty((len(values), capacity, window.cols), dtype=values.dtype)[:, : window.rows]
    for part in slices:
        at = part.window.row - window.row
        raw[:, at : at + part.window.rows] = part.raw
    if all(part.valid is None for part in slices):
        return RowSlice(window, raw, None)
    valid = [
        np.ones(part.raw.shape[1:], dtype=np.bool_) if part.valid is None else part.valid
        for part in slices
    ]
    return RowSlice(window, raw, np.concatenate(valid))
