"""Class scores of overlapping tiles, blended tile by tile."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from scasnet_qgis.core.windows import Panel, Tile, TilePlan, Window

if TYPE_CHECKING:
    from numpy.typing import NDArray

NODATA_LABEL = 0


@dataclass(frozen=True)
class FinishedBlock:
    """Pixels that no later tile touches.

    ``scores`` [classes, rows, cols] add up to 1 where ``valid`` [rows, cols] is True. Blocks come
    from left to right, the rows of blocks from top to bottom. ``panel`` are the first column and
    the number of columns that a row of blocks fills; None stands for those of the window.
    """

    window: Window
    scores: NDArray[np.float32]
    valid: NDArray[np.bool_]
    panel: tuple[int, int] | None = None

    @property
    def row(self) -> Window:
        """The window of the whole row of blocks that this one is a part of."""
        col, cols = self.panel or (self.window.col, self.window.cols)
        return Window(self.window.row, col, self.window.rows, cols)

    def labels(self) -> NDArray[np.uint8]:
        """Class k as value k + 1, 0 where there is no data; [rows, cols]."""
        best = self.scores[0].copy()
        labels = np.ones(best.shape, dtype=np.uint8)
        for index in range(1, len(self.scores)):
            higher = self.scores[index] > best
            np.copyto(best, self.scores[index], where=higher)
            labels[higher] = index + 1
        labels[~self.valid] = NODATA_LABEL
        return labels

    def uncertain(self, confidence: float) -> NDArray[np.bool_]:
        """Which pixels hold data and have no score of ``confidence`` or more; [rows, cols]."""
        return self.valid & (self.scores.max(axis=0) < np.float32(confidence))


class Blender:
    """Adds up weighted scores over one panel, tile by tile in the order of the plan.

    Only what later tiles will add to is kept: the columns to the right of a tile's block for its
    neighbour, and the rows below it for the next row of tiles. Memory: classes x overlap x panel
    columns, whatever the raster's height.
    """

    def __init__(self, classes: int, plan: TilePlan, panel: Panel) -> None:
        self._plan, self._panel = plan, panel
        tiles, across = panel.tile_cols, plan.horizontal
        self._left = across.starts[tiles[0]]
        cols = across.starts[tiles[-1]] + across.size - self._left
        below = plan.vertical.largest_overlap
        self._below = np.zeros((classes, below, cols), dtype=np.float32)
        self._right = np.zeros((classes, plan.vertical.size, 0), dtype=np.float32)

    def add(
        self, tile: Tile, scores: NDArray[np.float32] | None, valid: NDArray[np.bool_] | None
    ) -> FinishedBlock | None:
        """Add a tile and give out what it finishes; None if nothing of that lies in the panel.

        ``scores`` [classes, rows, cols] over ``tile.out``, None for a tile without data;
        ``valid`` [rows, cols] says which pixels hold data (None: all). The scores are changed.
        """
        whole = self._weighted(tile, scores)
        if tile.col == self._panel.tile_cols[0]:
            self._right = self._right[:, :, :0]
        whole[:, :, : self._right.shape[2]] += self._right
        rows, cols = self._finished_size(tile)
        self._right = whole[:, :, cols:].copy()
        self._exchange_below(tile, whole, rows, cols)
        holds_data = np.full(whole.shape[1:], scores is not None) if valid is None else valid
        return self._block(tile, whole, holds_data, rows, cols)

    def _weighted(self, tile: Tile, scores: NDArray[np.float32] | None) -> NDArray[np.float32]:
        plan = self._plan
        if scores is None:
            shape = (len(self._below), plan.vertical.size, plan.horizontal.size)
            return np.zeros(shape, dtype=np.float32)
        scores *= plan.vertical.weights(tile.row)[:, None]
        scores *= plan.horizontal.weights(tile.col)
        return scores

    def _finished_size(self, tile: Tile) -> tuple[int, int]:
        """Rows and columns of a tile, from its top left corner, that no later tile touches."""
        sizes = []
        for axis, index in ((self._plan.vertical, tile.row), (self._plan.horizontal, tile.col)):
            last = index == len(axis) - 1
            sizes.append(axis.size if last else axis.starts[index + 1] - axis.starts[index])
        if tile.col == self._panel.tile_cols[-1]:
            sizes[1] = self._plan.horizontal.size
        return sizes[0], sizes[1]

    def _exchange_below(self, tile: Tile, whole: NDArray[np.float32], rows: int, cols: int) -> None:
        """Take what the row above left under these columns, and leave the own lower rows."""
        left = self._plan.horizontal.starts[tile.col] - self._left
        kept = self._below[:, :, left : left + cols]
        if tile.row > 0:
            starts = self._plan.vertical.starts
            carried = starts[tile.row - 1] + self._plan.vertical.size - starts[tile.row]
            whole[:, :carried, :cols] += kept[:, :carried]
        kept[:, : whole.shape[1] - rows] = whole[:, rows:, :cols]

    def _block(
        self,
        tile: Tile,
        whole: NDArray[np.float32],
        valid: NDArray[np.bool_],
        rows: int,
        cols: int,
    ) -> FinishedBlock | None:
        raster = Window(0, self._panel.col, self._plan.rows, self._panel.cols)
        window = Window(tile.out.row, tile.out.col, rows, cols).intersect(raster)
        if window.empty:
            return None
        part = (
            slice(0, window.rows),
            slice(window.col - tile.out.col, window.col_end - tile.out.col),
        )
        panel = (self._panel.col, self._panel.cols)
        return FinishedBlock(window, whole[(slice(None), *part)], valid[part], panel)
