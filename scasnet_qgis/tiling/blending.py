"""Class scores of overlapping tiles, blended tile by tile."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from scasnet_qgis.tiling.scaling import window_slices
from scasnet_qgis.tiling.windows import Axis, Panel, Tile, TilePlan, Window

if TYPE_CHECKING:
    from numpy.typing import NDArray

NODATA_LABEL = 0

_LABEL_ROWS = 32  # labelled at a time, so that they stay in the processor's cache


@dataclass(frozen=True)
class FinishedBlock:
    """Pixels of the map that no later tile overlaps.

    ``scores`` [classes, rows, cols] add up to 1 where ``valid`` [rows, cols] is True; None in a
    block that is ``without_scores``. Blocks come from left to right, the rows of blocks from top
    to bottom. ``panel`` is the first column and the number of columns of a row of blocks;
    None: those of the window.
    """

    window: Window
    scores: NDArray[np.float32] | None
    valid: NDArray[np.bool_]
    panel: tuple[int, int] | None = None
    known_labels: NDArray[np.uint8] | None = None

    @property
    def row(self) -> Window:
        """The window of the row of blocks that holds this one."""
        col, cols = self.panel or (self.window.col, self.window.cols)
        return Window(self.window.row, col, self.window.rows, cols)

    def labels(self) -> NDArray[np.uint8]:
        """Class k as value k + 1, 0 where there is no data; [rows, cols]."""
        if self.known_labels is not None:
            return self.known_labels
        if self.scores is None or not self.valid.any():
            return np.full(self.valid.shape, NODATA_LABEL, dtype=np.uint8)
        labels = highest(self.scores)
        labels *= self.valid.view(np.uint8)
        return labels

    def without_scores(self) -> FinishedBlock:
        """The block with its labels only, which take a small part of the memory."""
        return replace(self, scores=None, known_labels=self.labels())

    def uncertain(self, confidence: float) -> NDArray[np.bool_]:
        """Pixels with data whose highest score is below ``confidence``; [rows, cols]."""
        if self.scores is None:
            raise ValueError("a block without scores has no confidence")
        return self.valid & (self.scores.max(axis=0) < np.float32(confidence))


def highest(scores: NDArray[np.floating[Any]]) -> NDArray[np.uint8]:
    """Argmax over the classes of scores [classes, rows, cols], plus 1; the first of equals.

    Takes a tenth of the time of numpy's argmax over the first axis.
    """
    labels = np.ones(scores.shape[1:], dtype=np.uint8)
    for row in range(0, labels.shape[0], _LABEL_ROWS):
        planes, label = scores[:, row : row + _LABEL_ROWS], labels[row : row + _LABEL_ROWS]
        best = planes[0].copy()
        for index in range(1, len(planes)):
            higher = planes[index] > best
            np.maximum(best, planes[index], out=best)
            # Classes come in ascending order, so the larger number is the later one.
            np.maximum(label, higher.view(np.uint8) * np.uint8(index + 1), out=label)
    return labels


class Blender:
    """Weighted sum of the scores of overlapping tiles of one panel, in the order of the plan.

    Kept is only what later tiles add to: the columns on the right of a tile's block for the next
    tile, and the rows below it for the next row of tiles. Memory: classes x overlap x panel
    columns, whatever the raster's height.
    """

    def __init__(self, classes: int, plan: TilePlan, panel: Panel) -> None:
        self._plan, self._panel = plan, panel
        tiles, across = panel.tile_cols, plan.horizontal
        self._left = across.starts[tiles[0]]
        cols = across.starts[tiles[-1]] + across.size - self._left
        below = plan.vertical.largest_overlap
        self._next_rows = np.zeros((classes, below, cols), dtype=np.float32)
        self._next_cols = np.zeros((classes, plan.vertical.size, 0), dtype=np.float32)
        self._no_data = np.zeros((plan.vertical.size, across.size), dtype=np.bool_)

    def add(
        self, tile: Tile, scores: NDArray[np.float32] | None, valid: NDArray[np.bool_] | None
    ) -> FinishedBlock | None:
        """Add a tile and return what it finishes; None if nothing of that lies in the panel.

        ``scores`` [classes, rows, cols] over ``tile.out``, None for a tile without data;
        ``valid`` [rows, cols] says which pixels hold data (None: all). The scores are changed.
        """
        rows, cols = self._finished_size(tile)
        if scores is None:
            return self._without_data(tile, rows, cols)
        _apply_ramp(scores, self._plan.vertical.weights(tile.row)[:, None], 1)
        _apply_ramp(scores, self._plan.horizontal.weights(tile.col), 2)
        sums = scores  # weighted in place
        if tile.col == self._panel.tile_cols[0]:
            self._next_cols = self._next_cols[:, :, :0]
        sums[:, :, : self._next_cols.shape[2]] += self._next_cols
        self._next_cols = sums[:, :, cols:].copy()
        self._carry_rows(tile, sums, rows, cols)
        holds_data = np.ones(sums.shape[1:], dtype=np.bool_) if valid is None else valid
        return self._block(tile, sums, holds_data, rows, cols)

    def _without_data(self, tile: Tile, rows: int, cols: int) -> FinishedBlock | None:
        """A block of nodata: what other tiles add there does not matter, as no pixel gets a class.

        Large rasters may have millions of such tiles.
        """
        shape = (self._plan.vertical.size, self._plan.horizontal.size)
        self._next_cols = self._next_cols[:, :, :0]
        nothing = np.broadcast_to(np.float32(0), (len(self._next_rows), *shape))
        return self._block(tile, nothing, self._no_data, rows, cols)

    def _finished_size(self, tile: Tile) -> tuple[int, int]:
        """Rows and columns of a tile, from its top left corner, that no later tile overlaps."""
        sizes = []
        for axis, index in ((self._plan.vertical, tile.row), (self._plan.horizontal, tile.col)):
            last = index == len(axis) - 1
            sizes.append(axis.size if last else axis.starts[index + 1] - axis.starts[index])
        if tile.col == self._panel.tile_cols[-1]:
            sizes[1] = self._plan.horizontal.size
        return sizes[0], sizes[1]

    def _carry_rows(self, tile: Tile, sums: NDArray[np.float32], rows: int, cols: int) -> None:
        """Add the rows kept from the row of tiles above, and keep the lower rows for the next."""
        left = self._plan.horizontal.starts[tile.col] - self._left
        kept = self._next_rows[:, :, left : left + cols]
        if tile.row > 0:
            starts = self._plan.vertical.starts
            carried = starts[tile.row - 1] + self._plan.vertical.size - starts[tile.row]
            sums[:, :carried, :cols] += kept[:, :carried]
        kept[:, : sums.shape[1] - rows] = sums[:, rows:, :cols]

    def _block(
        self, tile: Tile, sums: NDArray[np.float32], valid: NDArray[np.bool_], rows: int, cols: int
    ) -> FinishedBlock | None:
        raster = Window(0, self._panel.col, self._plan.rows, self._panel.cols)
        window = Window(tile.out.row, tile.out.col, rows, cols).intersect(raster)
        if window.empty:
            return None
        part = window_slices(window, tile.out)[1:]
        panel = (self._panel.col, self._panel.cols)
        return FinishedBlock(window, sums[(slice(None), *part)], valid[part], panel)


def _apply_ramp(scores: NDArray[np.float32], weights: NDArray[np.float32], axis: int) -> None:
    """Multiply scores [classes, rows, cols] along an axis in place, where weights are not 1."""
    full = np.flatnonzero(weights.ravel() == 1)
    first, end = (int(full[0]), int(full[-1]) + 1) if full.size else (weights.size, weights.size)
    for part in (slice(0, first), slice(end, weights.size)):
        at = (slice(None), part) if axis == 1 else (slice(None), slice(None), part)
        scores[at] *= weights[part]


class UnblendedTiles:
    """Gives finished blocks as the ``Blender`` does, from labels in place of scores.

    Where tiles overlap, because their sizes are rounded or fixed, each counts up to the middle.
    """

    def __init__(self, plan: TilePlan, panel: Panel) -> None:
        self._plan, self._panel = plan, panel

    def add(
        self, tile: Tile, labels: NDArray[np.uint8] | None, valid: NDArray[np.bool_] | None
    ) -> FinishedBlock | None:
        """The block of a tile; None if nothing of it lies in the panel.

        ``labels`` [1, rows, cols] over ``tile.out`` are classes from 1 on, None for a tile without
        data; ``valid`` [rows, cols] says which pixels hold data (None: all).
        """
        top, bottom = _own_range(self._plan.vertical, tile.row)
        left, right = _own_range(self._plan.horizontal, tile.col)
        own = Window(top, left, bottom - top, right - left)
        window = own.intersect(Window(0, self._panel.col, self._plan.rows, self._panel.cols))
        if window.empty:
            return None
        at = window_slices(window, tile.out)[1:]
        shape = window.shape
        if labels is None:
            holds_data, values = np.zeros(shape, np.bool_), np.full(shape, NODATA_LABEL, np.uint8)
        else:
            holds_data = np.ones(shape, np.bool_) if valid is None else valid[at]
            values = labels[0][at] * holds_data.view(np.uint8)
        panel = (self._panel.col, self._panel.cols)
        return FinishedBlock(window, None, holds_data, panel, values)


def _own_range(axis: Axis, index: int) -> tuple[int, int]:
    """Start and end of a tile without its neighbours' halves of the overlaps."""
    starts, last = axis.starts, len(axis) - 1
    start = 0 if index == 0 else (starts[index - 1] + axis.size + starts[index]) // 2
    end = axis.length if index == last else (starts[index] + axis.size + starts[index + 1]) // 2
    return start, end
